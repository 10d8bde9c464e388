"""The name of `trace_edges.instances` in 0.1; it goes with the next release."""

from typing import Any
from warnings import warn

from trace_edges import instances


def __getattr__(name: str) -> Any:
    if name not in instances.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warn(f"{__name__} is called {instances.__name__} now", DeprecationWarning, stacklevel=2)
    return getattr(instances, name)
