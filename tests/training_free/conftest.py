"""The pipeline with the embedded model."""

import pytest

from trace_edges.training_free.pipeline import TraceEdgePipeline


@pytest.fixture(scope="module")
def pipe(trace_mini):
    return TraceEdgePipeline(trace_mini)
