"""Order, workers and what happens to the rest when one fails."""

import pytest

from trace_edges.metrics.edges import spread


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers):
    assert list(spread(abs, [-3, 2, -1], workers)) == [3, 2, 1]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_reaches_the_caller(workers):
    with pytest.raises(ValueError, match="invalid literal"):
        list(spread(int, ["1", "one", "2"], workers))


def test_no_worker_is_refused():
    with pytest.raises(ValueError, match="1 or more"):
        list(spread(abs, [1], 0))
