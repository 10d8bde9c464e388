"""The parts of a backbone that are on this machine or missing, without asking the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from huggingface_hub import get_token

from trace_edges.backbones.checkpoints import CHECKPOINTS, Checkpoint
from trace_edges.backbones.listed import Listed, family_of_checkpoint
from trace_edges.backbones.nulls import NULL_CONDITION, null_file
from trace_edges.backbones.problems import BackboneError
from trace_edges.backbones.sources import find_source
from trace_edges.backbones.specs import Family
from trace_edges.backbones.weights import check_weights, choose_variant


@dataclass(frozen=True)
class Inventory:
    """Parts of one backbone, and whether they are here.

    Attributes:
        place: hub id or folder.
        family: of the backbone.
        checkpoint: of the table of those that have names, if it is there.
        folder: where its files lie; None: nothing of it is here.
        components: what loading needs, and whether it is here.
        nulls: kinds of null condition, and whether each is here (or needs nothing).
        logged_in: a token for the hub is set.
    """

    place: str
    family: Family
    checkpoint: Checkpoint | None
    folder: Path | None
    components: dict[str, bool]
    nulls: dict[str, bool]
    logged_in: bool

    @property
    def is_here(self) -> bool:
        """Everything but the null condition, for which the text encoders may be needed once."""
        return all(self.components.values())

    @property
    def gated(self) -> bool:
        return self.checkpoint is not None and self.checkpoint.gated


def take_inventory(
    name: str | Path,
    revision: str | None = None,
    dtype: torch.dtype = torch.float32,
    variant: str | None = None,
) -> Inventory:
    """Search the cache of the hub, or a folder, for the parts of a backbone.

    Args:
        dtype: of the null condition that is searched for.
        variant: of the weights; None: any.

    Raises:
        BackboneError: no backbone is called so, or nothing is known of it.
    """
    source = find_source(name, revision, local_files_only=True, variant=variant)
    checkpoint = CHECKPOINTS.get(str(name))
    try:
        listed = Listed.of(source)
    except BackboneError as error:
        if checkpoint is None or not isinstance(error.__cause__, OSError):  # it is here, and broken
            raise
        family = family_of_checkpoint(str(name))
        components = dict.fromkeys((family.denoiser, "vae", "scheduler"), False)
        nulls = {kind: not null.components for kind, null in family.nulls.items()}
        return Inventory(
            source.place, family, checkpoint, None, components, nulls, get_token() is not None
        )
    family = listed.family
    at = source.find("model_index.json")
    assert at is not None
    folder = at.parent
    components = {
        family.denoiser: _has_weights(folder / family.denoiser, variant, must=True),
        "vae": _has_weights(folder / "vae", variant),
        "scheduler": (folder / "scheduler" / "scheduler_config.json").exists(),
    }
    nulls = {}
    for kind in family.nulls:
        file = null_file(listed, kind, dtype)
        nulls[kind] = file is None or file.exists()
    if source.find(NULL_CONDITION):
        nulls = {"stored": True} | nulls
    return Inventory(
        source.place, family, checkpoint, folder, components, nulls, get_token() is not None
    )


def _has_weights(folder: Path, variant: str | None, *, must: bool = False) -> bool:
    """All files of weights that there should be: an index lists several."""
    try:
        names = [path.name for path in folder.iterdir()]
        check_weights(folder, choose_variant(names, variant, str(folder), must=must))
    except (OSError, BackboneError):
        return False
    return True
