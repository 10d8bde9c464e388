import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch.nn import functional

from trace_edges.instances.sam import SamError, load_sam
from trace_edges.instances.seeds import seeds_from_masks
from trace_edges.results import InstanceMasks

SIDE = 64  # of the square that the models of `tiny_sam` take; their masks are 16 x 16
PROCESSOR = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.25, 0.25, 0.5]}


@pytest.fixture(params=["sam", "sam2"], scope="module")
def segmenter(request, tiny_sam, tmp_path_factory):
    """Loaded once; no test may change it."""
    folder = tiny_sam(request.param, tmp_path_factory.mktemp("sam"))
    return load_sam(folder, local_files_only=True)


@pytest.fixture
def image():
    return np.random.default_rng(3).integers(0, 256, (40, 80, 3), dtype=np.uint8)


def seeds(count, points=1):
    """Rectangles at random places of an image of 40 x 80 px."""
    rng = np.random.default_rng(1)
    masks = np.zeros((count, 40, 80), dtype=bool)
    for mask in masks:
        top, left = rng.integers(0, 30), rng.integers(0, 60)
        mask[top : top + rng.integers(5, 11), left : left + rng.integers(5, 21)] = True
    return seeds_from_masks(InstanceMasks(masks, np.ones(count, dtype=np.float32)), points)


PROMPTS = ("points", "boxes", "masks", "points+boxes", "boxes+masks", "points+boxes+masks")


@pytest.mark.parametrize("prompts", PROMPTS)
def test_each_seed_is_answered_as_if_it_were_alone(segmenter, image, prompts):
    together = segmenter.segment(image, seeds(3, points=2), prompts, iou=1)
    alone = []
    for index in range(3):
        mask = seeds(3).regions.masks[index : index + 1]
        one = seeds_from_masks(InstanceMasks(mask, np.ones(1, dtype=np.float32)), 2)
        found = segmenter.segment(image, one, prompts, iou=1)
        alone += list(zip(found.scores, found.masks, strict=True))
    alone.sort(key=lambda pair: -pair[0])
    assert len(together) == len(alone) > 0
    assert together.shape == (40, 80)
    np.testing.assert_allclose(together.scores, [score for score, _ in alone], atol=1e-4)
    same = [(a == b).mean() for a, (_, b) in zip(together.masks, alone, strict=True)]
    assert min(same) > 0.99


@pytest.mark.parametrize("count", [3, 70])
def test_chunks_give_what_one_gives(segmenter, image, count):
    whole = segmenter.segment(image, seeds(count), "points+boxes+masks", chunk=100, iou=1)
    parts = segmenter.segment(image, seeds(count), "points+boxes+masks", chunk=16, iou=1)
    assert len(whole) == len(parts) > 0
    np.testing.assert_allclose(whole.scores, parts.scores, atol=1e-4)
    assert (whole.masks == parts.masks).mean() > 0.999


def test_the_image_is_encoded_once(segmenter, image):
    calls = []
    hook = segmenter.model.vision_encoder.register_forward_hook(lambda *_: calls.append(1))
    segmenter.segment(image, seeds(5), chunk=2)
    hook.remove()
    assert calls == [1]


def by_hand(segmenter, image, **prompts):
    """Logits at 40 x 80 px as the library batches: one image, many prompts."""
    stretched = isinstance(segmenter.model, transformers.Sam2Model)
    height = SIDE if stretched else SIDE // 2
    resized = Image.fromarray(image).resize((SIDE, height), Image.Resampling.BILINEAR)
    pixels = np.zeros((1, 3, SIDE, SIDE), dtype=np.float32)
    colours = np.array(resized) / 255 - PROCESSOR["image_mean"]
    pixels[0, :, :height] = (colours / PROCESSOR["image_std"]).transpose(2, 0, 1)
    scaled = {name: torch.tensor(values, dtype=torch.float32) for name, values in prompts.items()}
    for values in scaled.values():
        values[..., 0::2] *= SIDE / 80
        values[..., 1::2] *= height / 40
    several = "input_boxes" not in prompts
    with torch.inference_mode():
        answer = segmenter.model(
            pixel_values=torch.from_numpy(pixels), multimask_output=several, **scaled
        )
    logits = answer.pred_masks[0]  # (P, masks, 16, 16)
    if not stretched:
        logits = functional.interpolate(logits, (SIDE, SIDE), mode="bilinear")[:, :, :height]
    return functional.interpolate(logits, (40, 80), mode="bilinear"), answer.iou_scores[0]


