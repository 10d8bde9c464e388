"""The scripts of the paper's tables: plans that can be typed, and honest ends."""

import importlib
import json
import shlex
import sys
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app
from trace_edges.metrics.masks import MaskScores
from trace_edges.metrics.panoptic import PanopticScores

FOLDER = Path(__file__).parents[2] / "scripts" / "reproduce"
SHARED = ("reproduction", "runner", "sources")
TRAINING = ("train_loop", "train_mask2former", "train_mask_rcnn")  # test_training_scripts.py
TABLES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in (*SHARED, *TRAINING))


@pytest.fixture(autouse=True)
def modules(monkeypatch):
    """The scripts import each other by bare names, which must not stay for other tests."""
    monkeypatch.syspath_prepend(FOLDER)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name in (*SHARED, *TABLES):
            del sys.modules[name]


def run(name, tmp_path, *more):
    module = importlib.import_module(name)
    paths = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    return importlib.import_module("runner").main(module.table, [*paths, *more])


def test_every_table_of_the_paper_has_its_script():
    assert TABLES == [
        "backbones",
        "edge_quality",
        "edge_swap",
        "masks_trained",
        "masks_training_free",
        "panoptic_tags",
        "speed",
    ]


@pytest.mark.parametrize("stand_in", [(), ("--backbone", "trace-mini", "--resolution", "128")])
@pytest.mark.parametrize("name", TABLES)
def test_the_plan_is_made_of_commands_that_parse(name, stand_in, tmp_path, capsys):
    assert run(name, tmp_path, "--dry-run", *stand_in) == 0
    assert not (tmp_path / "out").exists()
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    commands = [line for line in lines if line.startswith("trace-edges ")]
    assert commands
    tree = typer.main.get_command(app)
    for line in commands:
        _, *words = shlex.split(line)
        node, verb = tree, []
        while hasattr(node, "commands") and words[0] in node.commands:
            node, verb = node.commands[words[0]], [*verb, words.pop(0)]
        node.make_context(" ".join(verb), words)  # an unknown option or value raises


@pytest.mark.parametrize("name", TABLES)
def test_every_number_of_the_paper_is_looked_for_in_its_row(name, tmp_path):
    options = importlib.import_module("reproduction").Options(tmp_path, tmp_path)
    table = importlib.import_module(name).table(options)
    sought = {
        (row.name, metric) for row in table.rows for part in row.work
        for metric in getattr(part, "numbers", ())
    }  # fmt: skip
    assert sought == {(one.row, one.metric) for one in table.expected}
    assert all(one.tolerance > 0 for one in table.expected)


def test_scores_have_the_fields_that_are_read(tmp_path):
    """Of masks and panoptic maps; those of edges are read from a real file below."""
    options = importlib.import_module("reproduction").Options(tmp_path, tmp_path)
    kinds = {"masks": MaskScores, "panoptic": PanopticScores}
    read = {
        (part.command[1], keys)
        for name in ("masks_training_free", "panoptic_tags")
        for row in importlib.import_module(name).table(options).rows
        for part in row.work
        for keys in getattr(part, "numbers", {}).values()
    }
    assert {verb for verb, _ in read} == set(kinds)
    for verb, keys in read:
        kind = kinds[verb]
        for key in keys:
            kind = get_type_hints(kind)[key]
        assert kind in (float, float | None)


@pytest.mark.parametrize("name", TABLES)
def test_missing_data_is_one_line_that_says_what_to_fetch(name, tmp_path, capsys):
    assert run(name, tmp_path) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"{name}, ")  # then the row
    assert f": {tmp_path / 'data'}" in lines[0].split(" is missing: ")[0]
    assert "; fetch: " in lines[0]
    assert "; layout: " in lines[0]


def test_an_unknown_row_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run("edge_quality", tmp_path, "--rows", "Sobel")
    assert "no row 'Sobel': choose from Canny, HED" in capsys.readouterr().err


def fake_table(tmp_path, *commands, need=None, files=0):
    """One row whose paper's number is 0.5 +- 0.1; its steps are the given commands."""
    kinds = importlib.import_module("reproduction")
    leaves = tmp_path / "fake_step.json"
    *before, last = commands
    work = (
        *(kinds.Step(command, leaves) for command in before),
        kinds.Step(last, leaves, {"score": ("deep", "number")}, 100),
    )
    needs = (kinds.Need(tmp_path, "fake", "nowhere", "any", files),)
    rows = (kinds.Row("fake row", needs, work),)
    expected = (kinds.Expected("fake row", "score", 50.0, 10.0),)
    return kinds.Table("fake", "A fake table", ("nothing",), rows, expected)


