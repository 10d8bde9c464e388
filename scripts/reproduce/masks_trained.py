"""Masks of detectors trained on pseudo masks: CutLER and ProMerge+, with and without TRACE.

python scripts/reproduce/masks_trained.py --data DATA --out OUT

The detector is trained outside of this package: the pseudo masks are made here, and the detections
of the trained Mask R-CNN are asked for when they are needed.
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
    imagenet,
    score_masks,
    trace_edges,
)

CUTLER = "https://github.com/facebookresearch/CutLER"
PROMERGE = "https://github.com/facebookresearch/ProMerge"
PAPER = {
    "CutLER": {"VOC12": 11.2, "COCO14": 8.9, "COCO17": 8.7},
    "CutLER + TRACE": {"VOC12": 14.8, "COCO14": 13.1, "COCO17": 12.8},
    "ProMerge+": {"COCO17": 8.9},
    "ProMerge+ + TRACE": {"COCO17": 13.0},
}
DETECTORS = {  # without TRACE: whose detections
    "CutLER": f"by evaluating cutler_mrcnn_final.pth (model zoo of {CUTLER}) with detectron2",
    "ProMerge+": f"by evaluating the Mask R-CNN of {PROMERGE} with detectron2",
}
PSEUDO_MASKS = {  # on ImageNet
    "CutLER": f"imagenet_train_fixsize480_tau0.15_N3.json, linked in the README of {CUTLER}",
    "ProMerge+": f"by running {PROMERGE} over ImageNet's training photographs",
}
ASSUMPTIONS = (
    *MASK_ASSUMPTIONS,
    "Scores: those of the detector.",
    "Training: that of CutLER's Mask R-CNN R50-FPN on ImageNet, with its masks exchanged for the "
    "refined ones; how many rounds of self-training the paper ran is not known: none is taken.",
    *DISTILLED,
)


def table(options: Options) -> Table:
    """The table."""
    rows = []
    for name in ("CutLER", "ProMerge+"):
        rows.append(_row(options, name, (), (), DETECTORS[name], ""))
        photographs = imagenet(options)
        masks = Need(
            options.data / "masks" / name.lower() / "imagenet.json",
            f"the pseudo masks that {name} is trained on",
            PSEUDO_MASKS[name],
            "one COCO JSON",
        )
        edges = trace_edges(options, photographs.path, "imagenet")
        *before, detect = edges.steps
        below = Step((*detect.command, "--recursive"), detect.leaves)
        refined = options.out / "refined" / f"{name.lower()}-imagenet.json"
        command = (
            "refine",
            str(masks.path),
            str(edges.folder),
            "--out",
            str(refined),
            "--split-parts",
        )
        needs = (photographs, masks, *(need for need in edges.needs if need != photographs))
        fetch = (
            f"by training the Mask R-CNN of {CUTLER} on {refined} and evaluating it; "
            "train_mask_rcnn.py beside this script has a plainer recipe"
        )
        work = (*before, below, Step(command, refined))
        rows.append(_row(options, f"{name} + TRACE", needs, work, fetch, edges.stand_in))
    expected = tuple(
        Expected(row, f"AP^mk {name}", value, AP_TOLERANCE)
        for row, values in PAPER.items()
        for name, value in values.items()
    )
    title = "Instance masks of detectors trained on pseudo masks"
    return Table("masks_trained", title, ASSUMPTIONS, tuple(rows), expected)


def _row(
    options: Options,
    name: str,
    needs: tuple[Need, ...],
    work: tuple[Step, ...],
    fetch: str,
    stand_in: str,
) -> Row:
    """Detections are needed at once, or after the work that they come from."""
    truths: list[Need] = []
    detections: list[Need] = []
    scored: list[Step] = []
    short = name.lower().replace(" + ", "-")
    for one in (one for one in SETS if one in PAPER[name]):
        data = benchmark(one, options)
        path = options.data / "detections" / short / f"{one.lower()}.json"
        what = f"the detections of {name} on {one}"
        detections.append(Need(path, what, fetch, "detectron2's coco_instances_results.json"))
        label = f"{short}-{one.lower()}"
        step = score_masks(options, path, data.truth, label, f"AP^mk {one}", "given")
        truths += data.needs
        scored += [*data.steps, step]
    if not work:
        return Row(name, (*truths, *detections), tuple(scored), stand_in)
    return Row(name, (*truths, *needs), (*work, *detections, *scored), stand_in)


if __name__ == "__main__":
    sys.exit(main(table))
