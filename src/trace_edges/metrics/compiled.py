"""Compile a plain function with numba, once in each process, kept on disk where possible."""

import functools
from collections.abc import Callable
from typing import Any


@functools.cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, compiled at its first call for the types it is called with.

    Raises:
        ImportError: numba is not installed (`pip install "trace-edges[eval]"`).
    """
    from numba import njit

    try:
        return njit(cache=True)(function)
    except RuntimeError:  # nowhere to write the cache: compile for this process only
        return njit(function)
