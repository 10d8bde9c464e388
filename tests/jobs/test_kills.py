"""Jobs killed at random moments: quickly with a fake model, and as users run it."""

import json
import multiprocessing
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trace_edges.jobs import annotate, open_source

from .conftest import png

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("form", ["folder", "tar"])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_twenty_kills_of_a_job_with_a_fake_model_change_no_byte(
    photos, make_job, results, form, monkeypatch
):
    monkeypatch.setattr("trace_edges.jobs.manifest._COMMIT", 0.01)
    for number in range(20, 60):
        (photos / f"{number}.png").write_bytes(png(number))
    fork, rng = multiprocessing.get_context("fork"), random.Random(0)

    def make(name):
        return make_job(open_source(str(photos)), name, to=form, part=7, batch_size=3)

    def work(end):
        annotate(make("killed"), lambda status: end.send(status.now))

    annotate(make("undisturbed"))
    ends = set()
    for _ in range(20):
        ours, theirs = fork.Pipe()
        process = fork.Process(target=work, args=(theirs,))
        process.start()
        theirs.close()
        try:
            wanted = rng.randint(0, 6)
            while ours.recv() < wanted:
                pass
        except EOFError:  # nothing is left to be done
            pass
        time.sleep(rng.uniform(0, 0.01))
        process.kill()
        process.join()
        ends.add(process.exitcode)
    assert -9 in ends, "no kill fell into the work"
    status = annotate(make("killed"))
    assert (status.open, status.done, status.failed) == (0, 50, 2)
    assert results(photos.parent / "killed") == results(photos.parent / "undisturbed")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_seven_kills_change_no_byte_and_lose_no_picture(tmp_path):
    command = [sys.executable, "-m", "benchmarks.speed.annotate_kills", ROOT / "examples"]
    options = ["--count", "60", "--broken", "8", "--kills", "7", "--to", "tar"]
    options += ["--work", tmp_path / "work", "--json", tmp_path / "record.json"]
    words = [*map(str, command + options)]
    ended = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    record = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    assert record["same_bytes"]
    assert record["kills_amid_results"] >= 1, "no kill fell into the work"
