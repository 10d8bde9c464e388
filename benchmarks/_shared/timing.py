"""Seconds of a call, and of a process."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")


def stopwatch(
    call: Callable[[], Result],
    device: str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, Result]:
    """Seconds of one call, and what it gives; a device is waited for before and after."""
    _wait_for(device)
    started = clock()
    result = call()
    _wait_for(device)
    return clock() - started, result


def median(
    call: Callable[[], object],
    repeats: int,
    device: str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Seconds of the median call, after one to warm up.

    Args:
        clock: `time.process_time` counts the CPU's time only, so that other work on the machine
            does not count.
    """
    times = [stopwatch(call, device, clock)[0] for _ in range(repeats + 1)]
    return statistics.median(times[1:])


def least(call: Callable[[], object], repeats: int) -> float:
    """CPU seconds of the fastest call, after one to warm up."""
    call()
    return min(stopwatch(call, clock=time.process_time)[0] for _ in range(repeats))


def process_seconds(*arguments: str, **options: Any) -> float:
    """CPU seconds of Python with these arguments, imports included, which must end well.

    Args:
        options: of `subprocess.run`.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], check=True, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return sum(after[:2]) - sum(before[:2])


def _wait_for(device: str) -> None:
    if device != "cpu":
        torch.accelerator.synchronize()
