"""Tars and Parquet files with bytes changed at random: they give entries, or one clear error.

For longer by hand: FUZZ_SECONDS=3600 pytest -m long tests/corpus/test_fuzz_packed.py
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from trace_edges.files import InputError
from trace_edges.images import ImageError, load_image
from trace_edges.jobs import open_source

from . import test_parquet, test_tar

SECONDS = float(os.environ.get("FUZZ_SECONDS", "15"))
SEEDS = {
    ".tar": [kind.content for kind in test_tar.KINDS if kind.file == "bad.tar"],
    ".parquet": [
        kind.content for kind in test_parquet.KINDS
        if isinstance(kind.content, bytes) and kind.sound and not kind.options
    ],
}  # fmt: skip

changes = st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=9)), max_size=6)


def changed(content: bytes, edits: list[tuple[float, bytes]], length: float) -> bytes:
    """The content with some bytes replaced, and cut."""
    found = bytearray(content)
    for place, new in edits:
        at = int(place * len(found))
        found[at : at + len(new)] = new
    return bytes(found[: round(length * len(content))])


def read_all(path: Path) -> None:
    """What `annotate` does with it before a model comes in: nothing else may be raised."""
    try:
        for number, entry in enumerate(open_source(str(path)).entries()):
            if number > 200:
                return
            try:
                load_image(entry.place.read())
                continue
            except (ImageError, OSError) as error:
                told = str(error)
            assert len(told) < 2000, told
        return
    except InputError as error:
        told = str(error)
    assert len(told.splitlines()) == 1, told


def fuzz(suffix: str, seconds: float, last: str) -> None:
    """Runs in a process of its own, since Arrow may crash; the input at work lies in `last`."""
    end = time.monotonic() + seconds

    @settings(
        max_examples=10**7, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.integers(0, len(SEEDS[suffix]) - 1), changes, st.floats(0.5, 1) | st.just(1.0))
    def once(seed: int, edits: list[tuple[float, bytes]], length: float) -> None:
        if time.monotonic() > end:
            os._exit(0)
        path = Path(last)
        path.write_bytes(changed(SEEDS[suffix][seed], edits, length))
        read_all(path)

    once()


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("suffix", SEEDS)
def test_changed_bytes_give_entries_or_one_clear_error(suffix):
    with tempfile.TemporaryDirectory() as folder:
        last = Path(folder, f"last{suffix}")
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=fuzz, args=(suffix, SECONDS, str(last)))
        process.start()
        process.join(SECONDS + 60)
        late = process.is_alive()
        if late:
            process.kill()
        kept = last.read_bytes().hex() if last.exists() else ""
        assert not late, f"waits for ever over {kept}"
        assert process.exitcode == 0, f"exit code {process.exitcode} over {kept[:4000]}"
