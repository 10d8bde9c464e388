"""Commands that are stopped at some moments end as if they had not been; by hand at many more:
`python -m benchmarks.kills`.
"""

import signal

import pytest

from benchmarks import kills

pytest.importorskip("pycocotools.mask")
pytest.importorskip("pyarrow")

# Of the benchmark's commands, those that people run most.
OFTEN = ("detect", "segment", "annotate, edges, tars", "annotate, instances, Parquet", "composites")


@pytest.fixture(scope="module", autouse=True)
def loaded():
    kills.load()


def check(name, out, signals, runs=1):
    row = kills.measure(name, out, runs, seed=1, signals=signals, latest=0)
    assert row.faults == ()
    assert sum(row.stops.values()) >= runs, "no stop fell into the work"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("name", ["refine, label maps", "annotate, instances, COCO"])
def test_stopped_and_called_again(name, tmp_path):
    check(name, tmp_path, (signal.SIGKILL, signal.SIGINT))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("name", OFTEN)
def test_more_commands_that_write_stopped_and_called_again(name, tmp_path):
    check(name, tmp_path, kills.SIGNALS)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_what_is_not_as_it_should_be_is_seen(tmp_path):
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    kills.make_inputs(inputs)
    before = kills._contents(inputs)
    assert kills._broken(inputs, before) == []
    (inputs / "photos/c.png").write_bytes(b"")
    (inputs / "out").mkdir()
    (inputs / "out/half.json").write_text("{", encoding="utf-8")
    found = kills._broken(inputs, before)
    assert [one.partition(" ")[0] for one in found] == ["photos/c.png", "out/half.json"]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(
    "words",
    [
        "evaluate panoptic panoptic panoptic --out out/s.json",
        pytest.param("refine nowhere.json edges --out out/r.json", marks=pytest.mark.long),
        pytest.param(
            "evaluate masks masks.json masks.json --score constant --quiet", marks=pytest.mark.long
        ),
    ],
)
def test_a_command_that_fails_or_writes_nothing_when_left_alone_tests_nothing(
    words, tmp_path, monkeypatch
):
    monkeypatch.setitem(kills.COMMANDS, "it", words)
    row = kills.measure("it", tmp_path, runs=0, seed=1)
    assert len(row.faults) == 1
    assert row.faults[0].startswith("undisturbed it ")
