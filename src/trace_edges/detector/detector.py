"""`EdgeDetector`: edges in one pass of the denoiser, saved as LoRA and decoder only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, overload

import numpy as np
import torch
from jaxtyping import Float32

from trace_edges.attention import without_autocast
from trace_edges.backbones.checkpoints import PIXELS
from trace_edges.detector.config import CONFIG, WEIGHTS, DetectorConfig
from trace_edges.detector.hub import CARD, find_artefact, model_card
from trace_edges.detector.loading import load_student, read_detector
from trace_edges.detector.pixels import AnyStudent
from trace_edges.detector.settings import DetectorSettings
from trace_edges.detector.source import ProbabilitySource, weights_digest
from trace_edges.drawing.control import ControlStyle, control_image
from trace_edges.files import write_json, write_text
from trace_edges.images import ImageSource
from trace_edges.results import EdgeMap
from trace_edges.sources import BATCH_SIZE

OutputType = Literal["edges", "pil", "np"]


class EdgeDetector(ProbabilitySource):
    """Instance edges in one pass, learnt from the training-free method without a label.

    Examples:
        >>> detector = EdgeDetector.from_pretrained()
        >>> detector("street.jpg").edges.shape  # (1, H, W), in [0, 1], at the size of the input

    Args:
        student: trained; of a diffusion model, or of the image alone.
        resolution: sqrt(H * W) in px of what it sees.
        training: how it was trained, plain JSON values, kept with the weights.
    """

    def __init__(
        self,
        student: AnyStudent,
        resolution: int,
        training: Mapping[str, Any] | None = None,
    ) -> None:
        self.student, self.resolution = student.eval(), resolution
        self.training = dict(training or {})

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path = PIXELS,
        *,
        backbone: str | Path | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = torch.float32,
        torch_dtype: torch.dtype | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
    ) -> EdgeDetector:
        """Load a detector and the backbone it was trained on.

        Args:
            name: "trace-pixels", which reads the image alone, or "trace-mini", a student of that
                diffusion model (both embedded), a folder written by `save_pretrained`, or a hub id.
            backbone: where the backbone lies, if not where it lay when the detector was trained.
            device, dtype (torch_dtype: its older name): of the weights; where the backbone's are
                held in fewer bits, as in training. None: what suits the device.
            revision, local_files_only: as in huggingface_hub.

        Raises:
            BackboneError: there is no such detector or backbone, or they do not belong together.
        """
        folder = find_artefact(str(name), revision, local_files_only)
        config, weights = read_detector(folder)
        student = load_student(
            folder, config, weights, None if backbone is None else str(backbone),
            torch.device(device), torch_dtype or dtype, local_files_only,
        )  # fmt: skip
        return cls(student, config.resolution, config.training)

    def to(self, device: str | torch.device) -> EdgeDetector:
        """Move the model; returns itself."""
        self.student.move(device)
        return self

    def merge_lora(self) -> EdgeDetector:
        """Add the LoRA to the weights beside it: the same edges, faster; returns itself.

        What is saved afterwards is still the LoRA alone. Without one, nothing changes.

        Raises:
            ValueError: the weights are held in fewer bits, and would be rounded again.
        """
        if way := self.student.loaded_with.get("quantize"):
            raise ValueError(f"weights quantised by {way} would be rounded again: do not merge")
        module: Any  # peft's
        for module in self.student.modules():
            if hasattr(module, "lora_A") and not module.merged:
                module.merge()
        return self

    def compile(self, **options: Any) -> EdgeDetector:
        """Compile encoder, denoiser and decoder with torch.compile; returns itself.

        The first image of every size takes long. Options are those of torch.compile.
        """
        for part in self.student.parts():
            part.compile(**options)
        return self

    def save_pretrained(self, folder: str | Path, card: str | None = None) -> None:
        """Write decoder and LoRA, what they were made with, and a model card; not the backbone.

        Args:
            folder: made if it is not there.
            card: Markdown text of the card; None: one that says how the detector was trained.
        """
        (folder := Path(folder)).mkdir(parents=True, exist_ok=True)
        from trace_edges.training import save_weights  # and with it accelerate, which takes long

        save_weights(folder / WEIGHTS, dict(self.student.trained()))
        write_json(self._config(), folder / CONFIG, indent=1)
        write_text(card or model_card(self._config()), folder / CARD)

    def push_to_hub(self, repository: str, folder: str | Path, **options: Any) -> None:
        """Save to `folder` and upload it to a hub repository, which is made if it is not there."""
        from huggingface_hub import HfApi

        self.save_pretrained(folder)
        (api := HfApi()).create_repo(repository, exist_ok=True, **options)
        api.upload_folder(repo_id=repository, folder_path=folder)

    @overload
    def __call__(
        self,
        images: ImageSource | list[Any],
        settings: DetectorSettings | None = ...,
        *,
        output_type: Literal["edges"] = ...,
        **changes: Any,
    ) -> EdgeMap: ...

    @overload
    def __call__(
        self,
        images: ImageSource | list[Any],
        settings: DetectorSettings | None = ...,
        *,
        output_type: Literal["pil", "np"],
        style: ControlStyle = ...,
        **changes: Any,
    ) -> Any: ...

    def __call__(
        self,
        images: ImageSource | list[Any],
        settings: DetectorSettings | None = None,
        *,
        batch_size: int = BATCH_SIZE,
        output_type: OutputType = "edges",
        style: ControlStyle = "thin",
        image_resolution: int | None = None,
        detect_resolution: int | None = None,
        **changes: Any,
    ) -> Any:
        """Detect the edges of one image, or of several of one size.

        Args:
            images: a path, bytes, PIL image, array or tensor, a list of them, or a batch.
            settings: see `DetectorSettings`.
            batch_size: so many images share a pass.
            output_type: "edges", an EdgeMap at the input's size; "pil" or "np", what steers a
                ControlNet: an RGB image at full contrast, or a list where a list was given.
            style: of these: "thin", "soft" or "scribble" (`drawing.control.control_image`).
            image_resolution: shorter side in px of "pil" and "np"; None: the input's.
            detect_resolution: `resolution`, as ControlNet's detectors call it.
            changes: single settings by name: `resolution=512`.

        Raises:
            ImageError: an image cannot be read or used.
            ValueError: the images have several sizes (use `each`), or an option is unknown.
        """
        if output_type not in get_args(OutputType):
            raise ValueError(f"unknown output_type {output_type!r}; known: edges, pil, np")
        if image_resolution is not None and output_type == "edges":
            raise ValueError("image_resolution is for output_type 'pil' or 'np'")
        if detect_resolution is not None:
            if "resolution" in changes:
                raise ValueError("resolution and detect_resolution are the same: give one")
            changes["resolution"] = detect_resolution
        found = self._detect(images, self.chosen(settings, changes), batch_size)
        if output_type == "edges":
            return found
        pairs = zip(found.edges, found.thin, strict=True)
        drawn = [control_image(*pair, style, image_resolution) for pair in pairs]
        answers = drawn if output_type == "pil" else list(map(np.asarray, drawn))
        several = isinstance(images, list | tuple) or getattr(images, "ndim", 0) == 4
        return answers if several else answers[0]

    @property
    def cell(self) -> int:
        return self.student.cell

    def made_of(self) -> dict[str, Any]:
        kind = str(self.student.dtype).removeprefix("torch.")
        return {"backbone": self.student.name, "dtype": kind}

    @torch.inference_mode()
    def probabilities(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b H W"]:
        pixels, own = torch.from_numpy(images), self.student
        # What is recorded as the number type computes, whatever the caller's autocast says.
        with without_autocast(own.device), own.explained_memory(images.shape[2:], len(images)):
            logits, _ = own(pixels)
            own.check_finite(logits, pixels)
        found: np.ndarray = logits.float().sigmoid().cpu().numpy()
        return found

    def fingerprint(self) -> str:
        """Equal for detectors that give equal edges: of the backbone and of what was learnt."""
        learnt = (
            (name, weight.detach().float().cpu().numpy()) for name, weight in self.student.trained()
        )
        return weights_digest(learnt, self.student.base or "")

    def _config(self) -> dict[str, Any]:
        return DetectorConfig.of(self.student, self.resolution, self.training).describe()
