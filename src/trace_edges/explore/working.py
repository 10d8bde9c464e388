"""Long work of which the page shows every step, and which can be given up between two of them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from typing import Any, TypeVar

Result = TypeVar("Result")


class GivenUpError(Exception):
    """Nobody waits for the work any more."""


def in_steps(
    work: Callable[[Callable[[int], None]], Result], shown: Callable[[int], Any]
) -> Generator[Any, None, Result]:
    """Do work in a thread of its own, and give what is shown of every step; returns its result.

    When the iterator is closed, the work ends at its next step.

    Args:
        work: is given the function by which it tells a step, by number.
        shown: what the page shows of that step.

    Raises:
        Exception: whatever the work raises.
    """
    told: SimpleQueue[int | None] = SimpleQueue()
    given_up = Event()

    def tell(step: int) -> None:
        if given_up.is_set():
            raise GivenUpError
        told.put(step)

    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(work, tell)
        future.add_done_callback(lambda _: told.put(None))
        try:
            while (step := told.get()) is not None:
                yield shown(step)
            return future.result()
        finally:
            given_up.set()
