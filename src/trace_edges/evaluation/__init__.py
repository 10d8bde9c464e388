"""Files and folders scored: what `trace-edges evaluate` does."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
