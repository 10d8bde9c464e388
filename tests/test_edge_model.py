"""Which source of edges is meant, and options that it does not have."""

import pickle

import numpy as np
import pytest
from PIL import Image

from trace_edges.detector import DetectorSettings, EdgeDetector
from trace_edges.edge_folder import EdgeFolder
from trace_edges.edge_model import Choice, EdgeModel
from trace_edges.loading import Loading
from trace_edges.training_free import TraceEdgePipeline, TraceSettings


def choose(choice, settings=None, loading=None):
    return EdgeModel.choose(choice, settings or TraceSettings(), loading or Loading())


@pytest.mark.parametrize(
    ("choice", "name", "method"),
    [
        (Choice(), "trace-pixels", "one-step"),
        (Choice(detector="mine"), "mine", "one-step"),
        (Choice(training_free=True), "trace-mini", "training-free"),
        (Choice(backbone="sd15"), "sd15", "training-free"),
    ],
)
def test_a_backbone_implies_the_training_free_method(choice, name, method):
    model = choose(choice)
    assert (model.name, model.method) == (name, method)


@pytest.mark.parametrize(
    ("options", "name"),
    [({"training_free": True}, "--training-free"), ({"backbone": "sd15"}, "--backbone")],
)
def test_a_detector_brings_its_own_backbone(options, name):
    with pytest.raises(ValueError, match=f"--detector brings its own backbone: leave {name} out"):
        choose(Choice(detector="mine", **options))


@pytest.mark.parametrize(
    ("settings", "loading", "name"),
    [
        ({"timestep": 0}, {}, "timestep"),
        ({"emergence_resolution": 64}, {}, "emergence-resolution"),
        ({}, {"vae_tiling": True}, "vae-tiling"),
        ({}, {"quantize": "bnb-4bit"}, "quantize"),
    ],
)
def test_options_that_a_detector_does_not_have_are_refused(settings, loading, name):
    given = TraceSettings(**settings), Loading(**loading)
    with pytest.raises(ValueError, match=f"--{name} belongs to the training-free method"):
        choose(Choice(), *given)
    assert choose(Choice(training_free=True), *given).settings == given[0]


def test_resolution_device_and_dtype_are_of_every_method():
    model = choose(Choice(), TraceSettings(resolution=64), Loading(device="cpu", dtype="bfloat16"))
    assert model.source_settings() == DetectorSettings(64)


def test_it_travels_and_loads_what_it_names(tmp_path):
    Image.fromarray(np.eye(16, dtype=np.uint8) * 255).save(tmp_path / "a.png")
    for method, name, kind in (
        ("one-step", "trace-mini", EdgeDetector),
        ("training-free", "trace-mini", TraceEdgePipeline),
        ("folder", str(tmp_path), EdgeFolder),
    ):
        model = EdgeModel(name=name, method=method, loading=Loading(device="cpu"))
        travelled = pickle.loads(pickle.dumps(model))
        assert travelled == model
        assert isinstance(travelled.load(), kind)


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match=r"unknown method 'magic'; known: one-step, training-free"):
        EdgeModel(method="magic")


def test_a_device_that_is_not_there_is_one_line():
    with pytest.raises(ValueError, match="device 'abacus' is not available"):
        _ = Loading(device="abacus").placement


@pytest.mark.parametrize(
    ("method", "name"), [("one-step", "trace-pixels"), ("training-free", "trace-mini")]
)
def test_a_model_without_a_name_is_that_of_the_package(method, name):
    assert EdgeModel(method=method).name == name
    assert EdgeModel(name="mine", method=method).name == "mine"
