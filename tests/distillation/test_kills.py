"""`trace-edges distill`, killed at random moments, ends as if nothing had happened."""

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trace_edges.outputs import LEDGER

EXAMPLES = Path(__file__).parents[2] / "examples"
KILLS, STEPS = 10, 80


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("coffee.jpg", "coins.png"):
        with Image.open(EXAMPLES / name) as image:
            for part in range(3):
                image.crop((40 * part, 0, 40 * part + 240, 200)).save(folder / f"{part}{name}")
    return folder


def start(photos, out):
    command = [sys.executable, "-m", "trace_edges", "distill", photos, "--out", out]
    options = (
        f"--config toy --label-resolution 256 --steps {STEPS} --hold-out 3 --device cpu --quiet"
    )
    return subprocess.Popen(
        [*map(str, command), *options.split()], stderr=subprocess.PIPE, text=True
    )


def written(out):
    """Files that stay, and when."""
    kept = [*out.rglob("[!.]*.npy"), *out.glob("checkpoint.safetensors")]
    return {(path.name, path.stat().st_mtime_ns) for path in kept}


@pytest.mark.long
@pytest.mark.timeout(900)
def test_ten_kills_change_neither_weights_nor_curves_and_leave_no_broken_label(photos, tmp_path):
    undisturbed = start(photos, tmp_path / "a")
    assert undisturbed.wait() == 0, undisturbed.stderr.read()
    rng, out, reached = random.Random(0), tmp_path / "b", set()
    for _ in range(KILLS):
        before = written(out)
        process = start(photos, out)
        while process.poll() is None and written(out) == before:  # a label, or a checkpoint
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.5))
        process.kill()
        process.wait()
        if (curves := out / "curves.jsonl").exists():
            reached.add(len(curves.read_text(encoding="utf-8").splitlines()))
        for label in out.rglob("[!.]*.npy"):
            assert np.load(label, allow_pickle=False).ndim == 2
    assert reached - {STEPS}, "no kill fell into the training"
    last = start(photos, tmp_path / "b")
    assert last.wait() == 0, last.stderr.read()
    kept = [
        {
            str(path.relative_to(tmp_path / folder)): path.read_bytes()
            for path in (tmp_path / folder).rglob("*")
            if path.is_file() and path.name != LEDGER
        }
        for folder in "ab"
    ]
    assert kept[0].keys() == kept[1].keys()  # nothing half-written is left
    assert {name for name in kept[0] if kept[0][name] != kept[1][name]} == set()
