"""Data sets, weights and TRACE's edges, as several tables use them."""

from dataclasses import dataclass
from pathlib import Path

from reproduction import Need, Options, Row, Step

COCO = "from https://cocodataset.org/#download"
VOC = "from http://host.robots.ox.ac.uk/pascal/VOC/voc2012 (VOCtrainval_11-May-2012.tar)"
AP_TOLERANCE = 0.3  # points of AP; the paper's own seeds are not known
DETECTORS = {
    "HED": "https://github.com/s9xie/hed",
    "PiDiNet": "https://github.com/hellozhuo/pidinet",
    "DiffusionEdge": "https://github.com/GuHuangAI/DiffusionEdge",
}
SETS = ("VOC12", "COCO14", "COCO17")
MASK_ASSUMPTIONS = (
    "AP^mk: COCO's AP of masks in percent, IoU 0.50 to 0.95, all masks of one category, at most "
    "100 per image, crowds ignored.",
    "Splits: VOC12 is the 1449 images of ImageSets/Segmentation/val.txt, void left out; COCO14 is "
    "val2014 (and not COCO20k); COCO17 is val2017.",
    f"Tolerance: {AP_TOLERANCE} points.",
)
DISTILLED = (
    "TRACE is the distilled detector of SD3.5-Large (LoRA rank 64, 10 epochs, ImageNet, as the "
    "authors' README says); its resolution is not given: the default of the backbone.",
)


@dataclass(frozen=True)
class Benchmark:
    """Images with instances as ground truth; `truth` may be made by a step."""

    images: Need
    truth: Path
    needs: tuple[Need, ...]
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Edges:
    """A folder of TRACE's edges, and how it comes about."""

    folder: Path
    needs: tuple[Need, ...]
    steps: tuple[Step, ...]
    stand_in: str


def benchmark(name: str, options: Options) -> Benchmark:
    """One of `SETS`."""
    folder = options.data / name.lower()
    if name == "VOC12":
        devkit = options.data / "VOC2012"
        objects = Need(
            devkit / "SegmentationObject",
            "PASCAL VOC 2012 with its segmentations",
            VOC,
            "VOC2012/ as in VOCdevkit: JPEGImages/, SegmentationObject/, ImageSets/Segmentation/",
            2913,
        )
        images = Need(
            folder / "images",
            "the photographs of VOC 2012's val",
            VOC,
            "the 1449 JPEGs of ImageSets/Segmentation/val.txt, linked or copied",
            1449,
        )
        truth = options.out / "truth" / "voc12.json"
        convert = ("evaluate", "voc-instances", str(devkit), "--out", str(truth), "--split", "val")
        return Benchmark(images, truth, (objects,), (Step(convert, truth),))
    year, count = {"COCO14": (2014, 40504), "COCO17": (2017, 5000)}[name]
    images = Need(
        folder / "images",
        f"the photographs of COCO val{year}",
        f"val{year}.zip {COCO}",
        f"{count} JPEGs",
        count,
    )
    truth = folder / "instances.json"
    archive = f"annotations_trainval{year}.zip {COCO}"
    layout = f"instances_val{year}.json under this name"
    instances = Need(truth, f"the instances of COCO val{year}", archive, layout)
    return Benchmark(images, truth, (instances,))


def weights(options: Options, name: str, hub_id: str) -> Need:
    """The weights of a backbone."""
    path = options.data / "weights" / name
    page = f"its licence may have to be accepted on https://huggingface.co/{hub_id}"
    fetch = f"with `hf download {hub_id} --local-dir {path}`; {page}"
    return Need(path, f"the weights of {name}", fetch, "the repository's files")


def sd35_large(options: Options) -> Need:
    """The paper's default backbone."""
    return weights(options, "sd3.5-large", "stabilityai/stable-diffusion-3.5-large")


def imagenet(options: Options) -> Need:
    """The photographs that the paper distils on, and CutLER trains on."""
    return Need(
        options.data / "imagenet" / "train",
        "ImageNet-1K's training photographs",
        "ILSVRC2012_img_train.tar from https://www.image-net.org/download.php",
        "1000 folders nXXXXXXXX/ of JPEGs",
        1000,
    )


