"""Packages that had other names in 0.1: the old ones forward for one release."""

from collections.abc import Callable
from importlib import import_module
from typing import Any
from warnings import warn


def forwards(old: str, new: str) -> Callable[[str], Any]:
    """A module's `__getattr__` that finds the public names of another, and warns."""

    def find(name: str) -> Any:
        target = import_module(new)
        if name not in target.__all__:
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        warn(f"{old} is called {new} now", DeprecationWarning, stacklevel=2)
        return getattr(target, name)

    return find
