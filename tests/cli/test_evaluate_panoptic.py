import json

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli.evaluate_segments import panoptic

app = typer.Typer()
app.command()(panoptic)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(path, widths, categories):
    """One picture of 10 x 10 px, its segments side by side."""
    path.with_suffix("").mkdir()
    ids = np.repeat(np.arange(1, len(widths) + 1), widths)
    colours = np.zeros((10, 10, 3), dtype=np.uint8)
    colours[..., 0] = ids
    Image.fromarray(colours).save(path.with_suffix("") / "a.png")
    segments = [{"id": id, "category_id": c} for id, c in enumerate(categories, 1)]
    entry = {"image_id": 1, "file_name": "a.png", "segments_info": segments}
    kinds = [{"id": 1, "isthing": 1}, {"id": 2, "isthing": 0}, {"id": 3, "isthing": 1}]
    path.write_text(json.dumps({"annotations": [entry], "categories": kinds}), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path):
    """A thing of 60 px split in 40 and 20 (PQ 2/3 / 1.5 = 4/9), and stuff that is right."""
    prediction = write(tmp_path / "prediction.json", (4, 2, 4), (1, 1, 2))
    return prediction, write(tmp_path / "truth.json", (6, 4), (1, 2))


def test_the_table_says_how_it_was_scored(files):
    result = run(*files)
    assert result.exit_code == 0, result.output
    _, *rows, protocol = result.stdout.splitlines()
    assert [row.split() for row in rows] == [
        ["all", "72.22", "83.33", "83.33", "2"],
        ["things", "44.44", "66.67", "66.67", "1"],
        ["stuff", "100.00", "100.00", "100.00", "1"],
    ]
    assert (
        "protocol coco, for 1 images. The scores are means over the 2 of 3 classes that occur"
        in protocol
    )


def test_json_and_file_hold_numbers_protocol_and_versions(files, tmp_path):
    out = tmp_path / "new" / "scores.json"
    result = run(*files, "--json", "--out", out)
    record = json.loads(result.stdout)
    assert record == json.loads(out.read_text(encoding="utf-8"))
    assert record["things"]["pq"] == pytest.approx(4 / 9)
    assert [one["pq"] for one in record["per_class"]] == pytest.approx([4 / 9, 1, None])
    assert (record["protocol"], record["images"]) == ("coco", 1)
    assert record["files"] == {"predictions": str(files[0]), "ground_truth": str(files[1])}
    assert {"trace-edges", "numpy"} <= record["versions"].keys()


def test_folders_can_be_named(files, tmp_path):
    files[0].with_suffix("").rename(tmp_path / "elsewhere")
    result = run(*files)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "there is no such folder" in line
    assert run(*files, "--prediction-folder", tmp_path / "elsewhere").exit_code == 0


def test_the_protocol_is_held_to(files):
    result = run(*files, "--protocol", "voc")
    assert result.exit_code == 1
    assert "20 things and one stuff class, the background, not 2 and 1" in result.stderr
