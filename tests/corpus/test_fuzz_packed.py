"""Tars and Parquet files with bytes changed: they give entries, or one clear error."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from trace_edges.files import InputError
from trace_edges.images import ImageError, load_image
from trace_edges.jobs import open_source

from . import test_parquet, test_tar
from .fuzzing import changed, fuzz, fuzzed, refusal

SEEDS = {
    ".tar": [kind.content for kind in test_tar.KINDS if kind.file == "bad.tar"],
    ".parquet": [
        kind.content for kind in test_parquet.KINDS
        if isinstance(kind.content, bytes) and kind.sound and not kind.options
    ],
}  # fmt: skip


def entries(path: Path) -> None:
    """What `annotate` does with it before a model comes in."""
    for number, entry in enumerate(open_source(str(path)).entries()):
        if number > 200:
            return
        refusal(lambda entry=entry: load_image(entry.place.read()), (ImageError, OSError))


def packed(folder: Path, suffix: str) -> None:
    path = folder / f"it{suffix}"

    def check(content: bytes) -> None:
        path.write_bytes(content)
        refusal(partial(entries, path), (InputError,))

    fuzz(changed(SEEDS[suffix]), check, 250)


@pytest.mark.long
@pytest.mark.timeout(0)
@pytest.mark.parametrize("suffix", SEEDS)
def test_changed_bytes_give_entries_or_one_clear_error(suffix, tmp_path):
    fuzzed(packed, tmp_path, suffix)
