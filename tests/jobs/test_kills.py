"""Jobs killed at random moments: quickly with a fake model, and as users run it."""

import multiprocessing
import random
import time

import pytest

from trace_edges.jobs import annotate, open_source

from .conftest import png


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
