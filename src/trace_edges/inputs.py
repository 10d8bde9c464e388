"""Which images a command was given, and what their results are called; none is opened here."""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from importlib.util import find_spec
from pathlib import Path, PurePath

from trace_edges import outputs
from trace_edges.errors import InputError

# Written by `detect`, `segment` and `annotate`: not photographs, wherever they lie.
RESULT_SUFFIXES = (".edges.png", ".overlay.png", ".instances.png", ".panoptic.png")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
# Images for whose reading something may be missing: a library, or a feature of this Pillow.
FURTHER_SUFFIXES = {
    ".heic": "pillow_heif", ".heif": "pillow_heif", ".jxl": "imagecodecs",
    ".avif": "avif", ".jp2": "jpg_2000", ".j2k": "jpg_2000",
}  # fmt: skip
# Pictures, documents and films that are never read: counted and named.
OTHER_SUFFIXES = (
    ".arw", ".cr2", ".cr3", ".dng", ".nef", ".nrw", ".orf", ".raf", ".rw2", ".srw",
    ".dcm", ".exr", ".fits", ".hdr", ".ico", ".ppm", ".psd", ".tga",
    ".ai", ".eps", ".pdf", ".svg", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm",
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """Images that a list of inputs led to.

    Attributes:
        images: Every image file once.
        names: What the results of each are called: to append a suffix to. It is the path below the
            folder that was given, without suffix: `day1/a` for `photos/day1/a.jpg`. Of a file that
            was named it is the stem. Paths that clash keep their suffixes, and where they clash
            still, they are relative to the folder that holds all images; or they get a number.
            Names are unique even where case and the encoding of accents do not count.
        problems: One error for each input that led to no image, or to one that cannot be read, in
            the order of the inputs.
        passed_over: A line for every folder with files of kinds that are never read.
    """

    images: tuple[Path, ...]
    names: Mapping[Path, str]
    problems: tuple[InputError, ...]
    passed_over: tuple[str, ...] = ()


def find_images(inputs: Sequence[str | os.PathLike[str]], recursive: bool = False) -> Found:
    """Finds the images that files, folders and patterns stand for, in the order they were given.

    A file is taken whatever its suffix. A folder and a pattern (`*`, `?`, `[...]`, `**`) give their
    visible files with the suffix of an image, sorted, but no results of ours; what exists under a
    name is not read as a pattern. Paths stay as they were given, relative or not; a file that
    several inputs lead to comes once, where it came first.

    Args:
        inputs: Paths of files and folders, and patterns that the shell did not expand.
        recursive: Whether to search the folders below a folder too, but for hidden ones.

    Raises:
        InputError: There is no image at all. While there is one, inputs that lead to none are
            problems of the result, so that they do not stop the rest.
    """
    search = _Search(recursive)
    for given in inputs:
        search.add(os.fspath(given))
    if not search.found:
        problems = search.problems
        more = f" (and {len(problems) - 1} more inputs without images)" if problems[1:] else ""
        first = problems[0] if problems else "no input was given; give files, folders or patterns"
        raise InputError(f"{first}{more}")
    names = _names(search.found.values())
    return Found(tuple(names), names, tuple(search.problems), tuple(search.passed_over))


def result_names(below: Iterable[str]) -> dict[str, str]:
    """What the results of files are called, by their paths below one folder: without suffix, but
    for those that differ in nothing else.
    """
    names = list(below)
    uses = Counter(map(stem, names))
    return {name: name if uses[stem(name)] > 1 else stem(name) for name in names}


def fixed_part(pattern: str) -> str:
    """The folder in which everything lies that a pattern stands for: what it has before the first
    *, ?, [...] or range {0..9}. Of what is no pattern, all of it.
    """
    if os.path.lexists(pattern) or not (found := re.search(r"[*?\[{]", pattern)):
        return pattern
    folder, slash, _ = pattern[: found.start()].rpartition("/")
    return folder or slash or "."


def passed_over(suffixes: Counter[str]) -> str:
    """What is said of files of kinds that are never read, by how many there are of each suffix."""
    return f"files of kinds that are not read are passed over: {_counted(suffixes)}"


def stem(name: str) -> str:
    """A path without its last suffix."""
    return PurePath(name).with_suffix("").as_posix() if PurePath(name).suffix else name


def visible_files(
    folder: str,
    recursive: bool,
    errors: list[OSError],
    seen: set[str] | None = None,
    *,
    with_results: bool = False,
) -> Iterator[Path]:
    """Files of a folder and those below it, but for hidden ones; linked folders too, but each real
    folder once.

    Args:
        errors: takes those of folders that cannot be listed.
        seen: real folders that were visited before.
        with_results: give what a command of ours wrote there too.
    """
    results: set[str] = set()
    seen = set() if seen is None else seen
    for parent, folders, names in os.walk(folder, onerror=errors.append, followlinks=True):
        real = os.path.realpath(parent)
        known, wanted = real in seen, recursive and real not in seen
        seen.add(real)
        if not with_results:
            results |= outputs.results_below(parent, (*folders, *names))
        folders[:] = [name for name in sorted(folders) if wanted and not name.startswith(".")]
        for path in () if known else (os.path.join(parent, name) for name in names):
            if not os.path.basename(path).startswith(".") and os.path.normpath(path) not in results:
                yield Path(path)


def unlike_file(path: str | os.PathLike[str]) -> str:
    """What something that is called like an image is instead of a file; empty if it is one."""
    if os.path.isfile(path):
        return ""
    if os.path.isdir(path):
        return "is a folder"
    return "is a pipe or a device" if os.path.exists(path) else "is a link to nothing"


class _Search:
    """Images by their absolute paths, each as it was given and as it is called below that."""

    def __init__(self, recursive: bool) -> None:
        self._recursive = recursive
        self.found: dict[str, tuple[Path, str]] = {}
        self.problems: list[InputError] = []
        self.passed_over: list[str] = []

    def add(self, given: str) -> None:
        """Take the images of one input."""
        if os.path.isdir(given):
            below = os.path.join(glob.escape(given), "**")
            deeper = "" if self._recursive else f"; to search the folders below it give '{below}'"
            self._take_all(given, given, f"is a folder without images ({_KNOWN}){deeper}")
        elif os.path.isfile(given):
            self._take(Path(given), os.path.basename(given))
        elif os.path.exists(given):
            self._problem(given, "is a pipe or a device; write it to a file first and give that")
        elif "://" in given:
            self._problem(given, "is a web address; download it first and give the file")
        elif glob.has_magic(given):
            none = f"is a pattern that matches no image ({_KNOWN}); check it"
            self._take_all(given, fixed_part(given), none)
        else:
            self._problem(given, "there is no such file or folder; check the path")

    def _take(self, path: Path, name: str) -> None:
        self.found.setdefault(os.path.normcase(os.path.abspath(path)), (path, name))

    def _problem(self, given: str, problem: str) -> None:
        self.problems.append(InputError(_line(given, problem)))

    def _take_all(self, given: str, base: str, none: str) -> None:
        """The images of a folder or pattern, and what is odd beside them."""
        errors: list[OSError] = []
        whole = base == given
        paths = list(visible_files(given, self._recursive, errors) if whole
                     else _matching(given, errors))  # fmt: skip
        lacking: Counter[str] = Counter()
        others: Counter[str] = Counter()
        images = 0
        for path in sorted(paths):
            suffix = path.suffix.lower()
            if suffix in OTHER_SUFFIXES:
                others[suffix] += path.is_file()
            elif path.name.endswith(RESULT_SUFFIXES) or suffix not in _KNOWN_SUFFIXES:
                continue
            elif not _reads(suffix):
                lacking[suffix] += path.is_file()
            elif what := unlike_file(path):
                if what != "is a folder":
                    self._problem(str(path), f"{what}; take it out")
            else:
                images += 1
                self._take(path, path.relative_to(base).as_posix())
        for error in errors:
            self._problem(error.filename, f"cannot be listed ({error.strerror}); change its "
                          "permissions")  # fmt: skip
        if +lacking:
            self._problem(given, f"images of formats that need an extra: {_counted(lacking)}; "
                          'pip install "trace-edges[formats]"')  # fmt: skip
        never = passed_over(others) if +others else ""
        if never and images:
            self.passed_over.append(_line(given, never))
        elif not images and not errors and not +lacking:
            self._problem(given, none + (f"; {never}" if never else ""))


_KNOWN_SUFFIXES = (*IMAGE_SUFFIXES, *FURTHER_SUFFIXES)
_KNOWN = ", ".join(IMAGE_SUFFIXES)


@cache
def _reads(suffix: str) -> bool:
    """Whether images of a kind can be read here."""
    if (needed := FURTHER_SUFFIXES.get(suffix)) is None:
        return True
    if needed in ("avif", "jpg_2000"):
        from PIL import features

        return bool(features.check(needed))
    return find_spec(needed) is not None


def _counted(suffixes: Counter[str]) -> str:
    return ", ".join(f"{times} {suffix}" for suffix, times in sorted((+suffixes).items()))


def _line(given: str, problem: str) -> str:
    return " ".join(f"{given or 'the empty path'}: {problem}".splitlines())


def _matching(pattern: str, errors: list[OSError]) -> Iterator[Path]:
    """Files that a pattern stands for; `**` searches folders as `visible_files` does."""
    parts = Path(pattern).parts
    if "**" not in parts:
        yield from map(Path, glob.iglob(pattern))
        return
    place = parts.index("**")
    seen: set[str] = set()
    for base in glob.iglob(str(Path(*parts[:place]))):
        for path in visible_files(base, True, errors, seen):
            if _fits(path.relative_to(base).parts, parts[place:]):
                yield path


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        rest = pattern[1:]
        return not rest or any(_fits(parts[begin:], rest) for begin in range(len(parts)))
    return bool(parts) and fnmatch(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _names(found: Iterable[tuple[Path, str]]) -> dict[Path, str]:
    """What results are called, of images and their names below what was given."""
    below = dict(found)
    root = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in below])
    wholes = {path: PurePath(os.path.relpath(path, root)).as_posix() for path in below}
    levels = dict.fromkeys(below, 0)
    alike: Counter[str] = Counter()
    numbers: dict[Path, int] = {}  # that no other image changes
    for path, whole in wholes.items():
        alike[_fold(whole)] += 1
        numbers[path] = alike[_fold(whole)]

    def name(path: Path) -> str:
        """The shortest first: without suffix, with it, below what holds all, with a number."""
        forms = [form for one in (below[path], wholes[path]) for form in (stem(one), one)]
        beyond = levels[path] - len(forms) + 1
        return forms[-1] + f"_{numbers[path]}" * beyond if beyond > 0 else forms[levels[path]]

    while True:
        names = {path: name(path) for path in below}
        called: dict[str, list[Path]] = {}
        for path in names:
            called.setdefault(_fold(names[path]), []).append(path)
        clashing = [paths for paths in called.values() if len(paths) > 1]
        if not clashing:
            return names
        for paths in clashing:
            lowest = min(levels[path] for path in paths)
            levels.update((path, lowest + 1) for path in paths if levels[path] == lowest)


def _fold(name: str) -> str:
    """Equal for names that some file system holds to be one."""
    return unicodedata.normalize("NFC", name).casefold()
