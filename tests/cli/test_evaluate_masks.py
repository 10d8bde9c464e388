import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from trace_edges.cli.evaluate_segments import masks

coder = pytest.importorskip("pycocotools.mask")
app = typer.Typer()
app.command()(masks)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def files(tmp_path):
    """Results, and their truth: two squares of which one is found exactly, the other not at all."""
    squares = np.zeros((2, 20, 20), dtype=np.uint8)
    squares[0, :8, :8] = squares[1, 10:, 10:] = 1
    rles = [coder.encode(np.asfortranarray(square)) for square in squares]
    entries = [
        {
            "id": id,
            "image_id": 1,
            "category_id": id,
            "segmentation": {"size": [20, 20], "counts": rle["counts"].decode()},
            "iscrowd": 0,
        }
        for id, rle in enumerate(rles, 1)
    ]
    truth, results = tmp_path / "truth.json", tmp_path / "results.json"
    images = [{"id": 1, "height": 20, "width": 20}]
    truth.write_text(json.dumps({"images": images, "annotations": entries}), encoding="utf-8")
    results.write_text(json.dumps(entries[:1]), encoding="utf-8")
    return results, truth


def test_the_table_says_how_it_was_scored(files):
    result = run(*files, "--score", "constant", "--backend", "pycocotools")
    assert result.exit_code == 0, result.output
    header, row, *protocol = result.stdout.splitlines()
    assert "AR@100" in header
    # Recall 1/2 at precision 1 is 51 of 101 samples; no true mask is larger than small.
    assert row.split() == ["50.50", "50.50", "50.50", "50.50", "-", "-", "50.00"]
    for words in ("1 masks against 2", "one category", "constant", "pycocotools"):
        assert words in " ".join(protocol)


def test_json_and_file_hold_numbers_protocol_and_versions(files, tmp_path):
    out = tmp_path / "new" / "scores.json"
    result = run(*files, "--score", "area", "--json", "--out", out)
    record = json.loads(result.stdout)
    assert record == json.loads(out.read_text(encoding="utf-8"))
    assert record["ap"] == pytest.approx(51 / 101)
    assert (record["ap_large"], record["ar100"]) == (None, 0.5)
    assert (record["score"], record["iou_type"], record["max_detections"]) == ("area", "segm", 100)
    assert record["files"]["predictions"] == str(files[0])
    assert {"trace-edges", "numpy", record["backend"]} <= record["versions"].keys()


def test_missing_scores_end_in_one_line(files, tmp_path):
    out = tmp_path / "scores.json"
    result = run(*files, "--out", out)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "1 of 1 predictions have no score" in line
    assert not out.exists()


def test_corrected_masks_are_compared_with_what_they_were_made_of(files):
    _, truth = files
    found = run(truth, "--against", truth)
    assert found.exit_code == 0, found.output
    assert "2 pre-labels became 2 masks in 1 images: 2 kept, 0 adjusted" in found.stdout
    assert "0 clicks (0.0 minutes)" in " ".join(found.stdout.split())
    record = json.loads(run(truth, "--against", truth, "--json", "--suggestions").stdout)
    assert (record["kept"], record["clicks"]) == (2, 2)
    for arguments in ((truth,), (truth, truth, "--against", truth)):
        refused = run(*arguments)
        assert refused.exit_code == 1
        assert "give the ground truth as second argument" in refused.stderr
