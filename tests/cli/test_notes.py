"""What was done to an image stands in the table and in its record."""

import csv
import io
import json
import tarfile

import numpy as np
import pytest
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


@pytest.mark.parametrize("to", ["folder", "tar", "parquet"])
def test_a_job_keeps_them_in_every_form_and_in_its_report(tmp_path, monkeypatch, to):
    monkeypatch.chdir(tmp_path)
    grey = np.random.default_rng(0).integers(0, 255, (48, 64), np.uint8)
    (tmp_path / "photos").mkdir()
    tifffile.imwrite("photos/stack.tif", np.stack([grey] * 5), photometric="minisblack")
    tifffile.imwrite("photos/single.tif", grey, photometric="minisblack")
    words = ["annotate", "photos", "out", "--task", "edges", "--to", to, "--workers", "0"]
    words += ["--resolution", "64", "--device", "cpu", "--quiet"]
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.output) == (0, "")
    rows = list(csv.DictReader((tmp_path / "out/report.csv").open(encoding="utf-8")))
    assert rows == [{"key": "stack", "reason": "page 1 of 5", "state": "done"}]
    if to == "folder":
        record = (tmp_path / "out/stack.json").read_bytes()
    elif to == "tar":
        with tarfile.open("out/part-000000.tar") as tar:
            record = tar.extractfile("stack.json").read()
    else:
        parquet = pytest.importorskip("pyarrow.parquet")
        table = parquet.read_table("out/part-000000.parquet").to_pylist()
        record = next(row["record"] for row in table if row["key"] == "stack")
    assert json.loads(record)["notes"] == ["page 1 of 5"]
