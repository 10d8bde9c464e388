"""Time per image: the training-free method (IEP + ABDiv) and the distilled detector.

python scripts/reproduce/speed.py --data DATA --out OUT
"""

import sys

from reproduction import Expected, Need, Options, Row, Step, Table
from runner import main
from sources import DISTILLED, trace_edges

PAPER = {"IEP + ABDiv": 3682, "distilled": 45}
TOLERANCE = 0.25  # of the paper's milliseconds
ASSUMPTIONS = (
    "One A100, bfloat16, one image at a time: the paper names the A100; precision, batch and "
    "resolution are not given. 45 ms fit 512 px and not 1024 px.",
    "Time: the median over the images of `seconds` in their records, from opening an image to its "
    "edges; loading the model and writing results are left out.",
    "The factor between the two (the paper's 81) follows from them.",
    f"Tolerance: {TOLERANCE:.0%}, on that device.",
    *DISTILLED,
)


def table(options: Options) -> Table:
    """The table; a stand-in is timed without training only."""
    photographs = Need(
        options.data / "images",
        "photographs, 50 or more",
        "any: the paper does not name its own (COCO's are 640 px long)",
        "JPEGs",
    )
    device = _device()
    stand_in = "" if "A100" in device else f"other device than the paper's A100 ({device})"
    expected = tuple(Expected(row, "ms", value, TOLERANCE * value) for row, value in PAPER.items())
    edges = trace_edges(options, photographs.path, "timed")
    if options.backbone:
        reasons = f"{edges.stand_in}; {stand_in}" if stand_in else edges.stand_in
        rows = [Row("IEP + ABDiv", (photographs,), (_timed(edges.steps[-1]),), reasons)]
    else:
        free = trace_edges(options, photographs.path, "timed", distilled=False)
        *before, last = edges.steps
        rows = [
            Row("IEP + ABDiv", (photographs, *free.needs), (_timed(free.steps[-1]),), stand_in),
            Row("distilled", (photographs, *edges.needs), (*before, _timed(last)), stand_in),
        ]
    return Table("speed", "Time per image, milliseconds", ASSUMPTIONS, tuple(rows), expected)


def _timed(detect: Step) -> Step:
    command = (*detect.command, "--dtype", "bfloat16", "--batch-size", "1")
    return Step(command, detect.leaves, {"ms": ("seconds",)}, 1000)


def _device() -> str:
    import torch  # takes seconds; only this table asks

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no CUDA device"


if __name__ == "__main__":
    sys.exit(main(table))
