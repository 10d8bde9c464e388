"""Sheets that show the method at work, on an image or on one that is made from a prompt."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
