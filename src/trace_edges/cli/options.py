"""What several commands take, and what they do alike: find images, follow outcomes, end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from trace_edges.cli.common import error, progress, say_left
from trace_edges.cli.fields import Fields
from trace_edges.formats.registry import exchanged, names

if TYPE_CHECKING:
    from trace_edges.files import InputError
    from trace_edges.formats.edge_maps import EdgeFormat
    from trace_edges.instances.bgp import Propagation
    from trace_edges.instances.fragments import Attachment
    from trace_edges.jobs.detecting import EdgesTask
    from trace_edges.jobs.task import Outcome
    from trace_edges.loading import Loading

    ExchangeFormat = str
    ListedFormat = str

if not TYPE_CHECKING:
    EdgeFormat = Literal[*names(reads="edges", writes="edges")]
    ExchangeFormat = Literal[*exchanged()]
    # typer takes lists of an enumeration, and not of literals
    ListedFormat = StrEnum("ListedFormat", {name: name for name in exchanged()})

_LISTS = ("instances.json", "panoptic.json")  # of the results in a folder
_NO_OPTIONS = ("criterion", "ignore_first", "neighbours", "symmetric", "border", "layers")

# What messages call the options of `Selection`.
OF_SELECTION = "--find, --strength, --count, --top-k, --min-score, --ground and the like"

MODEL = Fields("Model")
FILES = Fields("Files and messages")
TRACE = Fields("Reading (with a detector, only --resolution)", leave_out=_NO_OPTIONS)
LOADING = Fields("Loading")
CUTTING = Fields("Cutting masks at edges")
SPLITTING = Fields(CUTTING.panel, leave_out=("iou",))

BatchSize = Annotated[int, typer.Option(help="Number of images of one size in a pass.")]
BackboneName = Annotated[
    str,
    typer.Option(
        help="Model whose attention is read: a name that `trace-edges backbones` lists, a folder, "
        "or a hub id.",
        rich_help_panel=MODEL.panel,
    ),
]
InputImages = Annotated[
    list[str], typer.Argument(help="Image files, folders, or patterns such as 'photos/*.jpg'.")
]
EdgeMaps = Annotated[Path, typer.Argument(help="Folder of edge maps, as detect writes them.")]


@dataclass(frozen=True)
class Files:
    """Which files are read and written.

    Attributes:
        recursive: Search the folders below each folder as well.
        overwrite: Process images again whose results exist already, instead of skipping them.
    """

    recursive: bool = False
    overwrite: bool = False


@dataclass(frozen=True)
class Formats:
    """In which other formats masks are written.

    Attributes:
        format: Write the masks in this format too, into a folder beside the results, for example
            masks-cvat; may be given several times. None: none.
    """

    format: list[ListedFormat] | None = None

    def write(self, results: Path, reporting: Reporting) -> None:
        """Export results, if they are there, into each of the formats."""
        from trace_edges.cli.export import report
        from trace_edges.formats.exchange import export
        from trace_edges.outputs import Outputs

        for name in (self.format or ()) if results.exists() else ():
            place = results.absolute()
            place = place.parent if place.name in _LISTS else place.with_suffix("")
            outputs = Outputs("export", (results,))
            with outputs.writing():
                out = place.with_name(f"{place.name}-{name}")
                done = export(results, name, out)
            report(done, name, Reporting(quiet=not reporting.prints_table))
            say_left(outputs, out)


@dataclass(frozen=True)
class Reporting:
    """What is printed.

    Attributes:
        json: Print the results as JSON.
        quiet: Print errors only.
    """

    json: bool = False
    quiet: bool = False

    @property
    def prints_table(self) -> bool:
        """A person reads along."""
        return not self.quiet and not self.json


@dataclass(frozen=True)
class EdgeOutput:
    """How edges are stored.

    Attributes:
        format: Format of the edge maps: 8-bit PNG, 16-bit PNG, or float32 in .npy.
        soft: Write the smooth edge map instead of thin lines.
        lines: Which lines are written. thin: those of the method. weighted: the same lines, weaker
            where they close no region. contours: only what closes regions, an ultrametric contour
            map.
        calibration: File that evaluate edges wrote for edges of the same settings, as
            calibration/NAME.json. The strength of an edge is then the share of such lines that was
            true there: 0.5 is one half.
    """

    format: EdgeFormat = "png"
    soft: bool = False
    lines: Literal["thin", "weighted", "contours"] = "thin"
    calibration: Path | None = None

    def task(self, *, overlay: bool = False) -> EdgesTask:
        """What writes them.

        Raises:
            InputError: there is no such calibration.
            FileError: it is none.
            ValueError: lines were chosen, and none are to be written.
        """
        if self.soft and self.lines != "thin":
            raise ValueError("--soft writes no lines: leave out --soft, or --lines")
        check_inputs(self.calibration)
        from trace_edges.jobs.detecting import EdgesTask
        from trace_edges.results import Calibration

        curve = None if self.calibration is None else Calibration.load(self.calibration)
        return EdgesTask(self.format, "soft" if self.soft else self.lines, overlay, curve)


@dataclass(frozen=True)
class Cutting:
    """How edges cut masks. Pixels are those of an image of 640 x 480; in a larger one they grow.

    Attributes:
        threshold: Edges of at least this strength cut a mask. None: the usual one of what drew
            them: 0.7 for detectors with a backbone and the training-free method, 0.65 for
            calibrated edges, 0.95 for others.
        dividing: Share of the edges inside the masks of an image that must divide a mask. With
            less, as in texture, no mask is cut; with 0 they always are.
        hysteresis: Down to this share of the threshold an edge also cuts where it continues a
            stronger one; 1 turns this off.
        close_gap: Gaps in an edge of up to this many pixels are closed (at 640 x 480 pixels; the
            value grows with larger images).
        closed: Share of a border that must be edge for its two sides to stay apart.
        min_fragment: Pieces of fewer pixels are given to their neighbours (at 640 x 480 pixels; the
            value grows with larger images).
        min_radius: Pieces in which no circle of this radius in pixels fits are given to their
            neighbours (at 640 x 480 pixels; the value grows with larger images).
        method: How the pieces of a mask grow after the cut: by a watershed, or by the random walk
            of the paper, which is much slower.
        iou: Masks whose overlap (IoU) is larger than this are merged.
    """

    threshold: float | None = None
    dividing: float = 0.95
    hysteresis: float = 1.0
    close_gap: int = 5
    closed: float = 0.75
    min_fragment: int = 20
    min_radius: float = 3.0
    method: Literal["watershed", "random-walk"] = "watershed"
    iou: float = 0.5

    def propagation(self) -> Propagation:
        """As `Propagation`."""
        from trace_edges.instances.bgp import Propagation

        given = {field.name: getattr(self, field.name) for field in fields(Cutting)}
        grow: Any = given.pop("method").replace("-", "_")
        del given["iou"]
        return Propagation(min_area=given.pop("min_fragment"), method=grow, **given)


@dataclass(frozen=True)
class Splitting(Cutting):
    """How edges split classes, and which fragments are hidden parts of one thing.

    Attributes:
        part_size: A piece may be a part of a larger piece of its class if it has at most this share
            of its area; 0 turns this off.
        part_distance: A part lies at most this far from the larger piece, as a multiple of the
            square root of its area.
        part_behind: At least this share of the gap between the two must be a thing of another
            class.
    """

    part_size: float = 0.35
    part_distance: float = 1.5
    part_behind: float = 0.8

    def attachment(self) -> Attachment:
        """As `Attachment`."""
        from trace_edges.instances.fragments import Attachment

        return Attachment(self.min_fragment, self.part_size, self.part_distance, self.part_behind)


def find_inputs(
    inputs: Sequence[str], files: Files
) -> tuple[Mapping[Path, str], Sequence[InputError]]:
    """The images that were meant, with the names of their results, and what could not be found,
    which is printed.

    Commands look for images before they import and load a model, so that a mistyped path is
    answered at once.

    Raises:
        InputError: there is no image at all.
    """
    from trace_edges.files import find_images

    found = find_images(inputs, files.recursive)
    for line in (*found.problems, *found.passed_over):
        error(str(line))
    return found.names, found.problems


def check_inputs(*paths: Path | None) -> None:
    """Refuse, before anything is imported that takes seconds, a path that leads nowhere.

    Raises:
        InputError: there is no such file or folder.
    """
    from trace_edges.files import InputError

    for path in paths:
        if path is not None and not path.exists():
            raise InputError(f"{path}: there is no such file or folder; check the path")


def follow(
    outcomes: Iterable[Outcome], total: int, what: str, reporting: Reporting
) -> list[Outcome]:
    """Outcomes of images as they are finished: a bar, a line for what is wrong, JSON of each."""
    finished = []
    with progress(total, what, hidden=not reporting.prints_table) as advance:
        for outcome in outcomes:
            finished.append(outcome)
            advance()
            if outcome.message:
                skipped = outcome.state == "skipped"
                error(outcome.message, Path(outcome.key) if skipped else None)
            if reporting.json:
                print_json(outcome)
    return finished


def print_json(*outcomes: Outcome) -> None:
    """One line for each image."""
    for outcome in outcomes:
        line: dict[str, Any] = {"image": outcome.key, "state": outcome.state}
        line |= {"message": outcome.message, "record": outcome.record}
        typer.echo(json.dumps(line))


def finish(outcomes: Sequence[Outcome], problems: Sequence[Any] = ()) -> None:
    """Ends with 1 where an image failed or was not found."""
    if problems or any(outcome.state == "failed" for outcome in outcomes):
        raise typer.Exit(1)


def load_encoder(name: str, loading: Loading) -> Any:
    """The ViT that `--encoder` names."""
    from trace_edges.backbones import load_vit

    return load_vit(name, **loading.placement)


def load_sam(name: str, loading: Loading) -> Any:
    """The SAM that `--sam` names; a folder never asks the network."""
    from trace_edges.instances.sam import load_sam

    return load_sam(name, local_files_only=Path(name).is_dir(), **loading.placement)
