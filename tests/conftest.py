"""What every test stands on: one thread, and jaxtyping shapes checked at run time."""

import pytest
import torch
from jaxtyping import install_import_hook

# Shapes and types are checked while the tests run, in every room that takes tensors or arrays from
# another room. Not in those that take them from the user (images, metrics, results): there the tests
# are after the messages for wrong input, which the checker would hide behind its own.
ROOMS = (
    "attention",
    "backbones",
    "divergence",
    "emergence",
    "explain",
    "pipeline",
    "schedules",
    "surface",
    "trajectory",
    "views",
    "visualize",
    "walk",
)
install_import_hook([f"trace_edges.{room}" for room in ROOMS], "beartype.beartype")


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Tiny forwards take milliseconds with one thread and seconds with two on a busy machine."""
    torch.set_num_threads(1)
