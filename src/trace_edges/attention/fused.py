"""Whether Triton's kernels are used: where they can run, until one fails for the first time.

Much can be missing that only shows at the first launch: a C compiler, a driver that Triton knows, a
home to write to, room on the card. Then PyTorch does the same, and the kernel is not tried again.
"""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from subprocess import SubprocessError
from threading import Lock
from typing import Any

import torch
from torch import Tensor

SWITCH = "TRACE_EDGES_KERNELS"  # 0: no kernels

_log = logging.getLogger(__name__)
_failed: set[str] = set()
_failing = Lock()
_switched_off = False


def switch_off() -> None:
    """Use no kernel in this process from now on."""
    global _switched_off
    _switched_off = True


def launch(kernel: str, *arguments: Any) -> Tensor | None:
    """The result of a function of `attention.kernels`; None: use PyTorch, nothing was changed.

    Args:
        kernel: its name.
        arguments: its own; the first is a tensor, on whose device it runs.
    """
    if kernel in _failed or not _usable(arguments[0].device):
        return None
    try:
        return getattr(import_module("trace_edges.attention.kernels"), kernel)(*arguments)
    except torch.OutOfMemoryError:
        raise  # there would be none for PyTorch either
    except _failures() as error:
        _give_up(kernel, error)
        return None


def _usable(device: torch.device) -> bool:
    wanted = not _switched_off and os.environ.get(SWITCH, "").lower() not in ("0", "off", "no")
    return wanted and device.type == "cuda" and _installed()


@lru_cache
def _installed() -> bool:
    return find_spec("triton") is not None


def _failures() -> tuple[type[BaseException], ...]:
    """What Triton raises: its own errors, those of the compiler that it calls, of the driver, of
    the library that it builds and loads, and assertions where it finds no driver.
    """
    others = (RuntimeError, OSError, SubprocessError, ImportError, AssertionError)
    try:
        from triton.errors import TritonError
    except others:  # a broken installation
        return others
    return (TritonError, *others)


def _give_up(kernel: str, error: BaseException) -> None:
    with _failing:
        if kernel in _failed:  # another thread was faster
            return
        _failed.add(kernel)
    reason = " ".join(str(error).split())[:200] or "no reason given"
    _log.warning(
        "Triton's kernel %s does not run here, so PyTorch replaces it and is slower (%s: %s); "
        "--no-kernels or %s=0 does so from the start",
        kernel, type(error).__name__, reason, SWITCH,
    )  # fmt: skip
