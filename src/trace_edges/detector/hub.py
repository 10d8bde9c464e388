"""Where a trained detector lies, on disk or on the hub, and its model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trace_edges.backbones.checkpoints import CHECKPOINTS, EMBEDDED, PIXELS, embedded_folder
from trace_edges.backbones.problems import BackboneError, check_detector_name

CARD = "README.md"


def find_artefact(name: str, revision: str | None, local_files_only: bool) -> Path:
    """Find the folder of a detector: embedded, given, or fetched from the hub.

    Raises:
        BackboneError: there is none of this name.
    """
    if name == EMBEDDED:
        return embedded_folder() / "detector"
    if name == PIXELS:
        return embedded_folder().with_name(PIXELS)
    if name and Path(name).is_dir():
        return Path(name)
    check_detector_name(name)
    from huggingface_hub import snapshot_download  # it takes long, and what is here needs none
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=local_files_only))
    except (OSError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        reason = " ".join(str(error).split())
        raise BackboneError(f"detector {name!r} could not be loaded: {reason}") from error


def model_card(config: Mapping[str, Any]) -> str:
    """Write the card: metadata for the hub, how it is used, what was measured, how it was made."""
    from huggingface_hub import ModelCard, ModelCardData

    backbone: str = config.get("backbone", "")
    measured = config.get("training", {}).get("measured", {})
    named = CHECKPOINTS.get(backbone)
    hub = named.hub if named else backbone if backbone.count("/") == 1 else None
    owner = "that-of-the-backbone" if backbone else "that-of-the-teacher"
    reads = (
        "The folder contains the decoder, and the LoRA if there is one. The backbone is loaded "
        "separately, and its licence applies." if backbone else
        "It reads the image alone: no diffusion model is needed."
    )  # fmt: skip
    about = ModelCardData(
        library_name="trace-edges", license="other", base_model=hub,
        license_name=named.licence.lower().replace(" ", "-") if named else owner,
        tags=["edge-detection", "instance-segmentation", "trace-edges"],
    )  # fmt: skip
    rows = "".join(f"| {name} | {value:.4f} |\n" for name, value in measured.items())
    table = f"## Measured\n\n| | |\n|---|---|\n{rows}\n" if rows else ""
    card = ModelCard(
        f"---\n{about.to_yaml()}\n---\n\n"
        f"# One-step instance edges with {backbone or 'the image alone'}\n\n"
        "This detector draws the edges between object instances in one pass. `trace-edges distill` "
        "trained it to imitate the training-free method of TRACE (arXiv 2503.07982) on unlabelled "
        f"photographs. {reads}\n\n"
        "```python\nimport trace_edges as te\n\n"
        'edges = te.EdgeDetector.from_pretrained("THIS FOLDER")("photo.jpg").edges\n```\n\n'
        f"{table}## Made with\n\n```json\n{json.dumps(config, indent=1)}\n```\n"
    )
    return str(card)
