import csv
import json
import os

import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app
from trace_edges.cli.annotate_progress import Pace
from trace_edges.jobs import Status

FAST = ["--resolution", "64", "--device", "cpu", "--workers", "0"]


def run(*arguments):
    return CliRunner().invoke(app, ["annotate", *map(str, arguments)])


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.effect_noise((48, 32), 80).convert("RGB").save(folder / "a.png")
    (folder / "b.png").write_text("none", encoding="utf-8")
    return folder


def test_edges_of_a_folder_by_the_detector(photos, tmp_path):
    result = run(photos, tmp_path / "out", "--task", "edges", *FAST)
    assert result.exit_code == 1  # for b.png
    assert "1 done, 1 failed (2 in this run)" in result.stdout
    with (tmp_path / "out" / "report.csv").open() as file:
        ((key, reason, state),) = list(csv.reader(file))[1:]
    assert (key, "is not a JPEG" in reason, state) == ("b", True, "failed")
    assert (
        "1 done, 1 failed (0 in this run)"
        in run(photos, tmp_path / "out", "--task", "edges", *FAST).stdout
    )
    refused = run(photos, tmp_path / "out", "--task", "edges", *FAST, "--soft")
    assert refused.exit_code == 1
    assert 'kind "thin", not "soft"' in refused.stderr


def test_the_place_of_the_results_may_be_given_as_out_but_only_once(photos, tmp_path):
    out = tmp_path / "out"
    assert "1 done" in run(photos, "-o", out, "--task", "edges", *FAST).stdout
    assert (out / "a.edges.png").is_file()
    for places in ([photos], [photos, out, "--out", out]):
        refused = run(*places, "--task", "edges", *FAST)
        assert refused.exit_code == 1
        assert "give one place for the results" in refused.stderr


def test_a_report_is_written_at_the_end_and_again(photos, tmp_path):
    words = [photos, tmp_path / "out", "--task", "instances", "--to", "coco", "--quality", "fast",
             "--report", *FAST]  # fmt: skip
    for _ in range(2):
        assert run(*words).exit_code == 1  # for b.png
        page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
        assert '"name":"a.png"' in page
        assert '"open":0' in page
    refused = run(photos, tmp_path / "o", "--task", "edges", "--report", *FAST)
    assert refused.exit_code == 1
    assert "--report shows masks" in refused.stderr
    assert not (tmp_path / "o").exists()


def test_instances_are_those_of_segment(photos, tmp_path):
    (photos / "b.png").unlink()
    ways = ["--training-free", "--timestep", "0", "--subcell", "1"]
    result = run(photos, tmp_path / "out", "--task", "instances", "--to", "coco", *FAST, *ways)
    assert result.exit_code == 0, result.output
    options = ["--resolution", "64", *ways, "--device", "cpu"]
    command = ["segment", str(photos), "--out", str(tmp_path / "segment"), *options]
    CliRunner().invoke(app, command)
    ours, theirs = (
        json.loads((tmp_path / folder / "instances.json").read_text(encoding="utf-8"))[
            "annotations"
        ]
        for folder in ("out", "segment")
    )
    assert ours == theirs
    assert len(ours) > 1


