"""The whole one-step detector as one ONNX file, for a fixed size of image."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from trace_edges.detector.detector import EdgeDetector
from trace_edges.extras import require
from trace_edges.files import write_atomically

_LARGEST_DIFFERENCE = 1e-3  # of edges in [0, 1], between ONNX Runtime and torch


def export_onnx(detector: EdgeDetector, path: str | Path, size: tuple[int, int]) -> None:
    """Write all that the student computes (VAE encoder, one pass at t = 0, decoder), and a sigmoid.

    Its input `image` is float32 (1, 3, H, W) in [-1, 1], its output `edges` float32 (1, H, W) in
    [0, 1]: the smooth map at the size that the model sees, before it is drawn at the image's own.

    Args:
        detector: as it was loaded, on the CPU in float32.
        path: of the file.
        size: (H, W) in px, multiples of the student's cell.

    Raises:
        ValueError: the size does not fit, or what was written answers otherwise than torch; then
            there is no file.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    for library in ("onnx", "onnxruntime"):
        require(library, "onnx")
    cell = detector.student.cell
    if any(side < 2 * cell or side % cell for side in size):
        raise ValueError(f"size {size} must be two multiples of {cell} px, from {2 * cell} on")
    image = torch.from_numpy(
        np.random.default_rng(0).uniform(-1, 1, (1, 3, *size)).astype(np.float32)
    )
    whole = _Whole(detector).eval()
    with write_atomically(path) as temporary, torch.no_grad(), warnings.catch_warnings():
        # The size is fixed, so what the tracer takes for constant is; the check below would tell.
        warnings.filterwarnings("ignore", category=TracerWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Constant folding")
        warnings.filterwarnings("ignore", message="Exporting aten::index")  # none is negative
        torch.onnx.export(
            whole, (image,), temporary, input_names=["image"], output_names=["edges"],
            opset_version=17, dynamo=False,
        )  # fmt: skip
        difference = np.abs(_run(temporary, image) - whole(image).numpy()).max()
        if not difference <= _LARGEST_DIFFERENCE:
            raise ValueError(f"{path}: ONNX Runtime's edges differ from torch's by {difference}")


class _Whole(nn.Module):
    """Image to edges, without the resizing before and the drawing after it."""

    def __init__(self, detector: EdgeDetector) -> None:
        super().__init__()
        self.student = detector.student
        self.parts = nn.ModuleList(detector.student.parts())  # the VAE's weights are exported too

    def forward(self, image: Float[Tensor, "1 3 H W"]) -> Float[Tensor, "1 H W"]:
        logits, _ = self.student(image)
        edges: Tensor = logits.sigmoid()
        return edges


def _run(path: Path, image: Float32[Tensor, "1 3 H W"]) -> Float32[np.ndarray, "1 H W"]:
    runtime = require("onnxruntime", "onnx")
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    edges: np.ndarray = session.run(["edges"], {"image": image.numpy()})[0]
    return edges
