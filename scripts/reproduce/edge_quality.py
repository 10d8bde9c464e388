"""Edge quality on COCO's panoptic boundaries: ODS, OIS and clDice of five detectors.

python scripts/reproduce/edge_quality.py --data DATA --out OUT
"""

import sys

from reproduction import Expected, Need, Options, Row, Step, Table
from runner import main
from sources import COCO, DETECTORS, DISTILLED, edge_maps, trace_edges

TOLERANCE = 0.02  # of an F measure
PAPER = {  # ODS, OIS, clDice
    "Canny": (0.129, 0.202, 0.134),
    "HED": (0.347, 0.443, 0.446),
    "PiDiNet": (0.362, 0.450, 0.574),
    "DiffusionEdge": (0.428, 0.485, 0.576),
    "TRACE": (0.889, 0.899, 0.826),
}
ASSUMPTIONS = (
    "Split: all 5000 photographs of val2017.",
    "Ground truth: pixels between distinct panoptic segments, void (crowds too) a segment of its "
    "own, thinned to one pixel. Thicker lines move F by up to 0.3.",
    "Matching: one-to-one within 0.0075 of the diagonal, 99 thresholds, ODS between them too.",
    "Prediction: thinned at every threshold; HED, PiDiNet and DiffusionEdge give smooth maps and "
    "go through non-maximum suppression first, TRACE's thin lines do not.",
    "clDice: mean over images at the ODS threshold, no dilation. It has no tolerance of distance: "
    "one pixel of dilation moves it by tenths.",
    "Canny: graded by 25 hysteresis thresholds. On 100 training photographs it has ODS 0.376 by "
    "nearly this protocol (docs/quality.md), so the paper's Canny or protocol is another one.",
    f"Tolerance: {TOLERANCE}.",
    *DISTILLED,
)


def table(options: Options) -> Table:
    """The table; each row is scored by itself, so that it can be asked for alone."""
    photographs, truth = options.data / "images", options.data / "panoptic.json"
    needs = (
        Need(photographs, "the photographs of COCO val2017", f"val2017.zip {COCO}", "JPEGs", 5000),
        Need(
            options.data / "panoptic",
            "their panoptic segments",
            f"panoptic_annotations_trainval2017.zip {COCO}",
            "the PNGs of panoptic_val2017.zip in it",
            5000,
        ),
        Need(
            truth,
            "the list of these segments",
            f"panoptic_annotations_trainval2017.zip {COCO}",
            "panoptic_val2017.json under this name, beside panoptic/",
        ),
    )

    def score(name: str, *arguments: str) -> Step:
        """`name` is what the method is called in scores.json."""
        out = options.out / "scores" / name
        files = (str(truth), "--kind", "coco-panoptic", "--images", str(photographs))
        # The defaults are named, since they are what the assumptions above say.
        protocol = ("--gt-mode", "thin", "--void", "edge", "--thresholds", "99", "--thin")
        more = ("--max-distance", "0.0075", "--interpolate", "--cldice-dilation", "0")
        command = ("evaluate", "edges", *arguments, *files, *protocol, *more, "--out", str(out))
        keys = {"ODS": "ods", "OIS": "ois", "clDice": "cldice"}
        numbers = {metric: ("methods", name, key) for metric, key in keys.items()}
        return Step(command, out / "scores.json", numbers)

    rows = [Row("Canny", needs, (score("canny", "--peer", "canny"),))]
    for name in DETECTORS:
        maps = edge_maps(options, name, "COCO17", 5000)
        rows.append(
            Row(name, (*needs, maps), (score(name, f"{name}={maps.path}", "--nms", "toolbox"),))
        )
    edges = trace_edges(options, photographs, "coco17-panoptic")
    name = edges.folder.parent.name
    scored = score(name, f"{name}={edges.folder}")
    rows.append(Row("TRACE", (*needs, *edges.needs), (*edges.steps, scored), edges.stand_in))
    expected = tuple(
        Expected(row, metric, value, TOLERANCE)
        for row, values in PAPER.items()
        for metric, value in zip(("ODS", "OIS", "clDice"), values, strict=True)
    )
    title = "Edge quality on COCO's panoptic boundaries"
    return Table("edge_quality", title, ASSUMPTIONS, tuple(rows), expected)


if __name__ == "__main__":
    sys.exit(main(table))
