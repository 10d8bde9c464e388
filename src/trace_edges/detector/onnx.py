"""The whole one-step detector as one ONNX file for images of one size, and what detects images of
any size without PyTorch: the graph alone of one that reads the image alone.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from trace_edges.backbones.problems import BackboneError
from trace_edges.detector.config import GRAPH, WEIGHTS
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
    whole = _Whole(detector)
    with write_atomically(path) as temporary:
        _export(whole, image, temporary)
        with torch.no_grad():
            difference = np.abs(_run(temporary, image) - whole(image).numpy()).max()
        if not difference <= _LARGEST_DIFFERENCE:
            raise ValueError(f"{path}: ONNX Runtime's edges differ from torch's by {difference}")


def export_graph(folder: str | Path) -> Path:
    """Write the graph of a detector that reads the image alone, for images of any size, beside its
    weights: with it `RuntimeDetector` needs no PyTorch. The weights stay where they are.

    Args:
        folder: of the detector, as `EdgeDetector.save_pretrained` wrote it.

    Returns:
        The file.

    Raises:
        BackboneError: there is no detector, or it reads a diffusion model.
        MissingExtraError: onnx is not installed.
    """
    onnx: Any = require("onnx", "onnx")
    detector, folder = EdgeDetector.from_pretrained(folder), Path(folder)
    if detector.student.name is not None:
        raise BackboneError(f"{folder} reads a diffusion model: only a detector that reads the "
                            "image alone runs without PyTorch")  # fmt: skip
    sides = {"image": {0: "images", 2: "height", 3: "width"},
             "edges": {0: "images", 1: "height", 2: "width"}}  # fmt: skip
    image = torch.zeros(2, 3, 4 * detector.cell, 2 * detector.cell)
    content = (folder / WEIGHTS).read_bytes()
    places = _places(content)
    with write_atomically(folder / GRAPH) as temporary:
        _export(_Whole(detector), image, temporary, dynamic_axes=sides)
        written = onnx.load(temporary)
        for weight in written.graph.initializer:
            first, end = places[weight.name.removeprefix("student.")]
            assert weight.raw_data == content[first:end]
            onnx.external_data_helper.set_external_data(weight, WEIGHTS, first, end - first)
            weight.ClearField("raw_data")
        for node in written.graph.node:
            node.ClearField("doc_string")  # lines of the code that was traced
        temporary.write_bytes(written.SerializeToString(deterministic=True))
    return folder / GRAPH


def _places(content: bytes) -> dict[str, tuple[int, int]]:
    """From which byte of a safetensors file to which its tensors lie: behind eight bytes that say
    how long the list of them is, and that list.
    """
    start = 8 + int.from_bytes(content[:8], "little")
    listed = json.loads(content[8:start])
    listed.pop("__metadata__", None)
    return {
        name: (start + first, start + end)
        for name, (first, end) in ((name, one["data_offsets"]) for name, one in listed.items())
    }


def _export(whole: _Whole, image: Tensor, file: Path, **options: Any) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        # What the tracer takes for constant is; the check of what was written would tell.
        warnings.filterwarnings("ignore", category=TracerWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Constant folding")
        warnings.filterwarnings("ignore", message="Exporting aten::index")  # none is negative
        torch.onnx.export(
            whole.eval(), (image,), file, input_names=["image"], output_names=["edges"],
            opset_version=17, dynamo=False, do_constant_folding=not options, **options,
        )  # fmt: skip


class _Whole(nn.Module):
    """Image to edges, without the resizing before and the drawing after it."""

    def __init__(self, detector: EdgeDetector) -> None:
        super().__init__()
        self.student = detector.student
        self.parts = nn.ModuleList(detector.student.parts())  # the VAE's weights are exported too

    def forward(self, image: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b H W"]:
        logits, _ = self.student(image)
        edges: Tensor = logits.sigmoid()
        return edges


def _run(path: Path, image: Float32[Tensor, "1 3 H W"]) -> Float32[np.ndarray, "1 H W"]:
    runtime = require("onnxruntime", "onnx")
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    edges: np.ndarray = session.run(["edges"], {"image": image.numpy()})[0]
    return edges
