"""Two checkouts of this repository run the same commands, and every file they write is compared.

    python benchmarks/same_results.py BEFORE AFTER --out DIR

For a change that must not change results. Each command runs on the five images of BEFORE's
`examples/`, on the CPU with one thread, in a process that imports the package from that checkout.
Files must be equal to the byte; what a record, tar or Parquet file may differ in is listed below.
Prints a table of the commands and a line for each difference; exit status 1 if there is any.
Training-free commands make it take about ten minutes for each checkout.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from trace_edges.formats.pixels import stored_pixels

# Allowed differences, of records (NAME.json) only, wherever in a record they stand.
NOT_COMPARED = ("seconds", "trace_edges")  # the time, and the version
RENAMED_KEYS = {"refine": "subcell"}
RENAMED_VALUES = {("method", "distilled"): "one-step"}
# Settings with this key are of a training-free run, which did not say so before.
TRAINING_FREE_KEY, TRAINING_FREE = "trajectory", {"method": "training-free"}
# A detector that reads one step has no curve: now null.
NO_CURVE = ("emergence", {"timesteps": [0], "curve": []})
# The state of a job, which another version does not take over.
OWN_STATE = ".annotate"

SHORT = ("--training-free", "--resolution", "128", "--timestep", "99")
EDGES = "detect-soft-png16"
SEMANTIC = ("--things", "1,2", "--stuff", "0")


@dataclass(frozen=True)
class Command:
    """One run of `trace-edges`; its output goes into a folder, or a file, of this name.

    Attributes:
        out: name below the checkout's folder.
        arguments: behind the verb; OUT stands for the output.
        device: whether it takes --device.
        prepare: makes what the command reads of what was written before, in the checkout's folder.
    """

    out: str
    arguments: tuple[str, ...]
    device: bool = True
    prepare: Callable[[Path], None] = field(default=lambda folder: None)


def copy_labels(folder: Path) -> None:
    """Label maps of `segment` by the name of their image, as `refine` looks for them."""
    (folder / "labels").mkdir(exist_ok=True)
    for path in sorted((folder / "segment").glob("*.instances.png")):
        shutil.copy(path, folder / "labels" / path.name.replace(".instances", ""))


def make_semantic_maps(folder: Path) -> None:
    """Three classes out of the labels of `segment`: label % 3."""
    (folder / "semantic").mkdir(exist_ok=True)
    for path in sorted((folder / "segment").glob("*.instances.png")):
        classes = (stored_pixels(path)[0] % 3).astype(np.uint8)
        Image.fromarray(classes).save(folder / "semantic" / path.name.replace(".instances", ""))


def _annotate(out: str, *more: str) -> Command:
    return Command(out, ("annotate", "images", "OUT", *more))


COMMANDS = (
    Command("detect", ("detect", "images", "--out", "OUT")),
    Command("detect-training-free", ("detect", "images", "--out", "OUT", "--training-free",
                                     "--resolution", "256")),
    Command("detect-subcell", ("detect", "images", "--out", "OUT", *SHORT, "--subcell", "2")),
    Command(EDGES, ("detect", "images", "--out", "OUT", "--soft", "--format", "png16")),
    Command("detect-soft-npy", ("detect", "images", "--out", "OUT", "--soft", "--format", "npy")),
    Command("segment", ("segment", "images", "--out", "OUT")),
    Command("segment-maskcut", ("segment", "images", "--out", "OUT", "--masks", "maskcut", *SHORT)),
    Command("segment-promerge",
            ("segment", "images", "--out", "OUT", "--masks", "promerge", *SHORT)),
    Command("segment-count", ("segment", "images", "--out", "OUT", "--count", "12")),
    Command("segment-candidates", ("segment", "images", "--out", "OUT", "--find", "candidates")),
    Command("segment-edges", ("segment", "images", "--out", "OUT", "--edges", EDGES)),
    Command("refined.json", ("refine", "segment/instances.json", EDGES, "--out", "OUT",
                             "--threshold", "0.2"), device=False),
    Command("refined-maskcut.json", ("refine", "segment-maskcut/instances.json", EDGES,
                                     "--out", "OUT", "--threshold", "0.2"), device=False),
    Command("refined-labels", ("refine", "labels", EDGES, "--out", "OUT", "--threshold", "0.2"),
            device=False, prepare=copy_labels),
    Command("panoptic", ("panoptic", "semantic", EDGES, "--out", "OUT", *SEMANTIC,
                         "--semantic-pngs"), device=False, prepare=make_semantic_maps),
    _annotate("annotate-folder", "--task", "edges"),
    _annotate("annotate-tar", "--task", "edges", "--to", "tar"),
    _annotate("annotate-parquet", "--task", "edges", "--to", "parquet"),
    _annotate("annotate-training-free", "--task", "edges", *SHORT),
    _annotate("annotate-coco", "--task", "instances", "--to", "coco"),
    _annotate("annotate-panoptic", "--task", "panoptic", "--semantic", "semantic", *SEMANTIC),
)  # fmt: skip


def main() -> None:
    """Run both, compare, print; the exit status says whether all is equal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", help="outputs (first column of the table) to compare")
    parser.add_argument(
        "--keep-before", action="store_true", help="take BEFORE's files of an earlier run in --out"
    )
    options = parser.parse_args()
    images = sorted(options.before.joinpath("examples").glob("*.[pj][np]g"))
    sides = {"before": options.before.resolve(), "after": options.after.resolve()}
    for side, checkout in sides.items():
        _begin(options.out / side, checkout, images, options.keep_before and side == "before")
    rows, problems = [("command", "files", "equal", "differences")], []
    for command in COMMANDS:
        if options.only and command.out not in options.only:
            continue
        found = [run(command, options.out / side, checkout) for side, checkout in sides.items()]
        found += compare(options.out / "before" / command.out, options.out / "after" / command.out)
        files = {*_files(options.out / "before" / command.out)}
        files |= {*_files(options.out / "after" / command.out)}
        wrong = [problem for problem in found if problem]
        problems += [f"{command.out}: {problem}" for problem in wrong]
        equal = files - {problem.split(": ")[0] for problem in wrong}
        rows.append((command.out, str(len(files)), str(len(equal)), str(len(wrong))))
        print(" | ".join(rows[-1]), flush=True)
    print()
    for row in rows:
        print(f"{row[0]:24}" + "".join(f"{cell:>13}" for cell in row[1:]))
    print(*problems, sep="\n")
    sys.exit(1 if problems else 0)


