"""`trace-edges composites`: scenes of sprites with exact ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from trace_edges.cli.common import console, plain_errors, progress


def composites(
    out: Annotated[Path, typer.Option(help="Folder for pictures and ground truth.")],
    n: Annotated[int, typer.Option("--n", help="How many.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Of all that is drawn by chance.", min=0)] = 0,
    sprites: Annotated[
        Path | None,
        typer.Option(help="Folder of PNG or WebP, or npz archive. Default: 24 embedded ones."),
    ] = None,
    rows: Annotated[
        Path | None, typer.Option(help="npy file: the rows of the archive that may be used.")
    ] = None,
    height: Annotated[int, typer.Option(help="px.", min=32)] = 384,
    width: Annotated[int, typer.Option(help="px.", min=32)] = 384,
    smallest: Annotated[
        float, typer.Option(help="Sprite, as a share of sqrt(H * W): 0.013 covers about 0.01 %.")
    ] = 0.12,
    largest: Annotated[float, typer.Option(help="Sprite, likewise.")] = 0.45,
    most: Annotated[int, typer.Option(help="Objects in a scene, at most.", min=1)] = 12,
    quiet: Annotated[bool, typer.Option(help="Print errors only.")] = False,
) -> None:
    """Write composites: pictures of pasted sprites whose instances are known to the pixel."""
    with plain_errors():
        from recipes.trace_mini.composites import SceneSettings, load_sprites, write_composites

        found = load_sprites(sprites, rows)
        fewest = min(SceneSettings.objects[0], most)
        settings = SceneSettings(height, width, (fewest, most), (smallest, largest))
        with progress(n, "scenes", hidden=quiet) as advance:
            write_composites(out, found, n, seed=seed, settings=settings, progress=advance)
        if not quiet:
            console.print(f"{n} scenes of {len(found)} sprites in {escape(str(out))}")