def assert_found(found, logits, scores):
    best = scores.argmax(dim=1)
    rows = torch.arange(len(best))
    order = scores[rows, best].argsort(descending=True)
    expected = (logits[rows, best] > 0)[order].numpy()
    scores = scores[rows, best][order].clamp(0, 1).numpy()
    filled = expected.any(axis=(1, 2))
    assert 0 < len(found) == filled.sum()
    np.testing.assert_allclose(found.scores, scores[filled], atol=1e-4)
    assert (found.masks == expected[filled]).mean() > 0.995


def test_points_and_boxes_are_where_the_library_has_them(segmenter, image):
    """Points are pixels; the right and bottom of SAM's boxes are the last pixel."""
    asked = seeds(3)
    points, boxes = asked.points[None], asked.boxes[None] - [0, 0, 1, 1]
    found = segmenter.segment(image, asked, "boxes", iou=1)
    assert_found(found, *by_hand(segmenter, image, input_boxes=boxes))
    found = segmenter.segment(image, asked, "points", iou=1)
    assert_found(found, *by_hand(segmenter, image, input_points=points))


def test_the_images_of_sam_are_those_of_its_own_processor(tiny_sam, tmp_path, image):
    segmenter = load_sam(tiny_sam("sam", tmp_path))
    try:
        processor = transformers.models.sam.image_processing_pil_sam.SamImageProcessorPil(
            size={"longest_edge": SIDE}, pad_size={"height": SIDE, "width": SIDE}, **PROCESSOR
        )
    except ImportError:
        pytest.skip("the processor of this transformers needs torchvision")
    expected = processor(image, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(segmenter._pixels(image), expected, atol=1e-5, rtol=1e-5)


def echo(segmenter, monkeypatch, score=0.5):
    """The model gives back the mask that it is prompted with."""

    def forward(image_embeddings, multimask_output, input_masks, **_):
        scores = torch.full((len(input_masks), 1, 1), score)
        return SimpleNamespace(pred_masks=input_masks[:, None], iou_scores=scores)

    monkeypatch.setattr(segmenter.model, "forward", forward)


def test_masks_return_to_where_they_were_drawn(segmenter, image, monkeypatch):
    """Edges on multiples of 5 px: whole cells of 16 x 16 over 80 px, stretched or padded."""
    echo(segmenter, monkeypatch)
    masks = np.zeros((2, 40, 80), dtype=bool)
    masks[0, 5:20, 10:40] = masks[1, 15:40, 50:80] = True
    asked = seeds_from_masks(InstanceMasks(masks, np.ones(2, dtype=np.float32)))
    found = segmenter.segment(image, asked, "masks")
    for mask, expected in zip(found.masks, masks, strict=True):
        assert (mask & expected).sum() / (mask | expected).sum() > 0.95


def test_of_masks_that_are_mostly_the_same_the_best_stays(segmenter, image, monkeypatch):
    masks = np.zeros((3, 40, 80), dtype=bool)
    masks[0, 5:20, 10:40] = masks[1, 5:20, 10:35] = masks[2, 20:40, 50:80] = True
    asked = seeds_from_masks(InstanceMasks(masks, np.ones(3, dtype=np.float32)))

    def forward(image_embeddings, multimask_output, input_masks, **_):
        scores = torch.tensor([0.6, 1.25, 0.9]).reshape(3, 1, 1)
        return SimpleNamespace(pred_masks=input_masks[:, None], iou_scores=scores)

    monkeypatch.setattr(segmenter.model, "forward", forward)
    found = segmenter.segment(image, asked, "masks")
    np.testing.assert_allclose(found.scores, [1, 0.9])  # what SAM rates above 1 is 1
    assert found.masks[:, 10, [12, 38]].tolist() == [[True, False], [False, False]]
    assert len(segmenter.segment(image, asked, "masks", iou=0.9)) == 3


def test_a_seed_without_an_answer_and_no_seeds(segmenter, image, monkeypatch):
    assert len(segmenter.segment(image, seeds(0), "points+boxes")) == 0

    def forward(image_embeddings, multimask_output, input_masks, **_):
        scores = torch.ones(len(input_masks), 1, 1)
        return SimpleNamespace(pred_masks=-torch.ones_like(input_masks)[:, None], iou_scores=scores)

    monkeypatch.setattr(segmenter.model, "forward", forward)
    found = segmenter.segment(image, seeds(2), "masks")
    assert found.masks.shape == (0, 40, 80)


def test_half_precision(segmenter, image):
    half = load_sam(segmenter.name, dtype=torch.bfloat16)
    found = half.segment(image, seeds(4), "points+boxes+masks", iou=1)
    assert found.scores.dtype == np.float32
    assert len(found) > 0


def test_a_checkpoint_of_the_video_model_is_a_sam_2(tiny_sam, tmp_path):
    """As those of SAM 2 are published."""
    tiny_sam("sam2", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(
        json.dumps(config | {"model_type": "sam2_video"}), encoding="utf-8"
    )
    assert type(load_sam(tmp_path).model) is transformers.Sam2Model


def test_settings_are_plain(segmenter, image):
    found = segmenter.segment(image, seeds(2, points=2), "boxes+points", iou=1)
    assert json.loads(json.dumps(found.settings)) == {
        "sam": segmenter.name, "prompts": "boxes+points", "points": 2, "iou": 1
    }  # fmt: skip


def test_wrong_input_is_refused(segmenter, image):
    with pytest.raises(ValueError, match="unknown prompts 'box': give points, boxes, masks"):
        segmenter.segment(image, seeds(1), "box+points")
    with pytest.raises(ValueError, match=r"the image is \(80, 40\) and its seeds \(40, 80\)"):
        segmenter.segment(image.swapaxes(0, 1), seeds(1))
    with pytest.raises(ValueError, match="chunk must be at least 1 seed, not 0"):
        segmenter.segment(image, seeds(1), chunk=0)
    with pytest.raises(ValueError, match=r"iou must lie in \[0, 1\], not 50"):
        segmenter.segment(image, seeds(1), iou=50)


def test_what_is_no_sam_is_refused_in_one_line(tmp_path):
    def refusal(name):
        with pytest.raises(SamError) as caught:
            load_sam(name, local_files_only=True)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "'sam-vit-base' is neither a folder nor a hub id" in refusal("sam-vit-base")
    (tmp_path / "empty").mkdir()
    assert "could not be loaded: it has no config.json" in refusal(tmp_path / "empty")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    assert "is a model of unknown type" in refusal(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}), encoding="utf-8")
    assert "is a vit, which is none of sam, sam2, sam2_video" in refusal(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "sam"}), encoding="utf-8")
    assert "has no file of weights" in refusal(tmp_path)


def test_a_sam_that_lacks_a_part_is_refused(tiny_sam, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = tiny_sam("sam", tmp_path)
    weights = load_file(folder / "model.safetensors")
    name = "mask_decoder.iou_token.weight"
    save_file({k: v for k, v in weights.items() if k != name}, folder / "model.safetensors",
              {"format": "pt"})  # fmt: skip
    with pytest.raises(SamError, match=rf"lacks 1 weights of a SamModel \(first: {name}\)"):
        load_sam(folder)
    tiny_sam("sam", tmp_path)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(SamError, match=r"could not be loaded: .*preprocessor_config\.json"):
        load_sam(folder)


def test_a_pipe_is_refused_as_every_other_folder_that_holds_no_sam(tmp_path):
    os.mkfifo(tmp_path / "sam")
    with pytest.raises(SamError, match="pipe or a device"):
        load_sam(tmp_path / "sam", local_files_only=True)
