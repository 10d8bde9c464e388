"""A job that is killed again and again ends as one that was left alone.

    python -m benchmarks.speed.annotate_kills PHOTOGRAPHS --json out/annotate_kills.json

Makes --count images (crops of what is in PHOTOGRAPHS), of which --broken are damaged: cut short,
empty, text, or too small. Annotates them once undisturbed, and once killed with SIGKILL at --kills
random moments and started again. Checks, after every kill, that each visible result is whole, and
at the end that both have the same bytes, one result for every good image and a reason for every
broken one. Exit status 1 if not.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from PIL import Image

from benchmarks._shared.reports import write_json
from trace_edges.doctor.machine import processor
from trace_edges.files import find_images

OPTIONS = (
    "--task edges --training-free --timestep 99 --resolution 128 --subcell 1 --device cpu --quiet"
)


def main() -> None:
    """Parse, run both, compare, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs")
    parser.add_argument("--work", type=Path, default=Path("out/annotate_kills"))
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--broken", type=int, default=20)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--to", default="folder", choices=("folder", "tar"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    images = options.work / "images"
    broken = make_images(options.photographs, images, options.count, options.broken)

    began = time.monotonic()
    process = start(images, options.work / "undisturbed", options)
    while process.poll() is None and not list((options.work / "undisturbed").rglob("*.json")):
        time.sleep(0.05)
    startup = time.monotonic() - began
    process.wait()
    whole = time.monotonic() - began
    expect(process.returncode == 1, f"an undisturbed run ends with {process.returncode}, not 1")

    rng, reached = random.Random(options.seed), []
    out = options.work / "killed"
    for kill in range(options.kills):
        # Moments in the second half of the start, and in about two kills' share of the work.
        latest = startup + 2 * (whole - startup) / options.kills
        process = start(images, out, options)
        try:
            process.wait(timeout=rng.uniform(0.5 * startup, latest))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reached.append(check_whole(out))
        print(f"kill {kill + 1}: {reached[-1]} results there", flush=True)
    process = start(images, out, options)
    process.wait()
    expect(process.returncode == 1, f"the last run ends with {process.returncode}, not 1")

    results = {name: visible(options.work / name) for name in ("undisturbed", "killed")}
    first, second = results.values()
    expect(first.keys() == second.keys(), f"files differ: {sorted(first.keys() ^ second.keys())}")
    others = [name for name in first if first[name] != second[name]]
    expect(not others, f"bytes differ: {others}")
    expect(reported(out) == broken, "the report is not of the broken images")
    expect(check_whole(out) == options.count - options.broken, "a good image has no result")
    moments = len([count for count in set(reached) if 0 < count < options.count - options.broken])
    record = {
        "images": options.count, "broken": options.broken, "kills": options.kills,
        "to": options.to, "workers": options.workers, "results_at_kills": reached,
        "kills_amid_results": moments, "same_bytes": True, "undisturbed_s": round(whole, 1),
        "machine": processor(), "cores": os.cpu_count(),
    }  # fmt: skip
    print(json.dumps(record, indent=1))
    if options.json:
        write_json(record, options.json, indent=1)


def make_images(photographs: str, folder: Path, count: int, broken: int) -> set[str]:
    """Crops of the photographs, some of them damaged; gives the keys of those."""
    folder.mkdir(parents=True)
    sources, rng = find_images([photographs]).images, random.Random(0)
    for number in range(count):
        with Image.open(sources[number % len(sources)]) as image:
            photograph = image.convert("RGB")
        width, height = rng.choice(((160, 120), (120, 160), (144, 144)))
        left = rng.randrange(max(1, photograph.width - width))
        top = rng.randrange(max(1, photograph.height - height))
        crop = photograph.crop((left, top, left + width, top + height))
        crop.save(folder / f"{number:05d}.png")
    names = {f"{number:05d}" for number in rng.sample(range(count), broken)}
    for place, name in enumerate(sorted(names)):
        path = folder / f"{name}.png"
        match place % 4:
            case 0:
                path.write_bytes(path.read_bytes()[:2000])
            case 1:
                path.write_bytes(b"")
            case 2:
                path.write_text("no picture", encoding="utf-8")
            case 3:
                Image.new("RGB", (9, 9)).save(path)
    return names


def start(images: Path, out: Path, options: argparse.Namespace) -> subprocess.Popen:
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "trace_edges.cli", "annotate", str(images), str(out)]
    more = ["--to", options.to, "--part", "16", "--workers", str(options.workers)]
    return subprocess.Popen([*command, *OPTIONS.split(), *more])


def visible(folder: Path) -> dict[str, bytes]:
    """What is there for others to use."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    names = {str(path.relative_to(folder)): path for path in paths}
    return {name: path.read_bytes() for name, path in names.items() if ".annotate" not in name}


def check_whole(folder: Path) -> int:
    """Every visible result can be read; gives how many images have one."""
    if not folder.exists():
        return 0
    found = [path for path in folder.rglob("*") if not path.name.startswith(".")]
    for path in found:
        if path.suffix == ".png" and path.is_file():
            with Image.open(path) as image:
                image.load()
        if path.suffix == ".tar":
            with tarfile.open(path) as tar:
                tar.getmembers()
    if not (tars := [path for path in found if path.suffix == ".tar"]):
        records = [path.name for path in found if path.suffix == ".json"]
        expect(len(records) == len(set(records)), "an image has two results")
        return len(records)
    names = []
    for path in tars:
        with tarfile.open(path) as tar:
            names += [name for name in tar.getnames() if name.endswith(".edges.png")]
    expect(len(names) == len(set(names)), "an image has two results")
    return len(names)


def reported(folder: Path) -> set[str]:
    """The keys of the report, all of which have a reason."""
    with (folder / "report.csv").open() as file:
        rows = list(csv.DictReader(file))
    expect(all(row["reason"] for row in rows), "a broken image has no reason")
    return {row["key"] for row in rows}


def expect(holds: bool, otherwise: str) -> None:
    """End with one line if it does not hold."""
    if not holds:
        sys.exit(f"annotate_kills: {otherwise}")


if __name__ == "__main__":
    main()
