"""How long a call takes, as several benchmarks ask it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch


def median(call: Callable[[], object], repeats: int, device: str = "cpu") -> float:
    """Seconds of the median call, after one to warm up; a device is waited for."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        call()
        if device != "cpu":
            torch.accelerator.synchronize()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])
