"""`trace-edges panoptic`: from maps of classes to panoptic maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from trace_edges.cli.common import (
    console,
    image_progress,
    report_failures,
    report_notes,
    say_left,
)
from trace_edges.cli.fields import Fields, command
from trace_edges.cli.options import (
    FILES,
    SPLITTING,
    EdgeMaps,
    Formats,
    Reporting,
    Splitting,
    check_inputs,
    finish,
    print_json,
)
from trace_edges.outputs import Outputs

if TYPE_CHECKING:
    from trace_edges.formats.classes import ClassTable


_LARGEST = 65535  # of a class, in a map of 16 bits


@dataclass(frozen=True)
class Classes:
    """What the numbers in semantic maps stand for.

    Attributes:
        categories: Classes of the maps: those of coco or voc, or of a JSON file in COCO's form.
        contiguous: Number k in a map means the k-th category instead of the category with id k.
        things: Without --categories, the classes that have instances, such as 1,2,3.
        stuff: Without --categories, the classes that have none, such as 0,4.
    """

    categories: str | None = None
    contiguous: bool = False
    things: str | None = None
    stuff: str | None = None

    def table(self) -> ClassTable:
        """The table of classes that the options stand for.

        Raises:
            ValueError: they contradict each other, or say nothing.
        """
        from trace_edges.formats.classes import class_table, read_class_table, table_of_numbers

        if self.categories is None:
            if self.things is None:
                raise ValueError("which classes are things? Give --categories, or --things")
            return table_of_numbers(_numbers(self.things), _numbers(self.stuff or ""))
        if self.things is not None or self.stuff is not None:
            raise ValueError(
                "--categories says what things and stuff are: leave --things and --stuff"
            )
        if self.categories in ("coco", "voc"):
            return class_table(self.categories)  # type: ignore[arg-type]
        return read_class_table(Path(self.categories), contiguous=self.contiguous)


@command
def panoptic(
    semantic: Annotated[Path, typer.Argument(help="Folder of semantic maps: PNG, TIFF or .npy.")],
    edges: EdgeMaps,
    classes: Annotated[Classes, Fields("Classes")],
    cutting: Annotated[Splitting, SPLITTING],
    formats: Annotated[Formats, FILES],
    reporting: Annotated[Reporting, FILES],
    out: Annotated[
        Path, typer.Option(help="Folder for panoptic.json and panoptic/NAME.png.")
    ] = Path("panoptic"),
    semantic_pngs: Annotated[
        bool,
        typer.Option("--semantic-pngs", help="Also write the semantic maps, as semantic/NAME.png."),
    ] = False,
) -> None:
    """Split the things in semantic maps into instances, and write COCO panoptic PNGs and JSON.

    Every class of things is cut at the edges; stuff stays whole.

    Example: trace-edges panoptic classes edges --categories voc --out panoptic
    """
    check_inputs(semantic, edges)
    from trace_edges.jobs.panoptic import panoptic_files

    outputs = Outputs("panoptic", (semantic, edges))
    with image_progress(not reporting.prints_table) as report:
        outcomes = panoptic_files(
            semantic, edges, out, classes.table(), cutting.propagation(),
            cutting.attachment(), semantic_pngs=semantic_pngs,
            progress=report, outputs=outputs,
        )  # fmt: skip
    failed = report_failures(outcomes)
    say_left(outputs, out)
    if reporting.json:
        print_json(*outcomes)
    elif not reporting.quiet:
        count = sum(outcome.record.get("after", 0) for outcome in outcomes)
        where = f"; {count} segments in {escape(str(out / 'panoptic.json'))}" if count else ""
        console.print(f"{len(outcomes) - failed} done, {failed} failed{where}")
        report_notes(outcomes)
    formats.write(out / "panoptic.json", reporting)
    finish(outcomes)


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")] if text else []
    except ValueError as error:
        raise ValueError(f"{text!r} is not a list of class numbers: write them as 1,2,3") from error
    if odd := [number for number in numbers if not 0 <= number <= _LARGEST]:
        raise ValueError(f"class {odd[0]} must lie in [0, {_LARGEST}], which maps can hold")
    return numbers
