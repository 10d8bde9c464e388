"""A detector that reads the image alone, computed by ONNX Runtime: PyTorch is not needed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from safetensors.numpy import load_file

from trace_edges.backbones.checkpoints import PIXELS
from trace_edges.backbones.problems import BackboneError
from trace_edges.detector.config import GRAPH, WEIGHTS, read_config
from trace_edges.detector.hub import find_artefact
from trace_edges.detector.source import ProbabilitySource, weights_digest
from trace_edges.extras import require


class RuntimeDetector(ProbabilitySource):
    """The edges of `EdgeDetector` to within 1e-3, on the CPU.

    Args:
        folder: of a detector that reads the image alone, with the graph that `export_graph` wrote.

    Raises:
        BackboneError: it holds no such detector.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, folder: Path) -> None:
        runtime: Any = require("onnxruntime", "onnx")
        config = read_config(folder)
        if not config.student.widths:
            raise BackboneError(f"{folder} reads a diffusion model, which needs PyTorch: install "
                                "it, or give a detector that reads the image alone")  # fmt: skip
        if not (folder / GRAPH).is_file():
            raise BackboneError(f"{folder} has no {GRAPH}: where PyTorch is installed, write it "
                                "with trace_edges.detector.export_graph")  # fmt: skip
        self.folder, self.resolution = folder, config.resolution
        self._cell = 2 ** len(config.student.widths)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or 0)  # as of PyTorch
        options.log_severity_level = 4  # what goes wrong is raised, and said once
        kinds = vars(runtime.capi.onnxruntime_pybind11_state).values()
        failures = tuple(
            one for one in kinds if isinstance(one, type) and issubclass(one, Exception)
        )
        try:
            self._session = runtime.InferenceSession(
                folder / GRAPH, options, providers=["CPUExecutionProvider"]
            )
        except failures as error:  # which have no base of their own
            reason = " ".join(str(error).split())[:200]
            raise BackboneError(
                f"{folder / GRAPH} cannot be loaded ({reason}): write it again with "
                "trace_edges.detector.export_graph"
            ) from error

    @classmethod
    def from_pretrained(cls, name: str | Path = PIXELS) -> RuntimeDetector:
        """Load the embedded detector, a folder, or one of the hub.

        Raises:
            BackboneError: there is no such detector.
        """
        return cls(find_artefact(str(name), None, local_files_only=False))

    @property
    def cell(self) -> int:
        return self._cell

    def made_of(self) -> dict[str, Any]:
        return {"backbone": None, "dtype": "float32"}

    def probabilities(self, images: Float32[np.ndarray, "b 3 H W"]) -> Float32[np.ndarray, "b H W"]:
        found: np.ndarray = self._session.run(["edges"], {"image": images})[0]
        if not np.isfinite(found).all():
            raise BackboneError("the detector computes NaN or infinity: give another one")
        return found

    def fingerprint(self) -> str:
        """That of the `EdgeDetector` with the same weights."""
        return weights_digest(load_file(self.folder / WEIGHTS).items())
