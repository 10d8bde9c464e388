"""Label maps, semantic maps and edge maps as others write them: the values that come out."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from typer.testing import CliRunner

from tests.formats.test_pixels import few_bits
from trace_edges.cli import app
from trace_edges.formats.pixels import stored_pixels

mask = pytest.importorskip("pycocotools.mask")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("it", "edges"):
        Path(name).mkdir()


def run(words):
    return CliRunner().invoke(app, words.split())


def cells(count, side=8):
    """A grid of cells that touch, numbered from 1."""
    rows = int(np.ceil(np.sqrt(count)))
    numbers = np.arange(1, rows * rows + 1).reshape(rows, rows)
    numbers[numbers > count] = 0
    return np.kron(numbers, np.ones((side, side), dtype=int))


def grey(values, bits):
    return few_bits(values.astype(np.uint8), bits)


@pytest.mark.parametrize(
    ("count", "name", "content"),
    [
        (3, "a.png", lambda labels: grey(labels, 2)),
        (15, "a.png", lambda labels: grey(labels, 4)),
        (255, "a.png", lambda labels: labels.astype(np.uint8)),
        (384, "a.tif", lambda labels: labels.astype(np.uint16)),
    ],
)
def test_no_label_is_lost_or_changed(count, name, content):
    labels = cells(count)
    made = content(labels)
    if isinstance(made, bytes):
        Path("it", name).write_bytes(made)
    else:
        Image.fromarray(made).save(f"it/{name}")
    Image.fromarray((labels * 0).astype(np.uint8)).save("edges/a.png")
    done = run("refine it edges --out out")
    assert (done.exit_code, done.stderr) == (0, "")
    assert f"{count} masks became {count}" in done.stdout
    after = np.asarray(stored_pixels(Path("out/a.png"))[0])
    pairs = {(int(one), int(other)) for one, other in zip(labels.flat, after.flat, strict=True)}
    assert len(pairs) == len(np.unique(labels))  # each cell is one instance, and no two are
    assert len(np.unique(after)) == len(np.unique(labels))


CLASSES = np.zeros((80, 120), dtype=int)
CLASSES[10:60, 10:90] = 1
CLASSES[62:] = 15


def semantic(values=CLASSES):
    Path("it/a.png").write_bytes(grey(values, 4))
    line = np.zeros(values.shape, dtype=np.uint8)
    line[10:60, 50] = 255
    Image.fromarray(line).save("edges/a.png")


def segments():
    (entry,) = json.loads(Path("out/panoptic.json").read_text(encoding="utf-8"))["annotations"]
    sizes = {}
    for one in entry["segments_info"]:
        sizes.setdefault(one["category_id"], []).append(one["area"])
    return sizes


def test_classes_of_four_bits_keep_their_numbers():
    semantic(np.where(CLASSES == 0, 15, CLASSES))  # 15 x 17 was void
    done = run("panoptic it edges --categories voc --out out")
    assert (done.exit_code, done.stderr) == (0, "")
    found = segments()
    assert found.keys() == {1, 15}
    assert len(found[1]) == 2
    assert sum(found[1]) == 4000
    assert sum(found[15]) == 80 * 120 - 4000


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ([(0, 0), ("1", 1), (15, False)], 2),  # the square is two things
        ([(0, "0"), (1, "0"), (15, "1")], 1),  # or one stuff
    ],
)
def test_ids_and_flags_as_text_meet_the_classes(table, parts):
    semantic()
    Path("classes.json").write_text(
        json.dumps([{"id": number, "name": f"n{number}", "isthing": thing}
                    for number, thing in table]), encoding="utf-8")  # fmt: skip
    done = run("panoptic it edges --categories classes.json --out out")
    assert (done.exit_code, done.stderr) == (0, "")
    found = segments()
    assert {one: sum(sizes) for one, sizes in found.items()} == {0: 3440, 1: 4000, 15: 2160}
    assert len(found[1]) == parts


def test_a_class_without_a_number_is_named():
    semantic()
    Path("classes.json").write_text('[{"id": null, "name": "x", "isthing": 1}]', encoding="utf-8")
    done = run("panoptic it edges --categories classes.json --out out")
    assert done.exit_code == 1
    assert "classes.json: categories[0]: id is null" in done.stderr
    assert not Path("out").exists()


LINE = np.zeros((80, 120), dtype=np.uint8)
LINE[10:60, 50] = 1
SQUARE = [10, 10, 90, 10, 90, 60, 10, 60]


def coco(*masks):
    annotations = [{"id": number, "image_id": 1, "category_id": number, "iscrowd": 0,
                    "segmentation": one} for number, one in enumerate(masks, 1)]  # fmt: skip
    content = {
        "images": [{"id": 1, "width": 120, "height": 80, "file_name": "a.jpg"}],
        "annotations": annotations,
        "categories": [{"id": number, "name": "x"} for number in range(1, 1 + len(masks))],
    }
    Path("it.json").write_text(json.dumps(content), encoding="utf-8")


EDGES = {  # pixels; what is said, None: they are edges
    "0 and 255": (LINE * 255, None),
    "with an alpha channel": (np.dstack([LINE * 255, LINE * 0 + 255]), None),
    "0 and 1": (LINE, "a.png holds only 0 and 1, not 0 ... 255: write 255 where edges are"),
    "8 bits in 16": (LINE.astype(np.uint16) * 255, "a.png holds 0 ... 255 of 0 ... 65535"),
}


@pytest.mark.parametrize("case", EDGES)
def test_edges_cut_or_are_refused(case):
    values, words = EDGES[case]
    coco([SQUARE])
    Image.fromarray(values).save("edges/a.png")
    done = run("refine it.json edges --out out.json")
    scored = run("evaluate edges edges it.json --thresholds 3 --workers 1 --out e")
    if words is None:
        assert "1 masks became 2" in done.stdout
        assert scored.exit_code == 0, scored.stderr
        return
    for result in (done, scored):
        assert result.exit_code == 1
        assert words in result.stderr
    assert not Path("out.json").exists()
    assert not Path("e/scores.json").exists()


def test_an_object_behind_a_post_stays_one_unless_it_is_to_be_split():
    left, right = [10, 10, 40, 10, 40, 60, 10, 60], [60, 10, 90, 10, 90, 60, 60, 60]
    coco([left, right], [[40, 5, 60, 5, 60, 70, 40, 70]])
    Image.fromarray(LINE * 0).save("edges/a.png")
    for option, sizes in (("", [1300, 3000]), (" --split-parts", [1300, 1500, 1500])):
        out = f"out{len(option)}.json"
        done = run(f"refine it.json edges --out {out}{option}")
        assert done.exit_code == 0, done.stderr
        entries = json.loads(Path(out).read_text(encoding="utf-8"))["annotations"]
        assert sorted(int(mask.area(one["segmentation"])) for one in entries) == sizes


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_perfect_prediction_scores_one_whatever_the_order_of_the_truth(order):
    """MATLAB's matrices lie in memory by columns."""
    labels = 1 + np.kron(np.arange(6).reshape(2, 3), np.ones((40, 40), dtype=int))
    lines = np.zeros(labels.shape, dtype=np.uint8)
    lines[40] = lines[:, [40, 80]] = 1
    Path("gt").mkdir()
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = {"Segmentation": np.asarray(labels, dtype=np.uint16, order=order),
                  "Boundaries": np.asarray(lines, order=order)}  # fmt: skip
    savemat("gt/a.mat", {"groundTruth": cell})
    Image.fromarray(lines * 255).save("edges/a.png")
    done = run("evaluate edges edges gt --thresholds 9 --workers 1 --out e --json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["methods"]["edges"]["ods"] == 1
