"""Results that are there are of this very image and of the kind asked for, or it is said."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app

pytest.importorskip("pycocotools.mask")

FAST = ("--training-free", "--resolution", "64", "--subcell", "1", "--timestep", "0")
FAST = (*FAST, "--device", "cpu")


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def photograph(path, seed):
    path = Path(path)
    path.parent.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Two days with photographs of one name, and edges of the first."""
    monkeypatch.chdir(tmp_path)
    photograph("day1/img.png", 1)
    photograph("day2/img.png", 2)
    assert run("detect", "day1", "--out", "e", *FAST).exit_code == 0


def test_the_same_command_finds_its_work_done():
    result = run("detect", "day1", "--out", "e", *FAST)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "0 done, 1 skipped, 0 failed" in result.stdout


def test_the_same_command_finds_the_work_of_another_backbone_done(tiny_model):
    """One without a half_edge of its own, so that every map has another."""
    words = ("--backbone", tiny_model("sd15"), *FAST[1:])
    assert run("detect", "day1", "--out", "other", *words).exit_code == 0
    result = run("detect", "day1", "--out", "other", *words)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "0 done, 1 skipped, 0 failed" in result.stdout


def test_edges_of_another_folder_are_not_taken_for_those_of_this_one():
    before = Path("e/img.edges.png").read_bytes()
    result = run("detect", "day2", "--out", "e", *FAST)
    assert result.exit_code == 1
    assert "e/img.json belongs to another image (day1/img.png, not day2/img.png)" in result.stderr
    assert "give another place for the results, or --overwrite" in result.stderr
    assert Path("e/img.edges.png").read_bytes() == before
    assert run("detect", "day2", "--out", "e", *FAST, "--overwrite").exit_code == 0
    assert Path("e/img.edges.png").read_bytes() != before
    assert run("detect", "day2", "--out", "e", *FAST).exit_code == 0


def test_a_photograph_replaced_under_its_name_is_seen():
    length = os.path.getsize("day1/img.png")
    photograph("day1/img.png", 3)
    with Path("day1/img.png").open("ab") as file:
        file.write(b"\0" * max(0, length - os.path.getsize("day1/img.png")))  # as long as before
    assert "belongs to another image" in run("detect", "day1", "--out", "e", *FAST).stderr


def test_a_copy_of_a_photograph_is_the_same_photograph():
    Path("moved").mkdir()
    shutil.copyfile("day1/img.png", "moved/img.png")  # with a new date
    assert "1 skipped" in run("detect", "moved", "--out", "e", *FAST).stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--soft"], "edges of kind thin, not soft"),
        (["--format", "png16"], "edges of format png, not png16"),
        (["--format", "npy"], "edges of format png, not npy"),
    ],
)
def test_edges_of_another_kind_or_format_are_refused(options, words):
    result = run("detect", "day1", "--out", "e", *FAST, *options)
    assert result.exit_code == 1
    assert words in result.stderr
    assert run("detect", "day1", "--out", "e", *FAST, *options, "--overwrite").exit_code == 0
    assert len(list(Path("e").glob("img.edges.*"))) == 1  # the older map is gone


def test_an_option_that_is_left_out_the_second_time_is_said():
    named = run("segment", "day1", "--out", "s", "--edges", "e", "--class-names", "dog")
    assert named.exit_code == 0
    said = run("segment", "day1", "--out", "s", "--edges", "e").stderr
    assert "was made with class_names ['dog'] instead of no class_names: --overwrite" in said


def test_other_weights_under_one_name_are_said():
    record = json.loads(Path("e/img.json").read_text(encoding="utf-8"))
    record["settings"]["weights"] = "0123"
    Path("e/img.json").write_text(json.dumps(record), encoding="utf-8")
    said = run("detect", "day1", "--out", "e", *FAST).stderr
    assert "was made with weights 0123 instead of " in said
    assert "--overwrite" in said


def test_a_record_of_an_earlier_version_is_known_and_kept():
    record = json.loads(Path("e/img.json").read_text(encoding="utf-8"))
    del record["image_file"], record["command"], record["format"], record["settings"]["weights"]
    Path("e/img.json").write_text(json.dumps(record), encoding="utf-8")
    Path("e/.trace-edges").unlink()
    before = {path.name: path.read_bytes() for path in Path("e").iterdir()}
    result = run("detect", "day1", "--out", "e", *FAST)
    assert result.exit_code == 0
    assert "1 skipped" in result.stdout
    assert "e/img.json does not say which file it is of" in result.stderr
    run("detect", "day1", "--out", "e", *FAST, "--overwrite")
    assert {path.name: path.read_bytes() for path in Path("e").iterdir()} == before


def test_a_list_of_instances_has_no_masks_of_another_image():
    assert run("segment", "day1", "--out", "s", "--edges", "e").exit_code == 0
    before = Path("s/instances.json").read_bytes()
    photograph("day2/more.png", 4)
    result = run("segment", "day2", "--out", "s", "--edges", "e")
    assert result.exit_code == 1
    assert "s/img.json belongs to another image" in result.stderr
    assert Path("s/instances.json").read_bytes() == before


def test_images_that_a_list_no_longer_has_are_said():
    shutil.copyfile("day1/img.png", "day1/more.png")
    run("detect", "day1", "--out", "e", *FAST)
    assert run("segment", "day1", "--out", "s", "--edges", "e").stderr == ""
    said = run("segment", "day1/img.png", "--out", "s", "--edges", "e")
    assert said.exit_code == 0
    assert "s/instances.json listed 1 more images before, whose results stay" in said.stderr
    assert run("segment", "day1", "--out", "s", "--edges", "e").stderr == ""


def test_edges_of_another_image_are_not_taken_for_masks():
    result = run("segment", "day2", "--out", "s", "--edges", "e")
    assert result.exit_code == 1
    assert "e/img.json" in result.stderr
    assert "belongs to another image (day1/img.png, not day2/img.png)" in result.stderr
    assert not Path("s/img.json").exists()