def _begin(folder: Path, checkout: Path, images: list[Path], keep: bool) -> None:
    """An empty folder with the images in it, and a look at what would be imported."""
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for path in images:
        shutil.copy(path, folder / "images")
    question = "import trace_edges; print(trace_edges.__file__)"
    asked = [sys.executable, "-c", question]
    answer = subprocess.run(
        asked, cwd=folder, env=_environment(checkout), capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(answer).is_relative_to(checkout):
        raise SystemExit(f"{answer} would be run, which is not in {checkout}")


def _environment(checkout: Path) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": str(checkout / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }


def run(command: Command, folder: Path, checkout: Path) -> str | None:
    """Run it in a folder, unless that is done; gives what went wrong, in one line."""
    done = folder / "done" / command.out
    if done.exists():
        return None
    command.prepare(folder)
    words = [command.out if word == "OUT" else word for word in command.arguments]
    line = [sys.executable, "-m", "trace_edges", *words, "--quiet"]
    line += ["--device", "cpu"] if command.device else []
    ended = subprocess.run(
        line, cwd=folder, env=_environment(checkout), capture_output=True, text=True, check=False
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["no message"])[-1]
        return f"{folder.name}: ended with {ended.returncode}: {last}"
    done.parent.mkdir(exist_ok=True)
    done.touch()
    return None


def _files(path: Path) -> dict[str, Path]:
    """All that is there for others to use, by name; a single file has the name of its path."""
    if path.is_file():
        return {path.name: path}
    found = {str(one.relative_to(path)): one for one in sorted(path.rglob("*")) if one.is_file()}
    return {name: one for name, one in found.items() if OWN_STATE not in Path(name).parts}


def compare(before: Path, after: Path) -> list[str]:
    """One line for each difference between two folders, or two files."""
    old, new = _files(before), _files(after)
    problems = [f"{name}: only in {'before' if name in old else 'after'}"
                for name in sorted(old.keys() ^ new.keys())]  # fmt: skip
    for name in sorted(old.keys() & new.keys()):
        problems += [f"{name}: {one}" for one in compare_bytes(
            name, old[name].read_bytes(), new[name].read_bytes()
        )]  # fmt: skip
    return problems


def compare_bytes(name: str, before: bytes, after: bytes) -> list[str]:
    """Differences that are not allowed in a file of this name."""
    if before == after:
        return []
    suffix = Path(name).suffix
    if suffix == ".tar":
        return _compare_members(_tar_members(before), _tar_members(after))
    if suffix == ".parquet":
        return _compare_members(_parquet_cells(before), _parquet_cells(after))
    if suffix == ".json":
        old, new = json.loads(before), json.loads(after)
        # Lists of images are data, and no record: COCO's formats must be equal to the byte.
        if isinstance(old, dict) and not {"images", "categories"} & old.keys():
            return differences(translate(old), translate(new))
    return [f"{len(before)} and {len(after)} bytes differ"]


def _compare_members(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str]:
    if [*before] != [*after]:
        return [f"holds {[*before]} before, {[*after]} after"]
    found = [f"{name}: {one}" for name, old in before.items()
             for one in compare_bytes(name, old, after[name])]  # fmt: skip
    if not found and all(before[name] == after[name] for name in before):
        return ["bytes differ, though what is in it does not"]
    return found


def _tar_members(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar.getmembers()}


def _parquet_cells(content: bytes) -> dict[str, bytes]:
    """Every cell under row/column, records as JSON files."""
    from pyarrow import parquet

    cells = {}
    for number, row in enumerate(parquet.read_table(io.BytesIO(content)).to_pylist()):
        for column, value in row.items():
            if isinstance(value, bytes):
                cells[f"{number}/{column}"] = value
            else:
                text = value if isinstance(value, str) else json.dumps(value, default=str)
                suffix = ".json" if text.startswith("{") else ""
                cells[f"{number}/{column}{suffix}"] = text.encode()
    return cells


def translate(value: Any) -> Any:
    """A record in the words of after, if it has not got them, without what is not compared."""
    if isinstance(value, list):
        return [translate(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, one in value.items():
        if key in NOT_COMPARED:
            continue
        key = RENAMED_KEYS.get(key, key)
        scalar = isinstance(one, str | int | float)
        one = RENAMED_VALUES.get((key, one), one) if scalar else translate(one)
        found[key] = None if (key, one) == NO_CURVE else one
    if TRAINING_FREE_KEY in found:
        found = TRAINING_FREE | found
    return found


def differences(before: Any, after: Any, where: str = "") -> list[str]:
    """One line for each place where two records are not equal, keys in any order."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = []
        for key in [*before, *(key for key in after if key not in before)]:
            place = f"{where}.{key}".lstrip(".")
            if key not in before or key not in after:
                only = before if key in before else after
                found.append(f"{place} is {json.dumps(only[key])} only "
                             f"{'before' if key in before else 'after'}")  # fmt: skip
            else:
                found += differences(before[key], after[key], place)
        return found
    if before != after or type(before) is not type(after):
        old, new = (json.dumps(value) for value in (before, after))
        return [f"{where} is {old[:80]} before, {new[:80]} after"]
    return []


if __name__ == "__main__":
    main()
