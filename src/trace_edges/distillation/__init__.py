"""Training of a one-step detector (section 3.4)."""

import lazy_loader

_lazy, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name == "distill":
        import warnings

        warnings.warn("distill is called train_student now", DeprecationWarning, stacklevel=2)
        name = "train_student"
    return _lazy(name)
