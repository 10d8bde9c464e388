"""`trace-edges segment`: regions that edges enclose."""

import itertools
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app
from trace_edges.detector import EdgeDetector
from trace_edges.formats import read_coco_masks
from trace_edges.instances import instances_from_edges

from .words import FAST, SMALL, lines

pytest.importorskip("pycocotools.mask")


def run(*arguments):
    return CliRunner().invoke(app, ["segment", *map(str, arguments)])


@pytest.mark.skipif(sys.platform != "linux", reason="such names cannot be made elsewhere")
def test_a_name_that_no_list_can_hold_does_not_stop_the_others(quarters, tmp_path):
    photos, edges = quarters
    odd = [b"back\\s", b"latin-\xe9"]
    for name in odd:
        shutil.copy(photos / "g.png", os.fsdecode(os.fsencode(photos) + b"/" + name + b".png"))
        shutil.copy(edges / "g.npy", os.fsdecode(os.fsencode(edges) + b"/" + name + b".npy"))
    result = run(photos, "--edges", edges, "--out", tmp_path / "out")
    assert result.exit_code == 1
    said = [line for line in lines(result.stderr) if "the list of all images cannot hold" in line]
    assert len(said) == len(odd)
    assert [
        one["file_name"]
        for one in json.loads((tmp_path / "out/instances.json").read_bytes())["images"]
    ] == ["g.png"]


def test_every_photograph_gets_labels_an_overlay_and_a_record(photos, tmp_path):
    out = tmp_path / "out"
    result = run(photos, "--out", out, *FAST)
    assert result.exit_code == 0, result.output
    assert "2 done, 0 skipped, 0 failed" in result.stdout
    suffixes = ("instances.png", "overlay.png", "json")
    expected = {f"{name}.{end}" for name in ("coffee", "coins") for end in suffixes}
    assert {path.name for path in out.glob("[!.]*")} == expected | {"instances.json"}
    record = json.loads((out / "coffee.json").read_text(encoding="utf-8"))
    assert (record["timestep"], record["settings"]["source"]) == (0, "edges")
    assert record["settings"]["strength"] == 0.15  # a detector's edges are lower, and have 0.08
    with Image.open(out / "coffee.instances.png") as labels:
        assert labels.mode == "I;16"
        numbers = np.unique(np.asarray(labels))
    assert numbers.tolist() == list(range(1, record["instances"] + 1))  # every pixel is in one
    masks = read_coco_masks(out / "instances.json")
    assert {name: len(found) for name, found in masks.items()} == {
        name: json.loads((out / f"{name}.json").read_text(encoding="utf-8"))["instances"]
        for name in ("coffee", "coins")
    }


def test_edges_are_those_of_the_detector_unless_asked_otherwise(photos, tmp_path):
    out = tmp_path / "out"
    assert run(photos, "--out", out, *SMALL).exit_code == 0
    record = json.loads((out / "coffee.json").read_text(encoding="utf-8"))
    assert record["timestep"] is None
    assert record["settings"]["detector"]["method"] == "one-step"
    assert record["settings"]["strength"] == 0.08
    detected = EdgeDetector.from_pretrained()(photos / "coffee.jpg", detect_resolution=64)
    expected = instances_from_edges(detected.edges[0])
    with Image.open(out / "coffee.instances.png") as labels:
        assert np.array_equal(np.asarray(labels), expected.label_map)
    refused = run(photos, "--out", out, *SMALL, "--timestep", 0)
    assert "--timestep belongs to the training-free method" in refused.stderr
    refused = run(photos, "--out", out, "--edges", photos, "--training-free")
    assert "--edges gives the edges" in refused.stderr


