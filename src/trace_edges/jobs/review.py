"""Review sheets: a page of thumbnails with contours, to be sorted, and what failed."""

from __future__ import annotations

import csv
import io
import json
import math
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from scipy.ndimage import binary_erosion, sobel

from trace_edges import outputs
from trace_edges.drawing.overlays import mask_overlay
from trace_edges.files import FileError, read_json, read_text, write_atomically, write_text
from trace_edges.formats.exchange import open_masks
from trace_edges.formats.labelled import Labelled, finding_of, photographs_in
from trace_edges.formats.truth import Finding
from trace_edges.images import load_image
from trace_edges.jobs.review_page import PAGE

_SIDE = 320  # px of the longer side of a thumbnail
_QUALITY = 82
_LONGEST = 1e6  # s, that an image may have taken


@dataclass(frozen=True)
class Review:
    """What is on the page.

    Attributes:
        images: how many.
        failed: how many could not be shown, or had failed when they were annotated.
        findings: what is wrong with those that could not be shown.
    """

    images: int
    failed: int
    findings: tuple[Finding, ...]


def review(
    results: str | PathLike[str],
    photographs: str | PathLike[str],
    out: str | PathLike[str],
    *,
    hourly_price: float | None = None,
) -> Review:
    """Write the page OUT and beside it the folder of its thumbnails, STEM_files.

    The page needs no network. It shows 200 images at a time, sorted by name, number of masks, share
    covered, lowest and mean score, size (of the median mask, as a share of the image), disagreement
    (how many further masks lie on a covered pixel: 0 where all levels of the hierarchy have the
    same regions), or doubt: the share of the contours that lie where the photograph changes less
    than it does on half of its pixels.

    Args:
        results: anything that `open_masks` takes.
        photographs: folder of the images.
        out: the HTML file.
        hourly_price: of the machine, in any currency; the page then says what the job has cost so
            far and will still cost.

    Raises:
        OSError: a file cannot be written.
        ValueError: it is not known what `results` are.
    """
    out, folder = Path(out), Path(photographs)
    if (guard := outputs.current()) is not None:
        guard.check(out)  # before the thumbnails are written
    files = photographs_in(folder)
    thumbnails = out.with_name(f"{out.stem}_files")
    rows, findings = [], []
    for place, image in enumerate(open_masks(results, photographs=files).images):
        if isinstance(image, Finding):
            findings.append(image)
            continue
        try:
            path = image.file_in(files)
            if path is None:
                problem = f"has no photograph in {folder}"
                raise FileError(f"{results}: image {image.name}", problem, "check the folder")
            name = f"{place // 1000:03d}/{place:06d}.jpg"
            rows.append(
                _row(image, path, thumbnails / name) | {"file": f"{thumbnails.name}/{name}"}
            )
        except (ValueError, OSError) as error:
            findings.append(finding_of(error, f"{results}: image {image.name}"))
    failures = list(_failures(Path(results), findings))
    failures += [[one.subject, f"{one.problem}; {one.mend}"] for one in findings]
    spent, waiting, left = _job(Path(results))
    data = {"images": rows, "failures": failures, "open": waiting, "left": left,
            "seconds": _seconds(Path(results)) if spent is None else spent,
            "price": hourly_price}  # fmt: skip
    # "<" of a name would end the script element; in JSON it can be written so
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    write_text(PAGE.replace("@DATA@", text), out)
    return Review(len(rows), len(failures), tuple(findings))


