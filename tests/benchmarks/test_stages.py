"""The stages at a size of a few cells: every one has its time."""

import pytest
import torch
from torch.nn import functional as F

from benchmarks.speed.peers import Hed, PiDiNet
from benchmarks.speed.stages import gflop, measure, report
from trace_edges.drawing.visualize import grey_image


def test_every_stage_is_measured(tmp_path):
    path = tmp_path / "ramp.png"
    grey_image(torch.linspace(0, 1, 64 * 64).reshape(64, 64).numpy()).save(path)
    rows = measure(path, 64, 1)
    assert all(row["seconds"] > 0 for row in rows.values())
    assert all(rows[name]["gflop"] > 0 for name in ("network", "trace-mini: pass", "HED's shape"))
    assert rows["write"]["gflop"] == 0
    record = {
        "machine": "m", "peaks_gflop_s": {"matmul": 1.0, "convolution": 1.0},
        "start": {"import": 1.0}, "sizes": {64: rows},
    }  # fmt: skip
    assert report(record).count("\n|") == len(rows) + 2


@torch.inference_mode()
def test_attention_on_a_cpu_is_counted():
    q = torch.ones(1, 2, 100, 16)  # two products of 2 x 100 x 100 x 16 multiplications
    counted = gflop(lambda: F.scaled_dot_product_attention(q, q, q))
    assert counted == pytest.approx(2 * 2 * 2 * 100 * 100 * 16 / 1e9)


@torch.inference_mode()
def test_operations_are_those_of_vgg16():
    images = torch.zeros(1, 3, 224, 224)
    assert gflop(lambda: Hed()(images)) == pytest.approx(30.7, rel=0.01)  # 15.35 G multiplications
    assert PiDiNet()(images).shape == (1, 1, 224, 224)