def trace_edges(
    options: Options,
    images: Path,
    name: str,
    backbone: Need | None = None,
    distilled: bool = True,
) -> Edges:
    """TRACE's edges of a folder; where the options name a stand-in, its edges without training.

    Args:
        images: folder of photographs.
        name: of their data set.
        backbone: None for the paper's default.
        distilled: whether the backbone is distilled first.
    """
    needs: tuple[Need, ...] = ()
    steps: tuple[Step, ...] = ()
    asked: tuple[str, ...] = ()
    method: tuple[str, ...] = ("--training-free",)
    if options.backbone:
        size = f" at {options.resolution} px" if options.resolution else ""
        source = options.backbone
        kind = f"{options.backbone.strip('/').replace('/', '--')}{size.replace(' ', '-')}"
        asked = ("--resolution", str(options.resolution)) if options.resolution else ()
        stand_in = f"other backbone than the paper's, not distilled ({source}{size})"
    else:
        backbone = backbone or sd35_large(options)
        kind, source, stand_in = backbone.path.name, str(backbone.path), ""
        needs = (backbone,)
        if distilled:
            method = ()
            kind, source = f"{kind}-distilled", str(options.out / "detectors" / kind)
            needs = (backbone, photographs := imagenet(options))
            teacher = ("--backbone", str(backbone.path), "--config", "paper", "--recursive")
            distill = ("distill", str(photographs.path), *teacher, "--out", source)
            steps = (Step(distill, Path(source)),)
    model = (*method, "--backbone", source) if method else ("--detector", source)
    folder = options.out / "edges" / kind / name
    command = ("detect", str(images), "--out", str(folder), *model, *asked)
    return Edges(folder, needs, (*steps, Step(command, folder)), stand_in)


def edge_maps(options: Options, detector: str, name: str, count: int) -> Need:
    """The edge maps of one of `DETECTORS` on a data set of so many photographs."""
    return Need(
        options.data / "maps" / detector.lower() / name.lower(),
        f"the edge maps of {detector} on {name}",
        f"by running {DETECTORS[detector]} over the images",
        "NAME.png for every NAME.jpg: smooth, white on black, at the photograph's size",
        count,
    )


def mask_file(options: Options, source: str, name: str) -> Need:
    """Masks of MaskCut or ProMerge on a data set, as their programs write them."""
    programs = {
        "MaskCut": "maskcut/maskcut.py (tau 0.15, N 3, size 480) of "
        "https://github.com/facebookresearch/CutLER",
        "ProMerge": "https://github.com/facebookresearch/ProMerge (its annotations.py has the "
        "writer, which promerge.py does not call)",
    }
    path = options.data / "masks" / source.lower() / f"{name.lower()}.json"
    what = f"the masks of {source} on {name}"
    return Need(path, what, f"by running {programs[source]} over the images", "one COCO JSON")


def score_masks(
    options: Options, masks: Path, truth: Path, label: str, metric: str, score: str = "constant"
) -> Step:
    """AP^mk in percent; `label` names the file of the scores."""
    out = options.out / "scores" / f"{label}.json"
    command = ("evaluate", "masks", str(masks), str(truth), "--score", score, "--out", str(out))
    return Step(command, out, {metric: ("ap",)}, 100)


def refined(
    options: Options, masks: Need, edges: Path, benchmark: Benchmark, label: str, metric: str
) -> tuple[Step, Step]:
    """Masks split and merged along edges, and their score."""
    out = options.out / "refined" / f"{label}.json"
    command = ("refine", str(masks.path), str(edges), "--out", str(out), "--split-parts")
    return Step(command, out), score_masks(options, out, benchmark.truth, label, metric)


def traced_row(
    options: Options,
    name: str,
    source: str,
    sets: tuple[str, ...],
    backbone: Need | None = None,
    distilled: bool = True,
) -> Row:
    """The masks of a source on the data sets, refined along TRACE's edges."""
    needs: list[Need] = []
    work: list[Step | Need] = []
    stand_in = ""
    for one in sets:
        data, masks = benchmark(one, options), mask_file(options, source, one)
        edges = trace_edges(options, data.images.path, one.lower(), backbone, distilled)
        label = f"{source.lower()}-{edges.folder.parent.name}-{one.lower()}"
        needs += [*data.needs, data.images, masks, *edges.needs]
        steps = refined(options, masks, edges.folder, data, label, f"AP^mk {one}")
        work += [s for s in (*data.steps, *edges.steps, *steps) if s not in work]
        stand_in = edges.stand_in
    return Row(name, tuple(dict.fromkeys(needs)), tuple(work), stand_in)
