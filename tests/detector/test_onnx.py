"""The exported file answers as torch does."""

import sys

import numpy as np
import pytest
import torch

from trace_edges.backbones import load_backbone
from trace_edges.detector import EdgeDetector, Student, StudentSettings
from trace_edges.detector.onnx import export_onnx
from trace_edges.extras import MissingExtraError

READ = [{"blocks": (0, 1)}, {"blocks": (), "attention": 2}, {"reduction": 2}]


@pytest.fixture(params=READ, ids=["hidden states", "attention", "reduced"])
def detector(request, tiny_pixart):
    torch.manual_seed(0)
    settings = StudentSettings(width=16, **request.param)
    return EdgeDetector(Student(load_backbone(tiny_pixart()), settings), 64)


def test_onnx_gives_the_edges_of_torch_on_a_picture_that_is_not_square(detector, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    export_onnx(detector, tmp_path / "edges.onnx", (64, 96))
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["edges.onnx"]
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(3)).clamp(-1, 1)
    session = runtime.InferenceSession(tmp_path / "edges.onnx")
    (edges,) = session.run(None, {"image": image.numpy()})
    with torch.no_grad():
        expected = detector.student(image)[0].sigmoid().numpy()
    assert edges.shape == (1, 64, 96)
    assert np.abs(edges - expected).max() < 1e-4
    assert np.ptp(expected) > 1e-3  # a constant would be equal too


@pytest.mark.parametrize("size", [(60, 96), (16, 64)])
def test_a_size_that_is_no_grid_is_refused(detector, tmp_path, size):
    cell = detector.student.cell
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    with pytest.raises(ValueError, match=f"multiples of {cell} px, from {2 * cell} on"):
        export_onnx(detector, tmp_path / "edges.onnx", size)
    assert not (tmp_path / "edges.onnx").exists()


def test_a_missing_library_is_named(detector, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"trace-edges\[onnx\]"):
        export_onnx(detector, tmp_path / "edges.onnx", (64, 96))