def test_edges_that_are_there_need_no_model(quarters, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "trace_edges.training_free.pipeline.TraceEdgePipeline.from_pretrained", None
    )
    photos, edges = quarters
    for options, corners in (
        ([], [1, 2, 3, 4]),  # each in a region of its own
        (["--count", 2], [1, 2, 1, 2]),
        (["--strength", 0.9], [1, 1, 1, 1]),
        (["--find", "areas"], [1, 2, 3, 4]),
        (["--count", 2, "--min-area", 0.5], [1, 0, 1, 0]),
    ):
        out = tmp_path / "_".join(map(str, ["out", *options]))
        result = run(photos, "--out", out, "--edges", edges, *options)
        assert result.exit_code == 0, result.output
        (found,) = read_coco_masks(out / "instances.json").values()
        drawn = found.label_map[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert len(found) == max(corners), options
        # Which of two regions comes first, by a few pixels of the line between them, is not said.
        assert [drawn.tolist().index(n) for n in drawn] == [corners.index(n) for n in corners]


def test_candidates_are_the_likeliest_and_ground_is_marked_or_left_out(quarters, tmp_path):
    photos, edges = quarters
    command = [photos, "--edges", edges, "--find", "candidates"]
    for options, count, names in (
        (["--top-k", 3], 3, ["object"]),
        (["--ground", "mark"], 6, ["object", "ground"]),
        (["--ground", "remove"], 4, ["object"]),  # two halves touch three sides each
        (["--min-score", 0.99], 0, ["object"]),
    ):
        out = tmp_path / options[-1] if isinstance(options[-1], str) else tmp_path / options[0][2:]
        result = run(*command, "--out", out, *options)
        assert result.exit_code == 0, result.output
        content = json.loads((out / "instances.json").read_text(encoding="utf-8"))
        scores = [entry["score"] for entry in content["annotations"]]
        assert (len(scores), scores) == (count, sorted(scores, reverse=True)), options
        assert [one["name"] for one in content["categories"]] == names
        if "ground" in names:
            kinds = sorted(entry["category_id"] for entry in content["annotations"])
            assert kinds == [1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("record", "strength"),
    [
        ({"settings": {"method": "training-free"}}, 0.15),
        ({"settings": {"method": "training-free", "calibration": "01"}}, 0.07),
        ({"settings": {"method": "one-step", "backbone": "trace-mini"}}, 0.05),
        ({"settings": {"method": "one-step", "backbone": None}}, 0.08),
        ({"settings": []}, 0.08),
        (None, 0.08),
    ],
)
def test_the_usual_strength_is_that_of_what_made_the_edges(quarters, tmp_path, record, strength):
    photos, edges = quarters
    if record is not None:
        (edges / "g.json").write_text(json.dumps(record), encoding="utf-8")
    assert run(photos, "--out", tmp_path / "out", "--edges", edges).exit_code == 0
    found = json.loads((tmp_path / "out" / "g.json").read_text(encoding="utf-8"))
    assert found["settings"]["strength"] == strength


def test_regions_of_several_levels_are_alternatives(quarters, tmp_path):
    photos, edges = quarters
    result = run(photos, "--out", tmp_path, "--edges", edges, "--levels", "0.01,0.5,0.9")
    assert result.exit_code == 0, result.output
    (found,) = read_coco_masks(tmp_path / "instances.json").values()
    assert len(found) == 7  # four quarters, two halves, and the whole
    assert found.masks[:, 0, 0].sum() == 3


def test_what_is_there_is_skipped_and_still_listed(quarters, tmp_path):
    photos, edges = quarters
    command = [photos, "--out", tmp_path / "out", "--edges", edges]
    run(*command)
    summary = (tmp_path / "out" / "instances.json").read_bytes()
    (tmp_path / "out" / "instances.json").unlink()
    assert "0 done, 1 skipped, 0 failed" in run(*command).stdout
    assert (tmp_path / "out" / "instances.json").read_bytes() == summary
    assert (
        "strength 0.08 instead of strength 0.5: --overwrite"
        in run(*command, "--strength", 0.5).stderr
    )
    assert "1 done" in run(*command, "--overwrite").stdout
    (tmp_path / "out" / "g.json").unlink()
    assert "1 done" in run(*command).stdout


def test_bad_files_are_reported_and_the_rest_is_done(quarters, tmp_path):
    photos, edges = quarters
    (photos / "text.png").write_text("hello", encoding="utf-8")
    Image.new("RGB", (41, 41)).save(photos / "lost.png")
    Image.new("RGB", (41, 50)).save(photos / "tall.png")
    np.save(edges / "tall.npy", np.zeros((41, 41)))
    result = run(photos, "--out", tmp_path / "out", "--edges", edges, "--json")
    assert result.exit_code == 1
    states = {Path(o["image"]).stem: o["state"] for o in map(json.loads, lines(result.stdout))}
    assert states == {"g": "done", "lost": "failed", "tall": "failed", "text": "failed"}
    assert len(lines(result.stderr)) == 3
    for words in ("no edge map of lost", "tall: its edges are (41, 41)", "text.png"):
        assert words in result.stderr
    assert read_coco_masks(tmp_path / "out" / "instances.json").keys() == {"g"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--find", "candidates", "--count", 2], "candidates are regions of all strengths"),
        (["--count", 2, "--strength", 0.3], "exclude each other"),
        (["--levels", "0.1,0.2", "--count", 2], "exclude each other"),
        (
            ["--levels", "0.1;0.2"],
            "is not a list of strengths: write them as 0.03,0.06,0.125, or how many there",
        ),
        (["--levels", "0.1,nan"], "--levels must lie in [0, 1], not nan"),
        (["--levels", "1"], "give a number of levels of 2 to 100"),
        (["--levels", "65536"], "give a number of levels of 2 to 100"),
        (["--strength", 2], "strength must lie in [0, 1]"),
        (["--count", 9], "the edges give 1 to 4 regions, not 9"),
        (["--masks", "maskcut", "--count", 2], "choose among regions of edges"),
        (["--encoder", "dino-vitb8"], "are for maskcut and promerge"),
        (["--masks", "maskcut", "--encoder", "nothing"], "encoder 'nothing'"),
        (["--points", 3], "--prompts and --points are for SAM: give --sam"),
        (["--prompts", "boxes"], "--prompts and --points are for SAM: give --sam"),
        (["--class-names", "cat,dog"], "several class names need a model"),
        (["--class-names", "cat, cat"], "--class-names has 'cat' twice"),
        (["--class-names", ","], "names no class"),
        (["--class-model", "openai/clip"], "chooses among --class-names: give them too"),
        (["--class-names", "a,b", "--class-model", "x"], "class model 'x' is neither a folder"),
        (["--sam", "sam-vit-base"], "SAM 'sam-vit-base' is neither a folder nor a hub id"),
        (["--sam", "TINY", "--prompts", "box"], "unknown prompts 'box': give points, boxes"),
    ],
)
def test_wrong_options_end_in_one_line(quarters, tiny_sam, tmp_path, options, words):
    photos, edges = quarters
    if "TINY" in options:
        (tmp_path / "sam").mkdir()
        options = [*options, "--sam", tiny_sam("sam", tmp_path / "sam")]
    result = run(photos, "--out", tmp_path / "out", "--edges", edges, *options, "--quiet")
    assert result.exit_code == 1
    (line,) = lines(result.stderr)
    assert words in line
    assert not (tmp_path / "out").exists()


