"""Shares of the words, of every family: those of an explicit softmax, of the prompt's own pass.

The models are random; the pictures are the ones of diffusers' own pipelines.
"""

from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers.pipelines.flux2.system_messages import SYSTEM_MESSAGE

from trace_edges.explain import PromptSettings, denoise, load_generator

PROMPT = "two cats, a dog"
SETTINGS = PromptSettings(height=64, width=96, steps=2, seed=3)
TEMPLATE = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"  # a token for every byte
QWEN_IMAGE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, \
quantity, text, spatial relationships of the objects and background:<|im_end|>\n"
    + TEMPLATE
)
LUMINA2 = "You are an assistant designed to generate superior images with the superior degree of \
image-text alignment based on textual prompts or user prompts. <Prompt Start> "
FLUX2 = f"[system]{SYSTEM_MESSAGE}[user]"


def letters(start):
    """Places of "cats", a token each, where "two cats" starts at this one."""
    return list(range(start + 4, start + 8))


# Tokens of the text in the joint attention, and of those the ones of "cats", counted by hand: CLIP
# has start, t w o, cats; T5 has ▁two, ▁cat s. SD3 reads CLIP's 77 and then T5's.
KINDS = {
    "sd15": (77, [4]),
    "sdxl": (77, [4]),
    "pixart": (120, [1, 2]),
    "pixart-sigma": (300, [1, 2]),
    "hunyuan-dit": (333, [2, 3, 77 + 1, 77 + 2]),  # BERT: start, two, cat ##s
    "sd3": (333, [4, 77 + 1, 77 + 2]),
    "sd3.5-medium": (333, [4, 77 + 1, 77 + 2]),
    "auraflow": (256, [1, 2]),
    "flux-dev": (512, [1, 2]),
    "flux-schnell": (256, [1, 2]),
    "chroma": (512, [1, 2]),
    # A token in front; the space before "cats" is joined to its c.
    "lumina2": (len(LUMINA2 + PROMPT), [place - 1 + 1 for place in letters(len(LUMINA2))]),
    "cogview4": (16, [9 + 3]),  # 7 of them: two in front, two, cats; those that fill up come first
    "qwen-image": (len(QWEN_IMAGE) - 2 - 34 + len(PROMPT), letters(QWEN_IMAGE.index("{") - 34)),
    "z-image": (96, letters(TEMPLATE.index("{"))),  # 65, filled up to a multiple of 32
    "flux2-dev": (512, letters(len(FLUX2))),
    "flux2-klein": (512, letters(TEMPLATE.index("{"))),
}
# Where the image's tokens start in a joint softmax, and where the text's do; of 24 of the image.
LAYOUTS = {
    "sd3": (0, 24), "sd3.5-medium": (0, 24), "z-image": (0, 32), "auraflow": (8 + 256, 8)
}  # fmt: skip


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def folder(tiny_model, tiny_texts, kind):
    return tiny_model(kind, null=False, **tiny_texts(kind))


class Spy:
    """Every attention of the denoiser's last pass, as probabilities in double precision.

    Attributes:
        passes: of the denoiser, with which text each.
    """

    def __init__(self, denoiser, row, monkeypatch):
        self.calls, self.inside, self.passes, self.row = [], False, [], row
        original = F.scaled_dot_product_attention

        def attend(query, key, value, attn_mask=None, *rest, **options):
            if self.inside:
                logits = query.double() @ key.double().mT / query.shape[-1] ** 0.5
                if attn_mask is not None and attn_mask.dtype == torch.bool:
                    logits = logits.masked_fill(~attn_mask, -torch.inf)
                elif attn_mask is not None:
                    logits = logits + attn_mask
                self.calls.append(logits.softmax(-1))
            return original(query, key, value, attn_mask, *rest, **options)

        monkeypatch.setattr(F, "scaled_dot_product_attention", attend)
        denoiser.register_forward_pre_hook(self.start, with_kwargs=True)
        denoiser.register_forward_hook(lambda *_: self.watch(False))
        for name, module in denoiser.named_modules():
            if name.startswith("context_refiner.") and name.count(".") == 1:  # of the text alone
                module.register_forward_pre_hook(lambda *_: self.watch(False))
                module.register_forward_hook(lambda *_: self.watch(True))

    def start(self, module, inputs, options):
        text = options.get("encoder_hidden_states")
        self.passes.append((inputs[2] if text is None else text)[self.row])
        self.calls, self.inside = [], True

    def watch(self, inside):
        self.inside = inside

    def taken(self):
        """Of the prompt's row of the batch, mean over heads: (rows, keys) of each call."""
        return [call[self.row if len(call) > 1 else 0].mean(0) for call in self.calls]


