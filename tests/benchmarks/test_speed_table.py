"""The table of speed at a size of a few cells: every stage has its time."""

import pytest
import torch

from benchmarks.speed.table import Hed, PiDiNet, gflop, measure, table
from trace_edges.drawing.visualize import grey_image


def test_every_stage_is_measured(tmp_path):
    path = tmp_path / "ramp.png"
    grey_image(torch.linspace(0, 1, 64 * 64).reshape(64, 64).numpy()).save(path)
    rows = measure(path, 64, 1)
    assert all(row["seconds"] > 0 for row in rows.values())
    assert all(rows[name]["gflop"] > 0 for name in ("encoder", "pass", "decoder", "Hed's shape"))
    assert rows["write"]["gflop"] == 0
    record = {"machine": "m", "peaks_gflop_s": {"matmul": 1.0, "convolution": 1.0}, "rows": rows}
    assert table(record).count("\n|") == len(rows) + 2


@torch.inference_mode()
def test_operations_are_those_of_vgg16():
    images = torch.zeros(1, 3, 224, 224)
    assert gflop(lambda: Hed()(images)) == pytest.approx(30.7, rel=0.01)  # 15.35 G multiplications
    assert PiDiNet()(images).shape == (1, 1, 224, 224)
