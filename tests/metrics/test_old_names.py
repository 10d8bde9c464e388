import pytest

import trace_edges.metrics
from trace_edges.evaluation.masks import evaluate_masks
from trace_edges.evaluation.panoptic import evaluate_panoptic


@pytest.mark.parametrize("function", [evaluate_masks, evaluate_panoptic])
def test_what_reads_files_is_still_found_with_a_warning(function):
    with pytest.warns(DeprecationWarning, match=rf"trace_edges\.evaluation\.{function.__name__}"):
        assert getattr(trace_edges.metrics, function.__name__) is function


def test_other_names_are_not_found():
    with pytest.raises(AttributeError, match="no_such"):
        _ = trace_edges.metrics.no_such
