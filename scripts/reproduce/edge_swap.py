"""Edges swapped into the same refinement: AP^mk on VOC12 with the edges of five detectors.

python scripts/reproduce/edge_swap.py --data DATA --out OUT
"""

import sys

from reproduction import Expected, Need, Options, Row, Step, Table
from runner import main
from sources import (
    AP_TOLERANCE,
    DETECTORS,
    DISTILLED,
    MASK_ASSUMPTIONS,
    benchmark,
    edge_maps,
    mask_file,
    refined,
    traced_row,
)

SOURCE, SET, METRIC = "ProMerge", "VOC12", "AP^mk VOC12"
PAPER = {"Canny": 1.2, "HED": 3.7, "PiDiNet": 4.1, "DiffusionEdge": 4.3, "TRACE": 9.4}
ASSUMPTIONS = (
    *MASK_ASSUMPTIONS,
    "Masks: ProMerge's, since TRACE's 9.4 is ProMerge + TRACE on VOC12.",
    "Edges: each detector's map as it is, and one threshold of the refinement for all; at which "
    "threshold the paper cuts each detector is not said.",
    "Canny: graded by 25 hysteresis thresholds.",
    *DISTILLED,
)


def table(options: Options) -> Table:
    """The table."""
    data, masks = benchmark(SET, options), mask_file(options, SOURCE, SET)
    needs = (*data.needs, masks)

    def swapped(name: str, *before: Step, edges: Need | None = None) -> Row:
        folder = edges.path if edges else options.out / "canny" / "peers" / "canny"
        label = f"{SOURCE.lower()}-{name.lower()}-{SET.lower()}"
        steps = refined(options, masks, folder, data, label, METRIC)
        return Row(name, (*needs, edges) if edges else needs, (*data.steps, *before, *steps))

    rows = [swapped("Canny", _draw_canny(options))]
    rows += [swapped(name, edges=edge_maps(options, name, SET, 1449)) for name in DETECTORS]
    rows.append(traced_row(options, "TRACE", SOURCE, (SET,)))
    expected = tuple(Expected(row, METRIC, value, AP_TOLERANCE) for row, value in PAPER.items())
    title = "Edges swapped into the same refinement"
    return Table("edge_swap", title, ASSUMPTIONS, tuple(rows), expected)


def _draw_canny(options: Options) -> Step:
    """Scoring a peer draws its maps, of all images with ground truth, into OUT/peers."""
    devkit, out = options.data / "VOC2012", options.out / "canny"
    photographs = str(devkit / "JPEGImages")
    command = ("evaluate", "edges", str(devkit), "--kind", "voc", "--images", photographs)
    return Step((*command, "--peer", "canny", "--out", str(out)), out / "peers" / "canny")


if __name__ == "__main__":
    sys.exit(main(table))
