"""What a job is made with, and how far each of its inputs is: the memory that survives a kill.

SQLite, because marking hundreds of results at once, whole or not at all, asking for what is still
open, and shutting out a second process are what it is for; JSON lines would have to be read from
the start to know the state of one key. It comes with Python.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import Any

from trace_edges.files import InputError
from trace_edges.jobs.entries import (
    CHANGED,
    Entry,
    Item,
    changed,
    checked,
    pack,
    unpack,
    unusable,
    where,
)
from trace_edges.jobs.places import NoPlace, Place

_TABLES = """
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS items (
    position INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, place TEXT NOT NULL,
    name TEXT NOT NULL, number INTEGER, state TEXT NOT NULL, reason TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS open_items ON items (position) WHERE state = 'open';
CREATE INDEX IF NOT EXISTS failed_items ON items (position) WHERE state = 'failed';
CREATE TABLE IF NOT EXISTS digests (position INTEGER PRIMARY KEY, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS parts (part INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS spent (job INTEGER PRIMARY KEY, seconds REAL NOT NULL);
INSERT OR IGNORE INTO spent VALUES (1, 0);
CREATE TEMP TABLE listed (key TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_UNUSABLE = "state = 'failed' AND place LIKE '[\"NoPlace\"%'"  # and told so when it was listed
_COMMIT = 1.0  # s: what is lost with a kill is done again, to the same bytes
_ROWS = 500  # at a time


class Manifest:
    """The state of a job, in one file that one process at a time works on.

    Args:
        path: of the file; made if it is not there.
        settings: all that the results depend on, plain JSON values.

    Raises:
        ValueError: it was begun with other settings, which the message lists; another process
            works on it; or it is no manifest.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._committed = time.monotonic()
        if path.exists() and not path.is_file():
            raise self._no_manifest("it is not a file")
        self._base = sqlite3.connect(path, timeout=0.5)
        try:
            self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._base.execute("PRAGMA synchronous = NORMAL")
            self._base.executescript(_TABLES)
            self._check(json.loads(json.dumps(settings)))
        except sqlite3.OperationalError as error:
            self._base.close()
            if "locked" in str(error):
                raise ValueError(f"{path}: another process works on this job: let it finish, "
                                 "or give another folder of results") from error  # fmt: skip
            raise OSError(f"{path}: {error}") from error
        except sqlite3.DatabaseError as error:
            self._base.close()
            raise self._no_manifest(error) from error
        except BaseException:
            self._base.close()
            raise

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            if isinstance(error, sqlite3.Error):
                raise self._gone(error) from error
            if error is None:
                self.commit()
                with suppress(OSError):  # what a kill left; nothing in it is open any more
                    Path(f"{self.path}-journal").unlink(missing_ok=True)
        finally:
            self._base.close()

    def register(self, entries: Iterable[Entry], part: int) -> None:
        """Take up the entries that are new, behind the others.

        Args:
            part: how many positions share a file of results. New entries begin behind the last
                such file that is finished.

        Of entries with one key the first is taken; the others go to the report.

        Raises:
            InputError: there is none.
        """
        positions, entries = count(self._next(part)), map(self._listed, map(checked, entries))
        while some := list(islice(entries, _ROWS)):
            self._forget(some)
            known = self._places([entry.key for entry in some])
            for entry in some:
                place = pack(entry)
                if entry.key not in known:
                    row = (next(positions), entry.key, place, entry.name, entry.number)
                    self._base.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?, 'open', '')", row)
                elif known[entry.key] != place:
                    self._put(entry, place)
        self._base.execute(f"DELETE FROM items WHERE {_UNUSABLE} AND key NOT IN listed")
        self.commit()
        if self._one("SELECT MAX(position) FROM items") is None:
            raise InputError("the source holds no image: check it, and the shard")

    def stretches(self, length: int, *, whole: bool) -> Iterator[list[Item]]:
        """The items, `length` positions at a time, but for stretches where nothing is open.

        Args:
            whole: give the items that are done too: which images share a batch depends on them.
        """
        position = -1
        while True:
            query = "SELECT MIN(position) FROM items WHERE state = 'open' AND position > ?"
            if (found := self._one(query, position)) is None:
                return
            first = found // length * length
            position = first + length - 1
            query = (
                "SELECT position, key, place, name, number, state = 'open' FROM items "
                "WHERE position BETWEEN ? AND ? ORDER BY position"
            )
            rows = self._base.execute(query, (first, position)).fetchall()
            yield [
                Item(at, key, self._place(place), name, number, bool(is_open))
                for at, key, place, name, number, is_open in rows
                if whole or is_open
            ]

    def mark(
        self, position: int, reason: str = "", notes: Iterable[str] = (), digest: str = ""
    ) -> None:
        """An item is done, perhaps with notes, or has failed for a reason.

        Args:
            digest: of its image, and of what its result is made of too.
        """
        state, told = ("failed", reason) if reason else ("done", "; ".join(notes))
        query = "UPDATE items SET state = ?, reason = ? WHERE position = ?"
        self._base.execute(query, (state, told, position))
        if digest:
            self._base.execute("INSERT OR REPLACE INTO digests VALUES (?, ?)", (position, digest))
        if time.monotonic() - self._committed > _COMMIT:
            self.commit()

    def retry(self, part: int) -> None:
        """Open the failed items again, behind all others: parts that are finished stay so."""
        sealed = self._one("SELECT COUNT(*) FROM parts")
        query = "SELECT position FROM items WHERE state = 'failed' AND NOT (? AND reason LIKE ?)"
        failed = self._base.execute(query, (sealed, f"%{CHANGED}")).fetchall()  # not what is there
        for new, (old,) in enumerate(failed, self._next(part)):
            self._base.execute(
                "UPDATE items SET state = 'open', reason = '', position = ? WHERE position = ?",
                (new if sealed else old, old),
            )
        self.commit()

    def doubts(self) -> list[str]:
        """What is odd about images that are done; asked after `register`, before more are."""
        done = "SELECT COUNT(*) FROM items WHERE state = 'done' AND key"
        told = []
        if number := self._one(f'{done} IN listed AND place LIKE \'%"stamp": ""%\''):
            told.append(f"{number} images have no date or digest where they lie: whether they were "
                        "replaced since their results were made cannot be told")  # fmt: skip
        if number := self._one(f"{done} NOT IN listed"):
            told.append(f"{number} images are gone whose results are there, and stay")
        return told

    def counts(self) -> dict[str, int]:
        """How many items are open, done and failed."""
        rows = self._base.execute("SELECT state, COUNT(*) FROM items GROUP BY state")
        return {"open": 0, "done": 0, "failed": 0} | dict(rows)

    def failures(self) -> Iterator[tuple[str, str]]:
        """Key and reason of what failed, in order."""
        query = "SELECT key, reason FROM items WHERE state = 'failed' ORDER BY position"
        return iter(self._base.execute(query))

    def noted(self) -> Iterator[tuple[str, str]]:
        """Key and notes of what is done and has any, in order."""
        query = "SELECT key, reason FROM items WHERE state = 'done' AND reason != '' "
        return iter(self._base.execute(f"{query}ORDER BY position"))

    def done(self, first: int = 0, end: int = 1 << 62) -> Iterator[Item]:
        """The finished items among these positions, in order."""
        query = "SELECT position, key, place, name, number FROM items WHERE state = 'done' "
        limits = "AND position >= ? AND position < ? ORDER BY position"
        for position, key, place, name, number in self._base.execute(query + limits, (first, end)):
            yield Item(position, key, self._place(place), name, number, False)

    def unsealed(self, part: int) -> dict[int, int]:
        """How many items are open in every part (of `part` positions) that is not sealed."""
        query = (
            "SELECT position / ?, SUM(state = 'open') FROM items GROUP BY 1 "
            "HAVING position / ? NOT IN (SELECT part FROM parts) ORDER BY 1"
        )
        return dict(self._base.execute(query, (part, part)))

    def seal(self, part: int) -> None:
        """All results of a part are in its file."""
        self._base.execute("INSERT OR REPLACE INTO parts VALUES (?)", (part,))
        self.commit()

    def commit(self) -> None:
        """What was marked so far outlives a kill.

        Raises:
            OSError: it does not: the file was taken away, or its disk is full.
        """
        now = time.monotonic()
        try:
            self._base.execute("UPDATE spent SET seconds = seconds + ?", (now - self._committed,))
            self._base.commit()
        except sqlite3.Error as error:
            raise self._gone(error) from error
        if not self.path.exists():  # SQLite would go on writing to what nobody can open any more
            raise self._gone("it was removed")
        self._committed = now

    def _check(self, settings: Mapping[str, Any]) -> None:
        rows = self._base.execute("SELECT name, value FROM settings")
        try:
            before = {name: json.loads(value) for name, value in rows}
        except (ValueError, TypeError) as error:
            raise self._no_manifest(error) from error
        if not before:
            pairs = [(name, json.dumps(value)) for name, value in settings.items()]
            self._base.executemany("INSERT INTO settings VALUES (?, ?)", pairs)
            self.commit()
            return
        others = [
            f"{name} {_shown(before.get(name))}, not {_shown(settings.get(name))}"
            for name in sorted({*before, *settings})
            if before.get(name) != settings.get(name)
        ]
        if others:
            raise ValueError(f"{self.path.parent}: this job was begun with {'; '.join(others)}: "
                             "give those settings, or another folder of results")  # fmt: skip

    def _place(self, text: Any) -> Place:
        try:
            return unpack(text)
        except (ValueError, TypeError, LookupError) as error:
            raise self._no_manifest(f"{str(text)[:80]!r} is not the place of an image") from error

    def _no_manifest(self, why: object) -> ValueError:
        return ValueError(f"{self.path} is not a manifest of a job ({why}): remove it")

    def _gone(self, why: object) -> OSError:
        return OSError(f"{self.path}: the state of the job cannot be kept ({why}): give it room, "
                       "and call the same command again")  # fmt: skip

    def _forget(self, entries: list[Entry]) -> None:
        """Of entries that were unusable and have a place now, so that they are new."""
        usable = [(one.key,) for one in entries if not isinstance(one.place, NoPlace)]
        self._base.executemany(f"DELETE FROM items WHERE {_UNUSABLE} AND key = ?", usable)

    def _listed(self, entry: Entry) -> Entry:
        """The entry; where another has its key, one that says so."""
        for times in count(1):
            try:
                self._base.execute("INSERT INTO listed VALUES (?)", (entry.key,))
            except sqlite3.IntegrityError:
                if times == 1:
                    reason = f"{where(entry)}: another input is called {entry.key} too; rename one"
                again = Entry(f"{entry.key}/{times}", entry.place, entry.name)
                entry = unusable(again, reason)
            else:
                return entry
        raise AssertionError("the loop has no end")

    def _put(self, entry: Entry, place: str) -> None:
        """An entry has another place, or the file that it is, lies in or belongs to was written
        since.
        """
        self._base.execute("UPDATE items SET place = ? WHERE key = ?", (place, entry.key))
        query = "SELECT digest FROM digests JOIN items USING (position) WHERE key = ? "
        found = self._base.execute(query + "AND state = 'done'", (entry.key,)).fetchone()
        if found is not None and (reason := changed(entry, found[0])):
            query = "UPDATE items SET state = 'failed', reason = ? WHERE key = ?"
            self._base.execute(query, (reason, entry.key))

    def _places(self, keys: list[str]) -> dict[str, str]:
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, place FROM items WHERE key IN ({marks})"
        return dict(self._base.execute(query, keys))

    def _next(self, part: int) -> int:
        """The first free position, behind the last part that is sealed."""
        last = self._one("SELECT MAX(position) FROM items")
        sealed = self._one("SELECT MAX(part) FROM parts")
        return max(0 if last is None else last + 1, 0 if sealed is None else (sealed + 1) * part)

    def _one(self, query: str, *values: Any) -> Any:
        return self._base.execute(query, values).fetchone()[0]


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value)
