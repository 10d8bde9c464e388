"""What commands of masks share: how edges cut, which regions are taken, how images fared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from trace_edges.cli.common import error, errors, progress

if TYPE_CHECKING:
    from trace_edges.instances import Propagation
    from trace_edges.jobs import ImageOutcome, Selection

_MOST_ERRORS = 20


class Method(StrEnum):
    """Names of the propagations, for the command line."""

    watershed = "watershed"
    random_walk = "random-walk"


Threshold = Annotated[float, typer.Option(help="Strength from which an edge separates.")]
CloseGap = Annotated[int, typer.Option(help="Gaps in edges up to so many px count as closed.")]
MethodOption = Annotated[Method, typer.Option(help="How fragments grow; random-walk takes long.")]
Iou = Annotated[float, typer.Option(help="Masks that overlap more are merged.", min=0, max=1)]
Quiet = Annotated[bool, typer.Option(help="Print errors only.")]


def propagation(threshold: float, close_gap: int, method: Method) -> Propagation:
    """What the options stand for."""
    from trace_edges.instances import Propagation

    walk = method is Method.random_walk
    return Propagation(
        threshold=threshold, close_gap=close_gap, method="random_walk" if walk else "watershed"
    )


def selection(
    strength: float | None,
    count: int | None,
    proposals: int | None,
    min_area: float,
    blur: float = 0.0,
    *,
    training_free: bool,
) -> Selection:
    """What the options stand for; a strength that nobody gave is that of the way to the edges."""
    from trace_edges.instances.regions import STRENGTH, TRAINING_FREE_STRENGTH
    from trace_edges.jobs import Selection

    if strength is None:
        strength = TRAINING_FREE_STRENGTH if training_free else STRENGTH
        return Selection(strength, count, proposals, min_area=min_area, blur=blur)
    if count is not None or proposals is not None:
        raise ValueError("--strength, --count and --proposals exclude each other: give one")
    return Selection(strength, min_area=min_area, blur=blur)


@contextmanager
def image_progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar for functions that call back with how many images are done, and how many there are."""
    with ExitStack() as bar:
        advance: Callable[[], None] | None = None

        def report(done: int, total: int) -> None:
            nonlocal advance
            if advance is None:  # how many images there are is known only now
                advance = bar.enter_context(progress(total, "images", quiet))
            advance()

        yield report


def report_failures(outcomes: Sequence[ImageOutcome]) -> int:
    """Print why images failed; gives how many did."""
    messages = [outcome.message for outcome in outcomes if outcome.message]
    for message in messages[:_MOST_ERRORS]:
        error(message)
    if len(messages) > _MOST_ERRORS:
        errors.print(f"... and {len(messages) - _MOST_ERRORS} more images failed")
    return len(messages)
