"""From a detector on disk to a student on its device, in its number type."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from trace_edges.backbones.latents import default_dtype
from trace_edges.backbones.problems import BackboneError, out_of_memory
from trace_edges.detector.config import CONFIG, MEND, WEIGHTS, DetectorConfig, read_config
from trace_edges.detector.pixels import AnyStudent, PixelStudent
from trace_edges.detector.settings import StudentSettings

if TYPE_CHECKING:
    from trace_edges.backbones import DiffusionBackbone


def load_student(
    folder: Path,
    config: DetectorConfig,
    weights: dict[str, Tensor],
    backbone: str | None,
    device: torch.device,
    dtype: torch.dtype | None,
    local_files_only: bool,
) -> AnyStudent:
    """Load a student, and the backbone that it reads, if any.

    Args:
        folder: of the detector, which messages name.
        config, weights: what lies there.
        backbone: another place of the backbone than the config's; None: it lies there.
        device, dtype: of the weights; None: the number type that suits the device.
        local_files_only: never ask the network.

    Raises:
        BackboneError: there is no such backbone, it is another than that of the training, the
            weights are not those of the config, or the memory of the device is too small.
    """
    if config.student.widths:
        return _load_pixels(folder, config, weights, backbone, device)
    from trace_edges.detector.student import Student, block_numbers  # and the diffusion models

    check_size(config.student, weights, folder)
    if config.backbone_quantize:
        dtype = dtype or config.dtype
        if dtype != config.dtype:
            raise BackboneError(
                f"{folder} was trained on a denoiser in fewer bits ({config.backbone_quantize}), "
                f"beside which its weights are {config.backbone_dtype}: load it in {config.dtype}"
            )
    dtype = dtype or default_dtype(device)
    loaded = _same_backbone(folder, config, backbone or str(config.backbone), device, dtype,
                            local_files_only)  # fmt: skip
    try:
        blocks = block_numbers(config.blocks, loaded)
        with out_of_memory(lambda: f"{folder} does not fit on {device}: take another device"):
            student = Student(
                loaded, replace(config.student, blocks=blocks), config.backbone_fingerprint
            )
            student.trained_in, student.rounded = config.backbone_dtype, config.backbone_rounded
            check_weights(student, weights, folder)
            student.load_state_dict(weights, strict=False)
            nn.Module.to(loaded.denoiser, dtype)  # diffusers' own `to` would warn
            nn.Module.to(loaded.vae, loaded.family.vae_dtype(dtype))
            loaded.to(device)
            return student.to(device)
    except BackboneError:
        raise
    except ValueError as error:
        raise BackboneError(f"{folder / CONFIG}: {error}") from error


def _load_pixels(
    folder: Path,
    config: DetectorConfig,
    weights: dict[str, Tensor],
    backbone: str | None,
    device: torch.device,
) -> PixelStudent:
    # In float32 on every device, as every decoder is.
    if backbone is not None:
        raise BackboneError(f"{folder} reads the image alone: leave the backbone out")
    with torch.device("meta"):  # nothing is allocated that is not in the file
        student = PixelStudent(config.student)
    check_weights(student, weights, folder)
    student.load_state_dict(weights, assign=True)
    with out_of_memory(lambda: f"{folder} does not fit on {device}: take another device"):
        return student.to(device)


def _same_backbone(
    folder: Path,
    config: DetectorConfig,
    name: str,
    device: torch.device,
    dtype: torch.dtype,
    local_files_only: bool,
) -> DiffusionBackbone:
    """The backbone of the training: straight in `dtype` where it can be told apart in it, else in
    the number type of the training.
    """
    from trace_edges.backbones import load_backbone

    def load(kind: torch.dtype) -> DiffusionBackbone:
        there = device if kind == dtype or config.backbone_quantize else "cpu"
        try:
            return load_backbone(
                name, dtype=kind, device=there, local_files_only=local_files_only,
                **config.weight_options,
            )  # fmt: skip
        except ValueError as error:
            raise BackboneError(f"the backbone of the detector {folder}: {error}") from error

    expected = config.backbone_rounded.get(str(dtype).removeprefix("torch."))
    if expected is not None and dtype != config.dtype:
        loaded = load(dtype)
        if loaded.weights_fingerprint(dtype) == expected:
            return loaded
        del loaded  # diffusers keeps some weights of some models in float32
    loaded = load(config.dtype)
    if loaded.fingerprint("cpu") != config.backbone_fingerprint:
        raise BackboneError(
            f"{folder} was trained on other weights than those of {name}; give the backbone it was "
            "trained on"
        )
    return loaded


def read_detector(folder: Path) -> tuple[DetectorConfig, dict[str, Tensor]]:
    """Read the config and the weights.

    Raises:
        BackboneError: the folder holds no detector, or a broken one.
    """
    config = read_config(folder)
    path = folder / WEIGHTS
    if not path.is_file():
        raise BackboneError(f"{folder} holds no edge detector (no file {WEIGHTS}): {MEND}")
    try:
        weights = load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise BackboneError(
            f"{path} holds no weights ({reason}): write or fetch it again"
        ) from error
    for name, weight in weights.items():
        if not weight.is_floating_point():
            raise BackboneError(
                f"{path}: {name} is {weight.dtype}, not a weight of a detector: {MEND}"
            )
        if not weight.float().isfinite().all():  # some small types have no test of their own
            raise BackboneError(f"{path}: {name} holds NaN or infinity: fetch it again")
    return config, weights


def check_size(settings: StudentSettings, weights: dict[str, Tensor], folder: Path) -> None:
    """Refuse, before memory is taken for it, a student that is larger than its weights.

    Raises:
        BackboneError: it is another than theirs.
    """
    decoder = weights.get("decoder.enter.weight", torch.empty(0))
    ranks = {len(weight) for name, weight in weights.items() if ".lora_A." in name}
    if (len(decoder), ranks or {0}) != (settings.width, {settings.rank}):
        raise BackboneError(
            f"{folder / WEIGHTS} does not hold the weights of its {CONFIG} (a decoder of width "
            f"{settings.width} and a LoRA of rank {settings.rank}): {MEND}"
        )


def check_weights(student: AnyStudent, weights: dict[str, Tensor], folder: Path) -> None:
    """Refuse weights that are not those of the student that the config describes.

    Raises:
        BackboneError: one line that names the first.
    """
    wanted = {name: tuple(weight.shape) for name, weight in student.trained()}
    held = {name: tuple(weight.shape) for name, weight in weights.items()}
    if wanted == held:
        return
    name = next(n for n in [*wanted, *held] if wanted.get(n) != held.get(n))
    raise BackboneError(
        f"{folder / WEIGHTS} does not hold the weights of its {CONFIG} ({name} is "
        f"{held.get(name, 'not there')}, not {wanted.get(name, 'there')}): {MEND}"
    )
