"""A plan on three small photographs: every cell of the table against the pipeline's own edges."""

import csv
import json
import pickle
from dataclasses import astuple, replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import Linear
from typer.testing import CliRunner

from benchmarks.ablation import Plan, Row, measure, plan_length, run_plan, write_report
from benchmarks.ablation.__main__ import app
from benchmarks.ablation.run import find_photographs
from trace_edges.backbones import EncoderBackbone
from trace_edges.backbones.encoders.encoder import Tower, row_by_row
from trace_edges.evaluation.peers import canny_edges
from trace_edges.loading import Loading
from trace_edges.metrics.boundaries import boundaries_from_labels
from trace_edges.metrics.counts import edge_counts
from trace_edges.metrics.edges import edge_scores
from trace_edges.metrics.protocol import EdgeProtocol
from trace_edges.training_free.pipeline import TraceEdgePipeline
from trace_edges.training_free.ridges import draw_edges
from trace_edges.training_free.settings import TraceSettings

PROTOCOL = EdgeProtocol(thresholds=9, max_distance=0.05, interpolate=False)
BASE = TraceSettings(resolution=64, subcell=1, stride=250)  # steps 0, 249, 499, 749, 999
FIXED = replace(BASE, timestep=249)
ROWS = (
    Row("timestep 249", FIXED),
    Row("base", BASE),
    Row("shuffled, timestep 249", FIXED, "shuffled"),
)
NAMES = ["a", "b", "c"]
SIZES = [(48, 64), (56, 56), (48, 72)]


def disc(height, width, place):
    rows, columns = np.mgrid[:height, :width]
    return np.hypot(rows - 24, columns - 20 - 8 * place) < 13


@pytest.fixture
def plan(tmp_path):
    """Discs on grey, with their panoptic PNGs."""
    for folder in ("photos", "panoptic"):
        (tmp_path / folder).mkdir()
    for place, (name, (height, width)) in enumerate(zip(NAMES, SIZES, strict=True)):
        inside = disc(height, width, place)
        noise = np.random.default_rng(place).uniform(0, 20, (height, width, 3))
        picture = (60 + 120 * inside[..., None] + noise).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / "photos" / f"{name}.png")
        labels = np.zeros((height, width, 3), dtype=np.uint8)
        labels[..., 0] = 1 + inside
        Image.fromarray(labels).save(tmp_path / "panoptic" / f"{name}.png")
    return Plan(
        tmp_path / "photos", tmp_path / "panoptic", ROWS, BASE, protocol=PROTOCOL, peers=("canny",)
    )


@pytest.fixture(autouse=True)
def _one_model(trace_mini, monkeypatch):
    monkeypatch.setattr(Loading, "load_pipeline", lambda *_: TraceEdgePipeline(trace_mini))


def by_name(result):
    return {row.name: row for row in result.rows}


def photograph(plan, name):
    with Image.open(plan.images / f"{name}.png") as image:
        return np.asarray(image)


def expected_counts(edges, place):
    truth = boundaries_from_labels(disc(*SIZES[place], place))
    return edge_counts(edges, [truth], PROTOCOL)


def assert_counts(found, expected):
    assert np.array_equal(astuple(found), astuple(expected))


def test_rows_are_the_pipelines_edges_as_detect_writes_them(plan, trace_mini, tmp_path):
    result = run_plan(plan, tmp_path / "out")
    pipe = TraceEdgePipeline(trace_mini)
    for name, settings in (("base", BASE), ("timestep 249", FIXED)):
        row = by_name(result)[name]
        assert row.kind == "row"
        for place, one in enumerate(NAMES):
            out = pipe(photograph(plan, one), settings)
            edges = np.rint(out.thin[0] * 255).astype(np.uint8)
            assert_counts(row.readings[one].counts, expected_counts(edges, place))
            assert row.readings[one].timestep == out.emergence.timestep[0]
        assert row.settings == pipe.describe(settings)
    assert row.readings["a"].counts.matched_gt.max() > 10  # it is no empty comparison


def test_peers_see_the_same_photographs_and_come_first(plan, tmp_path):
    peer = run_plan(plan, tmp_path / "out").rows[0]
    assert (peer.name, peer.kind) == ("canny", "peer")
    for place, one in enumerate(NAMES):
        expected = expected_counts(canny_edges(photograph(plan, one)), place)
        assert_counts(peer.readings[one].counts, expected)


def test_shuffled_edges_are_those_of_another_photograph(plan, trace_mini, tmp_path):
    row = by_name(run_plan(plan, tmp_path / "out"))["shuffled, timestep 249"]
    assert row.kind == "control"
    pipe = TraceEdgePipeline(trace_mini)
    for place, (one, donor) in enumerate(zip(NAMES, ["b", "c", "a"], strict=True)):
        raw = pipe(photograph(plan, donor), FIXED).raw[0]
        edges, ridges = draw_edges(raw, SIZES[place], 1, trace_mini.defaults.half_edge)
        drawn = np.rint(np.where(ridges, edges, 0) * 255).astype(np.uint8)
        assert_counts(row.readings[one].counts, expected_counts(drawn, place))