@pytest.mark.parametrize("form", ["folder", "coco"])
def test_sam_redraws_and_a_model_names_and_the_report_says_it(
    photos, tmp_path, tiny_sam, tiny_namer, form
):
    (photos / "b.png").unlink()
    sam, model = tiny_sam("sam", tmp_path / "sam"), tiny_namer("siglip", tmp_path / "model")
    names = ["--class-names", "red,green", "--class-model", model]
    wanted = ["--task", "instances", "--sam", sam, "--top-k", 5, *names, *FAST]
    out = tmp_path / "out"
    result = run(photos, out, *wanted, "--to", form)
    assert result.exit_code == 0, result.output
    with (out / "report.csv").open() as file:
        ((key, note, state),) = list(csv.reader(file))[1:]
    assert (key, state) == ("a", "done")
    assert note.startswith("SAM made ")
    content = json.loads(
        (out / ("a.json" if form == "folder" else "instances.json")).read_text(encoding="utf-8")
    )
    assert [one["name"] for one in content["categories"]] == ["red", "green"]
    assert content["annotations"]
    for entry in content["annotations"]:
        assert entry["category_id"] in (1, 2)
        assert 0 <= entry["class_score"] <= 1
    if form == "folder":
        assert content["sam"]["regions"] == 5
    refused = run(photos, out, "--task", "instances", *FAST, "--to", form, "--top-k", 5)
    assert refused.exit_code == 1
    assert "sam" in refused.stderr or "class_names" in refused.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--task", "edges", "--sam", "x"], "--sam and --class-names are for --task instances"),
        (["--task", "instances", "--class-names", "a,b"], "need a model that chooses"),
        (["--task", "panoptic"], "give their folder with --semantic"),
        (["--task", "edges", "--to", "coco"], "COCO JSON cannot hold edges"),
        (["--task", "edges", "--shard", "5/4"], "shard 5/4: give 1/4 ... 4/4"),
        (["--task", "edges", "--shard", "first"], "write the first of four as 1/4"),
        (["--task", "edges", "--timestep", "9"], "add --training-free"),
        (["--task", "edges", "--training-free", "--timestep", "5000"], "timestep 5000 is outside"),
        (["--task", "edges", "--training-free", "--subcell", "3"], "does not divide the cell"),
        (["--task", "instances", "--strength", "0.2", "--count", "2"], "exclude each other"),
    ],
)
def test_wrong_options_end_in_one_line_before_anything_is_written(photos, tmp_path, options, words):
    result = run(photos, tmp_path / "out", *FAST, *options)
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if line.strip()]
    assert words in line
    assert not (tmp_path / "out").exists()


def test_the_pace_is_that_of_the_last_minute():
    now = iter([0.0, 10.0, 20.0, 200.0, 210.0])
    pace = Pace(clock=lambda: next(now))
    assert pace.line(Status(100, 0, 0, 0)).startswith("0.00 images/s, ? left, ")
    assert pace.line(Status(80, 20, 0, 20)).startswith("2.00 images/s, 0:00:40 left, ")
    pace.line(Status(60, 40, 0, 40))
    pace.line(Status(50, 50, 0, 50))
    assert pace.line(Status(10, 80, 10, 90)).startswith("4.00 images/s, 0:00:02 left, ")
    assert pace.line.__self__._memory > 1 << 20


def test_a_model_that_cannot_take_images_stops_before_the_first_one(photos, tmp_path, tiny_model):
    backbone = ("--training-free", "--backbone", tiny_model("sd15", in_channels=9))
    result = run(photos, tmp_path / "out", "--task", "edges", *FAST, *backbone)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "its unet takes 9 channels, but its VAE gives 4" in line
    assert not list((tmp_path / "out").rglob("*.csv"))


def test_reasons_are_printed_as_well(photos, tmp_path):
    result = run(photos, tmp_path / "out", "--task", "edges", *FAST, "--quiet")
    (line,) = result.stderr.splitlines()
    assert line.startswith("trace-edges: b.png: is not a JPEG")


def test_a_pipe_called_like_an_image_is_reported_and_not_waited_for(photos, tmp_path):
    os.mkfifo(photos / "c.png")
    os.symlink("/dev/zero", photos / "d.png")
    result = run(photos, tmp_path / "out", "--task", "edges", *FAST, "--quiet")
    assert result.exit_code == 1
    said = result.stderr.splitlines()
    assert len(said) == 3
    for name in ("c.png", "d.png"):
        assert any(f"{name}: is a pipe or a device" in line for line in said)
    assert (tmp_path / "out" / "a.edges.png").exists()
