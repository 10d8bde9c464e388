"""The job against a loop over the pipeline, on the same images: images per second, and memory.

    python -m benchmarks.speed.annotate PHOTOGRAPHS --json out/annotate.json

The loop is what one would write first: the model loaded once, torch's default threads, one image
after the other through the pipeline, its thin edges written as PNG. The job is `trace-edges
annotate` with --workers, or with --actors, copies of the model. Both count from the first result to
the last (of copies, from the first stretch of each), so that loading the model is in neither. The
record says how busy the machine was when it began; only a quiet one measures.
Memory is that of the job and its workers, after a tenth of the images and at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from pathlib import Path

import torch

import trace_edges as te
from benchmarks._shared.reports import guarded, write_json
from trace_edges.cli.annotate_progress import memory
from trace_edges.doctor.machine import processor
from trace_edges.drawing.visualize import grey_image
from trace_edges.edge_model import EdgeModel
from trace_edges.files import find_images
from trace_edges.jobs import EdgesTask, Job, annotate, make_sink, open_source
from trace_edges.jobs.copies import Processes
from trace_edges.jobs.engine import STRETCH
from trace_edges.loading import Loading
from trace_edges.training_free.settings import TraceSettings


def main() -> None:
    """Parse, run both, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs")
    parser.add_argument("--work", type=Path, default=Path("out/annotate"))
    parser.add_argument("--resolution", type=int, default=256)
    parser.add_argument("--timestep", type=int, default=99)
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--actors", type=int, help="copies of the model, with a thread each")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    settings = TraceSettings(options.resolution, subcell=1, timestep=options.timestep)
    shutil.rmtree(options.work, ignore_errors=True)
    loop = run_loop(options, settings)
    job, tenth, end = run_job(options, settings)
    record = {
        "loop_images_per_s": round(loop, 3), "job_images_per_s": round(job, 3),
        "ratio": round(job / loop, 3), "memory_after_a_tenth": tenth, "memory_at_the_end": end,
        "memory_growth": round(end / tenth - 1, 4), "threads": torch.get_num_threads(),
        "load_average_at_the_start": load, "cores": os.cpu_count(),
        "machine": processor(),
        "settings": {name: str(value) for name, value in vars(options).items()},
    }  # fmt: skip
    print(json.dumps(record, indent=1))
    if options.json:
        write_json(record, options.json, indent=1)


def run_loop(options: argparse.Namespace, settings: TraceSettings) -> float:
    """Images per second of a plain loop."""
    pipe = te.TraceEdgePipeline.from_pretrained(device=options.device)
    folder = options.work / "loop"
    folder.mkdir(parents=True)
    moments = []
    for path in find_images([options.photographs]).images:
        found = pipe(path, settings)
        grey_image(found.thin[0]).save(folder / f"{path.stem}.png")
        moments.append(time.monotonic())
    return (len(moments) - 1) / (moments[-1] - moments[0])


def run_job(options: argparse.Namespace, settings: TraceSettings) -> tuple[float, int, int]:
    """Images per second of the job; its memory after a tenth, and at the end."""
    task, dest = EdgesTask(), str(options.work / "job")
    model = EdgeModel(
        method="training-free", settings=settings, loading=Loading(device=options.device)
    )
    source, sink = open_source(options.photographs), make_sink(dest, "folder", task)
    moments: list[float] = []
    used: list[int] = []

    def note(status: object) -> None:
        moments.append(time.monotonic())
        used.append(memory())

    job = Job(
        source, task, sink, model, dest, batch_size=options.batch_size, workers=options.workers
    )
    annotate(job, note, Processes(options.actors) if options.actors else None)
    finished, used = moments[1:], used[1:]  # the first tells how it begins
    # Copies hand in a stretch at once: the clock starts when each has handed in its first.
    begun = STRETCH * options.batch_size * options.actors if options.actors else 1
    rate = (len(finished) - begun) / (finished[-1] - finished[begun - 1])
    return rate, used[len(used) // 10], used[-1]


if __name__ == "__main__":
    guarded(main)
