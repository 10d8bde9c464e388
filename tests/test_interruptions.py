"""Jobs that are stopped half-way, by the user, the system or a full disk."""

import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"
IMAGES = 8


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    with Image.open(EXAMPLES / "coffee.jpg") as image:
        for number in range(IMAGES):
            image.crop((0, 0, 300, 200 + 16 * number)).save(folder / f"{number}.png")
    return folder


def start(photos, out, **options):
    command = [sys.executable, "-m", "trace_edges", "detect", str(photos), "--out", str(out)]
    command += [
        "--training-free",
        "--resolution",
        "128",
        "--subcell",
        "1",
        "--timestep",
        "99",
        "--device",
        "cpu",
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, **options)


def wait_for(condition, process):
    while not condition() and process.poll() is None:
        time.sleep(0.01)


def records(out):
    return sorted(path.name for path in out.glob("[!.]*.json")) if out.exists() else []


def visible(out):
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name[0] != "."}


def assert_whole(out):
    """Every visible picture opens, and every record has its pictures."""
    for path in out.glob("[!.]*.png"):
        with Image.open(path) as image:
            image.load()
    for record in records(out):
        stem = record.removesuffix(".json")
        assert (out / f"{stem}.edges.png").exists()
        assert (out / f"{stem}.overlay.png").exists()


@pytest.mark.long
def test_ctrl_c_is_a_clean_stop_and_the_same_command_goes_on(photos, tmp_path):
    out = tmp_path / "out"
    process = start(photos, out)
    wait_for(lambda: len(records(out)) >= 2, process)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.strip().splitlines() == [
        "trace-edges: stopped; what was finished is kept, and the same command continues from there"
    ]
    assert 2 <= len(records(out)) < IMAGES
    hidden = {path.name for path in out.iterdir() if path.name.startswith(".")}
    assert hidden <= {".trace-edges"}  # the ledger of what was written, and nothing half-written
    assert_whole(out)
    stdout, _ = start(photos, out).communicate(timeout=120)
    assert len(records(out)) == IMAGES
    assert "0 failed" in stdout


@pytest.mark.long
def test_killed_at_random_moments_it_ends_with_the_same_bytes(photos, tmp_path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    start(photos, undisturbed).communicate(timeout=120)
    rng = random.Random(0)
    for _ in range(6):
        process = start(photos, killed)
        before = len(records(killed))
        wait_for(lambda seen=before: len(records(killed)) > seen, process)
        time.sleep(rng.uniform(0, 0.8))
        process.kill()
        process.communicate()
        if killed.exists():
            assert_whole(killed)
    start(photos, killed).communicate(timeout=120)
    first, second = visible(undisturbed), visible(killed)
    assert first.keys() == second.keys()
    pictures = [name for name in first if name.endswith(".png")]
    assert len(pictures) == 2 * IMAGES
    assert all(first[name] == second[name] for name in pictures)


@pytest.mark.long
def test_a_write_that_the_system_refuses_is_one_line_and_leaves_nothing_half_written(
    photos, tmp_path
):
    def only_small_files():
        # Python ignores SIGXFSZ, so a longer file fails with an OSError, as on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))  # less than any of the edges

    out = tmp_path / "out"
    process = start(photos, out, preexec_fn=only_small_files)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1
    assert len(stderr.strip().splitlines()) == 1
    assert "File too large" in stderr
    assert ".edges.png" in stderr
    assert list(out.iterdir()) == []