def enlarged(values, grid, target):
    return F.interpolate(values.reshape(1, 1, *grid), target, mode="bilinear")[0, 0]


def expected_words(calls, kind, finest):
    """Of "cats", mean over the layers that see the text."""
    text, places = KINDS[kind]
    n, found = finest[0] * finest[1], []
    image, start = LAYOUTS.get(kind, (text, 0))
    for attention in calls:
        rows, keys = attention.shape
        if rows == keys and keys >= n + text:  # joint
            attention = attention[image : image + n, start : start + text]
        elif rows == keys or keys != text:
            continue
        halved = next(
            (-(-finest[0] // d), -(-finest[1] // d))
            for d in (1, 2, 4, 8)
            if -(-finest[0] // d) * -(-finest[1] // d) == len(attention)
        )
        found.append(enlarged(attention[:, places].sum(-1), halved, finest))
    return torch.stack(found).mean(0)


def rows_of(kind):
    """Which of a batch has the prompt."""
    return 0 if kind == "z-image" else -1


def test_words_have_their_share_of_the_softmax_random_weights(folder, kind, monkeypatch):
    pipeline, backbone = load_generator(folder)
    spy, seen = Spy(backbone.denoiser, rows_of(kind), monkeypatch), []

    def look(moment):
        calls = spy.taken()
        expected = expected_words(calls, kind, moment.grid)
        assert (moment.words[1].double() - expected).abs().max() < 1e-6
        image = [c for c in calls if c.shape[0] == c.shape[1]]
        assert len(image) == len(backbone.layers)
        sums = moment.attention.sum(-1)
        torch.testing.assert_close(sums, torch.ones_like(sums))
        seen.append(moment.timestep)

    made = denoise(pipeline, backbone, PROMPT, SETTINGS, look)
    assert made.words == ("two", "cats", "a", "dog")
    assert tuple(seen) == made.timesteps
    assert sorted(seen, reverse=True) == seen
    assert len(set(seen)) == 2


# Passes of the denoiser with guidance, and what says that there is some.
GUIDED = {
    "sd15": 1, "hunyuan-dit": 1, "auraflow": 1, "z-image": 1, "chroma": 2, "lumina2": 2,
    "cogview4": 2, "qwen-image": 2, "flux2-klein": 2,
}  # fmt: skip


@pytest.mark.parametrize("kind", GUIDED)
def test_with_guidance_the_prompts_pass_is_read_random_weights(
    tiny_model, tiny_texts, kind, monkeypatch
):
    options = {"is_distilled": False} if kind == "flux2-klein" else {}
    pipeline, backbone = load_generator(tiny_model(kind, null=False, **tiny_texts(kind), **options))
    spy, read = Spy(backbone.denoiser, rows_of(kind), monkeypatch), []

    def look(moment):
        expected = expected_words(spy.taken(), kind, moment.grid)
        assert (moment.words[1].double() - expected).abs().max() < 1e-6
        read.append(spy.passes[-1])

    # Longer than the prompt, which then is filled up in a batch of two.
    settings = replace(SETTINGS, guidance=3.0, negative_prompt="dog " * 12)
    made = denoise(pipeline, backbone, PROMPT, settings, look)
    assert len(spy.passes) == 2 * GUIDED[kind]
    assert len(made.timesteps) == len(read) == 2
    assert len(made.curve) == 1
    alone = replace(SETTINGS, guidance=0.0, steps=1)
    denoise(pipeline, backbone, PROMPT, alone, look)  # the prompt's pass is all there is
    assert len(spy.passes) == 2 * GUIDED[kind] + 1
    assert all(torch.equal(text, read[-1]) for text in read)


def test_the_picture_is_the_pipelines_own_random_weights(folder, kind):
    pipeline, backbone = load_generator(folder)
    made = denoise(pipeline, backbone, PROMPT, SETTINGS)
    plain = diffusers.DiffusionPipeline.from_pretrained(folder)
    as_asked = {"use_resolution_binning": False, "clean_caption": False}
    fixed = {"pixart": as_asked, "pixart-sigma": as_asked,
             "hunyuan-dit": {"use_resolution_binning": False},
             "flux-schnell": {"max_sequence_length": 256}}  # fmt: skip
    picture = plain(
        prompt=PROMPT, height=64, width=96, num_inference_steps=2,
        generator=torch.Generator().manual_seed(3), **fixed.get(kind, {}),
    ).images[0]  # fmt: skip
    assert np.array_equal(made.image, np.asarray(picture))
    assert made.image.shape == (64, 96, 3)