def test_scores_of_the_halves_are_of_their_photographs(plan, tmp_path):
    result = run_plan(plan, tmp_path / "out")
    assert result.halves == {"a": "odd", "b": "even", "c": "odd"}
    row = by_name(result)["base"]
    counts = {name: reading.counts for name, reading in row.readings.items()}
    odd = edge_scores({name: counts[name] for name in "ac"}, PROTOCOL)
    assert result.scores(row, "odd") == odd
    assert result.scores(row, "even") == edge_scores({"b": counts["b"]}, PROTOCOL)
    assert result.scores(row) == edge_scores(counts, PROTOCOL)
    assert result.scores(row).ods != odd.ods


def test_a_part_of_the_folder_keeps_its_halves(plan, tmp_path):
    part = replace(plan, start=1, rows=ROWS[:1])
    assert run_plan(part, tmp_path / "out").halves == {"b": "even", "c": "odd"}
    last = run_plan(replace(part, every=2), tmp_path / "out")
    assert last.halves == {"b": "even"}
    assert last.scores(last.rows[0], "odd") is None


def test_progress_is_reported_as_often_as_announced(plan, tmp_path):
    for asked, length in ((plan, 6), (replace(plan, rows=ROWS[:2]), 3)):
        calls = []
        run_plan(asked, tmp_path / "out", progress=lambda calls=calls: calls.append(1))
        assert len(calls) == plan_length(asked) == length


def test_a_second_run_makes_nothing_again(plan, tmp_path, monkeypatch):
    out = tmp_path / "out"
    first = run_plan(plan, out)
    # Two rows share the trajectory of each photograph, and the control takes those of the others.
    assert measure.pipeline(plan, out).passes == 3 * 5
    monkeypatch.setattr(measure, "edge_counts", None)
    second = run_plan(plan, out)
    assert measure.pipeline(plan, out).passes == 3 * 5
    for before, after in zip(first.rows, second.rows, strict=True):
        assert before.readings.keys() == after.readings.keys()
        for name, reading in before.readings.items():
            assert_counts(after.readings[name].counts, reading.counts)


def test_a_new_row_is_read_from_the_trajectories_that_are_there(plan, tmp_path):
    run_plan(plan, tmp_path / "out")
    more = replace(plan, rows=(*ROWS, Row("timestep 499", replace(BASE, timestep=499))))
    found = by_name(run_plan(more, tmp_path / "out"))["timestep 499"]
    assert {reading.timestep for reading in found.readings.values()} == {499}
    assert measure.pipeline(more, tmp_path / "out").passes == 0


def test_a_changed_ground_truth_is_counted_again(plan, tmp_path):
    before = by_name(run_plan(plan, tmp_path / "out"))["base"].readings["a"].counts
    Image.new("RGB", SIZES[0][::-1], (1, 0, 0)).save(plan.ground_truth / "a.png")
    after = by_name(run_plan(plan, tmp_path / "out"))["base"].readings["a"].counts
    assert before.total_gt[0] > 0
    assert after.total_gt[0] == 0


def test_tasks_and_readings_travel_between_processes(plan, tmp_path):
    (first, *_) = find_photographs(plan)
    task = measure.Task(first, first.path, ROWS[:1])
    sent = pickle.loads(pickle.dumps((plan, tmp_path / "out", task)))
    found = pickle.loads(pickle.dumps(measure.measure(*sent)))
    assert found.keys() == {"timestep 249"}
    assert found["timestep 249"].timestep == 249


