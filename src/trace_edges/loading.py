"""How models of every kind are loaded, and where they go."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

DType = Literal["auto", "float32", "float16", "bfloat16"]
Prediction = Literal["epsilon", "v_prediction"]
Quantization = Literal["bnb-4bit", "bnb-8bit", "torchao-int8"]


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How diffusion models are loaded; encoders know `revision` and `offload` too.

    Attributes:
        null: Kind of null condition, which stands in for the prompt. None: the one stored with the
            model, or else the default of its family.
        revision: Branch, tag or commit of the model on the hub.
        variant: Variant of the weight files, such as fp16. None: the plain files, or else the
            variant that exists.
        prediction_type: What the denoiser predicts. None: what its scheduler or file says.
        quantize: Load the denoiser with fewer bits per weight. Needs the extra quantize.
        offload: Keep the weights in main memory, and move each part to the device only while it
            runs.
        vae_tiling: Encode large images in tiles, to save memory.
    """

    null: str | None = None
    revision: str | None = None
    variant: str | None = None
    prediction_type: Prediction | None = None
    quantize: Quantization | None = None
    offload: bool = False
    vae_tiling: bool = False


@dataclass(frozen=True, kw_only=True)
class Loading(LoadOptions):
    """How models of every kind are loaded, and where they go.

    Attributes:
        null, revision, variant, prediction_type, quantize, offload, vae_tiling: see `LoadOptions`.
        device: Device to run on: cpu, cuda, cuda:1, mps, and so on; auto takes an accelerator if
            there is one.
        dtype: Number type of the weights; auto takes float32 on a CPU, and elsewhere bfloat16, or
            float16 where the device lacks it.
        no_kernels: On a CUDA device, use PyTorch instead of the faster Triton kernels.
    """

    device: str = "auto"
    dtype: DType = "auto"
    no_kernels: bool = False

    @property
    def placement(self) -> dict[str, Any]:
        """`device` and `dtype` as torch has them; every way of loading asks, so that here kernels
        are switched off, for the whole process.

        Raises:
            ValueError: the device is not there.
        """
        import torch

        from trace_edges.attention.fused import switch_off
        from trace_edges.backbones.latents import default_dtype

        if self.no_kernels:
            switch_off()
        name = self.device
        if name == "auto":
            name = str(torch.accelerator.current_accelerator(check_available=True) or "cpu")
        try:
            device = torch.device(name)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"device {name!r} is not available: {reason}") from error
        chosen = default_dtype(device) if self.dtype == "auto" else getattr(torch, self.dtype)
        return {"device": device, "dtype": chosen}

    @property
    def weight_options(self) -> dict[str, Any]:
        """Those that decide what the weights are."""
        from trace_edges.backbones import WEIGHT_OPTIONS

        return {option: getattr(self, option) for option in WEIGHT_OPTIONS}

    @property
    def of_diffusion(self) -> dict[str, Any]:
        """Those that only a pipeline knows."""
        return {one.name: getattr(self, one.name) for one in fields(LoadOptions)}

    def load_pipeline(self, name: str) -> Any:
        """The training-free pipeline of a backbone, ready to run on the device.

        Raises:
            BackboneError: as `TraceEdgePipeline.from_pretrained`.
            ValueError: the device is not there.
        """
        from trace_edges.training_free.pipeline import TraceEdgePipeline

        placement = self.placement
        device = placement["device"]
        placement["device"] = "cpu" if self.offload else device
        pipe = TraceEdgePipeline.from_pretrained(name, **placement, **self.weight_options)
        if self.vae_tiling:
            pipe.enable_vae_tiling()
        return pipe.enable_model_cpu_offload(device) if self.offload else pipe

    def load_denoiser(self, name: str) -> Any:
        """The diffusion model alone, for training; no encoder.

        Raises:
            BackboneError: as `load_backbone`.
            ValueError: the device is not there.
        """
        from trace_edges.backbones import load_backbone

        return load_backbone(name, **self.placement, **self.weight_options)
