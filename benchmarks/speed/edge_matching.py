"""Seconds per image of the edge benchmark: thinning, and matching by each engine.

    OMP_NUM_THREADS=1 python -m benchmarks.speed.edge_matching --json edge_matching.json

Synthetic maps of 480 x 320 pixels, 99 thresholds, tolerance 0.0075 of the diagonal, one process.
The prediction traces the true cells with jitter, uneven strength and false cells. When pyEdgeEval
(a port of the BSDS matcher) is installed its `correspond_pixels` is timed too, tens of seconds an
image. Prints a Markdown table; --json also writes the numbers and the versions.
"""

import argparse
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.morphology import thin as thin_skimage

from benchmarks._shared.reports import guarded, markdown, write_json
from benchmarks._shared.timing import stopwatch
from trace_edges.doctor.machine import processor
from trace_edges.metrics.boundaries import boundaries_from_labels
from trace_edges.metrics.edges import BSDS
from trace_edges.metrics.lines import thin_numba
from trace_edges.metrics.matching import match_pixels_numba, match_pixels_scipy

SHAPE = (320, 480)
RADIUS = BSDS.max_distance * float(np.hypot(*SHAPE))

Engine = Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]


def cells(centres: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """Boundaries of the cells nearest to each centre, bent by a displacement field (2, h, w)."""
    place = np.mgrid[: SHAPE[0], : SHAPE[1]] + bend
    squared = ((place[None] - centres[:, :, None, None]) ** 2).sum(1)
    return boundaries_from_labels(squared.argmin(0))


def synthetic_image(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A graded prediction and the ground truth of 30 cells."""
    rng = np.random.default_rng(seed)
    centres, false_centres = rng.random((30, 2)) * SHAPE, rng.random((60, 2)) * SHAPE
    bend, jitter = (
        gaussian_filter(rng.standard_normal((2, *SHAPE)), (0, 8, 8)) * scale for scale in (20, 50)
    )
    prediction = np.zeros(SHAPE)
    for edges, weight in ((cells(centres, bend + jitter), 1.0), (cells(false_centres, bend), 0.6)):
        strength = gaussian_filter(edges * rng.random(SHAPE), 1.0)
        prediction = np.maximum(prediction, weight * strength / strength.max())
    return prediction, cells(centres, bend)


def correspond_pixels(
    prediction: np.ndarray, truth: np.ndarray, max_distance: float
) -> tuple[np.ndarray, np.ndarray]:
    """The BSDS matcher, which wants the distance as a fraction of the diagonal."""
    from pyEdgeEval._lib import correspond_pixels as solve

    matched, found, _, _ = solve(prediction, truth, max_distance / float(np.hypot(*SHAPE)))
    return matched > 0, found > 0


def available_engines() -> dict[str, Engine]:
    engines: dict[str, Engine] = {}
    if find_spec("numba"):
        engines["numba"] = match_pixels_numba
    engines["scipy"] = match_pixels_scipy
    if find_spec("pyEdgeEval"):
        engines["pyEdgeEval"] = correspond_pixels
    return engines


def measure(images: int) -> list[dict[str, float | str]]:
    """One row per step, summed over thresholds and averaged over images."""
    engines = available_engines()
    thinners = {"thinning, scikit-image": thin_skimage}
    if find_spec("numba"):
        thinners["thinning, numba"] = thin_numba
    seconds = dict.fromkeys((*thinners, *engines), 0.0)
    pairs = dict.fromkeys(engines, 0)
    for seed in range(images):
        prediction, truth = synthetic_image(seed)
        for name, thin in thinners.items():
            thin(truth)
            took, thinned = stopwatch(
                lambda thin=thin, prediction=prediction: [
                    thin(prediction >= level) for level in BSDS.levels
                ]
            )
            seconds[name] += took
        for name, engine in engines.items():
            engine(thinned[-1], truth, RADIUS)  # compile, or load what was compiled
            took, matched = stopwatch(
                lambda engine=engine, truth=truth, thinned=thinned: [
                    engine(edges, truth, RADIUS)[0] for edges in thinned
                ]
            )
            seconds[name] += took
            pairs[name] += sum(int(edges.sum()) for edges in matched)
    return [
        *({"step": name, "seconds": seconds[name] / images} for name in thinners),
        *(
            {"step": f"matching, {name}", "seconds": seconds[name] / images, "pairs": pairs[name]}
            for name in engines
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="PATH")
    arguments = parser.parse_args()

    rows = measure(arguments.images)
    header = ("step", "s per image", "pairs, all thresholds and images")
    lines = [(row["step"], f"{row['seconds']:.3f}", row.get("pairs", "")) for row in rows]
    print(markdown(header, lines))
    if arguments.json:
        optional = [name for name in ("numba", "pyEdgeEval") if find_spec(name)]
        report = {
            "shape": SHAPE,
            "thresholds": BSDS.thresholds,
            "max_distance": BSDS.max_distance,
            "images": arguments.images,
            "machine": processor(),
            "versions": {
                name: version(name) for name in ("numpy", "scipy", "scikit-image", *optional)
            },
            "rows": rows,
        }
        write_json(report, arguments.json, indent=2)


if __name__ == "__main__":
    guarded(main)
