"""Report of an ablation: a table, a plot, and the numbers that both come from."""

from __future__ import annotations

import csv
import json
import platform
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.ablation.run import Ablation, Half, Reading, RowResult
from trace_edges import __version__
from trace_edges.extras import require
from trace_edges.files import write_atomically

HEADER = ("row", "ODS odd", "OIS odd", "ODS even", "OIS even", "ODS", "OIS", "AP",
          "s / image", "t*")  # fmt: skip
_HALVES: tuple[Half | None, ...] = ("odd", "even", None)


def write_report(ablation: Ablation, out: Path) -> list[Path]:
    """Write table.md, table.csv, plot.png and report.json into `out`.

    Returns:
        The files, in that order.

    Raises:
        ImportError: matplotlib is not installed.
    """
    files = [out / name for name in ("table.md", "table.csv", "plot.png", "report.json")]
    with write_atomically(files[0]) as temporary:
        temporary.write_text(markdown(ablation), encoding="utf-8")
    with (
        write_atomically(files[1]) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(_table_row(ablation, row) for row in ablation.rows)
    with write_atomically(files[2]) as temporary:
        _draw_plot(ablation, temporary)
    with write_atomically(files[3]) as temporary:
        temporary.write_text(json.dumps(_record(ablation), indent=1) + "\n", encoding="utf-8")
    return files


def _table_row(ablation: Ablation, row: RowResult) -> tuple[str, ...]:
    cells = []
    for half in _HALVES:
        scores = ablation.scores(row, half)
        cells += [f"{scores.ods:.3f}", f"{scores.ois:.3f}"] if scores else ["", ""]
    scores = ablation.scores(row)
    cells.append(f"{scores.ap:.3f}" if scores else "")
    seconds = [r.seconds for r in row.readings.values() if r.seconds is not None]
    cells.append(f"{np.mean(seconds):.2f}" if seconds else "")
    steps = _histogram(row).items()
    return _title(row), *cells, " ".join(f"{step}:{count}" for step, count in steps)


def _title(row: RowResult) -> str:
    return f"{row.name} ({row.kind})" if row.kind != "row" else row.name


def _histogram(row: RowResult) -> dict[int, int]:
    """How many photographs were read at each step."""
    steps = Counter(r.timestep for r in row.readings.values() if r.timestep is not None)
    return dict(sorted(steps.items()))


def markdown(ablation: Ablation) -> str:
    """The table, with what must be said beside it."""
    rows = [_table_row(ablation, row) for row in ablation.rows]
    plan, halves = ablation.plan, Counter(ablation.halves.values())
    lines = [HEADER, ("---",) * len(HEADER), *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = [[cell.ljust(n) for cell, n in zip(line, widths, strict=True)] for line in lines]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in padded)
    base = ", ".join(f"{name} {value}" for name, value in asdict(plan.base).items())
    loaded = [f"{name} {value}" for name, value in asdict(plan.load).items() if value]
    model = ", ".join([plan.backbone, plan.device, plan.dtype, *loaded])
    return f"""{table}

{len(ablation.halves)} photographs: {halves["odd"]} at odd places of the folder, to choose on; \
{halves["even"]} at even places, to report on.
Rows are named by what differs from the base: {base}.
Backbone: {model}; s / image: its passes alone, without VAE.
t*: step and number of photographs that were read there.
Protocol: {plan.protocol}.
"""


def _record(ablation: Ablation) -> dict[str, Any]:
    plan = ablation.plan
    return {
        "versions": {
            "trace_edges": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "plan": json.loads(json.dumps(asdict(plan), default=str)),
        "photographs": dict(ablation.halves),
        "rows": [_record_row(ablation, row) for row in ablation.rows],
    }


def _record_row(ablation: Ablation, row: RowResult) -> dict[str, Any]:
    return {
        "name": row.name,
        "kind": row.kind,
        "settings": dict(row.settings),
        "scores": {half or "all": _scores(ablation, row, half) for half in _HALVES},
        "timesteps": _histogram(row),
        "photographs": {name: _record_reading(one) for name, one in row.readings.items()},
    }


def _scores(ablation: Ablation, row: RowResult, half: Half | None) -> dict[str, Any] | None:
    scores = ablation.scores(row, half)
    if scores is None:
        return None
    names = ("ods", "ods_threshold", "ods_precision", "ods_recall", "ois", "ap", "r50")
    return {name: getattr(scores, name) for name in names}


def _record_reading(reading: Reading) -> dict[str, Any]:
    counts = {name: values.tolist() for name, values in vars(reading.counts).items()}
    return {"timestep": reading.timestep, "seconds": reading.seconds, "counts": counts}


def _draw_plot(ablation: Ablation, path: Path) -> None:
    """ODS of every row: on all photographs, and on each half."""
    figure_class = require("matplotlib.figure", "eval").Figure  # no pyplot: it keeps a window
    rows = ablation.rows
    figure = figure_class(figsize=(8, 1.2 + 0.3 * len(rows)), layout="constrained")
    axes = figure.add_subplot(xlabel="ODS", ylim=(len(rows) - 0.4, -0.6))
    places = range(len(rows))
    odd, even, both = ([_ods(ablation, row, half) for row in rows] for half in _HALVES)
    colours = {"row": "tab:blue", "control": "tab:red", "peer": "0.5"}
    axes.hlines(places, odd, even, color="0.7", zorder=1)
    axes.scatter(odd, places, marker="o", s=22, facecolors="white", edgecolors="black", label="odd")
    axes.scatter(even, places, marker="o", s=22, color="black", label="even")
    axes.scatter(both, places, marker="|", s=160, linewidths=3,
                 color=[colours[row.kind] for row in rows], label="all")  # fmt: skip
    axes.set_yticks(places, [_title(row) for row in rows], fontsize="small")
    axes.grid(axis="x", color="0.9")
    axes.set_axisbelow(True)
    figure.legend(loc="outside upper right", ncols=3, fontsize="small")
    figure.savefig(path, dpi=120)


def _ods(ablation: Ablation, row: RowResult, half: Half | None) -> float:
    scores = ablation.scores(row, half)
    return scores.ods if scores else float("nan")
