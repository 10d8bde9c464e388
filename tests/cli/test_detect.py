"""`trace-edges detect` on real files, with the embedded model at a small resolution."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app
from trace_edges.instances import build_hierarchy, contours, weigh_lines
from trace_edges.results import EdgeMap

from .words import EXAMPLES, FAST, lines


def run(*arguments):
    return CliRunner().invoke(app, ["detect", *map(str, arguments)])


def test_every_image_gets_edges_an_overlay_and_a_record(photos, tmp_path):
    options = ["--training-free", "--resolution", 64, "--subcell", 1]
    result = run(photos, "--out", tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    assert "2 done, 0 skipped, 0 failed" in result.stdout
    names = {path.name for path in (tmp_path / "out").glob("[!.]*")}
    suffixes = ("edges.png", "overlay.png", "json")
    assert names == {f"{name}.{end}" for name in ("coffee", "coins") for end in suffixes}
    with Image.open(tmp_path / "out" / "coffee.edges.png") as edges:
        assert (edges.mode, edges.size) == ("L", (100, 67))
        assert np.asarray(edges).max() > 100
    record = json.loads((tmp_path / "out" / "coffee.json").read_text(encoding="utf-8"))
    assert record["timestep"] in record["emergence"]["timesteps"]
    assert len(record["emergence"]["curve"]) == 10
    assert record["settings"]["resolution"] == 64
    assert record["settings"]["backbone"] == "trace-mini"


def test_the_default_is_one_step_of_the_embedded_detector(photos, tmp_path):
    result = run(photos, "--out", tmp_path / "out", "--resolution", 64)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "out" / "coffee.json").read_text(encoding="utf-8"))
    assert record["settings"]["method"] == "one-step"
    assert record["emergence"] is None
    with Image.open(tmp_path / "out" / "coffee.edges.png") as edges:
        assert (edges.mode, edges.size) == ("L", (100, 67))
        assert np.asarray(edges).max() > 50


def test_what_is_there_is_skipped_unless_overwritten(photos, tmp_path):
    command = [photos, "--out", tmp_path / "out", *FAST]
    run(*command)
    edges = tmp_path / "out" / "coins.edges.png"
    edges.write_bytes(b"mine")
    assert "0 done, 2 skipped, 0 failed" in run(*command).stdout
    assert edges.read_bytes() == b"mine"
    assert "2 done" in run(*command, "--overwrite").stdout
    assert edges.read_bytes() != b"mine"


def test_skipping_results_of_other_settings_is_said(photos, tmp_path):
    run(photos, "--out", tmp_path / "out", *FAST)
    result = run(photos, "--out", tmp_path / "out", *FAST, "--stride", 50)
    assert result.exit_code == 0
    assert "coins.png: was made with stride 100 instead of stride 50: --overwrite" in result.stderr


def test_a_folder_may_be_its_own_output(photos):
    for count in ("2 done, 0 skipped", "0 done, 2 skipped"):
        assert count in run(photos, "--out", photos, *FAST).stdout


def test_a_missing_record_means_not_done(photos, tmp_path):
    command = [photos, "--out", tmp_path / "out", *FAST]
    run(*command)
    (tmp_path / "out" / "coins.json").unlink()
    assert "1 done, 1 skipped" in run(*command).stdout


def test_one_stem_twice_keeps_the_full_names(photos, tmp_path):
    Image.open(photos / "coins.png").convert("RGB").save(photos / "coins.jpg")
    run(photos / "coins.png", photos / "coins.jpg", "--out", tmp_path / "out", *FAST)
    records = {path.name for path in (tmp_path / "out").glob("*.json")}
    assert records == {"coins.png.json", "coins.jpg.json"}


def test_formats_hold_the_same_edges(photos, tmp_path):
    one = [photos / "coins.png", *FAST]
    for form in ("png", "png16", "npy"):
        assert run(*one, "--out", tmp_path / form, "--format", form).exit_code == 0
    exact = np.load(tmp_path / "npy" / "coins.edges.npy")
    assert exact.dtype == np.float32
    assert (exact == 0).mean() > 0.5  # thin lines
    with Image.open(tmp_path / "png" / "coins.edges.png") as eight:
        np.testing.assert_allclose(np.asarray(eight) / 255, exact, atol=0.5 / 255 + 1e-6)
    with Image.open(tmp_path / "png16" / "coins.edges.png") as sixteen:
        np.testing.assert_allclose(np.asarray(sixteen) / 65535, exact, atol=0.5 / 65535 + 1e-6)
    run(*one, "--out", tmp_path / "soft", "--format", "npy", "--soft")
    soft = np.load(tmp_path / "soft" / "coins.edges.npy")
    assert np.array_equal(soft[exact > 0], exact[exact > 0])
    assert (soft > 0).mean() > 0.99


def test_json_is_one_line_per_image_and_nothing_else(photos, tmp_path):
    (photos / "broken.png").write_text("not a picture", encoding="utf-8")
    result = run(photos, "--out", tmp_path / "out", *FAST, "--json")
    outcomes = [json.loads(line) for line in lines(result.stdout)]
    assert {Path(o["image"]).name: o["state"] for o in outcomes} == {
        "broken.png": "failed",
        "coffee.jpg": "done",
        "coins.png": "done",
    }
    assert result.exit_code == 1


def test_quiet_prints_nothing(photos, tmp_path):
    result = run(photos, "--out", tmp_path / "out", *FAST, "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_bad_files_are_reported_and_the_rest_is_done(photos, tmp_path):
    (photos / "truncated.jpg").write_bytes((EXAMPLES / "coffee.jpg").read_bytes()[:20000])
    (photos / "text.png").write_text("hello", encoding="utf-8")
    (photos / "zero.webp").write_bytes(b"")
    Image.new("RGB", (1, 1)).save(photos / "dot.png")
    result = run(photos, "missing.jpg", "--out", tmp_path / "out", *FAST)
    assert result.exit_code == 1
    assert "2 done, 0 skipped, 4 failed" in result.stdout
    messages = lines(result.stderr)
    for name in ("truncated.jpg", "text.png", "zero.webp", "dot.png", "missing.jpg"):
        assert sum(name in message for message in messages) == 1, name
    assert len(messages) == 5
    written = {path.name for path in (tmp_path / "out").glob("[!.]*")}
    assert {name.split(".")[0] for name in written} == {"coffee", "coins"}


SIZED = [EXAMPLES / "coins.png", "--training-free", "--resolution", "64"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing-here.png"], "nothing-here.png"),
        ([EXAMPLES, "--backbone", "no-such-model"], "no-such-model"),
        ([EXAMPLES, "--resolution", "8"], "resolution 8"),
        ([EXAMPLES, "--timestep", "99"], "--timestep belongs to the training-free method"),
        ([EXAMPLES, "--emergence-resolution", "99"], "--emergence-resolution belongs"),
        ([EXAMPLES, "--detector", "no-such-detector"], "no-such-detector"),
        ([EXAMPLES, "--detector", EXAMPLES], "holds no edge detector"),
        ([EXAMPLES, "--detector", EXAMPLES, "--training-free"], "leave --training-free out"),
        ([EXAMPLES, "--detector", EXAMPLES, "--backbone", "a/b"], "leave --backbone out"),
        ([*SIZED, "--subcell", "3"], "subcell=3"),
        ([*SIZED, "--subcell", "0"], "--subcell must lie in [1, 64], not 0"),
        ([*SIZED, "--timestep", "1000"], "timestep 1000"),
        ([*SIZED, "--stride", "2000"], "stride"),
        # Settings that fit no image are said once, not for each.
        ([EXAMPLES, *SIZED[1:], "--subcell", "3"], "subcell=3"),
        ([EXAMPLES, *SIZED[1:], "--timestep", "1000"], "timestep 1000"),
        ([EXAMPLES, "--device", "abacus"], "abacus"),
    ],
)
def test_wrong_input_is_one_line_and_leaves_no_file(arguments, words, tmp_path):
    result = run(*arguments, "--out", tmp_path / "out")
    assert result.exit_code != 0
    assert words in result.stderr
    if not result.stderr.startswith("Usage"):
        assert len(lines(result.stderr)) == 1
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_an_empty_folder_is_said(tmp_path):
    (tmp_path / "empty").mkdir()
    result = run(tmp_path / "empty", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "empty" in result.stderr
    assert len(lines(result.stderr)) == 1


def test_batches_give_what_single_passes_give(photos, tmp_path):
    for copy in ("a.jpg", "b.jpg"):
        (photos / copy).write_bytes((photos / "coffee.jpg").read_bytes())
    for size in (1, 3):
        out = tmp_path / str(size)
        run(photos, "--out", out, *FAST, "--format", "npy", "--batch-size", size)
    for path in sorted((tmp_path / "1").glob("*.npy")):
        one, three = np.load(path), np.load(tmp_path / "3" / path.name)
        assert np.mean(np.abs(one - three) > 1e-3) < 1e-3


def npy(folder):
    return np.load(folder / "coins.edges.npy")


def test_lines_may_be_weighed_or_give_way_to_closed_contours(photos, tmp_path):
    command = [photos, "--resolution", 64, "--format", "npy", "--out"]
    for name, words in {
        "thin": (), "soft": ("--soft",), "weighted": ("--lines", "weighted"),
        "contours": ("--lines", "contours"),
    }.items():  # fmt: skip
        result = run(*command, tmp_path / name, *words)
        assert result.exit_code == 0, result.output
    thin, soft = npy(tmp_path / "thin"), npy(tmp_path / "soft")
    drawn = EdgeMap(soft[None], thin[None] > 0)
    assert np.array_equal(npy(tmp_path / "weighted"), weigh_lines(drawn))
    closed = npy(tmp_path / "contours")
    assert np.array_equal(closed, contours(build_hierarchy(soft)))
    record = json.loads((tmp_path / "weighted" / "coins.json").read_text(encoding="utf-8"))
    assert (record["kind"], record["settings"]["lines"]) == ("weighted", "weighted")
    other = run(*command, tmp_path / "weighted")
    assert other.exit_code == 1
    assert "was made from edges of kind weighted, not thin" in other.stderr


def test_a_smooth_map_has_no_lines_to_choose(photos, tmp_path):
    result = run(photos, "--out", tmp_path / "out", "--soft", "--lines", "weighted")
    assert result.exit_code == 1
    assert "--soft writes no lines" in result.stderr
