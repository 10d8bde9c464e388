"""The harness sees what is wrong: each case here breaks one of its rules on purpose."""

import numpy as np
import pytest
from PIL import Image

from .harness import Case, check, faults


def broken_png(folder):
    (folder / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")


def edges_and_masks(folder):
    (folder / "edges").mkdir()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(folder / "edges" / "a.png")
    (folder / "masks.json").write_text("{", encoding="utf-8")


REFINE = ("refine", "masks.json", "edges", "--out", "out.json")


def test_a_clear_refusal_is_as_it_should_be(tmp_path):
    check(Case("cut", edges_and_masks, REFINE, ("masks.json",)), tmp_path)


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        (Case("cut", edges_and_masks, REFINE, ("masks.json",), code=0), "exit code 1, not 0"),
        (Case("cut", edges_and_masks, REFINE, ("other.json",)), "no line names other.json"),
        (
            Case("cut", edges_and_masks, REFINE, ("masks.json",), done=("out.json",)),
            "not done: out.json",
        ),
        (Case("late", edges_and_masks, REFINE, (), seconds=0), "ran longer than 0 s"),
        (
            Case("option", edges_and_masks, ("refine", "--no-such"), ("--no-such",), code=1),
            "exit code 2, not 1",
        ),
    ],
)
def test_faults_are_seen(case, fault, tmp_path):
    assert fault in faults(case, tmp_path)


def test_a_wrong_option_is_told_by_its_name(tmp_path):
    check(Case("option", broken_png, ("detect", "--nothing"), ("--nothing",), code=2), tmp_path)
