"""`annotate --dry-run`: what a job will cost, in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from trace_edges.cli.common import console, errors

if TYPE_CHECKING:
    from trace_edges.cli.annotate import Running
    from trace_edges.jobs.job import Job
    from trace_edges.jobs.sinks import Sink
    from trace_edges.jobs.trial import Trial


def say_cost(job: Job, sink: Callable[[str], Sink], running: Running) -> None:
    """Measure some images of a job, and print what all of them will take."""
    from trace_edges.jobs.trial import measure

    trial = measure(job, sink, running.measure)
    actors = running.actors or trial.cores
    on_cpu = job.model.loading.placement["device"].type == "cpu"
    if running.json:
        given = {"hours": trial.hours(), "actors": actors if on_cpu else None}
        given["hours_with_actors"] = trial.hours(actors) if on_cpu else None
        typer.echo(json.dumps(asdict(trial) | given))
    elif not running.quiet:
        for line in lines(trial, actors if on_cpu else None, ray=running.engine == "ray"):
            console.print(escape(line))
    if trial.failed:
        errors.print(f"{trial.failed} of {trial.measured} measured images failed")


def lines(trial: Trial, actors: int | None, *, ray: bool = False) -> list[str]:
    """The time, the disk and the memory of a job.

    Args:
        actors: processes of one core each; None where the time is that of a GPU.
        ray: these are on a cluster.
    """
    times = f"{span(trial.hours())} with 1 process"
    if actors is not None:
        where = f"--engine ray --actors {actors}" if ray else f"--actors {actors}"
        times += f", {span(trial.hours(actors))} with {where}"
        if not ray and actors > trial.cores:
            times += f" if there were as many cores (there are {trial.cores})"
    said = [
        f"{trial.images:,} images: {times}",
        f"{size(trial.images * trial.result_bytes)} of results; "
        f"{size(trial.memory)} of memory for each process",
        f"Measured on {trial.measured} images: each took {trial.seconds:.2f} s, and "
        f"{trial.core_seconds:.2f} s of the time of one core.",
    ]
    if actors is not None:
        said[-1] += " With n processes on n cores, here or elsewhere, the latter is divided by n."
    return said


def span(hours: float) -> str:
    """A time that is read at a glance."""
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    minutes = max(1, round(hours * 60))
    if hours >= 1:
        return f"{hours:.1f} hours"
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


def size(count: float) -> str:
    """Bytes that are read at a glance."""
    for unit, large in (("GB", 1e9), ("MB", 1e6)):
        if count >= large:
            return f"{count / large:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
