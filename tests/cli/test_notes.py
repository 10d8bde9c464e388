"""What was done to an image stands in the table and in its record."""

import io
import json

import numpy as np
import tifffile
from typer.testing import CliRunner

from trace_edges.cli import app


def test_page_and_transparency_stand_in_table_and_record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    grey = np.random.default_rng(0).integers(0, 255, (48, 64), np.uint8)
    content = io.BytesIO()
    tifffile.imwrite(content, np.stack([grey] * 5), photometric="minisblack")
    (tmp_path / "stack.tif").write_bytes(content.getvalue())
    done = CliRunner().invoke(app, ["detect", "stack.tif", "--out", "out"])
    assert done.exit_code == 0, done.output
    assert "page 1 of 5" in done.output
    record = json.loads((tmp_path / "out" / "stack.json").read_text(encoding="utf-8"))
    assert record["notes"] == ["page 1 of 5"]
