"""Libraries that are not installed with the package, but with one of its extras."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

# What the package requires and `requirements-runtime.txt` leaves out, by module.
LEFT_OUT = {"accelerate": "accelerate", "diffusers": "diffusers", "skimage": "scikit-image",
            "huggingface_hub": "huggingface_hub", "torch": "torch",
            "transformers": "transformers"}  # fmt: skip


class MissingExtraError(ImportError):
    """A library that only some of the package needs is not installed; one line says how to."""


def require(module: str, extra: str, package: str | None = None) -> ModuleType:
    """Import an optional library.

    Args:
        module: what is imported, for instance "pycocotools.mask".
        extra: of this package, that installs it.
        package: its name for pip, where that is not the module's first part.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        name = package or module.split(".")[0]
        if error.name is None or not module.startswith(error.name.split(".")[0]):
            raise  # it is there, but something that it needs is not
        raise MissingExtraError(
            f'{name} is not installed: pip install "trace-edges[{extra}]"'
        ) from error
