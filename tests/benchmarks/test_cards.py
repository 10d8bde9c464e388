"""The tables of memory and cards in docs/backbones.md, held to each other and to checkpoints."""

import re
from pathlib import Path

import pytest

from benchmarks.speed.backbone_memory import card_table, fits
from trace_edges.backbones import CHECKPOINTS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "backbones.md").read_text(encoding="utf-8")


def documented_needs():
    """GiB of weights and peak by name and px, from the table of memory."""
    needs = {}
    for name, px, weights, peak in re.findall(
        r"^\| `([^`]+)` \| (\d+) \| ([\d.]+) \| [\d.]+ \| [\d.]+ \| ([\d.]+) \|$", TEXT, re.M
    ):
        needs.setdefault(name, {})[int(px)] = float(weights), float(peak)
    return needs


def test_a_backbone_fits_where_a_tenth_stays_free():
    sizes = {512: (10.0, 11.0), 1024: (10.0, 13.0)}
    assert fits(sizes, 14.5) == "1024 px"  # 13.05 may be taken
    assert fits(sizes, 14.0) == "512 px"
    assert fits(sizes, 12.0) == "4 bits"  # 3 of weights and 1 beside them
    assert fits(sizes, 4.0) == "no"


def test_the_table_of_memory_has_every_checkpoint_and_its_peak():
    needs = documented_needs()
    assert needs.keys() == CHECKPOINTS.keys()
    for name, row in CHECKPOINTS.items():
        assert needs[name][row.resolution][1] == pytest.approx(row.memory, abs=0.06), name


def test_the_table_of_cards_follows_from_that_of_memory():
    assert card_table(documented_needs()).strip() in TEXT


@pytest.mark.parametrize("page", ["docs/backbones.md", "docs/trust.md"])
def test_tests_that_the_documents_name_are_there(page):
    named = re.findall(
        r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / page).read_text(encoding="utf-8")
    )
    assert named
    for file, test in named:
        assert (ROOT / file).is_file(), file
        assert not test or f"def {test}(" in (ROOT / file).read_text(encoding="utf-8"), (
            f"{file}::{test}"
        )
