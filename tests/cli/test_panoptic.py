import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app


def run(*arguments):
    return CliRunner().invoke(app, ["panoptic", *map(str, arguments)])


@pytest.fixture
def folders(tmp_path):
    """A map: class 3 with an edge through its middle, class 4 below it, class 0 around."""
    semantic, edges = tmp_path / "semantic", tmp_path / "edges"
    semantic.mkdir()
    edges.mkdir()
    classes, line = np.zeros((2, 32, 24), dtype=np.uint8)
    classes[2:14, 2:22], classes[18:30, 2:22] = 3, 4
    line[:, 12] = 255
    Image.fromarray(classes).save(semantic / "a.png")
    Image.fromarray(line).save(edges / "a.edges.png")
    return semantic, edges


def categories(out):
    (entry,) = json.loads((out / "panoptic.json").read_text(encoding="utf-8"))["annotations"]
    return [segment["category_id"] for segment in entry["segments_info"]]


def test_things_are_split_and_stuff_is_not(folders, tmp_path):
    out = tmp_path / "out"
    result = run(*folders, "--out", out, "--things", "3", "--stuff", "0,4")
    assert result.exit_code == 0, result.output
    assert "1 done, 0 failed; 4 segments" in result.stdout
    assert categories(out) == [0, 3, 3, 4]
    assert not (out / "semantic").exists()


def test_a_file_says_which_class_is_which(folders, tmp_path):
    entries = [{"id": n, "name": str(n), "isthing": n == 40} for n in (10, 20, 30, 40)]
    (tmp_path / "classes.json").write_text(json.dumps(entries), encoding="utf-8")
    out = tmp_path / "out"
    options = ["--categories", tmp_path / "classes.json", "--contiguous", "--semantic-pngs"]
    result = run(*folders, "--out", out, *options)
    assert result.exit_code == 0, result.output
    assert categories(out) == [30, 40, 40]  # and the background is void
    assert (out / "semantic" / "a.png").exists()


def test_known_tables(folders, tmp_path):
    for name, expected in (("voc", [0, 3, 3, 4, 4]), ("coco", [3, 3, 4, 4])):
        run(*folders, "--out", tmp_path / name, "--categories", name, "--quiet")
        assert categories(tmp_path / name) == expected


@pytest.mark.parametrize("library", ["hotcoco.panoptic", "panopticapi.evaluation"])
def test_libraries_read_what_the_command_writes_as_perfect(folders, tmp_path, library):
    reference = pytest.importorskip(library).pq_compute
    out = tmp_path / "out"
    assert run(*folders, "--out", out, "--things", "3", "--stuff", "0,4").exit_code == 0
    path = str(out / "panoptic.json")
    scores = reference(path, path)
    assert [scores[group]["pq"] for group in ("All", "Things", "Stuff")] == [1, 1, 1]
    assert [scores[group]["n"] for group in ("All", "Things", "Stuff")] == [3, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Give --categories, or --things"),
        (["--categories", "voc", "--things", "1"], "leave --things and --stuff"),
        (["--things", "one"], "'one' is not a list of class numbers"),
        (["--categories", "nothing.json"], "nothing.json"),
        (["--things", "3"], "has class 4, which the table of classes lacks"),
    ],
)
def test_what_is_missing_is_said_in_one_line(folders, tmp_path, arguments, words):
    result = run(*folders, "--out", tmp_path / "out", *arguments)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert words in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("what", ["JPEG", "pickle"])
def test_a_map_that_cannot_be_read_is_named_once(folders, tmp_path, what):
    semantic, _ = folders
    if what == "JPEG":
        Image.open(semantic / "a.png").save(semantic / "a.jpg")
        (semantic / "a.jpg").replace(semantic / "a.png")
    else:
        (semantic / "a.png").unlink()
        np.save(semantic / "a.npy", np.array({"keys": [1]}, dtype=object), allow_pickle=True)
    result = run(*folders, "--out", tmp_path / "out", "--things", "3")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.count(str(semantic)) == 1
    assert what in line


@pytest.mark.skipif(sys.platform != "linux", reason="such names cannot be made elsewhere")
def test_a_name_that_no_list_can_hold_does_not_stop_the_others(tmp_path):
    maps = {"sem": np.ones((24, 32), np.uint8), "edges": np.zeros((24, 32), np.uint8)}
    for folder, values in maps.items():
        (tmp_path / folder).mkdir()
        for name in (b"ok", b"back\\s", b"latin-\xe9"):
            path = os.fsencode(tmp_path / folder) + b"/" + name + b".png"
            Image.fromarray(values).save(os.fsdecode(path))
    words = ["panoptic", tmp_path / "sem", tmp_path / "edges", "--out", tmp_path / "out"]
    result = CliRunner().invoke(app, [*map(str, words), "--things", "1"])
    assert result.exit_code == 1
    assert result.stderr.count("that the list of all images cannot hold") == 2
    listed = json.loads((tmp_path / "out/panoptic.json").read_bytes())["images"]
    assert [Path(image["file_name"]).stem for image in listed] == ["ok"]


def test_maps_of_images_that_are_gone_are_said(folders, tmp_path):
    semantic, edges = folders
    for folder, end in ((semantic, ".png"), (edges, ".edges.png")):
        (folder / f"b{end}").write_bytes((folder / f"a{end}").read_bytes())
    command = (*folders, "--out", tmp_path / "out", "--things", "3", "--stuff", "0,4")
    assert run(*command).stderr == ""
    (semantic / "b.png").unlink()
    result = run(*command)
    left = tmp_path / "out" / "panoptic" / "b.png"
    assert result.exit_code == 0
    assert f"{left} is of an earlier panoptic, not of these" in " ".join(result.stderr.split())
