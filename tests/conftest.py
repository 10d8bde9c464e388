"""What every test stands on: one thread, shapes checked at run time, and models small enough."""

import pytest
import torch
from jaxtyping import install_import_hook

from .tiny_models import tiny_model, tiny_pixart  # noqa: F401
from .tiny_namers import tiny_namer  # noqa: F401
from .tiny_sams import tiny_sam  # noqa: F401
from .tiny_texts import tiny_texts  # noqa: F401

# Shapes and types are checked while the tests run, in every room that takes tensors or arrays from
# another room. Not in those that take them from the user (images, metrics, results): there the
# tests are after the messages for wrong input, which the checker would hide behind its own.
ROOMS = (
    "attention.maps",  # not kernels, whose source is read by Triton
    "attention.recorder",
    "backbones",
    "detector.decoder",
    "detector.student",
    "distillation.losses",
    "drawing.visualize",
    "explain",
    *(
        f"training_free.{n}"
        for n in ("divergence", "emergence", "pipeline", "ridges", "shifts", "trajectory")
    ),
)
install_import_hook([f"trace_edges.{room}" for room in ROOMS], "beartype.beartype")


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Tiny forwards take milliseconds with one thread and seconds with two on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """The cache of null conditions of this test alone."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TRACE_EDGES_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def trace_mini():
    """The embedded backbone, loaded once; no test may change it."""
    from trace_edges.backbones import load_backbone

    return load_backbone()
