"""A trained detector on disk or on the hub: config, weights of decoder and LoRA, a model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from safetensors.torch import load_file
from torch import Tensor

from trace_edges.backbones import EMBEDDED, BackboneError
from trace_edges.backbones.specs import embedded_folder
from trace_edges.detector.student import StudentSettings

CONFIG, WEIGHTS, CARD = "config.json", "detector.safetensors", "README.md"


def find_artefact(name: str, revision: str | None, local_files_only: bool) -> Path:
    """Find the folder of a detector: embedded, given, or fetched from the hub.

    Raises:
        BackboneError: there is none of this name.
    """
    if name == EMBEDDED:
        return embedded_folder() / "detector"
    if name and Path(name).is_dir():
        return Path(name)
    if name.count("/") != 1:
        raise BackboneError(
            f"detector {name!r} is neither {EMBEDDED!r}, nor a folder, nor a hub id (owner/name)"
        )
    try:
        return Path(snapshot_download(name, revision=revision, local_files_only=local_files_only))
    except (OSError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        reason = " ".join(str(error).split())
        raise BackboneError(f"detector {name!r} could not be loaded: {reason}") from error


def read_artefact(folder: Path) -> tuple[dict[str, Any], StudentSettings, dict[str, Tensor]]:
    """Read the config, the settings of the student, and its weights.

    Raises:
        BackboneError: the folder holds no detector.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        student = config["student"]
        settings = StudentSettings(**student | {"blocks": tuple(student["blocks"])})
        for key in ("backbone", "backbone_fingerprint", "resolution"):
            config[key]
        return config, settings, load_file(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackboneError(
            f"{folder} holds no edge detector ({error}); give a folder written by "
            "save_pretrained or by `trace-edges distill`"
        ) from error


def model_card(config: Mapping[str, Any]) -> str:
    """Write Markdown: what it is, how it is used, what was measured, and how it was made."""
    measured = config.get("training", {}).get("measured", {})
    rows = "".join(f"| {name} | {value:.4f} |\n" for name, value in measured.items())
    table = f"## Measured\n\n| | |\n|---|---|\n{rows}\n" if rows else ""
    return (
        f"# One-step instance edges on {config['backbone']}\n\n"
        "Distilled from the training-free method of TRACE (arXiv 2503.07982) by `trace-edges "
        "distill`, without a label. This folder holds the decoder, and the LoRA if there is one; "
        "the backbone is loaded from where it lies.\n\n"
        "```python\nimport trace_edges as te\n\n"
        'edges = te.EdgeDetector.from_pretrained("THIS FOLDER")("photo.jpg").edges\n```\n\n'
        f"{table}## Made with\n\n```json\n{json.dumps(config, indent=1)}\n```\n"
    )
