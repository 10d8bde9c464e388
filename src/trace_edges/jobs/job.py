"""A whole data set as one job: it may be stopped at any moment, and the same call continues it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from trace_edges import __version__
from trace_edges.edge_model import EdgeModel
from trace_edges.files import FileError, remove_temporaries
from trace_edges.jobs.engine import STRETCH, Engine
from trace_edges.jobs.entries import Entry, Item, Shard, Source
from trace_edges.jobs.health import Stores
from trace_edges.jobs.manifest import Manifest
from trace_edges.jobs.places import FilePlace
from trace_edges.jobs.remote import check_free, in_memory, is_local, is_within, join, write_bytes
from trace_edges.jobs.sinks import Kept, PartSink, Sink
from trace_edges.jobs.stores import concerns_all
from trace_edges.jobs.task import Outcome, Task
from trace_edges.jobs.tasks import PanopticTask
from trace_edges.jobs.workers import Workers
from trace_edges.outputs import Outputs

_SHOWN = 20  # reasons why images failed, beside the report
_ALL = 1 << 62  # positions: where results do not share files


@dataclass(frozen=True)
class Work:
    """What is made of items, wherever they come from; it travels to other processes.

    Attributes:
        model: where edges come from.
        task: what is made of them.
        sink: where results go.
        batch_size: images of one size that share a pass.
        outputs: the guard of what is written on this machine.
    """

    model: EdgeModel
    task: Task
    sink: Sink
    batch_size: int = 1
    outputs: Outputs = field(default_factory=lambda: Outputs("annotate"))

    def engine(self) -> Engine:
        """Loads the model, in whichever process it is called."""
        source, settings = self.model.load(), self.model.source_settings()
        return Engine(source, settings, self.task, Kept(self.sink, self.outputs), self.batch_size)


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes:
        source: the images of a data set.
        task, sink: what is made of them, and where results go.
        model: where edges come from.
        dest: the folder of results, a path or URL.
        shard: of the inputs.
        batch_size: images of one size that share a pass.
        workers: processes that decode and encode; 0: everything in this one.
        retry: try the images of the report again.
        state: folder of the manifest; None: .annotate in `dest`. It must be given where `dest` is
            no folder of this machine.
    """

    source: Source
    task: Task
    sink: Sink
    model: EdgeModel
    dest: str
    shard: Shard = field(default_factory=Shard)
    batch_size: int = 1
    workers: int = 1
    retry: bool = False
    state: Path | None = None

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, not {self.batch_size}")
        source = str(self.source.describe().get("url", ""))
        if source and is_within(self.dest, source):
            raise ValueError(f"{self.dest} lies in the source, which would find its own results: "
                             "give a folder beside it")  # fmt: skip

    @property
    def work(self) -> Work:
        """What is made of each image."""
        read = [str(self.source.describe().get(name, "")) for name in ("url", "json")]
        read += [str(self.task.semantic)] if isinstance(self.task, PanopticTask) else []
        outputs = Outputs("annotate", tuple(filter(None, read)), ledger=self.folder / "written")
        return Work(self.model, self.task, self.sink, self.batch_size, outputs)

    @property
    def folder(self) -> Path:
        """Where its state is."""
        return Path(self.state or self.dest, f".annotate{self.shard.tag}")

    @property
    def report(self) -> str:
        """Where failures are listed."""
        return join(self.dest, f"report{self.shard.tag}.csv")

    def check_state(self) -> None:
        """ValueError where nobody said where the state is to lie."""
        if self.state is None and not is_local(self.dest):
            raise ValueError(f"{self.dest} is not a folder on this machine: give one for the state "
                             "of the job too")  # fmt: skip

    def manifest(self, model: dict[str, Any]) -> Manifest:
        """Open it.

        Raises:
            ValueError: see `Manifest`.
        """
        settings = {**self.source.describe(), **self.task.describe(), **self.sink.describe()}
        settings |= model | {"batch_size": self.batch_size, "trace_edges": __version__}
        settings |= {"shard": f"{self.shard.index}/{self.shard.count}"}
        return Manifest(self.folder / "manifest.sqlite", settings)


@dataclass(frozen=True)
class Status:
    """How far a job is.

    Attributes:
        open, done, failed: how many items are.
        now: how many of the last two this run did.
        reasons: why the first few failed; at the end only.
        doubts: what is odd about results that an earlier run made; at the end only.
    """

    open: int
    done: int
    failed: int
    now: int
    reasons: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return self.open + self.done + self.failed


Copies = Callable[[Job, Iterator[list[Item]]], Iterator[Outcome]]


