"""Every command that writes, stopped at any moment, ends as one that was left alone.

    python -m benchmarks.kills --out out/kills

Runs each of `COMMANDS` once undisturbed. Then --runs times, in a new folder each: it is stopped one
to three times, by SIGINT, SIGTERM and SIGKILL in turn, and then left to its end. It is stopped when
it opens, renames, makes or removes a file, or up to 0.03 s later: which time is drawn by --seed.

After every stop no input has changed, and whatever is visible can be read. In the end every file is
there that an undisturbed run leaves, with the same bytes (but for the seconds in records), and no
other. Prints and writes a table; ends with 1 if anything is not so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tarfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._shared.inputs import BROKEN, make_inputs, make_sam
from benchmarks._shared.reports import guarded, markdown, write_json, write_text
from benchmarks._shared.stopping import moments, run
from trace_edges.formats.pixels import stored_pixels
from trace_edges.formats.registry import exchanged

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
_LATEST = 0.03  # s after an event
_OWN = (".trace-edges", "written", "manifest.sqlite")  # lists of what was written, in any order
# Of records: no two runs take as long, and every copy of an image came into being at another time.
_TIMES = ("seconds", "seconds_per_image", "changed_ns")
_FAST = "--resolution 64 --device cpu --quiet"
_SLOW = f"{_FAST} --training-free --subcell 1 --timestep 0"
_JOB = "annotate photos out --workers 0"
COMMANDS = {
    "detect": f"detect photos --out out --recursive {_FAST}",
    "detect, training-free, batches": f"detect photos --out out --recursive --batch-size 2 {_SLOW}",
    "detect, soft npy": f"detect photos --out out --recursive --soft --format npy {_FAST}",
    "segment": f"segment photos --out out --recursive {_FAST}",
    "segment, candidates": f"segment photos --out out --recursive --find candidates {_FAST}",
    "segment, edges that are there": "segment photos --out out --recursive --edges edges --quiet",
    "segment, other formats": "segment photos --out out --recursive --edges edges --quiet "
    "--format cvat --format yolo",
    "refine, COCO": "refine masks.json edges --out out/refined.json",
    "refine, label maps": "refine labels edges --out out",
    "panoptic": "panoptic labels edges --things 1 --out out --semantic-pngs",
    "annotate, edges, folder": f"{_JOB} --task edges {_FAST}",
    "annotate, edges, tars": f"{_JOB} --task edges --to tar --part 2 {_FAST}",
    "annotate, instances, Parquet": f"{_JOB} --task instances --to parquet --part 2 {_FAST}",
    "annotate, instances, COCO": f"{_JOB} --task instances --to coco {_FAST}",
    "annotate, SAM": f"{_JOB} --task instances --sam sam --class-names thing {_FAST}",
    "annotate, panoptic, COCO": f"{_JOB} --task panoptic --semantic labels --things 1 --to coco "
    f"{_FAST}",
    "annotate, a worker": f"annotate photos out --workers 1 --task edges {_FAST}",
    **{f"export, {to}": f"export masks.json --to {to} --out out --images photos"
       for to in exchanged()},
    "report": "report masks.json --images photos --out out/report.html",
    "evaluate edges": "evaluate edges edges labels --out out --thresholds 3",
    "evaluate masks": "evaluate masks masks.json masks.json --score constant --out out/s.json",
    "evaluate masks, corrections": "evaluate masks masks.json --against masks.json "
    "--out out/s.json",
    "evaluate panoptic": "evaluate panoptic panoptic/panoptic.json panoptic/panoptic.json "
    "--out out/s.json",
    "evaluate boundaries": "evaluate boundaries labels --out out",
    "evaluate voc-instances": "evaluate voc-instances VOC2012 --out out/voc.json",
    "explain": "explain photos/day1/a.png --out out/a.png --resolution 64 --stride 450 "
    "--device cpu",
    "distill": "distill photos photos/day1 photos/day2 --config toy --out out --steps 4 "
    "--hold-out 2 --label-resolution 64 --device cpu --quiet",
    "distill, no backbone": "distill photos photos/day1 photos/day2 --config pixels --out out "
    "--steps 4 --hold-out 2 --label-resolution 64 --pasted 0.5 --device cpu --quiet",
    "composites": "composites --out out --n 3 --height 96 --width 96 --quiet",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """How the runs of one command went."""

    command: str
    moments: int
    runs: int
    stops: dict[str, int] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def measure(
    name: str, out: Path, runs: int, seed: int, signals: tuple[signal.Signals, ...] = SIGNALS,
    latest: float = _LATEST,
) -> Row:  # fmt: skip
    """Run one command undisturbed, and stopped; say what is not as it should be."""
    words, rng = COMMANDS[name], random.Random(f"{seed} {name}")
    place = out.resolve() / name.replace(" ", "_").replace(",", "")
    shutil.rmtree(place, ignore_errors=True)
    inputs, alone = place / "inputs", place / "alone"
    inputs.mkdir(parents=True)
    make_inputs(inputs)
    ended, said = run(inputs, "panoptic labels edges --things 1 --out panoptic")
    assert ended == 0, said
    if "--sam" in words:
        make_sam(inputs)
    before = _contents(inputs)
    shutil.copytree(inputs, alone)
    code, said = run(alone, words)
    if "Traceback" in said or (code and not (code == 1 and BROKEN in said)):
        return Row(name, 0, 0, {}, (f"undisturbed it ends with {code}: {said[-500:]}",))
    events, wanted = moments(alone), _contents(alone)
    if not any(one.startswith(f"out{os.sep}") for one in wanted):
        return Row(name, 0, 0, {}, (f"undisturbed it writes nothing: {said[-500:]}",))
    stops: dict[str, int] = {}
    faults: list[str] = []
    for number in range(runs):
        folder = place / f"stopped{number}"
        shutil.copytree(inputs, folder)
        for time in range(rng.randint(1, 3)):
            by = signals[(number + time) % len(signals)]
            after = rng.uniform(0, latest) if latest and rng.random() < 0.5 else 0
            stop = rng.randrange(events), int(by), after
            ended, said = run(folder, words, stop)
            expected = (130, -int(by)) if by == signal.SIGINT else (-int(by),)
            stops[by.name] = stops.get(by.name, 0) + (ended in expected)
            if ended not in (*expected, code) or (ended == 130 and len(said.splitlines()) > 3):
                faults.append(f"{folder.name}, {stop}: ended with {ended}: {said[-300:]}")
            faults += [f"{folder.name}, {stop}: {one}" for one in _broken(folder, before)]
        ended, said = run(folder, words)
        if ended != code:
            faults.append(f"{folder.name}: the last run ends with {ended}: {said[-300:]}")
        there = _contents(folder)
        differ = [one for one in {*wanted, *there} if wanted.get(one) != there.get(one)]
        faults += [f"{folder.name}: {_why(one, wanted, there)}" for one in sorted(differ)]
    return Row(name, events, runs, stops, tuple(faults))


def _why(name: str, wanted: dict[str, bytes], there: dict[str, bytes]) -> str:
    if name not in there:
        return f"{name} is missing"
    return f"{name} has other bytes" if name in wanted else f"{name} is left over"


def _broken(folder: Path, inputs: dict[str, bytes]) -> list[str]:
    """What was the user's and is changed, and what is visible and cannot be read."""
    found = []
    for name, content in inputs.items():
        path = folder / name
        if not path.is_file() or (path.name not in _OWN and path.read_bytes() != content):
            found.append(f"{name} was the user's, and is changed")
    for path in (one for place in folder.glob("out*") for one in place.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        try:
            _read(path)
        except (OSError, ValueError, SyntaxError, EOFError, tarfile.TarError) as error:
            found.append(f"{path.relative_to(folder)} is broken: {error}")
    return found


def _read(path: Path) -> None:
    readers: dict[str, Callable[[Path], object]] = {
        ".png": stored_pixels,
        ".json": lambda path: json.loads(path.read_bytes()),
        ".npy": lambda path: np.load(path, allow_pickle=False),
        ".tar": _members,
    }
    if path.is_file() and path.suffix in readers:
        readers[path.suffix](path)


def _members(path: Path) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def _contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for what differs between two runs that are both right."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.name in _OWN:
            found[str(path.relative_to(folder))] = b""
        elif path.is_file():
            found[str(path.relative_to(folder))] = _without_times(path)
    return found


def _without_times(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix not in (".json", ".jsonl") or not any(one.encode() in content for one in _TIMES):
        return content
    lines = content.splitlines() if path.suffix == ".jsonl" else [content]
    return json.dumps([_timeless(json.loads(line)) for line in lines]).encode()


def _timeless(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _timeless(value) for key, value in content.items() if key not in _TIMES}
    return [_timeless(one) for one in content] if isinstance(content, list) else content


def load() -> None:
    """Import what the commands do, once: each run is a fork of this process."""
    import torch

    import trace_edges.detector.detector
    import trace_edges.evaluation.masks
    import trace_edges.evaluation.panoptic
    import trace_edges.explain
    import trace_edges.jobs.folders
    import trace_edges.jobs.refine  # noqa: F401

    torch.set_num_threads(1)


def main() -> None:
    """Parse, measure every command, print and write the table."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/kills"))
    parser.add_argument("--runs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=list(COMMANDS), choices=COMMANDS)
    options = parser.parse_args()
    load()
    rows = []
    for name in options.only:
        rows.append(measure(name, options.out / "work", options.runs, options.seed))
        stops = ", ".join(f"{times} {by}" for by, times in rows[-1].stops.items())
        print(f"{name}: {rows[-1].moments} moments, {stops}", *rows[-1].faults, sep="\n  ")
        sys.stdout.flush()
    header = ["command", "moments", "runs", *(by.name for by in SIGNALS), "not as it should be"]
    cells = [
        [row.command, row.moments, row.runs, *(row.stops.get(by.name, 0) for by in SIGNALS),
         len(row.faults)] for row in rows
    ]  # fmt: skip
    write_text(markdown(header, cells), options.out / "kills.md")
    settings = {"runs": options.runs, "seed": options.seed}
    write_json({"settings": settings, "rows": [asdict(row) for row in rows]},
               options.out / "kills.json", indent=1)  # fmt: skip
    print(markdown(header, cells))
    if any(row.faults for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    guarded(main)
