"""How results show themselves in notebooks and at a prompt: a small image, one line of facts."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_LARGEST = 480  # px of the longer side in a notebook


class Shown(ABC):
    """A result with one line of facts and an image of it."""

    @property
    @abstractmethod
    def facts(self) -> str:
        """One line of what the result holds."""

    @abstractmethod
    def image(self) -> Image:
        """The result drawn by itself."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.facts})"

    def _repr_png_(self) -> bytes:
        """What notebooks show: `image`, at most 480 px wide and high."""
        image = self.image()
        image.thumbnail((_LARGEST, _LARGEST))
        file = io.BytesIO()
        image.save(file, "PNG")
        return file.getvalue()

    def _repr_html_(self) -> str:
        """The same with the line of facts below it."""
        encoded = b64encode(self._repr_png_()).decode()
        facts = escape(repr(self))
        return f'<figure><img alt="{facts}" src="data:image/png;base64,{encoded}"><figcaption>' \
               f"{facts}</figcaption></figure>"  # fmt: skip
