"""Training-free masks: AP^mk of MaskCut and ProMerge, alone and refined along TRACE's edges.

python scripts/reproduce/masks_training_free.py --data DATA --out OUT
"""

import sys

from reproduction import Expected, Need, Options, Row, Step, Table
from runner import main
from sources import (
    AP_TOLERANCE,
    DISTILLED,
    MASK_ASSUMPTIONS,
    SETS,
    benchmark,
    mask_file,
    score_masks,
    traced_row,
)

PAPER = {  # VOC12, COCO14, COCO17
    "MaskCut": (5.8, 3.0, 2.3),
    "MaskCut + TRACE": (9.7, 7.9, 7.5),
    "ProMerge": (5.0, 3.1, 2.5),
    "ProMerge + TRACE": (9.4, 8.2, 7.8),
}
ASSUMPTIONS = (
    *MASK_ASSUMPTIONS,
    "Scores: MaskCut writes none and ProMerge writes 1.0; all are taken equal, the larger mask "
    "first. Another order moves AP by tenths of a point.",
    *DISTILLED,
)


def table(options: Options) -> Table:
    """The table."""
    rows = []
    for source in ("MaskCut", "ProMerge"):
        rows += [
            _plain_row(options, source),
            traced_row(options, f"{source} + TRACE", source, SETS),
        ]
    expected = tuple(
        Expected(row, f"AP^mk {name}", value, AP_TOLERANCE)
        for row, values in PAPER.items()
        for name, value in zip(SETS, values, strict=True)
    )
    title = "Training-free instance masks"
    return Table("masks_training_free", title, ASSUMPTIONS, tuple(rows), expected)


def _plain_row(options: Options, source: str) -> Row:
    needs: list[Need] = []
    work: list[Step] = []
    for name in SETS:
        data, masks = benchmark(name, options), mask_file(options, source, name)
        needs += [*data.needs, masks]
        label = f"{source.lower()}-{name.lower()}"
        scored = score_masks(options, masks.path, data.truth, label, f"AP^mk {name}")
        work += [*data.steps, scored]
    return Row(source, tuple(needs), tuple(work))


if __name__ == "__main__":
    sys.exit(main(table))