def _row(image: Labelled, path: Path, thumbnail: Path) -> dict[str, Any]:
    pixels = load_image(path)
    if pixels.shape[:2] != image.masks.shape:
        raise FileError(path, "is of another size than its masks", "give the images they are of")
    masks, labels = image.masks, image.masks.label_map
    drawn = mask_overlay(pixels, masks.windows, masks.crops, labels)
    drawn.thumbnail((_SIDE, _SIDE))
    with write_atomically(thumbnail) as temporary:
        drawn.save(temporary, "JPEG", quality=_QUALITY)
    scores, covered = masks.scores.astype(float), int((labels > 0).sum())
    return {
        "name": image.photograph,
        "width": drawn.width,
        "height": drawn.height,
        "masks": len(masks),
        "covered": round(covered / labels.size, 4),
        "size": round(float(np.median(masks.areas)) / labels.size, 4) if covered else None,
        "disagreement": round(float(masks.areas.sum()) / covered - 1, 4) if covered else None,
        "lowest": round(float(scores.min()), 4) if len(masks) else None,
        "mean": round(float(scores.mean()), 4) if len(masks) else None,
        "doubt": _doubt(pixels, image),
        "classes": sorted({mark.category.name for mark in image.marks}),
    }


def _doubt(pixels: UInt8[np.ndarray, "h w 3"], image: Labelled) -> float | None:
    """The share of the contours that lie where the photograph hardly changes, of 0 ... 1."""
    step = max(1, max(pixels.shape[:2]) // _SIDE)
    grey = pixels[::step, ::step].astype(np.float32).mean(axis=2)
    change = np.hypot(sobel(grey, 0), sobel(grey, 1))
    usual, weak, length = np.median(change), 0, 0
    for crop, (rows, columns), _, _ in image:
        contour = crop & ~binary_erosion(crop)
        y, x = np.nonzero(contour)
        here = change[
            np.minimum((y + rows.start) // step, grey.shape[0] - 1),
            np.minimum((x + columns.start) // step, grey.shape[1] - 1),
        ]
        weak, length = weak + int((here <= usual).sum()), length + len(here)
    return round(weak / length, 4) if length else None


def _failures(results: Path, findings: list[Finding]) -> Iterator[list[str]]:
    """The rows of the reports of a job of `annotate`; what is wrong with one joins the findings."""
    for report in sorted(results.glob("report*.csv")) if results.is_dir() else ():
        try:
            for row in csv.DictReader(io.StringIO(read_text(report), newline="")):
                if row.get("state") == "failed":
                    yield [row.get("key") or "", row.get("reason") or ""]
        except (ValueError, OSError, csv.Error) as error:
            findings.append(finding_of(error, report))


def _job(results: Path) -> tuple[float | None, int, float | None]:
    """Of jobs of `annotate`: the seconds they took so far, how many images they have still to do,
    and the seconds of that at their pace so far; None where nothing tells it.
    """
    spent, waiting, left = 0.0, 0, 0.0
    states = list(results.glob(".annotate*/manifest.sqlite"))
    for state in states:
        try:
            # a job that is running does not let others in: "immutable" looks at what it wrote
            address = f"{state.absolute().as_uri()}?immutable=1"
            with closing(sqlite3.connect(address, uri=True)) as base:
                counts = dict(base.execute("SELECT state, COUNT(*) FROM items GROUP BY state"))
                ((seconds,),) = base.execute("SELECT TOTAL(seconds) FROM spent")
        except sqlite3.Error:  # of an older version, or in the middle of a write
            return None, waiting, None
        over = sum(counts.values()) - counts.get("open", 0)
        spent, waiting = spent + seconds, waiting + counts.get("open", 0)
        left += counts.get("open", 0) * seconds / over if over else math.nan
    return (
        round(spent, 1) if states else None,
        waiting,
        round(left) if math.isfinite(left) else None,
    )


def _seconds(results: Path) -> float | None:
    """What the records of `segment` say that their images took; None where there are none."""
    total, found = 0.0, False
    for path in results.rglob("*.json") if results.is_dir() else ():
        try:
            record = read_json(path)
        except (OSError, ValueError):
            continue
        seconds = record.get("seconds") if isinstance(record, Mapping) else None
        if isinstance(seconds, int | float) and 0 <= seconds < _LONGEST:
            total, found = total + seconds, True
    return round(total, 1) if found else None
