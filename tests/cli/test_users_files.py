"""Whatever a command is told to write, what is not its own stays: the bytes of a folder of the
user's are compared before and after.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.corpus.harness import digests
from trace_edges.cli import app

pytest.importorskip("pycocotools.mask")

FAST = ("--training-free", "--resolution", "64", "--subcell", "1", "--timestep", "0")
FAST = (*FAST, "--device", "cpu")
JOB = ("--workers", "0", "--resolution", "64", "--device", "cpu")
SQUARE = [[4, 4, 4, 20, 20, 20, 20, 4]]
IMAGE = {"id": 1, "file_name": "cat.png", "height": 32, "width": 32}
MASK = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": SQUARE, "iscrowd": 0,
        "area": 256, "bbox": [4, 4, 16, 16]}  # fmt: skip
COCO = {"images": [IMAGE], "annotations": [MASK], "categories": [{"id": 1, "name": "cat"}]}
LABELME = {"version": "5.4.1", "shapes": [], "imagePath": "cat.png", "imageData": None}


def run(*words):
    return CliRunner().invoke(app, list(map(str, words)))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Photographs with annotations of the user's beside them, edges, masks and label maps."""
    monkeypatch.chdir(tmp_path)
    for folder in ("photos", "edges", "labels", "semantic"):
        Path(folder).mkdir()
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        picture = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(picture).save(f"photos/{name}.png")
    Path("photos/cat.json").write_text(json.dumps(LABELME), encoding="utf-8")
    labels = np.zeros((32, 32), dtype=np.uint8)
    labels[4:20, 4:20] = 1
    Image.fromarray(labels * 0).save("edges/cat.png")
    Image.fromarray(labels).save("labels/cat.png")
    Image.fromarray(labels).save("semantic/cat.png")
    Path("masks.json").write_text(json.dumps(COCO), encoding="utf-8")
    Path("images.json").write_text(json.dumps(COCO), encoding="utf-8")
    result = {key: MASK[key] for key in ("image_id", "category_id", "segmentation")}
    Path("results.json").write_text(json.dumps([{**result, "score": 0.5}]), encoding="utf-8")
    return tmp_path


def refused(here, words, *parts):
    """The command says in one line what it does not replace, and nothing of the user's changes."""
    before = digests(here)
    result = run(*words)
    after = digests(here)
    assert result.exit_code == 1, result.output
    lines = [line for line in result.stderr.splitlines() if all(part in line for part in parts)]
    assert len(lines) == 1, result.output
    assert {name: after.get(name) for name in before} == before
    return result


def test_annotations_beside_a_photograph_stay_and_the_rest_is_done(here):
    said = refused(here, ("detect", "photos", "--out", "photos", *FAST),
                   "photos/cat.json", "is not a record of", "another place")  # fmt: skip
    assert "1 done, 0 skipped, 1 failed" in said.stdout
    assert Path("photos/dog.edges.png").exists()
    assert not Path("photos/cat.edges.png").exists()
    again = run("detect", "photos", "--out", "photos", *FAST, "--overwrite")
    assert "1 done, 0 skipped, 1 failed" in again.stdout
    assert json.loads(Path("photos/cat.json").read_text(encoding="utf-8")) == LABELME


@pytest.mark.parametrize("name", ["cat.edges.png", "cat.overlay.png"])
def test_maps_drawn_by_hand_stay(here, name):
    Path("out").mkdir()
    Path("out", name).write_bytes(b"drawn by hand")
    refused(here, ("detect", "photos/cat.png", "--out", "out", *FAST), f"out/{name}", "not written")


def test_an_image_that_would_be_a_result_stays(here):
    shutil.copy("photos/dog.png", "photos/cat.edges.png")
    words = ("detect", "photos/cat.png", "photos/cat.edges.png", "--out", "photos/../photos")
    Path("photos/cat.json").unlink()
    refused(here, (*words, *FAST, "--overwrite"), "cat.edges.png is an input")


def test_the_users_list_of_instances_stays(here):
    Path("photos/instances.json").write_text(json.dumps(COCO), encoding="utf-8")
    words = ("segment", "photos", "--out", "photos", "--edges", "edges")
    said = refused(here, words, "photos/instances.json", "not written by trace-edges segment")
    assert "done" not in said.output  # before any image is read


