"""One pass through a model at a time, as it is written and not as it was compiled.

What listens to a model hangs on its modules, which all threads share: another thread's pass would
be heard as well. Models that lie in the computer's memory until they run are moved by each pass,
too. So a pass holds the lock of its model; passes of two models do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock, RLock
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

_WRAPPED = "_orig_mod"  # where torch.compile(model) keeps the model

_locks: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()
_making_locks = Lock()


@contextmanager
def alone(model: nn.Module) -> Iterator[None]:
    """Within, no other thread is inside `alone` for this model; this one may be again."""
    while (inside := model._modules.get(_WRAPPED)) is not None:
        model = inside
    with _making_locks:
        lock = _locks.setdefault(model, RLock())
    with lock:
        yield


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Within, operations on this device compute in the number type of their arguments."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def modules_by_name(model: nn.Module) -> dict[str, nn.Module]:
    """All modules under the names that they have while nothing is compiled."""
    named = ((name.split("."), module) for name, module in model.named_modules())
    return {".".join(part for part in parts if part != _WRAPPED): module for parts, module in named}


@contextmanager
def uncompiled(model: nn.Module) -> Iterator[None]:
    """Within, the model and its parts run as they are written: what was compiled hears no hook that
    came later, and hears those that were there once for all.
    """
    modules: list[Any] = list(model.modules())
    compiled = [(one, one._compiled_call_impl) for one in modules if one._compiled_call_impl]
    wrappers = [(one, one.forward) for one in modules if _WRAPPED in one._modules]
    try:
        for module, _ in compiled:
            module._compiled_call_impl = None
        for wrapper, _ in wrappers:
            wrapper.forward = wrapper._modules[_WRAPPED].__call__
        yield
    finally:
        for module, implementation in compiled:
            module._compiled_call_impl = implementation
        for wrapper, forward in wrappers:
            wrapper.forward = forward
