"""`trace-edges evaluate edges` as it is typed."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app
from trace_edges.metrics.boundaries import boundaries_from_labels

pytest.importorskip("matplotlib")
runner = CliRunner()


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Three photographs of a square, label maps, and edge maps that are exactly right."""
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "labels", "maps"):
        (tmp_path / folder).mkdir()
    for seed, name in enumerate("abc"):
        labels = np.zeros((60, 80), dtype=np.uint8)
        labels[10 : 40 + seed, 20:50] = 1
        Image.fromarray(labels).save(f"labels/{name}.png")
        Image.fromarray(labels * 180 + 20).save(f"photos/{name}.png")
        Image.fromarray(boundaries_from_labels(labels)).save(f"maps/{name}.png")
    return tmp_path


def evaluate(*arguments):
    return runner.invoke(app, ["evaluate", "edges", *arguments, "--workers", "1"])


def test_methods_and_peers_in_one_table(data):
    peers = ("--images", "photos", "--peer", "canny", "--max-distance", "0.03")
    run = evaluate("maps", "again=maps", "labels", *peers)
    assert run.exit_code == 0, run.output
    rows = {line.split()[0]: line.split()[1:] for line in run.output.splitlines()[1:4]}
    assert rows["maps"] == rows["again"] == ["1.000"] * 3 + ["1.000"] * 2
    assert float(rows["canny"][0]) > 0.95  # a clean square, to within three pixels
    assert "3 images; one-to-one matching" in run.output
    assert {path.name for path in (data / "evaluation").glob("[!.]*")} == {
        "calibration", "counts", "peers", "scores.json", "table.md", "curves.csv", "curves.png",
        "sheet.png",
    }  # fmt: skip


def test_json_is_the_stored_record(data):
    run = evaluate("maps", "labels", "--json", "--out", "scores", "--gt-mode", "thick")
    record = json.loads(run.output)
    assert record == json.loads((data / "scores/scores.json").read_text(encoding="utf-8"))
    assert record["protocol"]["gt_mode"] == "thick"
    assert record["methods"]["maps"]["ods"] < 0.8  # a perfect line matches one of two sides


def test_a_missing_map_is_said_and_the_rest_is_scored(data):
    (data / "maps/b.png").unlink()
    run = evaluate("maps", "labels")
    assert run.exit_code == 1
    assert "maps holds no edge map of b" in run.output
    assert "2 images;" in run.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["labels"], "nothing to score"),
        (["maps", "labels", "--peer", "hed"], "--images"),
        (["maps", "labels", "--peer", "hed", "--images", "photos"], "canny, sobel, felzenszwalb"),
        (
            ["labels", "--peer", "canny", "--images", "maps/a.png"],
            "lacks 2 of 3 photographs, first b",
        ),
        (["maps", "maps", "labels"], "two methods are called 'maps'"),
        (["maps", "nowhere"], "nowhere"),
        (["nowhere", "labels"], "no such folder"),
        (["maps", "labels", "--gt-mode", "given"], "without drawn boundaries"),
    ],
)
def test_what_does_not_fit_is_one_line(data, arguments, message):
    run = evaluate(*arguments)
    assert run.exit_code == 1
    assert message in run.output
    assert len(run.output.splitlines()) == 1
