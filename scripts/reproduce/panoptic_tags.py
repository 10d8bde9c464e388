"""Tag-supervised panoptic segmentation: PQ of MARS and DHR, with and without TRACE.

python scripts/reproduce/panoptic_tags.py --data DATA --out OUT

The panoptic network is trained outside of this package: its panoptic labels are made here, and the
predictions of the trained network are asked for when they are needed.
"""

import sys

from reproduction import Expected, Need, Options, Row, Step, Table
from runner import main
from sources import COCO, DISTILLED, VOC, trace_edges

TOLERANCE = 0.5
PAPER = {  # VOC, COCO
    "MARS R50": (41.4, 11.7),
    "MARS + TRACE R50": (50.4, 29.5),
    "DHR R50": (45.0, 18.3),
    "DHR + TRACE R50": (56.9, 32.8),
    "DHR + TRACE Swin-L": (69.8, 43.1),
}
PAGES = {"MARS": "https://github.com/shjo-april/MARS", "DHR": "https://github.com/shjo-april/DHR"}
MASK2FORMER = "https://github.com/facebookresearch/Mask2Former"
SETS = ("VOC", "COCO")
ASSUMPTIONS = (
    "PQ in percent. VOC: val, 20 things and one background, mean over 21 classes, with the "
    "panoptic ground truth that point-supervised work uses (PSPS). COCO: val2017, 133 classes.",
    "R50 and Swin-L are taken to be the backbones of a Mask2Former trained on panoptic labels made "
    "of the semantic masks; without TRACE an object is a connected component.",
    "Tags name 80 things on COCO: where the labels of its 53 stuff classes come from is not said.",
    "Training photographs: VOC train_aug (10582) and COCO train2014 (82783), those of the semantic "
    "masks.",
    "The paper's rows of point supervision (EPLD Swin-L 68.5 / 41.0) are quoted there and not "
    "measured here.",
    f"Tolerance: {TOLERANCE} points.",
    *DISTILLED,
)


def table(options: Options) -> Table:
    """The table."""
    expected = tuple(
        Expected(row, f"PQ {name}", value, TOLERANCE)
        for row, values in PAPER.items()
        for name, value in zip(SETS, values, strict=True)
    )
    rows = tuple(_row(options, name) for name in PAPER)
    title = "Tag-supervised panoptic segmentation"
    return Table("panoptic_tags", title, ASSUMPTIONS, rows, expected)


def _row(options: Options, name: str) -> Row:
    source, traced = name.split()[0], "TRACE" in name
    needs: list[Need] = []
    work: list[Step | Need] = []
    stand_in = ""
    for one in SETS:
        truth = _truth(options, one)
        labels = options.out / "panoptic" / f"{source.lower()}-{one.lower()}.json"
        predictions = Need(
            options.data / "panoptic" / name.lower().replace(" + ", "-").replace(" ", "-") / one,
            f"the predictions of {name} on {one}",
            f"by training {MASK2FORMER} ({name.split()[-1]}) on "
            + (str(labels) if traced else f"the connected components of {source}'s masks")
            + "; train_mask2former.py beside this script has a plainer recipe",
            "panoptic.json and panoptic/ of PNGs, in COCO's format",
        )
        needs += truth
        if traced:
            semantic, pictures = _semantic(options, source, one), _photographs(options, one)
            edges = trace_edges(options, pictures.path, f"{one.lower()}-train")
            command = ("panoptic", str(semantic.path), str(edges.folder), "--out", str(labels))
            needs += [pictures, semantic, *edges.needs]
            steps = (*edges.steps, Step(command, labels))
            work += [step for step in steps if step not in work]
            stand_in = edges.stand_in
            work.append(predictions)
        else:
            needs.append(predictions)
        work.append(_score(options, name, one, predictions, truth[0]))
    return Row(name, tuple(dict.fromkeys(needs)), tuple(work), stand_in)


def _score(options: Options, name: str, one: str, predictions: Need, truth: Need) -> Step:
    out = options.out / "scores" / f"{predictions.path.parent.name}-{one.lower()}.json"
    files = (str(predictions.path / "panoptic.json"), str(truth.path))
    command = ("evaluate", "panoptic", *files, "--protocol", one.lower(), "--out", str(out))
    return Step(command, out, {f"PQ {one}": ("all", "pq")}, 100)


def _truth(options: Options, one: str) -> tuple[Need, Need]:
    """The JSON, and the PNGs beside it."""
    folder = options.data / ("voc12" if one == "VOC" else "coco17")
    if one == "VOC":
        what = "the panoptic ground truth of VOC 2012 val"
        fetch = "voc_panoptic_val, linked in https://github.com/BraveGroup/PSPS"
        own, count = "voc_panoptic_val", 1449
    else:
        what = "the panoptic ground truth of COCO val2017"
        fetch = f"panoptic_annotations_trainval2017.zip {COCO}"
        own, count = "panoptic_val2017", 5000
    return (
        Need(folder / "panoptic.json", what, fetch, f"{own}.json under this name"),
        Need(folder / "panoptic", f"the PNGs of {what}", fetch, f"the PNGs of {own}", count),
    )


def _photographs(options: Options, one: str) -> Need:
    if one == "VOC":
        layout = "the 10582 JPEGs of train_aug"
        what = "the training photographs of VOC 2012"
        return Need(options.data / "voc12" / "train", what, VOC, layout, 10582)
    what, fetch = "the photographs of COCO train2014", f"train2014.zip {COCO}"
    return Need(options.data / "coco14" / "train", what, fetch, "82783 JPEGs", 82783)


def _semantic(options: Options, source: str, one: str) -> Need:
    return Need(
        options.data / "semantic" / source.lower() / one.lower(),
        f"the tag-supervised semantic masks of {source} on {one}",
        f"the masks released with {PAGES['DHR']} (WSS/{one}/{source}), or run {PAGES[source]}",
        "NAME.png for every training photograph, a pixel is a class, 0 background, 255 nothing",
    )


if __name__ == "__main__":
    sys.exit(main(table))
