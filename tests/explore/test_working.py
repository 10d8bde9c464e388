"""Long work tells its steps, gives its result, and ends when nobody waits."""

import threading

import pytest

from trace_edges.explore.working import GivenUpError, in_steps


def test_every_step_is_shown_and_the_result_returned():
    def work(tell):
        for step in range(3):
            tell(step)
        return "done"

    def collect():
        result = yield from in_steps(work, lambda step: f"step {step}")
        yield result

    assert list(collect()) == ["step 0", "step 1", "step 2", "done"]


def test_what_goes_wrong_is_raised_where_it_is_waited_for():
    def work(tell):
        tell(1)
        raise ValueError("no such image")

    steps = in_steps(work, str)
    assert next(steps) == "1"
    with pytest.raises(ValueError, match="no such image"):
        next(steps)


def test_work_ends_at_its_next_step_when_nobody_waits():
    seen, told, gone_on = [], threading.Event(), threading.Event()

    def work(tell):
        tell(0)
        told.wait(30)
        try:
            tell(1)
        except GivenUpError:
            seen.append("given up")
            raise
        gone_on.set()

    steps = in_steps(work, str)
    assert next(steps) == "0"
    threading.Timer(0.2, told.set).start()  # after the iterator is closed, or while it is
    steps.close()  # waits for the thread
    assert seen == ["given up"]
    assert not gone_on.is_set()
