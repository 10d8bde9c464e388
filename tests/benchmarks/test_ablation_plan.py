"""Plans are read as they are written, multiply out, and are refused in one clear line."""

from pathlib import Path

import pytest

from benchmarks.ablation import read_plan
from trace_edges.loading import LoadOptions
from trace_edges.metrics.protocol import EdgeProtocol
from trace_edges.training_free.settings import TraceSettings

ROOT = Path(__file__).parent.parent.parent
PATHS = "images: a\nground_truth: b\n"


def plan_of(tmp_path, text, **paths):
    file = tmp_path / "plan.yaml"
    file.write_text(text, encoding="utf-8")
    return read_plan(file, **paths)


def rows_of(tmp_path, rows, base="{}"):
    return plan_of(tmp_path, f"{PATHS}base: {base}\nrows: {rows}\n").rows


def test_everything_in_the_file_is_in_the_plan(tmp_path):
    plan = plan_of(
        tmp_path,
        """
        images: photos
        ground_truth: panoptic
        ground_truth_kind: coco-panoptic
        photographs: {start: 1, every: 4}
        protocol: {thresholds: 9, max_distance: 0.01}
        peers: [canny]
        backbone: folder
        device: cuda
        dtype: bfloat16
        load: {null: zeros, vae_tiling: true}
        base: {resolution: 256, layers: [0, 1]}
        rows: [{}]
        """,
    )
    assert (plan.images, plan.ground_truth) == (Path("photos"), Path("panoptic"))
    assert (plan.ground_truth_kind, plan.start, plan.every) == ("coco-panoptic", 1, 4)
    assert plan.protocol == EdgeProtocol(thresholds=9, max_distance=0.01, interpolate=False)
    assert (plan.peers, plan.backbone) == (("canny",), "folder")
    assert (plan.device, plan.dtype) == ("cuda", "bfloat16")
    assert plan.load == LoadOptions(null="zeros", vae_tiling=True)
    assert plan.base == TraceSettings(resolution=256, layers=(0, 1))
    assert [(row.name, row.settings, row.control) for row in plan.rows] == [
        ("base", plan.base, None)
    ]


def test_lists_multiply_out_and_rows_are_named_by_what_differs(tmp_path):
    rows = rows_of(tmp_path, "[{criterion: [kl, l1], ignore_first: [0, 1]}, {timestep: 99}]")
    assert [row.name for row in rows] == [
        "base", "ignore_first 1", "criterion l1", "criterion l1, ignore_first 1", "timestep 99",
    ]  # fmt: skip
    assert rows[3].settings == TraceSettings(criterion="l1", ignore_first=1)


def test_a_row_that_comes_twice_is_one(tmp_path):
    names = [row.name for row in rows_of(tmp_path, "[{}, {criterion: kl}, {stride: [100, 50]}]")]
    assert names == ["base", "stride 50"]


def test_rows_may_take_back_what_the_base_sets(tmp_path):
    base = "{timestep: 99, symmetric: true, resolution: 64}"
    rows = rows_of(tmp_path, "[{timestep: null, symmetric: false, resolution: null}]", base)
    assert rows[0].name == "resolution default, timestep t*, not symmetric"
    assert rows[0].settings == TraceSettings()


@pytest.mark.parametrize(
    ("layers", "expected"),
    [("[0, 5]", [(0, 5)]), ("[[0, 5], [1]]", [(0, 5), (1,)]), ("[null, [1]]", [None, (1,)])],
)
def test_layers_are_a_list_already(tmp_path, layers, expected):
    rows = rows_of(tmp_path, f"[{{layers: {layers}}}]")
    assert [row.settings.layers for row in rows] == expected
    assert rows[-1].name == "layers " + " ".join(map(str, expected[-1]))


def test_a_control_is_a_row_of_its_own(tmp_path):
    rows = rows_of(tmp_path, "[{timestep: 99}, {timestep: 99, control: shuffled}]")
    assert [(row.name, row.control) for row in rows] == [
        ("timestep 99", None), ("shuffled, timestep 99", "shuffled"),
    ]  # fmt: skip
    assert rows[0].settings == rows[1].settings


def test_paths_may_be_given_beside_the_plan(tmp_path):
    plan = plan_of(tmp_path, "rows: [{}]", images=Path("x"), ground_truth=Path("y"))
    assert (plan.images, plan.ground_truth) == (Path("x"), Path("y"))
    assert plan_of(tmp_path, PATHS + "rows: [{}]", images=Path("x")).images == Path("x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: [", "is no YAML"),
        ("- 1", r"the plan must be a mapping of images, ground_truth.*, not \[1\]"),
        ("rows: [{}]", "images is missing"),
        (PATHS, r"there is no row; `rows: \[\{\}\]` is the base alone"),
        (PATHS + "row: [{}]", "unknown key in the plan: 'row'; known: images.* rows"),
        (PATHS + "rows: {}", r"rows must be a list, not \{\}|there is no row"),
        (PATHS + "rows: [timestep]", "row 1: the row must be a mapping of resolution.*control"),
        (PATHS + "rows: [{}, {steps: 1}]", "row 2: unknown key in the row: 'steps'; known: reso"),
        (PATHS + "rows: [{stride: []}]", "row 1: stride is an empty list"),
        (PATHS + "rows: [{criterion: [kl, KL]}]", "row 1: unknown criterion 'KL'; known: kl, l1"),
        (PATHS + "rows: [{timestep: soon}]", "row 1: timestep must be an integer, not 'soon'"),
        (PATHS + "rows: [{control: blank}]", "row 1: unknown control: 'blank'; known: shuffled"),
        (PATHS + "rows: [{}]\nbase: {subcell: x}", "subcell must be an integer, not 'x'"),
        (PATHS + "rows: [{}]\npeers: [hed]", "unknown peer: 'hed'; known: canny, sobel"),
        (PATHS + "rows: [{}]\ndtype: int8", "unknown dtype: 'int8'; known: float32"),
        (PATHS + "rows: [{}]\ndevice: 0", "device must be text, not 0"),
        (PATHS + "rows: [{}]\nload: {null: 1}", "null must be of type str, not 1"),
        (PATHS + "rows: [{}]\nload: {offload: x}", "offload must be of type bool, not 'x'"),
        (PATHS + "rows: [{}]\nload: {bits: 4}", "unknown key in load: 'bits'; known: null"),
        (PATHS + "rows: [{}]\nphotographs: {every: 0}", "every must be an integer of at least 1"),
        (PATHS + "rows: [{}]\nprotocol: {thresholds: many}", "thresholds must be of type int"),
        (PATHS + "rows: [{}]\nprotocol: {gt_mode: x}", "unknown gt_mode 'x'"),
    ],
)
def test_a_wrong_plan_is_one_clear_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=rf"plan\.yaml:? ?.*({message})") as caught:
        plan_of(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_the_plans_of_the_repository_can_be_read():
    folder = ROOT / "benchmarks" / "ablation"
    plans = {
        file.stem: read_plan(file, images=Path("x"), ground_truth=Path("y"))
        for file in folder.glob("*.yaml")
    }
    assert set(plans) == {"steps", "trajectories", "resolution"}
    assert [row.name for row in plans["steps"].rows[:2]] == ["base", "timestep 0"]
    assert plans["trajectories"].every == 8
