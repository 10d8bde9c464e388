"""Instance edges from the self-attention of text-to-image diffusion models (TRACE, ICLR 2026)."""

from importlib.metadata import version

import lazy_loader

__version__ = version("trace-edges")

# torch and diffusers take seconds to import: they come with the first name that needs them. The
# names and their types stand in __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