def test_thin_lines_with_gaps_are_refused_with_what_to_do(quarters, tmp_path):
    photos, edges = quarters
    open_lines = np.zeros((41, 41), dtype=np.float32)
    open_lines[8, 5:30] = open_lines[20:36, 30] = open_lines[30, 4:20] = 1  # they enclose nothing
    np.save(edges / "g.npy", open_lines)
    command = [photos, "--edges", edges, "--quiet"]
    refused = run(*command, "--out", tmp_path / "refused")
    assert refused.exit_code == 1
    (line,) = lines(refused.stderr)
    for words in ("thin lines with gaps", "detect --soft", "--blur 2"):
        assert words in line
    advised = run(*command, "--out", tmp_path / "out", "--blur", 2, "--find", "candidates")
    assert advised.exit_code == 0, advised.output
    assert len(read_coco_masks(tmp_path / "out" / "instances.json")["g"]) > 1


def test_results_do_not_cover_the_edges_or_the_list(quarters, tmp_path):
    photos, edges = quarters
    assert (
        "which this command reads: give another place"
        in run(photos, "--out", edges, "--edges", edges).stderr
    )
    Image.new("RGB", (41, 41)).save(photos / "instances.png")
    assert "rename it" in run(photos, "--out", tmp_path / "out", "--edges", edges).stderr


@pytest.mark.parametrize("option", ["--count", "--top-k"])
def test_no_regions_at_all_cannot_be_meant(quarters, tmp_path, option):
    photos, edges = quarters
    refused = run(photos, "--out", tmp_path / "out", "--edges", edges, option, 0)
    assert refused.exit_code == 1
    assert refused.stderr == f"trace-edges: {option} must lie in [1, 65535], not 0\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *itertools.product(["annotations"], [None, 5, [5], [{"id": 3}], "x"]),
        *itertools.product(["height", "width"], [None, "x", -1, [40]]),
    ],
)
def test_what_is_left_of_a_record_is_not_listed(key, value, quarters, tmp_path):
    photos, edges = quarters
    shutil.copy(photos / "g.png", photos / "h.png")
    shutil.copy(edges / "g.npy", edges / "h.npy")
    command = (photos, "--edges", edges, "--out", tmp_path / "out")
    assert run(*command).exit_code == 0
    path = tmp_path / "out" / "g.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record |= {key: value}
    if value is None:
        record.pop(key)
    path.write_text(json.dumps(record), encoding="utf-8")
    again = run(*command)
    assert (again.exit_code, lines(again.stderr)) == (1, [
        f"trace-edges: {path} is not a record of trace-edges, and is not replaced: move it away, "
        "or give another place for the results"
    ])  # fmt: skip
    listed = json.loads((tmp_path / "out" / "instances.json").read_text(encoding="utf-8"))
    assert [image["file_name"] for image in listed["images"]] == ["h.png"]
