"""Worker processes that leave with the process that started them, and whose death is survived."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class WorkerDied(RuntimeError):
    """A worker process was killed over this call, twice: most likely it took too much memory."""


class Call(Generic[Result]):
    """One call of a function in a worker."""

    def __init__(self, function: Callable[..., Result], arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments
        self.future: Future[Result] = Future()


class Workers:
    """A pool of spawned processes; with a `count` of 0 calls are made at once, in this process.

    Where a worker is killed, by the system or by hand, the calls that were under way are made
    again, one at a time, so that the one that kills its worker is found.
    """

    def __init__(self, count: int) -> None:
        if count < 0:
            raise ValueError(f"workers must be 0 or more, not {count}")
        self.count = count
        self._pool: ProcessPoolExecutor | None = None
        self._under_way: deque[Call[Any]] = deque()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def start(self, function: Callable[..., Result], *arguments: Any) -> Call[Result]:
        """Begin a call; its arguments and result are pickled."""
        call = Call(function, arguments)
        if self.count == 0:
            call.future.set_result(function(*arguments))
            return call
        self._under_way = deque(one for one in self._under_way if not _is_over(one))
        self._under_way.append(call)
        try:
            call.future = self._start(call)
        except BrokenProcessPool:
            self._again()
        return call

    def result(self, call: Call[Result]) -> Result:
        """Wait for a call.

        Raises:
            WorkerDied: it killed its worker.
        """
        try:
            return call.future.result()
        except BrokenProcessPool:
            self._again()
            return call.future.result()

    def ordered(
        self, function: Callable[..., Result], items: Iterable[Any], ahead: int
    ) -> Iterator[tuple[Any, Result | WorkerDied]]:
        """Items with what the function makes of each, in order, at most `ahead` of what is taken;
        with a `WorkerDied` where an item killed its worker.
        """
        begun: deque[tuple[Any, Call[Result]]] = deque()
        for item in items:
            begun.append((item, self.start(function, item)))
            if len(begun) > ahead:
                first, call = begun.popleft()
                yield first, self._survived(call)
        while begun:
            first, call = begun.popleft()
            yield first, self._survived(call)

    def _survived(self, call: Call[Any]) -> Any:
        try:
            return self.result(call)
        except WorkerDied as error:
            return error

    def _start(self, call: Call[Result]) -> Future[Result]:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.count, mp_context=get_context("spawn"), initializer=_leave_with_parent
            )
        return self._pool.submit(call.function, *call.arguments)

    def _again(self) -> None:
        for call in self._under_way:
            if _is_over(call):
                continue
            self._renew()
            call.future = self._start(call)
            try:
                call.future.result()
            except BrokenProcessPool:
                call.future = Future()
                call.future.set_exception(
                    WorkerDied("its worker process was killed twice: it needs more memory, or is "
                               "damaged in a way that crashes the decoder")
                )  # fmt: skip
            except Exception:  # noqa: BLE001
                continue  # it stays in the call, for whoever waits for it
        self._renew()

    def _renew(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = None


def _is_over(call: Call[Any]) -> bool:
    if not call.future.done() or call.future.cancelled():
        return False
    return not isinstance(call.future.exception(), BrokenProcessPool)


def _leave_with_parent() -> None:
    """In a worker: one thread of arithmetic, and an end when the parent ends, however it does."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before anything is imported that would look
    if "torch" in sys.modules:  # a spawned process imports the main module of its parent first
        sys.modules["torch"].set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops the job
    parent = parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
