"""How a pipeline is loaded, beside where its weights go and as what: as values that travel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from trace_edges.training_free.pipeline import TraceEdgePipeline


@dataclass(frozen=True)
class LoadOptions:
    """Of diffusion models; encoders know `revision` and `offload` only.

    Attributes:
        null: which null condition. None: the stored one, or the family's default.
        revision: branch, tag or commit on the hub.
        quantize: hold the denoiser in fewer bits, by a name of `QUANTIZATIONS`.
        offload: keep the weights in the computer's memory, each model on the device while it runs.
        vae_tiling: encode large images in tiles.
    """

    null: str | None = None
    revision: str | None = None
    quantize: str | None = None
    offload: bool = False
    vae_tiling: bool = False

    def load(
        self, name: str | Path, dtype: torch.dtype, device: str | torch.device
    ) -> TraceEdgePipeline:
        """The pipeline, ready to run on the device.

        Raises:
            BackboneError: as `TraceEdgePipeline.from_pretrained`.
        """
        pipe = TraceEdgePipeline.from_pretrained(
            name, dtype=dtype, device="cpu" if self.offload else device,
            null=self.null, revision=self.revision, quantize=self.quantize,
        )  # fmt: skip
        if self.vae_tiling:
            pipe.enable_vae_tiling()
        return pipe.enable_model_cpu_offload(device) if self.offload else pipe