def run_fake_step(monkeypatch, tmp_path, number, *commands, status=0, **more):
    """Run the fake table with a `trace-edges` that only leaves this number."""
    runner = importlib.import_module("runner")
    called = []

    def fake_call(command):
        called.append(command)
        (tmp_path / "fake_step.json").write_text(
            json.dumps({"deep": {"number": number}}), encoding="utf-8"
        )
        return status

    monkeypatch.setattr(runner, "call", fake_call)
    table = fake_table(tmp_path, *(commands or [("detect", "fake")]), **more)
    code = runner.run(table, table.rows, tmp_path / "out")
    record = tmp_path / "out" / "fake.json"
    return code, called, json.loads(record.read_text(encoding="utf-8")) if record.exists() else None


@pytest.mark.parametrize(
    ("number", "code", "verdict"),
    [(0.41, 0, "within"), (0.59, 0, "within"), (0.39, 1, "outside"), (float("nan"), 1, "outside")],
)
def test_a_fake_step_outside_its_tolerance_is_exit_1(monkeypatch, tmp_path, number, code, verdict):
    status, _, record = run_fake_step(monkeypatch, tmp_path, number)
    assert status == code
    (result,) = record["results"]
    assert (result["paper"], result["tolerance"], result["verdict"]) == (50, 10, verdict)
    assert result["measured"] == pytest.approx(100 * number, nan_ok=True)


def test_with_less_data_than_the_paper_nothing_is_compared(monkeypatch, tmp_path, capsys):
    status, _, record = run_fake_step(monkeypatch, tmp_path, 0.39, files=7)
    assert status == 0
    assert record["results"][0]["verdict"] == "not compared"
    assert "of the paper's 7 files" in capsys.readouterr().out


def test_what_is_there_is_not_made_again_but_another_command_is(monkeypatch, tmp_path):
    assert len(run_fake_step(monkeypatch, tmp_path, 0.5)[1]) == 1
    status, called, record = run_fake_step(monkeypatch, tmp_path, 0.0)
    assert (status, called) == (0, [])
    assert record["results"][0]["measured"] == 50  # of the first run
    other = ("detect", "fake", "--soft")
    status, called, _ = run_fake_step(monkeypatch, tmp_path, 0.0, other)
    assert (status, called) == (1, [other])


@pytest.mark.parametrize(("number", "status"), [(0.5, 7), (None, 0)])
def test_a_step_that_fails_or_leaves_no_number_is_exit_3(
    monkeypatch, tmp_path, capsys, number, status
):
    code, _, record = run_fake_step(monkeypatch, tmp_path, number, status=status)
    assert (code, record) == (3, None)
    problem = capsys.readouterr().err
    assert ("ended with exit status 7" if status else "holds no number at deep.number") in problem


def test_canny_is_measured_from_photographs_to_the_table(monkeypatch, tmp_path):
    """The commands are the real ones, called in this process."""
    pytest.importorskip("matplotlib")
    data = tmp_path / "data"
    for folder in ("images", "panoptic"):
        (data / folder).mkdir(parents=True)
    annotations = []
    for number in (1, 2):
        labels = np.zeros((60, 80, 3), dtype=np.uint8)
        labels[..., 0] = 1
        labels[10 : 40 + number, 20:50, 0] = 2
        Image.fromarray(labels).save(data / f"panoptic/{number}.png")
        Image.fromarray(labels[..., 0] * 100).save(data / f"images/{number}.png")
        segments = [{"id": id, "category_id": 1, "iscrowd": 0} for id in (1, 2)]
        annotations.append(
            {"image_id": number, "file_name": f"{number}.png", "segments_info": segments}
        )
    (data / "panoptic.json").write_text(json.dumps({"annotations": annotations}), encoding="utf-8")

    def call(command):
        arguments = [*command, "--workers", "1"]
        return CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code

    monkeypatch.setattr(importlib.import_module("runner"), "call", call)
    assert run("edge_quality", tmp_path, "--rows", "Canny") == 0
    results = json.loads((tmp_path / "out/edge_quality.json").read_text(encoding="utf-8"))[
        "results"
    ]
    assert [one["metric"] for one in results] == ["ODS", "OIS", "clDice"]
    assert {one["verdict"] for one in results} == {"not compared"}
    assert all(0 < one["measured"] <= 1 for one in results)
