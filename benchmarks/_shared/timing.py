"""Seconds of a call, and the processor that they are of."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

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


def processor() -> str:
    """The processor's name, where the system tells it, and the number of its cores."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def _wait_for(device: str) -> None:
    if device != "cpu":
        torch.accelerator.synchronize()
