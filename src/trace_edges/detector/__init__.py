"""One-step edges: a student of the training-free method at inference (section 3.4)."""

import lazy_loader

# The settings are read on the command line, and one detector runs where torch is not installed.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
