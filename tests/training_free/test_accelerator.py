"""Every family runs on an accelerator, in every number type and trajectory: a faked one."""

import numpy as np
import pytest
import torch

from tests.fake_accelerator import NAME, fake_accelerator
from tests.tiny_models import TINY
from trace_edges.training_free.pipeline import TraceEdgePipeline
from trace_edges.training_free.ridges import own_half_edge

PICTURE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
# Two steps, and as many cells as the deepest of a UNet's grids needs.
SETTINGS = {"resolution": 80, "stride": 1000}
TYPES = ("float32", "float16", "bfloat16")
# The paper's, as they are run where memory is short.
SHORT = {("float16", "inversion", True): ("sd15", "sdxl", "pixart", "sd3.5-large", "flux-dev")}


def cases():
    every = [(d, t, o) for d in TYPES for t in ("inversion", "noise") for o in (0, 1)]
    for turn, kind in enumerate(TINY):
        for place, case in enumerate(every):
            short = kind in SHORT.get(case, ())
            if not short and (turn + place) % 5:  # every kind is run in two or three ways
                continue
            marks = () if short else (pytest.mark.long,)
            yield pytest.param(kind, *case, marks=marks, id=f"{kind}-{'-'.join(map(str, case))}")


@pytest.mark.parametrize(("kind", "dtype", "trajectory", "offload"), list(cases()))
def test_the_edges_are_those_of_the_cpu_faked_device(tiny_model, kind, dtype, trajectory, offload):
    pipe = TraceEdgePipeline.from_pretrained(tiny_model(kind), dtype=getattr(torch, dtype))
    expected = pipe(PICTURE, trajectory=trajectory, **SETTINGS)
    with fake_accelerator() as device:
        if offload:
            pipe.enable_model_cpu_offload(NAME)
        else:
            pipe.to(NAME)
        device.waits.clear()  # for the weights
        found = pipe(PICTURE, trajectory=trajectory, **SETTINGS)
    # Random weights make maps a thousand times flatter or sharper than each other's.
    assert 0.4 < np.median(expected.edges) < 0.8
    assert expected.settings["half_edge"] == own_half_edge(expected.raw[0])
    # A CPU has an attention of its own, which rounds otherwise.
    if dtype == "float32":
        assert np.abs(found.edges - expected.edges).max() < 1e-3
    else:  # of random weights, E is hardly above what half precision rounds
        assert np.abs(found.raw - expected.raw).max() < 2e-2
    if not offload:
        assert_only_results_are_fetched(device, found)


def assert_only_results_are_fetched(device, found):
    """ABDiv of every step, the change between two, and whether the latent and the rows of every map
    are sound: no map, and nothing of a single layer.
    """
    steps = len(found.emergence.timesteps)
    assert len(device.waits) <= 3 * steps
    assert max(elements for _, elements in device.waits) <= found.raw[0].size


VARIANTS = [{}, {"criterion": "wasserstein"}, {"subcell": 2},
            {"emergence_resolution": 64, "resolution": 128}]  # fmt: skip


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_settings_fetch_no_more_and_no_float64_faked_device(tiny_model, options):
    pipe = TraceEdgePipeline.from_pretrained(tiny_model("pixart"))
    settings = SETTINGS | {"stride": 500} | options
    expected = pipe(PICTURE, **settings)
    with fake_accelerator(float64=False) as device:
        pipe.to(NAME)
        device.waits.clear()
        found = pipe(PICTURE, **settings)
    assert np.abs(found.edges - expected.edges).max() < 1e-3
    views = options.get("subcell", 1) ** 2 + ("emergence_resolution" in options)
    assert len(device.waits) <= 2 * 3 * views


def test_a_mac_tells_weights_apart_faked_device(tiny_model):
    """Their fingerprint is that of the CPU, and is read without float64, which a Mac lacks."""
    pipe = TraceEdgePipeline.from_pretrained(tiny_model("pixart"))
    expected = pipe.fingerprint()
    with fake_accelerator(float64=False):
        assert pipe.to(NAME).fingerprint() == expected
