"""Formats of files: one module each, reader beside writer; `registry` lists them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
