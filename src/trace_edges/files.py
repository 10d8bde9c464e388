"""Files: which images a command was given, what its results are called, and how they are written.

Nothing here opens an image.
"""

import glob
import json
import os
import re
import secrets
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np

# Written by `detect` and `segment`: not photographs, when a folder is its own output.
RESULT_SUFFIXES = (".edges.png", ".overlay.png", ".instances.png")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.part(\..*)?")  # a name of `write_atomically`


class InputError(ValueError):
    """An input that leads to no image: one line that names it and says what to do."""


class FileError(ValueError):
    """A file whose content cannot be used, in one line.

    Attributes:
        path: which file.
        problem: what is wrong with it.
        mend: what to do.
    """

    def __init__(self, path: str | os.PathLike[str], problem: str, mend: str) -> None:
        super().__init__(path, problem, mend)  # all of it, so that a worker can send it home
        self.path, self.problem, self.mend = path, problem, mend

    def __str__(self) -> str:
        return " ".join(f"{self.path} {self.problem}: {self.mend}".splitlines())


@dataclass(frozen=True)
class Found:
    """Images that a list of inputs led to.

    Attributes:
        images: Every image file once.
        problems: One error for each input that led to none, in the order of the inputs.
    """

    images: tuple[Path, ...]
    problems: tuple[InputError, ...]


def find_images(inputs: Sequence[str | os.PathLike[str]], recursive: bool = False) -> Found:
    """Finds the images that files, folders and patterns stand for, in the order they were given.

    A file is taken whatever its suffix. A folder and a pattern (`*`, `?`, `[...]`, `**`) give their
    visible files with a suffix of `IMAGE_SUFFIXES`, sorted, but no results of `detect`; what exists
    under a name is not read as a pattern. Paths stay as they were given, relative or not; a file
    that several inputs lead to comes once, where it came first.

    Args:
        inputs: Paths of files and folders, and patterns that the shell did not expand.
        recursive: Whether to search the folders below a folder too, but for hidden ones.

    Raises:
        InputError: There is no image at all. While there is one, inputs that lead to none are
            problems of the result, so that they do not stop the rest.
    """
    images: dict[str, Path] = {}
    problems: list[InputError] = []
    for given in inputs:
        try:
            for path in _expand(os.fspath(given), recursive):
                images.setdefault(os.path.normcase(os.path.abspath(path)), path)
        except InputError as error:
            problems.append(error)
    if not images:
        more = f" (and {len(problems) - 1} more inputs without images)" if problems[1:] else ""
        first = problems[0] if problems else "no input was given; give files, folders or patterns"
        raise InputError(f"{first}{more}")
    return Found(tuple(images.values()), tuple(problems))


def output_names(paths: Iterable[Path]) -> dict[Path, str]:
    """The name under which the results of each input are filed: to append a suffix to.

    It is the stem of the path: `a` for `x/a.jpg`. Paths that clash keep their full names (`a.jpg`,
    `a.png`), and where these clash too, as many parent folders as it takes (`x_a.jpg`, `y_a.jpg`),
    or at last a number. Names are unique even where case and the encoding of accents do not count.
    They depend on the whole list: a further input may make a name longer.
    """
    parts = {path: Path(os.path.abspath(path)).parts for path in paths}
    levels = zip(*(own[:-1] for own in parts.values()), strict=False)
    shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    depth = max(map(len, parts.values()), default=0) - shared
    candidates = {
        path: _longer_and_longer(own[shared:], depth, number)
        for number, (path, own) in enumerate(parts.items(), 1)
    }
    names = {path: next(candidates[path]) for path in parts}
    while True:
        uses = Counter(map(_fold, names.values()))
        clashing = [path for path, name in names.items() if uses[_fold(name)] > 1]
        if not clashing:
            return names
        names.update((path, next(candidates[path])) for path in clashing)


