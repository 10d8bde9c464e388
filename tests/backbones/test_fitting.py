"""Where memory runs out, one line says what would fit."""

import pytest
import torch

from trace_edges.backbones import load_backbone
from trace_edges.detector import EdgeDetector
from trace_edges.detector.settings import StudentSettings
from trace_edges.detector.student import Student
from trace_edges.training_free.pipeline import TraceEdgePipeline

from .refusals import fails_with, message_of


def out_of_memory_beyond(backbone, pixels):
    """A stand-in for a device: its VAE finds no memory for more than so many pixels."""
    encode = backbone.vae.encode

    def limited(images):
        if images.shape[-2] * images.shape[-1] > pixels:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return encode(images)

    backbone.vae.encode = limited


def test_out_of_memory_says_which_resolution_would_fit(tiny_model, monkeypatch):
    from trace_edges.backbones import fitting
    from trace_edges.backbones.sizing import emptied, memory

    pipe = TraceEdgePipeline.from_pretrained(tiny_model("sd3"))
    out_of_memory_beyond(pipe.backbone, 0)
    picture = torch.zeros(3, 300, 400)
    at_192 = memory(emptied(pipe.backbone), (176, 224)).peak
    monkeypatch.setattr(fitting, "available_memory", lambda device: int(at_192 / 0.9) + 1)
    message = message_of(pipe, picture, resolution=256)
    assert "ran out of memory on cpu at 224 x 288 px" in message
    assert message.endswith("a resolution of 192 would fit")

    monkeypatch.setattr(fitting, "available_memory", lambda device: 1000)
    assert "its weights alone take" in message_of(pipe, picture, resolution=256)
    monkeypatch.setattr(fitting, "available_memory", lambda device: None)
    assert "ask for a smaller resolution" in message_of(pipe, picture, resolution=256)


@pytest.mark.long
def test_out_of_memory_says_which_batch_would_fit(tiny_model, monkeypatch):
    """Where nine images are too many, the largest number that the device has room for."""
    from trace_edges.backbones import fitting
    from trace_edges.backbones.sizing import emptied, memory

    pipe = TraceEdgePipeline.from_pretrained(tiny_model("sd3"))
    student = Student(load_backbone(tiny_model("sd15")), StudentSettings(width=16, rank=0))
    for source in (pipe, EdgeDetector(student, 64)):
        backbone = pipe.backbone if source is pipe else student.backbone
        size = source.prepare(torch.zeros(3, 64, 64), source.chosen(None, {"resolution": 64})).size
        empty = emptied(backbone)
        room = sum(memory(empty, size, images).peak for images in (5, 6)) / 2 / 0.9
        monkeypatch.setattr(fitting, "available_memory", lambda device, room=room: int(room))
        out_of_memory_beyond(backbone, 0)
        pictures = torch.zeros(9, 3, 64, 64)
        message = message_of(source, pictures, resolution=64, batch_size=9)
        assert "ran out of memory on cpu at 64 x 64 px, 9 images a pass" in message
        assert message.endswith("try batch_size=5")
        monkeypatch.setattr(fitting, "available_memory", lambda device: 1000)
        assert message_of(source, pictures, resolution=64).endswith("try batch_size=1")
        monkeypatch.setattr(fitting, "available_memory", lambda device: None)
        assert message_of(source, pictures, resolution=64).endswith("try batch_size=2")


def test_other_errors_are_left_as_they_are(tiny_model):
    pipe = TraceEdgePipeline.from_pretrained(tiny_model("sd3"))
    pipe.backbone.vae.encode = fails_with(RuntimeError("a bug"))
    with pytest.raises(RuntimeError, match="a bug"):
        pipe(torch.zeros(3, 64, 64), resolution=64)


def test_weights_too_large_for_the_device_are_counted(tiny_model, monkeypatch):
    error = torch.OutOfMemoryError("CUDA out of memory.")
    monkeypatch.setattr("trace_edges.backbones.DiffusionBackbone.to", fails_with(error))
    message = message_of(load_backbone, tiny_model("sd3"), dtype=torch.float16)
    assert "does not fit on cpu: its weights take 0.0 GiB in float16" in message


def test_a_detector_out_of_memory_is_one_line_faked_device(tiny_model):
    student = Student(load_backbone(tiny_model("sd15")), StudentSettings(width=16))
    detector = EdgeDetector(student, 64)
    out_of_memory_beyond(student.backbone, 0)
    assert "ran out of memory on cpu at 64 x 64 px" in message_of(detector, torch.zeros(3, 64, 64))
