"""The models whose self-attention is read: a file for each family, one way to run them all."""

import lazy_loader

# diffusers and transformers take seconds to import, and the embedded model needs neither.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
