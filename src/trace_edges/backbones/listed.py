"""What a pipeline lists, and the family that it is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trace_edges.backbones.checkpoints import CHECKPOINTS
from trace_edges.backbones.families import FAMILIES
from trace_edges.backbones.problems import BackboneError
from trace_edges.backbones.sources import Source
from trace_edges.backbones.specs import Family

# Pipelines that cannot be read, by how their names begin, and why.
_UNREADABLE = {
    "Sana": "its self-attention is linear: it has no softmax, and so no attention map to read",
}


@dataclass(frozen=True)
class Listed:
    """A pipeline by what its model_index.json lists.

    Attributes:
        source: where it lies.
        index: content of that file.
        family: whose pipelines include it.
    """

    source: Source
    index: Mapping[str, Any]
    family: Family

    @classmethod
    def of(cls, source: Source) -> Listed:
        """The pipeline of a source.

        Raises:
            BackboneError: it has no index, or is of no family.
        """
        index = source.index()
        pipeline = str(index.get("_class_name", "none"))
        for family in FAMILIES:
            if pipeline in family.pipelines:
                return cls(source, index, family)
        for start, why in _UNREADABLE.items():
            if pipeline.startswith(start):
                raise BackboneError(f"{source} is a {pipeline}, which cannot be a backbone: {why}")
        known = ", ".join(name for family in FAMILIES for name in family.pipelines)
        raise BackboneError(f"{source} is a {pipeline}; supported pipelines: {known}")

    @property
    def components(self) -> dict[str, bool]:
        """Names of its components, and whether it has them."""
        listed = {name: value for name, value in self.index.items() if isinstance(value, list)}
        return {name: bool(value) and value[0] is not None for name, value in listed.items()}


def family_of_checkpoint(name: str) -> Family:
    """The family of a named checkpoint."""
    return next(family for family in FAMILIES if family.name == CHECKPOINTS[name].family)