@contextmanager
def write_atomically(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a path to write to; what is there at the end replaces `path` at once, or not at all.

    The temporary path is hidden, unique, in the folder of `path` (which is made) and with its
    suffix, from which writers take the format. Whatever is raised inside removes it, an interrupt
    too, and leaves an older `path` as it was.

    Raises:
        OSError: As it came (a full disk, no permission), naming `path`.
    """
    target = Path(path)
    temporary = target.with_name(f".{secrets.token_hex(8)}.part{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(target)
    except OSError as error:
        if error.filename is not None and str(error.filename) != str(temporary):
            raise  # it names another file: a folder that cannot be made, or an input
        if error.errno is None:
            raise OSError(f"{target}: {error}") from error
        raise OSError(error.errno, error.strerror, str(target)) from error
    finally:
        with suppress(OSError):  # what went wrong first is what matters
            temporary.unlink(missing_ok=True)


def write_text(text: str, path: str | os.PathLike[str]) -> None:
    """Write text as UTF-8 with plain line feeds; errors as in `write_atomically`."""
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(content: Any, path: str | os.PathLike[str], *, indent: int | None = None) -> None:
    """Write JSON in the order of the content: equal contents give equal bytes.

    Args:
        content: plain JSON values.
        path: where to.
        indent: spaces by which lists and dictionaries are set in; None writes one compact line.

    Raises:
        OSError: as in `write_atomically`.
        ValueError: a number is not finite, which JSON cannot hold.
    """
    separators = (",", ":") if indent is None else None
    with write_atomically(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file, indent=indent, separators=separators, allow_nan=False)
        file.write("\n")


def write_npy(array: np.ndarray, path: str | os.PathLike[str]) -> None:
    """Write an array as .npy; errors as in `write_atomically`."""
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        np.save(file, array)


def read_json(path: str | os.PathLike[str]) -> Any:
    """The content of a JSON file.

    Raises:
        OSError: there is no such file, or it cannot be read.
        FileError: a `ValueError` of one line: it holds no JSON.
    """
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        raise FileError(path, "is no regular file", "give a file, since others may never end")
    try:
        return json.loads(Path(path).read_bytes(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"is no valid JSON ({error})", "write or fetch it again") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, in which every key has one value."""
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"an object has two values for {json.dumps(twice)[:40]}")
    return content


def remove_temporaries(folder: str | os.PathLike[str]) -> None:
    """Take away what `write_atomically` left in a folder, and below it, when it was killed.

    To be called where nobody else writes.
    """
    for place, _, names in os.walk(folder):
        for name in filter(_TEMPORARY.fullmatch, names):
            Path(place, name).unlink(missing_ok=True)


def _expand(given: str, recursive: bool) -> Iterator[Path]:
    """The images of one input; in the end an InputError if there is none or a folder is shut."""
    known = ", ".join(IMAGE_SUFFIXES)
    errors: list[OSError] = []
    if os.path.isdir(given):
        paths = list(_visible_files(given, recursive, errors))
        below = f"; to search the folders below it give '{os.path.join(glob.escape(given), '**')}'"
        problem = f"is a folder without images ({known})" + ("" if recursive else below)
    elif os.path.exists(given):
        yield Path(given)
        return
    elif "://" in given:
        raise _problem(given, "is a web address; download it first and give the file")
    elif glob.has_magic(given):
        paths = [Path(match) for match in glob.glob(given, recursive=True)]
        problem = f"is a pattern that matches no image ({known}); check it"
    else:
        raise _problem(given, "there is no such file or folder; check the path")
    images = sorted(path for path in paths if _is_image(path))
    yield from images
    for error in errors:
        reason = f"cannot be listed ({error.strerror}); change its permissions"
        raise _problem(error.filename, reason) from error
    if not images:
        raise _problem(given, problem)


def _visible_files(folder: str, recursive: bool, errors: list[OSError]) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, onerror=errors.append):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        yield from (Path(parent, name) for name in names if not name.startswith("."))


def _is_image(path: Path) -> bool:
    result = path.name.endswith(RESULT_SUFFIXES)
    return path.suffix.lower() in IMAGE_SUFFIXES and not result and path.is_file()


def _problem(given: str, problem: str) -> InputError:
    return InputError(" ".join(f"{given or 'the empty path'}: {problem}".splitlines()))


def _longer_and_longer(parts: Sequence[str], depth: int, number: int) -> Iterator[str]:
    """Names for one path, without end: the stem, the full name, with its parents, with a number.

    Having run out of parents, it waits with the number as long as other paths, which have up to
    `depth` parts, may still give way.
    """
    yield Path(parts[-1]).stem
    for length in range(1, 2 * depth + 1):
        yield "_".join(parts[-length:])
    for times in count(1):
        yield "_".join(parts) + f"_{number}" * times


def _fold(name: str) -> str:
    """Equal for names that some file system holds to be one."""
    return unicodedata.normalize("NFC", name).casefold()
