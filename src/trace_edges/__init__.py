"""Instance edges from the self-attention of text-to-image diffusion models (TRACE, ICLR 2026)."""

from typing import Any

import lazy_loader

# torch and diffusers take seconds to import: they come with the first name that needs them. The
# names and their types stand in __init__.pyi.
_named, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name != "__version__":
        return _named(name)
    from importlib.metadata import version  # which takes a tenth of the time of --help

    return version("trace-edges")
