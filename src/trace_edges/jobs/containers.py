"""Which files of many images a path, folder or pattern stands for, and what each is called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from trace_edges.files import InputError
from trace_edges.inputs import fixed_part
from trace_edges.jobs.remote import full_name
from trace_edges.jobs.stores import ask, filesystem, kind_of

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST = 1_000_000  # files that ranges may stand for


def find_containers(url: str, suffixes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The files with one of these suffixes, as URLs, sorted, each with a name of its own.

    A name is the path below the folder, or below what comes before the first star or brace, without
    suffix where that is enough to tell them apart. Below a folder, names that begin with a dot or
    underscore are left out, as Arrow and Spark do.

    Args:
        url: a file, a folder, a pattern, or a range as WebDataset writes it: {0000..0127}.
        suffixes: for instance (".tar",).

    Raises:
        InputError: there is none, or a range stands for too many.
    """
    whole = kind_of(url) is not None
    system, base = filesystem(url if whole else fixed_part(url))
    if whole and kind_of(url) != "directory":
        base = base.rpartition("/")[0]
    paths = [found for one in ([url] if whole else _ranges(url)) for found in _files(one, suffixes)]
    names = {one: one.removeprefix(base.rstrip("/") + "/") for one in paths}
    stems = {one: _without(name, suffixes) for one, name in names.items()}
    uses = Counter(stems.values())
    for one in paths:
        yield full_name(system, one), names[one] if uses[stems[one]] > 1 else stems[one]


def _files(url: str, suffixes: tuple[str, ...]) -> list[str]:
    system, path = filesystem(url)
    kind = kind_of(url)
    if kind == "directory":
        base = path.rstrip("/") + "/"
        below = ask(url, system.find, path)
        found = [one for one in below if _is_visible(one.removeprefix(base))]
    else:
        found = [path] if kind is not None else ask(url, system.glob, path)
    if kind != "file":
        found = sorted(one for one in found if one.lower().endswith(suffixes))
    if not found:
        raise InputError(f"{url}: there is no {suffixes[0]} there; check the path")
    return found


def _is_visible(name: str) -> bool:
    return not any(part.startswith((".", "_")) for part in name.split("/"))


def _without(name: str, suffixes: tuple[str, ...]) -> str:
    longest = sorted(suffixes, key=len, reverse=True)
    end = next((one for one in longest if name.lower().endswith(one)), "")
    return name[: len(name) - len(end)]


def _ranges(url: str) -> list[str]:
    """{000..127} written out, as WebDataset does."""
    numbers = [(int(last) - int(first) + 1) for first, last in _RANGE.findall(url)]
    total = 1
    for number in numbers:
        total *= max(number, 0)
    if total > _MOST or total == 0:
        raise InputError(f"{url}: its ranges stand for {total:,} files: give 1 to {_MOST:,}")
    return list(_written_out(url))


def _written_out(url: str) -> Iterator[str]:
    if (found := _RANGE.search(url)) is None:
        yield url
        return
    first, last = found.groups()
    for n in range(int(first), int(last) + 1):
        written = f"{n:0{len(first)}d}"
        yield from _written_out(url[: found.start()] + written + url[found.end() :])
