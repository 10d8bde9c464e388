"""The training-free method (sections 3.1 to 3.3)."""

import lazy_loader

# The settings are read where there is no time to import torch: on the command line.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
