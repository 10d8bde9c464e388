"""Destinations that are full, read-only, or gone while a command works; and two runs on one.

Every command of `benchmarks.kills` writes below `out`. A small file system in memory is mounted
there, which needs Linux and the right to do so; elsewhere those tests are skipped.
"""

import ctypes
import json
import multiprocessing
import os
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks import kills
from benchmarks._shared import stopping

pytest.importorskip("pycocotools.mask")
pytest.importorskip("pyarrow")

_NEW_MOUNTS, _READ_ONLY, _PRIVATE = 0x20000, 1, 1 << 14 | 1 << 18
_LONGEST = 600  # s; nothing here should wait for anything
NOT_ALLOWED = 99
# One for every way of writing that there is.
COMMANDS = [
    "refine, COCO",
    *(pytest.param(name, marks=pytest.mark.long) for name in (
        "detect", "refine, label maps", "annotate, edges, tars", "evaluate boundaries", "explain",
        "distill", "composites", "export, cvat", "report")),
]  # fmt: skip
AT_ONCE = ("refine, COCO", "segment, edges that are there", "annotate, edges, tars", "panoptic")

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def loaded():
    kills.load()


@pytest.fixture
def here(tmp_path):
    """The inputs of all commands, and the folder that they write into."""
    folder = tmp_path / "work"
    folder.mkdir()
    kills.make_inputs(folder)
    (folder / "out").mkdir()
    return folder


def mount(folder, flags, options):
    """A file system in memory at `out`, which this process and its children see."""
    libc, out = ctypes.CDLL(None), os.fsencode(folder / "out")
    calls = (
        lambda: libc.unshare(_NEW_MOUNTS),
        lambda: libc.mount(b"none", b"/", None, _PRIVATE, None),
        lambda: libc.mount(b"none", out, b"tmpfs", flags, options),
    )
    if any(call() != 0 for call in calls):
        os._exit(NOT_ALLOWED)


def full(folder):
    """But for one page of 4 KiB, which the list of what was written takes."""
    mount(folder, 0, b"size=8k")
    (folder / "out" / ".filler").write_bytes(bytes(4096))


def read_only(folder):
    mount(folder, _READ_ONLY, b"size=1m")


def when_the_first_result_comes(folder, make):
    """Call a function before anything comes to its place below `out`."""
    place = os.path.join(folder, "out", "")

    def watch(event, values):
        ours = event == "os.rename" and os.path.abspath(values[1]).startswith(place)
        if ours and os.path.isdir(place):
            make()

    sys.addaudithook(watch)


def removed(folder):
    when_the_first_result_comes(folder, lambda: shutil.rmtree(folder / "out"))


def replaced(folder):
    """By a file: nothing can be made there any more."""

    def make():
        shutil.rmtree(folder / "out")
        (folder / "out").write_text("gone", encoding="utf-8")

    when_the_first_result_comes(folder, make)


def speak():
    """Say what is said on the descriptors that `kills.run` turns, not into pytest's own files."""
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))


def trial(folder, words, spoil):
    """Spoil the destination, run a command on it, and write down how it ended and what is left."""
    speak()
    spoil(folder)
    inputs = {name: content for name, content in kills._contents(folder).items()
              if name.partition(os.sep)[0] != "out"}  # fmt: skip
    code, said = kills.run(folder, words)
    broken = kills._broken(folder, inputs)
    broken += [str(path) for path in (folder / "out").rglob("*.part*")]
    told = json.dumps({"code": code, "said": said, "broken": broken})
    folder.with_suffix(".told").write_text(told, encoding="utf-8")


def run_aloud(folder, said, words):
    speak()
    stopping.run_here(folder, said, words, None)


def spoiled(folder, name, spoil):
    """How a command ended on a spoiled destination: its exit code and what it said."""
    context = multiprocessing.get_context("fork")
    process = context.Process(target=trial, args=(folder, kills.COMMANDS[name], spoil))
    process.start()
    process.join(_LONGEST)
    if process.exitcode == NOT_ALLOWED:
        pytest.skip("nothing may be mounted here")
    if process.is_alive():
        process.kill()
        pytest.fail("it waits for ever")
    told = json.loads(folder.with_suffix(".told").read_text(encoding="utf-8"))
    assert "Traceback" not in told["said"], told["said"]
    assert told["broken"] == [], told["said"]
    return told["code"], told["said"]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_said_and_ends_the_command(here, name):
    code, said = spoiled(here, name, full)
    assert code == 1, said
    assert re.search("No space left on device|disk is full", said), said


@pytest.mark.parametrize("name", COMMANDS)
def test_a_read_only_disk_is_said_before_work_or_at_the_first_result(here, name):
    code, said = spoiled(here, name, read_only)
    assert code == 1, said
    assert re.search(
        "Read-only|readonly|read-only|unable to open|nothing can be written|may not be written",
        said,
    ), said


@pytest.mark.parametrize("name", COMMANDS)
def test_a_destination_that_becomes_a_file_is_said(here, name):
    code, said = spoiled(here, name, replaced)
    assert code == 1, said
    assert "out" in said
    assert "rename it" not in said  # the images are called rightly
    assert (here / "out").read_text(encoding="utf-8") == "gone"


@pytest.mark.parametrize("name", COMMANDS[:3])
def test_a_destination_that_is_removed_leaves_nothing_half_written(here, name):
    code, said = spoiled(here, name, removed)
    assert code in (0, 1), said


@pytest.mark.long
@pytest.mark.parametrize("name", AT_ONCE)
def test_two_runs_on_one_destination_leave_what_one_leaves(here, name, tmp_path):
    alone = tmp_path / "alone"
    shutil.copytree(here, alone)
    code, said = kills.run(alone, kills.COMMANDS[name])
    with ThreadPoolExecutor(2) as pool:
        context = multiprocessing.get_context("fork")

        def run(number):
            words = kills.COMMANDS[name].split()
            said = here.with_suffix(f".{number}")
            process = context.Process(target=run_aloud, args=(here, said, words))
            process.start()
            process.join()
            return process.exitcode, said.read_text(encoding="utf-8")

        both = list(pool.map(run, (1, 2)))
    assert not any("Traceback" in said for _, said in both), both
    assert code in [ended for ended, _ in both], both
    ended, said = kills.run(here, kills.COMMANDS[name])
    assert ended == code, said
    assert kills._contents(here) == kills._contents(alone)
