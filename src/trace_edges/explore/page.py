"""The page: an image, and what is seen in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trace_edges.explore.attention_tab import attention_tab
from trace_edges.explore.edges_tab import edges_tab
from trace_edges.explore.instances_tab import instances_tab
from trace_edges.explore.models import Models
from trace_edges.explore.photograph import MOST_PIXELS, Photograph
from trace_edges.explore.toolkit import KEPT, gr, plain_errors
from trace_edges.explore.words_tab import words_tab

LARGEST_UPLOAD = 64  # MB


def build_page(models: Models, images: Sequence[Path] = (), method: str = "one-step") -> Any:
    """Draw the page.

    Every browser window has a state of its own, which is forgotten an hour after it was last used;
    models are shared, and work for one window after the other.

    Args:
        models: what it reads images with.
        images: files of this computer that can be chosen; the first is shown at once.
        method: of the edges at first, "one-step" or "training-free".

    Returns:
        `gradio.Blocks`, to be launched.
    """
    with gr.Blocks(title="trace-edges", delete_cache=(KEPT, KEPT)) as page:
        gr.Markdown(
            "# trace-edges\n"
            "Where one object ends and the next begins, as a text-to-image model sees it."
        )
        photograph = gr.State(time_to_live=KEPT)
        with gr.Row():
            upload = gr.File(
                label=f"Your image (to {LARGEST_UPLOAD} MB, {MOST_PIXELS // 10**6} megapixels)",
                height=150, elem_id="upload",
            )  # fmt: skip
            listed = [(path.name, number) for number, path in enumerate(images)]
            chosen = gr.Dropdown(
                listed, value=0 if listed else None, label="Or one of the folder",
                visible=bool(listed), elem_id="chosen",
            )  # fmt: skip
        facts = gr.Markdown(elem_id="facts")
        with gr.Tab("Edges"):
            edges, find = edges_tab(models, photograph, method)
        with gr.Tab("Instances"):
            instances_tab(photograph, edges)
        with gr.Tab("Attention"):
            attention_tab(models, photograph)
        with gr.Tab("Words"):
            words_tab(models)

        def open_upload(path: str | None) -> Any:
            if path is None:
                return [gr.skip() for _ in shown]
            with plain_errors():
                found = Photograph.open(path)
                # Edges of the one before must not pass as its own while it waits for the model.
                return found, found.facts, *(None for _ in find["outputs"])

        def open_listed(number: int | None) -> Any:
            return open_upload(None if number is None else str(images[number]))

        shown = [photograph, facts, *find["outputs"]]
        upload.upload(open_upload, upload, shown).success(**find)
        chosen.input(open_listed, chosen, shown).success(**find)
        if listed:
            page.load(open_listed, chosen, shown).success(**find)
    return page


def open_page(
    page: Any, *, host: str = "127.0.0.1", port: int | None = None, browser: bool = True,
    wait: bool = True,
) -> str:  # fmt: skip
    """Serve the page, from this computer and to it unless `host` says otherwise.

    Args:
        page: of `build_page`.
        host: address to listen at; with "0.0.0.0" everybody in the network can use the page.
        port: None: the first free one from 7860 on.
        browser: open it in one.
        wait: until it is interrupted.

    Returns:
        Its address.

    Raises:
        OSError: no port is free.
    """
    page.queue(max_size=64, api_open=False)
    _, address, _ = page.launch(
        server_name=host, server_port=port, inbrowser=browser, share=False, quiet=True,
        max_file_size=LARGEST_UPLOAD << 20, prevent_thread_lock=True, footer_links=[],
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        strict_cors=True, ssr_mode=False, state_session_capacity=32,
    )  # fmt: skip
    if wait:
        page.block_thread()
    return address
