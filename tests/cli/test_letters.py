"""Letters that everybody tries first."""

import pytest
from typer.testing import CliRunner

from trace_edges.cli import app


@pytest.mark.parametrize("words", [[], ["detect"], ["evaluate"], ["evaluate", "edges"]])
def test_h_is_help(words):
    short, long = (CliRunner().invoke(app, [*words, flag]) for flag in ("-h", "--help"))
    assert short.exit_code == 0
    assert short.stdout == long.stdout
    assert "Usage:" in short.stdout


@pytest.mark.parametrize(
    "words",
    [["detect"], ["segment"], ["refine"], ["panoptic"], ["explain"], ["distill"],
     ["evaluate", "edges"], ["evaluate", "masks"], ["evaluate", "panoptic"],
     ["evaluate", "boundaries"], ["evaluate", "voc-instances"],
     ["annotate"], ["export"], ["report"], ["doctor"]],
)  # fmt: skip
def test_o_is_out(words):
    lines = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"}).stdout.splitlines()
    out = next(line for line in lines if " --out " in line and "│" in line)
    assert "-o " in out


def test_one_step_has_no_timestep_in_its_table(tmp_path):
    from PIL import Image

    Image.new("RGB", (64, 48), (200, 30, 30)).save(tmp_path / "a.png")
    run = ["detect", str(tmp_path / "a.png"), "-o", str(tmp_path / "edges")]
    result = CliRunner().invoke(app, run)
    assert result.exit_code == 0
    assert result.stdout.split()[:4] == ["image", "size", "seconds", "edges"]
    training_free = ["--training-free", "--resolution", "64", "--timestep", "99", "--overwrite"]
    result = CliRunner().invoke(app, [*run, *training_free])
    assert result.stdout.split()[:5] == ["image", "size", "t*", "seconds", "edges"]
