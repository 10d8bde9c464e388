"""How long a resumed job takes until its first image, and its memory, by the number of entries.

    python -m benchmarks.speed.manifest --entries 100000 1000000

The entries are made up, half of them done. What is measured is `Manifest`: opening it, listing
the source anew against it, the parts that are not sealed, the counts, and the first stretch. Times
are CPU seconds; the memory is what the process has at most, less what it has with nothing to do.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks._shared.reports import guarded, write_json
from trace_edges.jobs.entries import Entry
from trace_edges.jobs.manifest import Manifest
from trace_edges.jobs.places import FilePlace

PART = 10_000  # entries that share a file of results


def entries(count: int) -> Iterator[Entry]:
    """Photographs in folders of a thousand, as a listing of a store gives them."""
    for number in range(count):
        key = f"{number // 1000:04}/{number:09}"
        yield Entry(key, FilePlace(f"photographs/{key}.jpg"), f"{key}.jpg")


def begin(path: Path, count: int) -> None:
    """A job that was killed half way."""
    with Manifest(path, {"entries": count}) as manifest:
        manifest.register(entries(count), PART)
        for position in range(count // 2):
            manifest.mark(position)
        for part in range(count // 2 // PART):
            manifest.seal(part)


def resume(path: Path, count: int) -> None:
    """Up to the first stretch that is open."""
    with Manifest(path, {"entries": count}) as manifest:
        manifest.register(entries(count), PART)
        manifest.unsealed(PART)
        manifest.counts()
        first = next(manifest.stretches(32, whole=False))
        assert first[0].position >= count // 2 - 32


def spent() -> tuple[float, float]:
    """CPU seconds, and MB at most, of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.process_time(), used.ru_maxrss / 1024


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--entries", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--out", type=Path, default=Path("out/manifest.json"))
    parser.add_argument("--resume", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.resume:  # in a process of its own, whose memory is measured
        before = spent()
        resume(options.resume, options.entries[0])
        after = spent()
        print(after[0] - before[0], after[1] - before[1], after[1])
        return
    rows = {}
    for count in options.entries:
        with TemporaryDirectory() as folder:
            path = Path(folder, "manifest.sqlite")
            start = time.process_time()
            begin(path, count)
            begun = time.process_time() - start
            command = [sys.executable, "-m", "benchmarks.speed.manifest", "--entries", str(count)]
            done = subprocess.run([*command, "--resume", path], capture_output=True, check=True)
            seconds, more, most = map(float, done.stdout.split())
            size = path.stat().st_size / 1e6
        rows[count] = {"begin s": begun, "resume s": seconds, "more MB": more, "MB": most,
                       "file MB": size}  # fmt: skip
        print(f"{count:>9}", *(f"{name} {value:.1f}" for name, value in rows[count].items()))
    write_json(rows, options.out, indent=1)


if __name__ == "__main__":
    guarded(main)
