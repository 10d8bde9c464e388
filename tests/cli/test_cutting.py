"""Everything that decides how masks are cut can be given to the commands."""

from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app
from trace_edges.cli.options import Cutting, Splitting
from trace_edges.instances import Attachment, Propagation


def test_defaults_are_those_of_the_functions():
    assert Cutting().propagation() == Propagation()
    assert Splitting().attachment() == Attachment()


def test_every_setting_arrives():
    given = Splitting(
        threshold=0.4, dividing=0.1, hysteresis=0.3, close_gap=7, closed=0.2, min_fragment=9,
        min_radius=1.5, method="random-walk", part_size=0.1, part_distance=2.5, part_behind=0.6,
    )  # fmt: skip
    assert given.propagation() == Propagation(
        threshold=0.4, dividing=0.1, hysteresis=0.3, close_gap=7, closed=0.2, min_area=9,
        min_radius=1.5, method="random_walk",
    )  # fmt: skip
    assert asdict(given.attachment()) == {
        "min_area": 9, "size": 0.1, "distance": 2.5, "behind": 0.6,
    }  # fmt: skip


@pytest.fixture
def folders(tmp_path):
    """One class, and a line of strength 0.98 through it that leaves a gap of 8 px."""
    semantic, edges = tmp_path / "semantic", tmp_path / "edges"
    semantic.mkdir()
    edges.mkdir()
    line = np.zeros((60, 80), dtype=np.uint8)
    line[:, 40] = 250
    line[26:34, 40] = 0
    Image.fromarray(np.ones((60, 80), dtype=np.uint8)).save(semantic / "a.png")
    Image.fromarray(line).save(edges / "a.png")
    return semantic, edges


@pytest.mark.parametrize(
    ("options", "segments"),
    [
        ((), 1),
        (("--close-gap", "9"), 2),
        (("--close-gap", "9", "--closed", "1"), 1),
        (("--close-gap", "9", "--threshold", "0.99"), 1),
        (("--close-gap", "9", "--min-fragment", "3000"), 1),
        (("--close-gap", "9", "--min-radius", "30"), 1),
        (("--close-gap", "9", "--method", "random-walk"), 2),
    ],
)
@pytest.mark.parametrize("verb", ["panoptic", "refine"])
def test_options_of_the_commands(verb, options, segments, folders, tmp_path):
    end = ("--things", "1") if verb == "panoptic" else ()
    words = [verb, *map(str, folders), "-o", str(tmp_path / "out"), *options, *end]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    counted = f"{segments} segment" if verb == "panoptic" else f"1 masks became {segments}"
    assert counted in result.output


@pytest.mark.parametrize("option", ["--dividing", "--hysteresis", "--closed", "--part-behind"])
def test_shares_are_shares(option, folders, tmp_path):
    words = ["panoptic", *map(str, folders), "-o", str(tmp_path / "out"), "--things", "1"]
    result = CliRunner().invoke(app, [*words, option, "1.5"])
    assert result.exit_code == 1
    assert f"{option} must lie in [0, 1], not 1.5" in result.output


@pytest.mark.parametrize("verb", ["panoptic", "refine"])
def test_edges_too_weak_to_cut_anything_are_said_to_be(verb, folders, tmp_path):
    end = ("--things", "1") if verb == "panoptic" else ()
    words = [verb, *map(str, folders), "-o", str(tmp_path / "out"), *end]
    weak = CliRunner().invoke(app, [*words, "--threshold", "0.99"])
    assert weak.exit_code == 0, weak.output
    told = "1 of 1 images: no edge is as strong as the threshold 0.99, so nothing was cut"
    assert told in weak.stderr
    strong = CliRunner().invoke(app, [*words, "--threshold", "0.9", "--json"])
    assert "no edge is as strong" not in strong.output
