"""The image-alone detector in ONNX Runtime: the edges of torch, whatever the size."""

from shutil import copytree

import numpy as np
import pytest
import torch

from trace_edges.backbones import BackboneError
from trace_edges.backbones.checkpoints import embedded_folder
from trace_edges.detector import (
    DetectorSettings,
    EdgeDetector,
    RuntimeDetector,
    StudentSettings,
    export_graph,
)
from trace_edges.detector.pixels import PixelStudent

pytest.importorskip("onnxruntime")
SETTINGS = [DetectorSettings(), DetectorSettings(160), DetectorSettings(128, (0.75, 1.5), True)]


@pytest.fixture(scope="module")
def pair():
    return EdgeDetector.from_pretrained(), RuntimeDetector.from_pretrained()


def picture(height=96, width=160):
    image = np.random.default_rng(0).integers(0, 30, (height, width, 3), np.uint8)
    image[20:70, 30:80] += np.uint8(180)
    return image


@pytest.mark.parametrize("settings", SETTINGS, ids=["own size", "160 px", "several views"])
def test_the_embedded_graph_gives_the_edges_of_torch(pair, settings):
    of_torch, of_runtime = (one.values(picture(), settings) for one in pair)
    assert np.ptp(of_torch) > 0.5
    np.testing.assert_allclose(of_runtime, of_torch, atol=1e-4)


def test_images_of_a_batch_are_read_together(pair):
    images = [picture(), picture()[:, ::-1].copy()]
    of_torch, of_runtime = (one(images, resolution=128).edges for one in pair)
    np.testing.assert_allclose(of_runtime, of_torch, atol=1e-3)


def test_results_of_both_are_known_as_the_same(pair):
    of_torch, of_runtime = pair
    assert of_runtime.fingerprint() == of_torch.fingerprint()
    assert of_runtime.describe() == of_torch.describe()


def test_a_graph_is_written_beside_the_weights_of_another_detector(tmp_path):
    torch.manual_seed(0)
    small = StudentSettings(blocks=(), widths=(16, 24), width=16)
    detector = EdgeDetector(PixelStudent(small), 64)
    detector.save_pretrained(tmp_path)
    with pytest.raises(BackboneError, match=r"has no detector\.onnx: .*export_graph"):
        RuntimeDetector(tmp_path)
    pytest.importorskip("onnx")
    assert export_graph(tmp_path) == tmp_path / "detector.onnx"
    assert (tmp_path / "detector.onnx").stat().st_size < 100_000  # the weights are not in it
    loaded = RuntimeDetector(tmp_path)
    np.testing.assert_allclose(loaded.values(picture()), detector.values(picture()), atol=1e-4)
    again = (tmp_path / "detector.onnx").read_bytes()
    assert export_graph(tmp_path).read_bytes() == again


def test_weights_that_are_not_finite_are_an_error(tmp_path):
    detector = EdgeDetector.from_pretrained()
    with torch.no_grad():
        detector.student.decoder.leave.bias.fill_(float("nan"))
    folder = copytree(RuntimeDetector.from_pretrained().folder, tmp_path / "detector")
    detector.save_pretrained(folder)
    with pytest.raises(BackboneError, match="NaN or infinity"):
        RuntimeDetector(folder).values(picture(), DetectorSettings(64))


@pytest.mark.parametrize("read", [RuntimeDetector, export_graph])
def test_a_detector_that_reads_a_diffusion_model_is_refused_by_name(read):
    with pytest.raises(BackboneError, match="detector reads a diffusion model"):
        read(embedded_folder() / "detector")


@pytest.mark.parametrize("name", ["detector.onnx", "detector.safetensors"])
def test_a_damaged_file_is_refused_by_name(name, tmp_path, capfd):
    folder = copytree(RuntimeDetector.from_pretrained().folder, tmp_path / "detector")
    (folder / name).write_bytes((folder / name).read_bytes()[:1000])
    with pytest.raises(BackboneError, match=r"detector\.onnx cannot be loaded .*write it again"):
        RuntimeDetector(folder)
    assert capfd.readouterr().err == ""
