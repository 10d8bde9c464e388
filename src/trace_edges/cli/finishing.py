"""Options on what is done with masks that were found: SAM draws them, a model names them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trace_edges.cli.fields import Fields
from trace_edges.cli.options import load_sam

if TYPE_CHECKING:
    from trace_edges.loading import Loading

FINISHING = Fields("Outlines by SAM, and classes")


@dataclass(frozen=True)
class Finishing:
    """Who draws the outlines of the instances anew, and what they are called.

    Attributes:
        sam: Folder or hub id of a SAM or SAM 2 model, which redraws every instance.
        prompts: How SAM is prompted: with points, boxes or masks, or several, joined by +. None:
            points+boxes.
        points: Number of points per instance in SAM's prompt. None: 1.
        class_names: Names of the classes, separated by commas, or a text file with one in a line.
            None: every mask is an object.
        class_model: Folder or hub id of a CLIP or SigLIP model, which chooses a name for each mask;
            for example openai/clip-vit-base-patch32. Not needed for one name.
        class_background: Show the model what surrounds a mask (keep), or a plain colour (blank).
    """

    sam: str | None = None
    prompts: str | None = None
    points: int | None = None
    class_names: str | None = None
    class_model: str | None = None
    class_background: Literal["keep", "blank"] = "keep"

    def __post_init__(self) -> None:
        if self.sam is None and (self.prompts is not None or self.points is not None):
            raise ValueError("--prompts and --points are for SAM: give --sam, or leave them out")
        names = self.names
        if not names and self.class_names is not None:
            raise ValueError(
                f"--class-names {self.class_names!r} names no class: separate names by commas"
            )
        if twice := [one for one in names if names.count(one) > 1]:
            raise ValueError(f"--class-names has {twice[0]!r} twice: leave one out")
        if len(names) > 1 and self.class_model is None:
            raise ValueError("several class names need a model that chooses: give --class-model")
        if self.class_model is not None and not names:
            raise ValueError("--class-model chooses among --class-names: give them too")

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        if self.class_names is None:
            return ()
        text = self.class_names
        if os.path.isfile(text):  # a long list of names is no path, and no error
            from trace_edges.files import read_text

            text = ",".join(read_text(text).splitlines())
        return tuple(filter(None, (one.strip() for one in text.split(","))))


def finished(find: Any, how: Finishing, iou: float, loading: Loading) -> Any:
    """A finder of instances with what is done with them; models are loaded.

    Args:
        iou: of two masks of SAM with a larger IoU the better one stays.
    """
    from trace_edges.jobs.finishing import Named, Prompted

    if how.sam is not None:
        sam = load_sam(how.sam, loading)
        find = Prompted(find, sam, how.prompts or "points+boxes", how.points or 1, iou)
    if not how.names:
        return find
    namer = None
    if how.class_model is not None:
        from trace_edges.instances.naming import load_namer

        namer = load_namer(
            how.class_model, how.names, background=how.class_background,
            local_files_only=Path(how.class_model).is_dir(), **loading.placement,
        )  # fmt: skip
    return Named(find, how.names, namer)