def test_one_verb_does_not_replace_the_results_of_another(here):
    assert run("detect", "photos/dog.png", "--out", "p", *FAST).exit_code == 0
    for overwrite in ((), ("--overwrite",)):
        words = ("segment", "photos/dog.png", "--out", "p", *FAST, *overwrite)
        refused(here, words, "p/dog", "trace-edges detect")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("refine labels edges --out edges", "edges"),
        ("refine labels edges --out labels", "labels"),
        ("refine labels edges --out edges/../labels/new", "labels"),
        ("refine masks.json edges --out masks.json", "masks.json"),
        ("refine results.json edges --image-list images.json --out images.json", "images.json"),
        ("refine results.json edges --image-list images.json --out linked.json", "linked.json"),
        ("refine results.json edges --image-list images.json --out edges/r.json", "edges/r.json"),
        ("refine masks.json edges --out users.json", "users.json"),
        ("refine masks.json edges --out users.png", "users.settings.json"),
        ("panoptic semantic edges --things 1 --out . --semantic-pngs", "semantic/cat.png"),
        ("panoptic semantic edges --things 1 --out edges", "edges"),
        ("panoptic semantic edges --things 1 --out users", "users/settings.json"),
        ("evaluate masks results.json masks.json --out masks.json", "masks.json"),
        ("evaluate masks results.json masks.json --out users.json", "users.json"),
        ("evaluate edges edges labels --out edges", "edges"),
        ("evaluate edges edges labels --out users", "users/scores.json"),
        ("evaluate boundaries labels --out labels", "labels"),
        ("evaluate boundaries labels --out users", "users/cat.png"),
        ("explain photos/cat.png --out photos/cat.png", "photos/cat.png"),
        ("explain photos/cat.png --out users/cat.png", "users/cat.png"),
        ("segment photos/dog.png --edges edges --out edges", "edges"),
        ("distill photos --config toy --out users", "users/config.json"),
        ("distill photos --config toy --teacher edges --out edges", "edges"),
    ],
)
def test_no_input_and_no_file_of_the_users_is_replaced(here, words, named):
    Path("users").mkdir()
    for name in (
        "users.json",
        "users.settings.json",
        "users/settings.json",
        "users/scores.json",
        "users/config.json",
    ):
        Path(name).write_text('{"mine": true}', encoding="utf-8")
    shutil.copy("labels/cat.png", "users/cat.png")
    Path("linked.json").symlink_to("images.json")
    refused(here, words.split(), named)


@pytest.mark.parametrize(
    "words",
    [
        "refine labels edges --out new",
        "refine masks.json edges --out new.json",
        "panoptic semantic edges --things 1 --out new --semantic-pngs",
        "evaluate masks results.json masks.json --out new.json",
        "evaluate edges edges labels --out new",
        "evaluate boundaries labels --out new",
    ],
)
def test_the_same_command_may_be_given_again(here, words):
    for _ in range(2):
        result = run(*words.split())
        assert result.exit_code == 0, result.output


@pytest.mark.parametrize("verb", ["detect", "segment", "annotate"])
@pytest.mark.parametrize("out", ["images.json", "images.json/below"])
def test_a_file_in_the_place_of_the_folder_of_results_is_named(here, verb, out):
    words = {"annotate": ("annotate", "photos", out, "--task", "edges", *JOB)}
    said = refused(here, words.get(verb, (verb, "photos", "--out", out, *FAST)),
                   "images.json", "is not a folder")  # fmt: skip
    assert len(said.stderr.splitlines()) == 1


def test_names_of_any_bytes_and_links_to_the_input(here):
    picture = Path("photos/cat.png").read_bytes()
    for name in (b"odd/new\nline.png", b"odd/sur\xffrogate.png", b"odd/-dash.png"):
        Path("odd").mkdir(exist_ok=True)
        with open(name, "wb") as file:
            file.write(picture)
    Path("link").symlink_to("odd")
    for out in ("results", "link", "link"):  # the third time all is there
        before = digests(here / "odd")
        result = run("detect", "odd", "--out", out, *FAST)
        assert result.exit_code == 0, result.output
        after = digests(here / "odd")
        assert {name: after[name] for name in before} == before
    assert "3 skipped" in result.stdout
    names = {os.fsencode(path.name) for path in Path("results").glob("*.edges.png")}
    assert names == {b"new\nline.edges.png", b"sur\xffrogate.edges.png", b"-dash.edges.png"}


def test_an_edited_record_and_a_removed_result(here):
    words = ("detect", "photos/dog.png", "--out", "e", *FAST)
    assert run(*words).exit_code == 0
    record, edges = Path("e/dog.json"), Path("e/dog.edges.png")
    content = edges.read_bytes()
    edges.unlink()
    assert run(*words).exit_code == 0  # a removed one is made again
    assert edges.read_bytes() == content
    record.write_text(record.read_text(encoding="utf-8") + " ", encoding="utf-8")
    edges.unlink()
    refused(here, words, "e/dog.json", "was changed since trace-edges detect wrote it")
    assert run(*words, "--overwrite").exit_code == 0
    assert edges.read_bytes() == content


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("annotate photos users --task edges", "users/report.csv"),
        ("annotate users.json . --images photos --task instances --to coco", "instances.json"),
        ("annotate photos semantic --task panoptic --semantic semantic --things 1", "semantic"),
    ],
)
def test_a_job_begins_where_its_lists_can_be_written(here, words, named):
    Path("users").mkdir()
    Path("users/report.csv").write_text("mine", encoding="utf-8")
    Path("instances.json").write_text("mine", encoding="utf-8")
    shutil.copy("masks.json", "users.json")
    refused(here, (*words.split(), *JOB), named)


def test_a_job_reports_what_it_does_not_replace(here):
    Path("out").mkdir()
    shutil.copy("photos/cat.json", "out/cat.json")
    result = run("annotate", "photos", "out", "--task", "edges", *JOB)
    assert result.exit_code == 1
    assert "1 done, 1 failed" in result.output
    assert json.loads(Path("out/cat.json").read_text(encoding="utf-8")) == LABELME
    assert "cat.json was not written by trace-edges annotate" in Path("out/report.csv").read_text(
        encoding="utf-8"
    )