def annotate(
    job: Job, on_change: Callable[[Status], object] | None = None, copies: Copies | None = None
) -> Status:
    """Do what is missing of a job; the report of what failed is written at the end, however it
    comes.

    Args:
        job: what is to be done.
        on_change: called at the start, and whenever an image is done or has failed.
        copies: what reads the images, instead of this process and its workers.

    Raises:
        ImportError: an optional library is not installed.
        OSError: the source cannot be listed, or results cannot be written.
        ValueError: the job was begun with other settings, another process works on it, or there is
            no image.
    """
    job.check_state()
    job.task.check()
    job.sink.check()
    stores = Stores(job.source, job.dest)
    stores.check()
    for url in (job.report, *job.sink.lists):
        check_free(url, job.work.outputs)
    engine = job.work.engine()
    source, settings = engine.source, engine.settings
    source.check(settings)
    made_with = source.describe(settings) | {"weights": source.fingerprint()}
    job.task.check_edges(made_with)
    with job.manifest(made_with) as manifest, job.work.outputs.writing():
        _register(job, manifest)
        doubts = manifest.doubts()
        seal = _Seals(job.sink, manifest, stores)
        counts, now = manifest.counts(), 0
        if job.shard.count == 1 and is_local(job.dest):  # else others may be writing
            remove_temporaries(job.dest)

        def tell() -> None:
            if on_change is not None:
                on_change(_status(counts, now))

        tell()
        try:
            whole = job.batch_size > 1
            stretches = manifest.stretches(STRETCH * job.batch_size, whole=whole)
            with Workers(job.workers) as workers:
                reading = engine(stretches, workers) if copies is None else copies(job, stretches)
                for outcome in reading:
                    stores.ask(outcome.fault)
                    notes = outcome.record.get("notes", ())
                    manifest.mark(outcome.position, outcome.message, notes, outcome.digest)
                    seal.closed(outcome.position)
                    counts["open"] -= 1
                    counts[outcome.state] += 1
                    now += 1
                    tell()
            seal.finish()
        except BaseException:
            with suppress(OSError, FileError):  # what went wrong first is what matters
                _write_report(job, manifest)
            raise
        _write_report(job, manifest)
        reasons = tuple(reason for _, reason in islice(manifest.failures(), _SHOWN))
        return replace(_status(counts, now), reasons=reasons, doubts=tuple(doubts))


def _status(counts: dict[str, int], now: int) -> Status:
    return Status(counts["open"], counts["done"], counts["failed"], now)


class _Seals:
    """Puts parts together as soon as all of their items are finished."""

    def __init__(self, sink: Sink, manifest: Manifest, stores: Stores) -> None:
        self._sink, self._manifest, self._stores = sink, manifest, stores
        self._length = sink.part or _ALL
        self._open = manifest.unsealed(self._length)
        for part in list(self._open):  # a kill may have come between the last mark and the seal
            self._seal_if_complete(part)

    def closed(self, position: int) -> None:
        part = position // self._length
        self._open[part] -= 1
        self._seal_if_complete(part)

    def finish(self) -> None:
        """Nothing is open.

        Raises:
            OSError: a part cannot be written now either. Its results are kept; all others are in
                their places.
        """
        problems: list[OSError] = []
        for part in list(self._open):
            try:
                self._seal(part)
            except OSError as error:
                problems.append(error)
        if problems:
            raise problems[0]
        self._sink.finish(self._manifest.done)

    def _seal_if_complete(self, part: int) -> None:
        """The last part waits for the end: more items may come to it. So does one that cannot be
        written now.
        """
        if self._open[part] == 0 and part != max(self._open):
            try:
                self._seal(part)
            except OSError as error:
                if concerns_all(error):
                    raise
                self._stores.ask("dest")

    def _seal(self, part: int) -> None:
        if isinstance(self._sink, PartSink):
            first = part * self._length
            items = list(self._manifest.done(first, first + self._length))
            self._sink.seal(part, items)
            self._manifest.seal(part)
            self._sink.release(items)
        self._open.pop(part)


def _register(job: Job, manifest: Manifest) -> None:
    part = job.sink.part or _ALL
    entries = (_beside(entry, job.task) for entry in job.source.entries() if entry.key in job.shard)
    manifest.register(_reachable(entries, job.workers), part if job.sink.part else 1)
    if job.retry:
        manifest.retry(part if job.sink.part else 1)


def _beside(entry: Entry, task: Task) -> Entry:
    path = task.beside(entry.key)
    return entry if path is None else replace(entry, beside=FilePlace.listed(str(path), ""))


def _reachable(entries: Iterable[Any], workers: int) -> Iterator[Any]:
    for entry in entries:
        place = entry.place
        if workers and isinstance(place, FilePlace) and in_memory(place.url):
            raise ValueError(f"{place.url}: only this process can read it: set workers to 0")
        yield entry


def _write_report(job: Job, manifest: Manifest) -> None:
    manifest.commit()
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("key", "reason", "state"))
    rows.writerows((*row, "failed") for row in manifest.failures())
    rows.writerows((*row, "done") for row in manifest.noted())
    write_bytes(job.report, text.getvalue().encode())
