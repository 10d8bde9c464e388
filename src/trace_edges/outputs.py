"""Which files a command may write: its own, and never an input, a file of the user's, or the result
of another command.

What a command writes is listed in a hidden file beside it (`LEDGER`): the command, the name, and a
digest of the content. A file that is there is replaced or removed only if it is listed as the
same command's and still has that content. `Outputs` is the one guard; `write_atomically` asks it.
"""

from __future__ import annotations

import hashlib
import io
import json
import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

from trace_edges.errors import FileError

LEDGER = ".trace-edges"
JOB = ".annotate"  # folders that begin so hold the state of a job, with `WRITTEN` as their ledger
WRITTEN = "written"
_SCENES = "composites"  # the recipe whose results are images for other commands to read
_TITLE = "What trace-edges wrote into this folder, and so may replace: command, name, digest.\n"
_ENDS = 16 << 20  # bytes of each end of a large file that are digested
_active: ContextVar[Outputs | None] = ContextVar("outputs", default=None)


@dataclass(frozen=True)
class Outputs:
    """What one command may write.

    Attributes:
        command: its name; results of another are not replaced.
        inputs: files and folders that it reads, and so neither replaces nor writes into.
        overwrite: what the command wrote is replaced even if it was changed since.
        ledger: file that lists what was written, if one is to hold for many folders.
    """

    command: str
    inputs: tuple[str | os.PathLike[str], ...] = ()
    overwrite: bool = False
    ledger: Path | None = None

    def check(self, *paths: str | os.PathLike[str]) -> None:
        """Refuse, before work begins, files that the command may not write.

        Raises:
            FileError: a file is an input, lies in a folder that is one, or is not the command's.
        """
        for path in map(Path, paths):
            self._refuse_inputs(path)
            if os.path.lexists(path) and not self._owns(path):
                raise _refused(path, self._whose(path))

    def check_folder(self, folder: Path) -> None:
        """Refuse a folder of results that is a file, or would lie in one."""
        there = next((one for one in (folder, *folder.absolute().parents) if one.exists()), folder)
        if there.exists() and not there.is_dir():
            raise FileError(there, "is not a folder", "give one for the results")

    def remove(self, path: str | os.PathLike[str]) -> None:
        """Take away a file of the command, if it is there; errors as in `check`."""
        self.check(path)
        Path(path).unlink(missing_ok=True)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Whatever is written meanwhile, in this thread, is checked and listed."""
        token = _active.set(self)
        try:
            yield
        finally:
            _active.reset(token)

    def keep(self) -> None:
        """Whatever this thread writes from now on is checked and listed: for worker processes."""
        _active.set(self)

    def note(self, content: Path, path: Path) -> None:
        """List a file that is about to come to its place, with the content that it will have."""
        self._written.add(path)
        digest = digest_of(content)
        if path.exists() and digest_of(path) == digest:
            return  # it is listed, or could not be replaced
        self._list(*self._place(path), digest)

    def check_elsewhere(self, url: str, there: str | None) -> None:
        """`check` for an object of a store, of which `there` is the digest; None: there is none."""
        known = [] if self.ledger is None else _listed(self.ledger, url)
        if there is not None and (self.command, there) not in known:
            raise _refused(url, f"was not written by trace-edges {self.command}")

    def claim(self, url: str, digest: str, there: str | None) -> None:
        """List an object of a store that is about to be written there.

        Args:
            digest: of what it will hold. The same may be there already: another machine of the job
                wrote it.
            there: digest of what it holds now; None if there is no such object.

        Raises:
            FileError: what is there is not the command's.
        """
        if there == digest:
            return
        self.check_elsewhere(url, there)
        if self.ledger is not None:
            self._list(self.ledger, url, digest)

    def _list(self, ledger: Path, name: str, digest: str) -> None:
        start = b"" if ledger.exists() else _TITLE.encode()
        line = json.dumps([self.command, name, digest]).encode()
        ledger.parent.mkdir(parents=True, exist_ok=True)
        with ledger.open("ab", buffering=0) as file:  # one write: lines stay whole
            file.write(start + b"\n" + line)

    def first_in(self, folder: Path) -> bool:
        """Whether the command has not written into this folder before."""
        known = len(self._folders)
        self._folders.add(folder)
        return len(self._folders) > known

    def left(self, out: Path) -> list[Path]:
        """Files that earlier runs of the command wrote below a folder, and this one not, where it
        wrote too: whoever reads the folder takes them for its own.
        """
        found: set[Path] = set()
        for folder in {path.parent for path in self._written if out in path.parents}:
            lines = map(_read_line, (folder / LEDGER).read_bytes().splitlines())
            found |= {folder / name for command, name, _ in lines if command == self.command}
        return sorted(path for path in found - self._written if path.is_file())

    @cached_property
    def _folders(self) -> set[Path]:
        return set()

    @cached_property
    def _written(self) -> set[Path]:
        return set()

    @cached_property
    def _read(self) -> tuple[dict[tuple[int, int], str], dict[tuple[int, int], str]]:
        """Files and folders that are inputs, by what the file system knows them as."""
        files: dict[tuple[int, int], str] = {}
        folders: dict[tuple[int, int], str] = {}
        for given in self.inputs:
            if (found := _identity(given)) is not None:
                (folders if os.path.isdir(given) else files)[found] = os.fspath(given)
        return files, folders

    def _refuse_inputs(self, path: Path) -> None:
        files, folders = self._read
        if files and (given := files.get(_identity(path) or (0, 0))) is not None:
            raise FileError(path, f"is an input of this command ({given})", "give another place "
                            "for the results")  # fmt: skip
        for parent in Path(os.path.abspath(path)).parents if folders else ():
            if (given := folders.get(_identity(parent) or (0, 0))) is not None:
                raise FileError(path, f"would lie in {given}, which this command reads",
                                "give another place for the results")  # fmt: skip

    def _owns(self, path: Path) -> bool:
        if not path.is_file() or path.is_symlink():
            return False
        listed = _listed(*self._place(path))
        if self.overwrite:
            return any(command == self.command for command, _ in listed)
        return (self.command, digest_of(path)) in listed

    def _place(self, path: Path) -> tuple[Path, str]:
        """The ledger that would list a file, and its name there."""
        if self.ledger is None:
            return path.with_name(LEDGER), path.name
        return self.ledger, os.path.relpath(path, self.ledger.parent)

    def _whose(self, path: Path) -> str:
        if not path.is_file() or path.is_symlink():
            return "exists and is not a regular file"
        listed = _listed(*self._place(path))
        if self.ledger is not None:
            listed = _listed(path.with_name(LEDGER), path.name) + listed
        digest = digest_of(path)
        for command, content in reversed(listed):
            if content == digest:
                return f"is a result of trace-edges {command}"
        if any(command == self.command for command, _ in listed):
            return f"was changed since trace-edges {self.command} wrote it"
        return f"was not written by trace-edges {self.command}"


def current() -> Outputs | None:
    """The guard of whatever is being written in this thread; None where there is none."""
    return _active.get()


def results_below(folder: str, names: Iterable[str]) -> set[str]:
    """Paths of all that the ledgers of a folder list, whether it is there or not, but for images
    that were made to be read.

    Args:
        names: of what is in the folder.
    """
    found: set[str] = set()
    for name in names:
        if name == LEDGER or name.startswith(JOB):
            ledger = Path(folder, name) if name == LEDGER else Path(folder, name, WRITTEN)
            lines = ledger.read_bytes().splitlines() if ledger.is_file() else []
            listed = (_read_line(line)[:2] for line in lines)
            found |= {
                os.path.normpath(ledger.parent / name)
                for command, name in listed
                if name and command != _SCENES
            }
    return found


def _read_line(line: bytes) -> tuple[str, str, str]:
    """Command, name and digest of one line of a ledger; empty if a kill cut it short, or if it is
    something else.
    """
    try:
        command, name, digest = json.loads(line)
    except (ValueError, TypeError, RecursionError):
        return "", "", ""
    texts = isinstance(command, str) and isinstance(name, str) and isinstance(digest, str)
    return (command, name, digest) if texts else ("", "", "")


def _listed(ledger: Path, name: str) -> list[tuple[str, str]]:
    """Command and digest of all that was written under this name, the latest last."""
    quoted = b", " + json.dumps(name).encode() + b", "
    found: list[tuple[str, str]] = []
    if not ledger.is_file() or ledger.stat().st_size == 0:
        return found
    with ledger.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines:
        place = lines.find(quoted)
        while place != -1:
            start, end = lines.rfind(b"\n", 0, place) + 1, lines.find(b"\n", place)
            line = lines[start:] if end == -1 else lines[start:end]
            command, own, digest = _read_line(line)
            if own == name:
                found.append((command, digest))
            place = lines.find(quoted, place + 1)
    return found


def _refused(path: str | Path, whose: str) -> FileError:
    return FileError(path, f"{whose}, and is not replaced", "move it away, or give another place "
                     "for the results")  # fmt: skip


def digest_of(content: Path | bytes | IO[bytes]) -> str:
    """Of a file or its content, and of what is too large for that of both ends and the length."""
    if isinstance(content, Path):
        with content.open("rb") as opened:
            return digest_of(opened)
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    if length <= 4 * _ENDS:
        return hashlib.file_digest(file, new_digest).hexdigest()  # type: ignore[arg-type]
    digest = hashlib.blake2b(str(length).encode(), digest_size=16)
    digest.update(file.read(_ENDS))
    file.seek(length - _ENDS)
    digest.update(file.read())
    return digest.hexdigest()


def new_digest() -> hashlib.blake2b:
    """What files are told apart by."""
    return hashlib.blake2b(digest_size=16)


def _identity(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
