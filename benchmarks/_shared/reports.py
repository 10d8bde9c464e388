"""Tables, records and intervals, as all benchmarks write them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trace_edges.files import FileError, write_atomically
from trace_edges.outputs import Outputs

RESAMPLES = 1000


def guarded(main: Callable[[], object]) -> None:
    """Run a benchmark, which replaces no file that it did not write itself."""
    name = " ".join(Path(sys.argv[0]).with_suffix("").parts[-2:])
    try:
        with Outputs(name).writing():
            main()
    except FileError as error:
        sys.exit(str(error))


def write_json(content: Any, path: Path, indent: int | None = None) -> None:
    """Paths and the like become text."""
    write_text(json.dumps(content, indent=indent, default=str) + "\n", path)


def write_text(text: str, path: Path) -> None:
    with write_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def publish(record: Any, text: str, json: Path | None, markdown: Path | None) -> None:
    """Print a table, and write it and what it is made of where files are named for them."""
    print(text)
    if json is not None:
        write_json(record, json, indent=1)
    if markdown is not None:
        write_text(text, markdown)


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of these cells."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, cells)) + " |" for cells in lines) + "\n"


def remembered(path: Path, wanted: Sequence[str], make: Callable[[str], Any]) -> dict[str, Any]:
    """The records of a JSON file by key, with those that are missing made and written."""
    records = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    missing = [key for key in wanted if key not in records]
    if missing:
        records |= {key: make(key) for key in missing}
        write_json(records, path)
    return records


def same_settings(settings: Mapping[str, Any], out: Path) -> None:
    """Refuse to go on in a folder that was begun with other inputs."""
    path, plain = out / "settings.json", json.loads(json.dumps(settings))
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != plain:
        raise SystemExit(f"{path}: was begun with other inputs; give another --out")
    write_json(plain, path)


def draws(images: int) -> np.ndarray:
    """(RESAMPLES, images) how often each image is drawn; the same for all that is compared."""
    rng = np.random.default_rng(0)
    return rng.multinomial(images, np.full(images, 1 / images), size=RESAMPLES)


def interval(differences: np.ndarray) -> list[float]:
    """95 % of a bootstrap's differences."""
    return np.percentile(differences, [2.5, 97.5]).tolist()


def percent_interval(ends: Sequence[float], digits: int) -> str:
    """Both ends in percent; bold where 0 is not between them."""
    low, high = (100 * end for end in ends)
    strong = "**" if low > 0 or high < 0 else ""
    return f"{strong}{low:+.{digits}f} to {high:+.{digits}f}{strong}"
