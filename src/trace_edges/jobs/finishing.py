"""What is done with the instances that were found: SAM draws their outlines, a model names them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from trace_edges.backbones.backbone import weights_fingerprint
from trace_edges.checks import check_within
from trace_edges.evaluation.corrections import KEPT
from trace_edges.instances.naming import ClassNamer
from trace_edges.instances.sam import SamSegmenter, prompt_kinds
from trace_edges.instances.seeds import seeds_from_masks
from trace_edges.jobs.finding import Found, Generated, Regions
from trace_edges.jobs.task import Subject
from trace_edges.results import GROUND, InstanceMasks
from trace_edges.results.overlaps import common_pixels


@dataclass(frozen=True, eq=False)
class Prompted:
    """Asks SAM for what another finder found: every instance is a seed, SAM draws its outline.

    Attributes:
        find: the other finder.
        sam: of `load_sam`.
        prompts: "points", "boxes", "masks", or several of them with a plus between.
        points: for each instance; the first is its pole of inaccessibility.
        iou: in [0, 1]. Of two masks with a larger IoU SAM's better one stays.
    """

    find: Regions | Generated
    sam: SamSegmenter
    prompts: str = "points+boxes"
    points: int = 1
    iou: float = 0.5
    wants_image = True

    def __post_init__(self) -> None:
        prompt_kinds(self.prompts)  # now, not after the first image
        if self.points < 1:
            raise ValueError(f"a seed needs at least 1 point, not {self.points}")
        check_within(0, 1, iou=self.iou)

    @property
    def wants_attention(self) -> bool:
        """As the other finder does."""
        return self.find.wants_attention

    @property
    def classes(self) -> tuple[str, ...]:
        """As the other finder's."""
        return self.find.classes

    def describe(self) -> dict[str, Any]:
        """Lists all that the answer depends on, plain JSON values."""
        kinds = "+".join(sorted(prompt_kinds(self.prompts)))
        asked = {"name": self.sam.name, "prompts": kinds, "points": self.points, "iou": self.iou}
        weights = weights_fingerprint((), self.sam.model.state_dict())
        return self.find.describe() | {"sam": asked, "sam_weights": weights}

    def __call__(self, subject: Subject) -> Found:
        """SAM's masks of the instances, by falling score; one that it sees nothing of is gone. The
        facts and the notes say what it changed.
        """
        assert subject.image is not None
        found = self.find(subject)
        seeds = seeds_from_masks(found.instances, self.points)
        drawn = self.sam.segment(subject.image, seeds, self.prompts, iou=self.iou)
        changed = redrawn(found.instances, drawn)
        note = "SAM made {changed} other masks of {regions} regions (mean IoU {mean_iou})"
        notes = (*found.notes, note.format(**changed))
        return replace(found, instances=drawn, facts={**found.facts, "sam": changed}, notes=notes)


@dataclass(frozen=True, eq=False)
class Named:
    """Names what another finder found.

    Attributes:
        find: the other finder.
        names: of the classes.
        namer: tells them apart; None where there is one name, which every instance gets.
    """

    find: Regions | Generated | Prompted
    names: tuple[str, ...]
    namer: ClassNamer | None = None

    @property
    def wants_image(self) -> bool:
        """As the other finder does, and the model."""
        return self.namer is not None or self.find.wants_image

    @property
    def wants_attention(self) -> bool:
        """As the other finder does."""
        return self.find.wants_attention

    @property
    def classes(self) -> tuple[str, ...]:
        """The names, and ground where that is marked."""
        return (*self.names, *(one for one in self.find.classes if one == GROUND))

    def describe(self) -> dict[str, Any]:
        """Lists all that the answer depends on, plain JSON values."""
        known = {"class_names": list(self.names)}
        known |= {} if self.namer is None else self.namer.describe()
        return self.find.describe() | known

    def __call__(self, subject: Subject) -> Found:
        """The same instances with their classes; ground stays ground."""
        found = self.find(subject)
        classes, scores = [self.names[0]] * len(found.instances), found.class_scores
        if self.namer is not None:
            assert subject.image is not None
            chosen, sure = self.namer(subject.image, found.instances)
            classes, scores = [self.names[k] for k in chosen], sure.tolist()
        old = found.instances.classes
        named = [GROUND if was == GROUND else one for was, one in zip(old, classes, strict=True)]
        return replace(found, instances=found.instances.named(named), class_scores=scores)


def redrawn(before: InstanceMasks, after: InstanceMasks) -> dict[str, Any]:
    """How many regions and masks there are, how many masks have an IoU below 0.95 with every
    region, and the mean IoU of a mask with the region nearest to it.
    """
    shared = common_pixels(before, after)
    ious = shared / (before.areas[:, None] + after.areas - shared)
    best = ious.max(axis=0, initial=0)
    mean = round(float(best.mean()), 3) if len(best) else None
    counts = {"regions": len(before), "masks": len(after), "changed": int((best < KEPT).sum())}
    return counts | {"mean_iou": mean}
