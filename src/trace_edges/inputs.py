"""Which images a command was given, and what their results are called.

Nothing here opens an image.
"""

from __future__ import annotations

import glob
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import count, takewhile
from pathlib import Path

from trace_edges.errors import InputError

# Written by `detect` and `segment`: not photographs, when a folder is its own output.
RESULT_SUFFIXES = (".edges.png", ".overlay.png", ".instances.png")
# Images that are not read: counted and named.
OTHER_SUFFIXES = (".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".dng", ".cr2", ".nef",
                  ".arw", ".exr", ".hdr")  # fmt: skip
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")


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


def _expand(given: str, recursive: bool) -> Iterator[Path]:
    """The images of one input; in the end an InputError if there is none or a folder is shut."""
    known = ", ".join(IMAGE_SUFFIXES)
    errors: list[OSError] = []
    if os.path.isdir(given):
        paths = list(_visible_files(given, recursive, errors, set()))
        below = f"; to search the folders below it give '{os.path.join(glob.escape(given), '**')}'"
        problem = f"is a folder without images ({known})" + ("" if recursive else below)
    elif os.path.isfile(given):
        yield Path(given)
        return
    elif os.path.exists(given):
        raise _problem(given, "is a pipe or a device; write it to a file first and give that")
    elif "://" in given:
        raise _problem(given, "is a web address; download it first and give the file")
    elif glob.has_magic(given):
        paths = list(_matching(given, errors))
        problem = f"is a pattern that matches no image ({known}); check it"
    else:
        raise _problem(given, "there is no such file or folder; check the path")
    images = sorted(path for path in paths if _is_image(path))
    yield from images
    for error in errors:
        reason = f"cannot be listed ({error.strerror}); change its permissions"
        raise _problem(error.filename, reason) from error
    others = Counter(path.suffix.lower() for path in paths if _is_other(path))
    if others:
        kinds = ", ".join(sorted(others))
        raise _problem(given, f"{others.total()} files are images of other formats ({kinds}); "
                       "give them by name, or convert them to PNG")  # fmt: skip
    if not images:
        raise _problem(given, problem)


def _visible_files(
    folder: str, recursive: bool, errors: list[OSError], seen: set[str]
) -> Iterator[Path]:
    """Files of a folder and those below it; linked folders too, but each real folder once."""
    for parent, folders, names in os.walk(folder, onerror=errors.append, followlinks=True):
        real = os.path.realpath(parent)
        known, wanted = real in seen, recursive and real not in seen
        seen.add(real)
        folders[:] = [name for name in sorted(folders) if wanted and not name.startswith(".")]
        if not known:
            yield from (Path(parent, name) for name in names if not name.startswith("."))


def _matching(pattern: str, errors: list[OSError]) -> Iterator[Path]:
    """Files that a pattern stands for; `**` searches folders as `_visible_files` does."""
    parts = Path(pattern).parts
    if "**" not in parts:
        yield from map(Path, glob.iglob(pattern))
        return
    place = parts.index("**")
    seen: set[str] = set()
    for base in glob.iglob(str(Path(*parts[:place]))):
        for path in _visible_files(base, True, errors, seen):
            if _fits(path.relative_to(base).parts, parts[place:]):
                yield path


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        rest = pattern[1:]
        return not rest or any(_fits(parts[begin:], rest) for begin in range(len(parts)))
    return bool(parts) and fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _is_other(path: Path) -> bool:
    return path.suffix.lower() in OTHER_SUFFIXES and path.is_file()


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
