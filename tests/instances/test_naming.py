"""Names of masks, on tiny CLIP and SigLIP models with random weights."""

import json

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from trace_edges.instances.naming import NamingError, load_namer
from trace_edges.results import InstanceMasks

NAMES = ("red", "green", "blue")


@pytest.fixture(scope="module", params=["clip", "siglip"])
def model(request, tmp_path_factory, tiny_namer):
    return tiny_namer(request.param, tmp_path_factory.mktemp(request.param))


def noise(seed, shape=(48, 64, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def squares(size=(48, 64), side=10):
    """Three masks, whose crops are twelve pixels wide."""
    masks = np.zeros((3, *size), dtype=bool)
    for place, mask in enumerate(masks):
        mask[10 : 10 + side, 4 + 20 * place : 4 + side + 20 * place] = True
    return InstanceMasks(masks)


def test_classes_are_those_that_transformers_finds_for_the_crops(model):
    image, masks = noise(1), squares()
    chosen, scores = load_namer(model, NAMES, local_files_only=True)(image, masks)
    crops = [image[9:21, 3 + 20 * k : 15 + 20 * k] for k in range(3)]
    bicubic = Image.Resampling.BICUBIC
    pixels = np.stack([np.array(Image.fromarray(one).resize((16, 16), bicubic)) for one in crops])
    pixels = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    whole = transformers.AutoModel.from_pretrained(model).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    texts = [f"a photo of a {name}" for name in NAMES]
    tokens = tokenizer(texts, padding="max_length", max_length=8, return_tensors="pt")
    if whole.config.model_type == "siglip":
        del tokens["attention_mask"]
    with torch.no_grad():
        logits = whole(pixel_values=pixels, **tokens).logits_per_image
    siglip = whole.config.model_type == "siglip"
    expected = (logits.sigmoid() if siglip else logits.softmax(dim=1)).numpy()
    assert chosen.tolist() == expected.argmax(axis=1).tolist()
    np.testing.assert_allclose(scores, expected.max(axis=1), atol=1e-5)


@pytest.mark.parametrize(("background", "matters"), [("keep", True), ("blank", False)])
def test_what_surrounds_a_mask_matters_where_it_is_kept(model, background, matters):
    masks, one = squares(), noise(2)
    other = np.where(masks.masks.any(axis=0)[..., None], one, noise(3))
    namer = load_namer(model, NAMES, background=background, local_files_only=True)
    scores = [namer(image, masks)[1] for image in (one, other)]
    assert (np.abs(scores[0] - scores[1]).max() > 1e-4) == matters
    assert namer.describe()["class_background"] == background


def test_a_crop_may_reach_over_the_image_and_there_may_be_no_mask(model):
    namer = load_namer(model, NAMES, local_files_only=True)
    whole = InstanceMasks(np.ones((1, 9, 30), dtype=bool))
    chosen, scores = namer(noise(4, (9, 30, 3)), whole)
    assert chosen[0] in (0, 1, 2)
    assert 0 < scores[0] <= 1
    assert len(namer(noise(4, (9, 30, 3)), whole[[]])[0]) == 0


def test_many_crops_are_named_as_each_alone(model):
    namer = load_namer(model, NAMES, local_files_only=True)
    rng, image = np.random.default_rng(0), noise(5, (60, 70, 3))
    masks = np.zeros((40, 60, 70), dtype=bool)
    for mask in masks:
        top, left = rng.integers(0, 50, 2)
        mask[top : top + 9, left : left + 14] = True
    found = InstanceMasks(masks)
    chosen, scores = namer(image, found)
    alone = [namer(image, one) for one in found]
    assert chosen.tolist() == [int(k[0]) for k, _ in alone]
    np.testing.assert_allclose(scores, [s[0] for _, s in alone], atol=1e-5)


def test_what_is_no_such_model_is_refused_in_one_line(model, tmp_path, tiny_sam):
    cases = {
        "nothing": "neither a folder nor a hub id",
        str(tiny_sam("sam", tmp_path / "sam")): "is a sam, which is none of clip, siglip",
    }
    (tmp_path / "empty").mkdir()
    cases[str(tmp_path / "empty")] = "it has no config.json"
    for name, words in cases.items():
        with pytest.raises(NamingError) as error:
            load_namer(name, NAMES, local_files_only=True)
        assert words in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="no class is named"):
        load_namer(model, [])
    with pytest.raises(ValueError, match="background must be keep or blank, not 'none'"):
        load_namer(model, NAMES, background="none")


def test_pickled_weights_and_missing_tokenizers_are_refused(tmp_path, tiny_namer):
    folder = tiny_namer("clip", tmp_path / "clip")
    for file in folder.glob("token*"):
        file.unlink()
    with pytest.raises(NamingError, match=r"has no tokenizer: add its tokenizer\.json"):
        load_namer(folder, NAMES, local_files_only=True)
    folder = tiny_namer("clip", tmp_path / "other")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(NamingError) as error:
        load_namer(folder, NAMES, local_files_only=True)
    assert "\n" not in str(error.value)
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"] == "clip"
