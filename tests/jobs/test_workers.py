import math
import os
import signal

import pytest

from trace_edges.jobs.workers import WorkerDied, Workers


def test_results_come_in_order_and_errors_where_they_belong():
    with Workers(2) as workers:
        assert list(workers.ordered(math.sqrt, [4.0, 9.0, 16.0], ahead=1)) == [
            (4.0, 2.0),
            (9.0, 3.0),
            (16.0, 4.0),
        ]
        wrong, right = workers.start(math.sqrt, -1.0), workers.start(math.sqrt, 1.0)
        assert workers.result(right) == 1
        with pytest.raises(ValueError, match=r"domain|expected"):
            workers.result(wrong)


def test_one_call_that_kills_its_worker_is_found_and_the_others_are_made_again():
    with Workers(2) as workers:
        calls = [workers.start(math.sqrt, 4.0) for _ in range(4)]
        deadly = workers.start(os._exit, 9)
        calls += [workers.start(math.sqrt, 4.0) for _ in range(4)]
        with pytest.raises(WorkerDied, match="killed twice"):
            workers.result(deadly)
        assert [workers.result(call) for call in calls] == [2.0] * 8


def test_a_worker_that_is_killed_once_costs_nothing():
    with Workers(1) as workers:
        victim = workers.result(workers.start(os.getpid))
        os.kill(victim, signal.SIGKILL)
        assert workers.result(workers.start(math.sqrt, 4.0)) == 2
        assert workers.result(workers.start(os.getpid)) != victim


def test_without_workers_calls_are_made_at_once():
    with Workers(0) as workers:
        assert workers.result(workers.start(os.getpid)) == os.getpid()
    with pytest.raises(ValueError, match="0 or more"):
        Workers(-1)
