"""Segment Anything (SAM and SAM 2), prompted with the regions that edges close.

The image is encoded once and every seed is one small batch entry of the mask decoder. Images are
scaled here and not by the processors of transformers: that of SAM 2 needs torchvision.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional

from trace_edges.backbones.components import read_model
from trace_edges.backbones.configs import colours_of, read_config, read_object
from trace_edges.backbones.sources import Source, other_source
from trace_edges.checks import check_within
from trace_edges.images import ImageSource, load_image
from trace_edges.instances.seeds import Seeds
from trace_edges.results import InstanceMasks
from trace_edges.results.overlaps import overlapping

PROMPTS = ("points", "boxes", "masks")

_MODELS = {  # model_type of the config: the class of transformers
    "sam": "SamModel",
    "sam2": "Sam2Model",
    "sam2_video": "Sam2Model",  # published checkpoints of SAM 2 are of the video model
}


class SamError(ValueError):
    """A SAM that cannot be found, is of another kind, or lacks a part; the message is one line."""


@dataclass(frozen=True, eq=False)
class SamSegmenter:
    """A SAM and the colours that its images are scaled by.

    Attributes:
        model: `SamModel` or `Sam2Model` of transformers, in evaluation mode.
        mean, std: of the colours in [0, 1] that it was trained with.
    """

    name: str
    model: Any
    mean: Float32[Tensor, "3 1 1"]
    std: Float32[Tensor, "3 1 1"]

    @torch.inference_mode()
    def segment(
        self,
        image: ImageSource,
        seeds: Seeds,
        prompts: str = "points+boxes",
        *,
        chunk: int = 64,
        iou: float = 0.5,
    ) -> InstanceMasks:
        """One mask for each seed; of masks that are the same for the most part, the best.

        A single point may mean a part or the whole: then SAM gives three masks, and the one that it
        rates highest is taken. SAM was not trained with masks alone: combine them.

        Args:
            image: whatever `load_image` takes; of the size of the seeds.
            prompts: "points", "boxes", "masks", or several of them with a plus between.
            chunk: seeds that are decoded at once; a matter of memory.
            iou: in [0, 1]. A mask with a larger IoU with a better one is left out; 1 keeps all.

        Returns:
            Masks of the size of the image, by falling score: SAM's estimate of their IoU with the
            truth, in [0, 1]. A seed for which SAM finds nothing has none.

        Raises:
            ValueError: unknown prompts, a number out of range, or the image and the seeds differ in
                size.
        """
        kinds = prompt_kinds(prompts)
        if chunk < 1:
            raise ValueError(f"chunk must be at least 1 seed, not {chunk}")
        check_within(0, 1, iou=iou)
        pixels = load_image(image)
        size = pixels.shape[0], pixels.shape[1]
        if size != seeds.regions.shape:
            raise ValueError(
                f"the image is {size} and its seeds {seeds.regions.shape} (height, width): "
                "make the seeds from edges of this image"
            )
        settings = {
            **seeds.regions.settings, "sam": self.name, "prompts": "+".join(sorted(kinds)),
            "points": seeds.points.shape[1], "iou": iou,
        }  # fmt: skip
        drawn = InstanceMasks(np.zeros((0, *size), dtype=bool), settings=settings)
        if len(seeds):
            embeddings = self.model.get_image_embeddings(self._pixels(pixels))
            lone = kinds == {"points"} and seeds.points.shape[1] == 1
            for start in range(0, len(seeds), chunk):
                part = slice(start, start + chunk)
                inputs = self._inputs(seeds, kinds, part)
                decoded = self._decode(embeddings, inputs, several=lone)
                masks = np.stack([self._at_size(logits, size) for logits in decoded[0]])
                found = masks.any(axis=(1, 2))
                scores = np.array(decoded[1], dtype=np.float32)
                classes = np.array(seeds.regions.classes[part])[found]
                drawn += InstanceMasks(masks[found], scores[found]).named(classes)
        return _best(drawn, iou)

    @property
    def _side(self) -> int:
        """Side of the square that the model takes, in pixels."""
        return int(self.model.prompt_encoder.input_image_size)

    @property
    def _stretches(self) -> bool:
        """SAM 2 stretches images to a square; SAM keeps their proportions and pads."""
        return type(self.model).__name__ != "SamModel"

    def _content(self, size: tuple[int, int], side: int) -> tuple[int, int]:
        """(height, width) of an image of this size on a square of this side."""
        if self._stretches:
            return side, side
        height, width = (int(length * side / max(size) + 0.5) for length in size)
        return max(height, 1), max(width, 1)

    def _pixels(self, image: UInt8[np.ndarray, "h w 3"]) -> Float[Tensor, "1 3 s s"]:
        weight = next(self.model.parameters())
        height, width = self._content((image.shape[0], image.shape[1]), self._side)
        resized = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        colours = torch.from_numpy(np.array(resized)).permute(2, 0, 1) / 255
        padding = (0, self._side - width, 0, self._side - height)
        scaled = functional.pad((colours - self.mean) / self.std, padding)
        return scaled[None].to(weight.device, weight.dtype)

    def _inputs(self, seeds: Seeds, kinds: set[str], part: slice) -> dict[str, Tensor]:
        """Prompts of some of the seeds as arguments of the model, each an image of a batch.

        Only so can every seed have a mask of its own.
        """
        weight = next(self.model.parameters())
        height, width = self._content(seeds.regions.shape, self._side)
        scale = np.array([width, height]) / seeds.regions.shape[::-1]  # of x and y
        inputs: dict[str, np.ndarray] = {}
        if "points" in kinds:
            inputs["input_points"] = (seeds.points[part] * scale)[:, None]  # (m, 1, k, 2)
        if "boxes" in kinds:  # SAM counts the last pixel in, and adds the half to its centre
            corners = (seeds.boxes[part] - [0, 0, 1, 1]).reshape(-1, 2, 2)
            inputs["input_boxes"] = (corners * scale).reshape(-1, 1, 4)
        if "masks" in kinds:
            side = 4 * int(self.model.prompt_encoder.image_embedding_size[0])
            drawn = seeds.logits(side, self._content(seeds.regions.shape, side), part)
            inputs["input_masks"] = drawn[:, None]
        on_device = {
            name: torch.from_numpy(values).to(weight.device, torch.float32)
            for name, values in inputs.items()
        }
        if "masks" in kinds:
            on_device["input_masks"] = on_device["input_masks"].to(weight.dtype)
        return on_device

    def _decode(
        self, embeddings: Any, inputs: dict[str, Tensor], several: bool
    ) -> tuple[Float32[Tensor, "m s s"], Float32[np.ndarray, " m"]]:
        """Logits of the best mask for each prompt, and its score."""
        count = len(next(iter(inputs.values())))
        repeated = (
            embeddings.expand(count, -1, -1, -1)
            if isinstance(embeddings, Tensor)
            else [level.expand(count, -1, -1, -1) for level in embeddings]  # of SAM 2
        )
        output = self.model(image_embeddings=repeated, multimask_output=several, **inputs)
        scores = output.iou_scores[:, 0].float()  # (m, masks)
        best = scores.argmax(dim=1)
        rows = torch.arange(count, device=best.device)
        logits = output.pred_masks[rows, 0, best].float()
        return logits, scores[rows, best].clamp(0, 1).cpu().numpy()

    def _at_size(
        self, logits: Float32[Tensor, "s s"], size: tuple[int, int]
    ) -> Bool[np.ndarray, "h w"]:
        """A mask at the size of the image; one at a time, for they are large."""
        large = logits[None, None]
        if not self._stretches:
            height, width = self._content(size, self._side)
            large = _resize(large, (self._side, self._side))[..., :height, :width]
        return (_resize(large, size)[0, 0] > 0).cpu().numpy()


def load_sam(
    name: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    revision: str | None = None,
    local_files_only: bool = False,
) -> SamSegmenter:
    """Load a SAM or SAM 2 from a folder of transformers or the hub, as facebook/sam-vit-base.

    Args:
        name: folder or hub id, with config.json, model.safetensors and the processor's file.
        dtype, device: number type and place of the weights.
        revision: branch, tag or commit on the hub.
        local_files_only: never use the network.

    Returns:
        A segmenter, whose `segment(image, seeds, prompts)` gives one mask for each seed.

    Raises:
        SamError: it is not found, is not a SAM, or lacks weights.
    """
    place = {"revision": revision, "local_files_only": local_files_only}
    with other_source(name, "SAM", SamError, **place) as source:
        config = read_config(source.fetch("config.json"))
        model_class = _model_class(source, config.get("model_type", "model of unknown type"))
        folder, variants = source.fetch_parts({".": True}, leading=".")
        # The weights of SAM 2 hold the video's memory too.
        model = read_model(folder, model_class, dtype, variants["."])
        file = source.find("processor_config.json") or source.fetch("preprocessor_config.json")
        processor = read_object(file)
        mean, std = colours_of(processor.get("image_processor", processor), file)
    return SamSegmenter(source.name, model.eval().to(device), mean, std)


def prompt_kinds(prompts: str) -> set[str]:
    """The kinds of prompts that are named: "points+boxes" is points and boxes.

    Raises:
        ValueError: one of them is none of `PROMPTS`.
    """
    kinds = set(prompts.split("+"))
    if unknown := kinds - set(PROMPTS):
        raise ValueError(
            f"unknown prompts {min(unknown)!r}: give {', '.join(PROMPTS)}, or several of them with "
            "a plus between"
        )
    return kinds


def _model_class(source: Source, kind: Any) -> Any:
    import transformers

    if not isinstance(kind, str) or kind not in _MODELS:
        raise SamError(
            f"{source} is a {str(kind)[:80]}, which is none of {', '.join(_MODELS)}; use one such "
            "as facebook/sam-vit-base or facebook/sam2.1-hiera-small"
        )
    if not hasattr(transformers, _MODELS[kind]):
        raise SamError(
            f"{source} is a {kind}, which transformers {transformers.__version__} does not "
            "know: pip install --upgrade transformers"
        )
    return getattr(transformers, _MODELS[kind])


def _resize(values: Float32[Tensor, "1 1 h w"], size: tuple[int, int]) -> Tensor:
    return functional.interpolate(values, size, mode="bilinear", align_corners=False)


def _best(masks: InstanceMasks, iou: float) -> InstanceMasks:
    """By falling score, without those that have a larger IoU with a better one that is kept."""
    order = np.argsort(-masks.scores, kind="stable")
    ranked = masks[order]
    kept = np.ones(len(ranked), dtype=bool)
    for better, worse in overlapping(ranked, iou):  # by falling score of the better one
        if kept[better]:
            kept[worse] = False
    return ranked[kept]
