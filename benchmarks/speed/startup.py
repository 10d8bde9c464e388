"""CPU seconds of whole commands, imports included: what a first answer costs.

    python -m benchmarks.speed.startup examples/cat.jpg

Each is the least of several runs, on one thread.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks._shared.reports import guarded, write_json
from benchmarks._shared.timing import process_seconds

ROWS = {
    "--help": ["--help"],
    "backbones": ["backbones"],
    "detect": ["detect", "IMAGE", "--device", "cpu"],
    "detect --runtime onnx": ["detect", "IMAGE", "--runtime", "onnx"],
    "detect --training-free": ["detect", "IMAGE", "--device", "cpu", "--training-free"],
}


def seconds(arguments: list[str], runs: int) -> float:
    """The least CPU time of `trace-edges` with these arguments."""
    spent = []
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for _ in range(runs):
        with TemporaryDirectory() as folder:
            out = ["--out", folder] if arguments[0] == "detect" else []
            command = ("-m", "trace_edges", *arguments, *out)
            spent.append(process_seconds(*command, env=environment, stdout=subprocess.DEVNULL))
    return min(spent)


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("image", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("out/startup.json"))
    options = parser.parse_args()
    rows = {}
    print("| command | CPU s |\n|---|---|")
    for name, arguments in ROWS.items():
        given = [str(options.image) if part == "IMAGE" else part for part in arguments]
        rows[name] = seconds(given, options.repeats)
        print(f"| `{name}` | {rows[name]:.1f} |", flush=True)
    write_json(rows, options.out, indent=1)


if __name__ == "__main__":
    guarded(main)