def spoil(plan, kind):
    match kind:
        case "no photographs":
            for path in plan.images.iterdir():
                path.unlink()
        case "past the last":
            return replace(plan, start=3)
        case "no ground truth":
            (plan.ground_truth / "b.png").unlink()
        case "another size":
            Image.new("RGB", (9, 9)).save(plan.ground_truth / "b.png")
        case "one photograph":
            return replace(plan, every=3)
        case "no layer":
            return replace(plan, rows=(Row("x", replace(BASE, layers=(14,))),))
    return plan


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("no photographs", r"photos: is a folder without images"),
        ("past the last", r"photos has 3 photographs; start 3 is past the last"),
        ("no ground truth", r"b\.png has no ground truth in .*panoptic"),
        ("another size", r"b\.png is 56 x 56 px, its ground truth 9 x 9"),
        ("one photograph", r"shuffled needs two photographs"),
        ("no layer", r"trace-mini has no layer 14"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(plan, tmp_path, kind, message):
    with pytest.raises(ValueError, match=message) as caught:
        run_plan(spoil(plan, kind), tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_the_report_says_what_was_measured(plan, tmp_path):
    result = run_plan(plan, tmp_path / "out")
    table, sheet, plot, record = write_report(result, tmp_path / "out")
    with sheet.open(newline="") as file:
        rows = {row["row"]: row for row in csv.DictReader(file)}
    assert list(rows) == [
        "canny (peer)", "timestep 249", "base", "shuffled, timestep 249 (control)",
    ]  # fmt: skip
    base = by_name(result)["base"]
    for half, suffix in (("odd", " odd"), ("even", " even"), (None, "")):
        scores = result.scores(base, half)
        assert rows["base"]["ODS" + suffix] == f"{scores.ods:.3f}"
        assert rows["base"]["OIS" + suffix] == f"{scores.ois:.3f}"
    assert rows["base"]["AP"] == f"{result.scores(base).ap:.3f}"
    assert rows["timestep 249"]["t*"] == "249:3"
    assert rows["canny (peer)"]["t*"] == rows["canny (peer)"]["s / image"] == ""
    seconds = [reading.seconds for reading in base.readings.values()]
    assert rows["base"]["s / image"] == f"{np.mean(seconds):.2f}"

    text = table.read_text(encoding="utf-8")
    assert all(row["ODS"] in text and name in text for name, row in rows.items())
    assert "2 at odd places" in text
    assert "stride 250" in text
    with Image.open(plot) as image:
        assert image.format == "PNG"
        assert image.width > 500

    stored = json.loads(record.read_text(encoding="utf-8"))
    assert stored["photographs"] == {"a": "odd", "b": "even", "c": "odd"}
    assert stored["versions"]["trace_edges"]
    assert stored["plan"]["protocol"]["thresholds"] == 9
    row = next(row for row in stored["rows"] if row["name"] == "base")
    assert row["settings"] == dict(base.settings)
    assert row["scores"]["even"]["ods"] == result.scores(base, "even").ods
    kept = row["photographs"]["c"]
    assert kept["timestep"] == base.readings["c"].timestep
    assert kept["counts"]["total_pred"] == base.readings["c"].counts.total_pred.tolist()


def command_line(tmp_path, *arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_prints_the_table_it_writes(plan, tmp_path):
    file, out = tmp_path / "plan.yaml", tmp_path / "out"
    file.write_text(
        "images: nowhere\nbase: {resolution: 64, subcell: 1, stride: 250}\n"
        "rows: [{}, {timestep: [249]}]\nprotocol: {thresholds: 9}\n",
        encoding="utf-8",
    )
    paths = ["--images", plan.images, "--ground-truth", plan.ground_truth]
    result = command_line(tmp_path, file, "--out", out, *paths)
    assert result.exit_code == 0, result.output
    assert (out / "table.md").read_text(encoding="utf-8") in result.stdout
    assert str(out / "report.json") in result.stdout
    assert command_line(tmp_path, file, "--out", out, *paths, "--quiet").stdout == ""
    wrong = command_line(tmp_path, file, "--out", out)
    assert wrong.exit_code == 1
    assert "plan.yaml: ground_truth is missing" in wrong.stderr


def test_the_backbone_is_loaded_as_the_plan_or_the_command_says_random_weights(
    plan, tmp_path, monkeypatch, tiny_model
):
    monkeypatch.undo()  # this one loads
    file, out = tmp_path / "plan.yaml", tmp_path / "out"
    file.write_text(
        f"backbone: {tiny_model('sdxl')}\nload: {{null: zeros}}\nrows: [{{timestep: 499}}]\n"
        "base: {resolution: 64, stride: 250}\nprotocol: {thresholds: 9}\n",
        encoding="utf-8",
    )
    options = [file, "--out", out, "--images", plan.images, "--ground-truth", plan.ground_truth]
    plain = command_line(tmp_path, *options)
    assert plain.exit_code == 0, plain.output
    assert "cpu, float32, null zeros;" in plain.stdout
    walks = len(list((out / "walks").iterdir()))
    tiled = command_line(tmp_path, *options, "--vae-tiling", "--offload")
    assert "null zeros, offload True, vae_tiling True;" in tiled.stdout
    assert len(list((out / "walks").iterdir())) == 2 * walks  # of other latents
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["plan"]["load"]["vae_tiling"] is True
    assert report["rows"][0]["settings"]["null"] == "zeros"
    wrong = command_line(tmp_path, *options, "--null", "x")
    assert wrong.exit_code == 1
    assert "has no null condition 'x'" in wrong.stderr


def test_an_encoder_is_refused_faked_model(plan, tmp_path, monkeypatch):
    tower = Tower(
        Linear(1, 1), torch.zeros(3, 1, 1), torch.ones(3, 1, 1), 8, 8, 64, (), row_by_row,
        row_by_row,
    )  # fmt: skip
    encoder = TraceEdgePipeline(EncoderBackbone("tower", tower))
    monkeypatch.setattr(Loading, "load_pipeline", lambda *_: encoder)
    with pytest.raises(ValueError, match="is an encoder: an ablation needs a diffusion model"):
        run_plan(plan, tmp_path / "out")
