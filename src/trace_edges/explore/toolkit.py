"""Gradio, told to keep files in a folder of this process and to call nobody; what tabs share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Any, TypeAlias

from trace_edges.explore.photograph import Photograph
from trace_edges.extras import require

# Uploads and files for download lie here, and go when the process ends.
_FOLDER = TemporaryDirectory(prefix="trace-edges-", ignore_cleanup_errors=True)
os.environ["GRADIO_TEMP_DIR"] = _FOLDER.name
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

gr = require("gradio", "explore")
if TYPE_CHECKING:
    SelectData: TypeAlias = Any
else:
    SelectData = gr.SelectData  # an event with the place that was clicked

FILES_HEIGHT = 120  # px of the list of files to take home
KEPT = 3600  # seconds after which what a person left on the page is forgotten


@contextmanager
def plain_errors() -> Iterator[None]:
    """Within, what cannot be done is said on the page in one line, and not in a traceback.

    Raises:
        gr.Error: instead of what was raised.
    """
    try:
        yield
    except (ValueError, OSError, ImportError, RuntimeError) as problem:
        raise gr.Error(" ".join(str(problem).split()), print_exception=False) from problem


def needed(photograph: Photograph | None) -> Photograph:
    """The image.

    Raises:
        ValueError: there is none yet.
    """
    if photograph is None:
        raise ValueError("choose an image first")
    return photograph


def new_folder() -> Path:
    """An empty folder for files that a person takes home."""
    return Path(mkdtemp(dir=_FOLDER.name))


def picture(label: str, alt: str, element: str, **options: Any) -> Any:
    """An image that is only looked at, or clicked.

    Args:
        label: what it shows, above it.
        alt: what it shows, for those who don't see it.
        element: its id on the page.
    """
    return gr.Image(
        label=label, alt_text=alt, elem_id=element, format="png", interactive=False,
        buttons=["download", "fullscreen"], **options,
    )  # fmt: skip
