"""From any format of masks into any other: what a path holds, read, and written image by image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from trace_edges.files import FileError, check_regular, read_json, read_text
from trace_edges.formats.checks import compared
from trace_edges.formats.classes import class_table
from trace_edges.formats.coco_set import listed_categories
from trace_edges.formats.entries import refuse_unsound, shown
from trace_edges.formats.labelled import (
    IMAGE_IDS,
    MASK_IDS,
    OBJECT,
    Labelled,
    LabelledSet,
    Reading,
    Writing,
    finding_of,
    photographs_in,
)
from trace_edges.formats.listing import bare, check_name
from trace_edges.formats.recognised import FILES, kind_of
from trace_edges.formats.registry import Format, get_exchange
from trace_edges.formats.truth import Finding, GroundTruthError
from trace_edges.formats.values import file_name
from trace_edges.results import Category


@dataclass(frozen=True)
class Exported:
    """What became of a set of masks.

    Attributes:
        images, masks: how many were written.
        files: where.
        lost: what the format cannot hold, with how often.
        findings: what is wrong with images or masks that were left out, and with photographs.
        without_photograph: images of which there is none in the folder of photographs.
    """

    images: int
    masks: int
    files: tuple[Path, ...]
    lost: Mapping[str, int]
    findings: tuple[Finding, ...]
    without_photograph: int = 0


def export(
    results: str | PathLike[str],
    to: str,
    out: str | PathLike[str],
    *,
    source_format: str | None = None,
    images: str | PathLike[str] | None = None,
    categories: str | PathLike[str] | None = None,
    polygons: bool = False,
    image_root: str = "",
) -> Exported:
    """Write the masks of results, or of files of other tools, in a format.

    One image after the other is in memory; of JSON, its text is. What is wrong with an image or a
    mask is in the result, and the others are written.

    Args:
        results: file or folder: of this package, or in one of the formats.
        to: a name of `trace_edges.formats.registry.exchanged`.
        out: folder for the result, or its one file.
        source_format: of `results`; by default what is found there.
        images: folder of the photographs: gives the names of their files, and sizes of images
            where the format of `results` does not say.
        categories: names of the classes by their ids: a JSON in COCO's form, a text file of a name
            a line, counted from 1, or "coco" or "voc".
        polygons: write masks as polygons (coco, fiftyone, cvat) where a polygon is exactly the
            mask.
        image_root: what comes before the file name in the tasks of Label Studio.

    Raises:
        ImportError: an optional library is not installed.
        OSError: a file cannot be read or written.
        ValueError: it is not known what `results` are, or the file is of no use as a whole.
    """
    target = get_exchange(to)
    if target.exports is None:
        raise ValueError(f"format {to!r} can be read but not written: choose another")
    photographs = {} if images is None else photographs_in(_folder(Path(images)))
    found = open_masks(results, source_format, photographs)
    names = {} if categories is None else _names(categories)
    given = None if images is None else photographs
    taken = _Taken(target, found, names, given, Path(images or ""), str(results))
    writing = Writing(
        Path(out), lambda: taken.categories, polygons, image_root, photographs, taken.lost
    )
    there = writing.out.exists()
    try:
        files = target.function("exports")(iter(taken), writing)
    except BaseException:
        if not there:
            with suppress(OSError):  # something was written
                writing.out.rmdir()
        raise
    return taken.exported(files)


def open_masks(
    path: str | PathLike[str],
    format: str | None = None,
    photographs: Mapping[str, Path] | None = None,
) -> LabelledSet:
    """The masks of results or of a file of another tool, to be taken image by image.

    Args:
        path: file or folder.
        format: of it; by default what is found there.
        photographs: files of the images by name.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not known what it is, or of no use as a whole.
    """
    path = Path(path)
    if not path.exists():
        raise FileError(path, "does not exist", "check the path")
    check_regular(path)
    name, place, content = (format, path, None) if format else kind_of(path)
    shards = place if isinstance(place, list) else [place]
    if format and path.is_dir():
        shards = [
            path / file
            for file, of in FILES.items()
            if (path / file).is_file() and of == (get_exchange(format).exchange or format)
        ]
        shards = shards or [path]
    read = get_exchange(str(name)).function("opens")
    sets = [read(one, Reading(photographs or {}, content)) for one in shards]
    if len(sets) == 1:
        return sets[0]
    every = {one.id: one for some in sets for one in some.categories}
    return LabelledSet(tuple(every.values()), (image for some in sets for image in some.images))


class _Taken:
    """Images on their way from one format to another: renamed, counted, what is lost noted."""

    def __init__(
        self,
        target: Format,
        found: LabelledSet,
        names: Mapping[int, Category],
        photographs: Mapping[str, Path] | None,
        folder: Path,
        source: str,
    ) -> None:
        self.lost: Counter[str] = Counter()
        self._source = source
        self._target, self._found, self._names = target, found, names
        self._photographs, self._folder = photographs, folder
        self._categories: dict[int, Category] = {}
        self._findings: list[Finding] = []
        self._images = self._masks = self._without = 0

    @property
    def categories(self) -> Sequence[Category]:
        """All so far, those that the file lists first."""
        listed = {one.id: self._names.get(one.id, one) for one in self._found.categories}
        return tuple((listed | self._categories).values())

    def exported(self, files: Sequence[Path]) -> Exported:
        """What became of them."""
        keeps = self._target.keeps
        ids = [one.id for one in self.categories]
        if "category ids" not in keeps and ids != list(range(1, len(ids) + 1)):
            self.lost["category ids"] += len(ids)
        lost = {what: count for what, count in self.lost.items() if count}
        return Exported(
            self._images, self._masks, tuple(files), lost, tuple(self._findings), self._without
        )

    def __iter__(self) -> Iterator[Labelled]:
        seen: set[str] = set()
        for one in self._found.images:
            if isinstance(one, Finding):
                self._findings.append(one)
                continue
            try:
                check_name(one.name)
                file_name(f"{one.name}.json")  # the longest suffix that a writer adds
                image = self._placed(self._renamed(one))
                called = image.photograph
                if self._target.per_image:
                    called = bare(image.name).casefold()
                if called in seen:
                    raise ValueError("there is another image of that name")
            except ValueError as error:
                subject = f"{self._source}: image {shown(one.name)}"
                self._findings.append(finding_of(error, subject))
                continue
            seen.add(called)
            image = self._counted(image)
            self._images += 1
            self._masks += len(image.masks)
            yield image

    def _renamed(self, image: Labelled) -> Labelled:
        marks = tuple(
            replace(mark, category=self._names.get(mark.category.id, mark.category))
            for mark in image.marks
        )
        self._categories.update((mark.category.id, mark.category) for mark in marks)
        return replace(image, marks=marks)

    def _placed(self, image: Labelled) -> Labelled:
        """With the name of the photograph's file."""
        if self._photographs is None:
            return image
        path = image.file_in(self._photographs)
        if path is None:
            self._without += 1
            return image
        try:
            odd = compared(path, image.masks.shape)
        except GroundTruthError as error:
            odd = [error.finding]
        self._findings += [replace(one, severity="warning") for one in odd]
        below = path.relative_to(self._folder).as_posix()
        return replace(image, name=bare(below), file_name=below)

    def _counted(self, image: Labelled) -> Labelled:
        keeps, lost = self._target.keeps, self.lost
        if "crowds" not in keeps and any(mark.crowd for mark in image.marks):
            lost["crowds, which are left out"] += sum(mark.crowd for mark in image.marks)
            image = image.only([not mark.crowd for mark in image.marks])
        if "scores" not in keeps:
            lost["scores"] += int((image.masks.scores != 1).sum())
        if "names" not in keeps:
            lost["classes of masks"] += sum(mark.category != OBJECT for mark in image.marks)
        if "mask ids" not in keeps:
            lost[MASK_IDS] += sum(mark.id is not None for mark in image.marks)
        if self._target.holds != "panoptic":
            stuff = sum(not mark.category.thing for mark in image.marks)
            lost["masks of stuff, which become instances"] += stuff
        if "image ids" not in keeps:
            lost[IMAGE_IDS] += image.id is not None
        return image


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise FileError(path, "is not a folder", "give the folder of the photographs")
    return path


def _names(given: str | PathLike[str]) -> dict[int, Category]:
    """Categories by id."""
    path = Path(given)
    if str(given) in ("coco", "voc") and not path.exists():
        return {one.id: one for one in class_table(given).categories}  # type: ignore[arg-type]
    if path.suffix != ".json":
        lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
        return {number: Category(number, name, True) for number, name in enumerate(lines, 1)}
    content = read_json(path)
    content = {"categories": content} if isinstance(content, list) else content
    if not isinstance(content, Mapping) or "categories" not in content:
        raise FileError(path, "lists no categories", "give COCO's form: id and name of each")
    categories, findings = listed_categories(content, str(path))
    refuse_unsound(findings)
    return {one.id: one for one in categories.all}
