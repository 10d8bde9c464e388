"""Regions that the edges close, as a person corrects and takes them home."""

from __future__ import annotations

from typing import Any

from trace_edges.explore.editing import Regions
from trace_edges.explore.photograph import Photograph
from trace_edges.explore.toolkit import (
    FILES_HEIGHT,
    KEPT,
    SelectData,
    gr,
    needed,
    new_folder,
    picture,
    plain_errors,
)
from trace_edges.formats.registry import get_format, names
from trace_edges.instances.hierarchy import build_hierarchy
from trace_edges.instances.regions import usual_strength
from trace_edges.results import EdgeMap

_ACTIONS = ("merge two", "split", "delete")


def instances_tab(photograph: Any, edges: Any) -> None:
    """Draw the tab.

    Args:
        photograph: the state that holds the image.
        edges: the state that holds its edges.
    """
    regions, first = gr.State(time_to_live=KEPT), gr.State()
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            strength = gr.Slider(0, 1, usual_strength(), step=0.005, elem_id="strength",
                                 label="Boundaries weaker than this are removed")  # fmt: skip
            action = gr.Radio(_ACTIONS, value=_ACTIONS[0], label="A click will", elem_id="action")
            undo = gr.Button("Undo", elem_id="undo")
            status = gr.Markdown(elem_id="instances-facts")
            form = gr.Dropdown(names(writes="instances"), label="Format", elem_id="format")
            save = gr.Button("Save instances", variant="primary", elem_id="save-instances")
            files = gr.File(label="Instances, at the size of the image", interactive=False,
                            height=FILES_HEIGHT, elem_id="instances-files")  # fmt: skip
        with gr.Column(scale=3):
            drawn = picture("Instances: click one", "The image with a colour for each instance",
                            "instances", height=560)  # fmt: skip

    def begin(edges: EdgeMap | None) -> Any:
        if edges is None:
            return None, gr.skip()
        with plain_errors():
            tree = build_hierarchy(edges)
        chosen = usual_strength(origin=tree.origin)
        return Regions.at(tree, chosen), chosen

    def cut(regions: Regions | None, strength: float) -> Any:
        return None if regions is None else Regions.at(regions.tree, strength)

    def show(image: Photograph | None, regions: Regions | None) -> Any:
        if image is None or regions is None or not image.fits(regions.tree.labels.shape):
            return None, "", None
        return image.tinted(regions.labels), f"{len(regions)} instances.", None

    def click(
        image: Photograph | None, regions: Regions | None, action: str, first: int | None,
        event: SelectData,
    ) -> Any:  # fmt: skip
        if image is None or regions is None or not image.fits(regions.tree.labels.shape):
            return gr.skip(), gr.skip(), gr.skip()
        number = regions.at_pixel(*image.pixel(*event.index))
        with plain_errors():
            if number < 0:
                return gr.skip(), None, "There is no instance: it was deleted."
            if action == "split":
                return regions.split(number), None, gr.skip()
            if action == "delete":
                return regions.remove(number), None, gr.skip()
            if first is None or first == number:
                return gr.skip(), number, "Now click the other one."
            return regions.merge(first, number), None, gr.skip()

    def saved(image: Photograph | None, regions: Regions | None, form: str) -> list[str]:
        with plain_errors():
            image, folder = needed(image), new_folder()
            if regions is None:
                raise ValueError("find edges first")
            content = {image.name: regions.masks}
            one_file = get_format(form).suffixes == (".json",)
            target = folder / f"{image.name}.{form}.json" if one_file else folder
            get_format(form).function("write")(content, target)
            return [str(path) for path in sorted(folder.rglob("*")) if path.is_file()]

    edges.change(begin, edges, [regions, strength], show_progress="hidden")
    strength.input(cut, [regions, strength], regions, show_progress="hidden")
    regions.change(show, [photograph, regions], [drawn, status, first], show_progress="hidden")
    drawn.select(click, [photograph, regions, action, first], [regions, first, status],
                 show_progress="hidden")  # fmt: skip
    undo.click(lambda regions: regions and regions.undone(), regions, regions)
    save.click(saved, [photograph, regions, form], files)
