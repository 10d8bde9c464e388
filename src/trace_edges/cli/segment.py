"""`trace-edges segment`: from photographs to instances."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from trace_edges.cli.common import error, print_outcomes, waiting
from trace_edges.cli.fields import Fields, command
from trace_edges.cli.finishing import FINISHING, Finishing, finished
from trace_edges.cli.options import (
    CUTTING,
    FILES,
    LOADING,
    MODEL,
    OF_SELECTION,
    TRACE,
    Cutting,
    Files,
    Formats,
    InputImages,
    Reporting,
    find_inputs,
    finish,
    follow,
    load_encoder,
)
from trace_edges.edge_model import Choice, EdgeModel, refuse
from trace_edges.jobs.choices import Selection
from trace_edges.loading import Loading
from trace_edges.training_free.settings import TraceSettings

if TYPE_CHECKING:
    from trace_edges.instances.components import Origin


@dataclass(frozen=True)
class Masks:
    """Where masks come from.

    Attributes:
        masks: Take the regions that edges enclose, or masks of MaskCut or ProMerge, which are then
            cut at the edges.
        edges: Folder of edge maps to use instead of a model; write them with detect --soft.
        encoder: Vision transformer whose features MaskCut and ProMerge use, for example dino-vitb8.
            None: the self-attention of the backbone at t*.
        crf: Fit the masks of MaskCut and ProMerge to the colours of the image with a conditional
            random field (CRF), before they are cut. Needs the extra crf.
    """

    masks: Literal["edges", "maskcut", "promerge"] = "edges"
    edges: Path | None = None
    encoder: str | None = None
    crf: bool = False

    def __post_init__(self) -> None:
        if self.masks == "edges" and (self.encoder is not None or self.crf):
            raise ValueError("--encoder and --crf are for maskcut and promerge: leave them out")


@command
def segment(
    inputs: InputImages,
    masks: Annotated[Masks, Fields("Masks")],
    selection: Annotated[Selection, Fields("Regions that edges enclose")],
    finishing: Annotated[Finishing, FINISHING],
    cutting: Annotated[Cutting, CUTTING],
    choice: Annotated[Choice, MODEL],
    settings: Annotated[TraceSettings, TRACE],
    loading: Annotated[Loading, LOADING],
    files: Annotated[Files, FILES],
    formats: Annotated[Formats, FILES],
    reporting: Annotated[Reporting, FILES],
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("instances"),
) -> None:
    """Find the instances in images and write label maps, overlays and one COCO file.

    The edges are found as by `trace-edges detect`, or read from --edges. Every region that they
    enclose becomes an instance.

    For each image NAME, the folder receives NAME.instances.png, NAME.overlay.png and NAME.json;
    instances.json holds the masks of all images.

    Example: trace-edges segment photos --out masks
    """
    names, problems = find_inputs(inputs, files)
    model = _edges_of(masks, choice, settings, loading)
    with waiting(model.name, hidden=not reporting.prints_table):
        from trace_edges.edge_folder import EdgeFolder
        from trace_edges.jobs.folders import left_out, segment_files, segment_outputs

        segment_outputs(masks.edges, names, out, overwrite=files.overwrite)
        fewer = left_out(out, names)
        source = model.load()
        from trace_edges.instances.components import origin_of

    described = source.describe(model.source_settings())
    origin = origin_of(source.made_with if isinstance(source, EdgeFolder) else described)
    find = _finder(masks, selection, cutting, model, origin, (choice, settings, loading))
    find = finished(find, finishing, cutting.iou, loading)
    made_with: dict[str, Any] = {"source": masks.masks}
    made_with |= {"detector": described} if model.method == "one-step" else described
    made_with |= {"sam": None} | find.describe()
    done = segment_files(
        source, names, out, model.source_settings(),
        find=find, made_with=made_with, overwrite=files.overwrite,
    )  # fmt: skip
    outcomes = follow(done, len(names), "instances", reporting)
    if fewer:
        error(f"{out / 'instances.json'} listed {fewer} more images before, whose results stay: "
              "give them too to have them listed")  # fmt: skip
    if reporting.prints_table:
        number = {"instances": lambda record: str(record["instances"])}
        print_outcomes(outcomes, out, model.method == "training-free", after_size=number)
    formats.write(out / "instances.json", reporting)
    finish(outcomes, problems)


def _edges_of(masks: Masks, choice: Choice, settings: TraceSettings, loading: Loading) -> EdgeModel:
    """Where the edges come from."""
    from_attention = masks.masks != "edges" and masks.encoder is None
    if masks.edges is not None:
        if choice != Choice():
            raise ValueError("--edges gives the edges: leave out --training-free and --detector")
        if not from_attention:
            refuse(asdict(settings), asdict(TraceSettings()), "is for a model that draws the "
                   "edges, and --edges gives them: leave it out")  # fmt: skip
        return EdgeModel(name=str(masks.edges), method="folder")
    if choice.is_one_step and from_attention:  # the options are of the attention
        return EdgeModel(name=choice.detector_name, settings=settings, loading=loading)
    return EdgeModel.choose(choice, settings, loading)


def _finder(
    masks: Masks,
    selection: Selection,
    cutting: Cutting,
    model: EdgeModel,
    origin: Origin,
    attention: tuple[Choice, TraceSettings, Loading],
) -> Any:
    """What finds the instances of an image."""
    from trace_edges.jobs.finding import Generated, Regions

    choice, settings, loading = attention
    find: Regions | Generated
    if masks.masks == "edges":
        given = asdict(cutting) | {"iou": Cutting.iou}  # which --sam has too
        refuse(given, asdict(Cutting()), "cuts masks of maskcut and promerge: leave it out, or add "
               "--masks")  # fmt: skip
        find = Regions(selection, origin)
    else:
        if selection != Selection():
            raise ValueError(
                f"{OF_SELECTION} choose among regions of edges: leave them out, or --masks"
            )
        encoder = pipe = None
        if masks.encoder is not None:
            encoder = load_encoder(masks.encoder, loading)
        elif model.method != "training-free":
            pipe = loading.load_pipeline(choice.backbone)
        find = Generated(
            masks.masks, encoder, pipe, settings, cutting.propagation().usual_for(origin),
            cutting.iou, masks.crf,
        )  # fmt: skip
    return find
