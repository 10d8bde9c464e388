"""Pictures made from a prompt by random models: what their attention is read as, and the sheet."""

from itertools import pairwise

import diffusers
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from typer.testing import CliRunner

from trace_edges.backbones import BackboneError
from trace_edges.cli import app
from trace_edges.emergence import map_change
from trace_edges.explain import PromptSettings, denoise, explain_prompt, load_generator
from trace_edges.explain.prompt import _TILE as TILE
from trace_edges.explain.prompt import shown_steps
from trace_edges.explain.texts import TEXTS

PROMPT = "two cats, a dog"
SETTINGS = PromptSettings(height=64, width=96, steps=2, seed=3)
# Tokens of the text in the joint attention, and of those the ones of "cats", counted by hand: CLIP
# has start, t w o, cats; T5 has ▁two, ▁cat s. SD3 reads CLIP's 77 and then T5's.
KINDS = {
    "sd15": (77, [4]),
    "sdxl": (77, [4]),
    "pixart": (120, [1, 2]),
    "sd3": (333, [4, 77 + 1, 77 + 2]),
    "sd3.5-medium": (333, [4, 77 + 1, 77 + 2]),
    "flux-dev": (512, [1, 2]),
    "flux-schnell": (256, [1, 2]),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def folder(tiny_model, tiny_texts, kind):
    return tiny_model(kind, null=False, **tiny_texts(kind))


class Spy:
    """Every attention that the denoiser computes, as probabilities in double precision."""

    def __init__(self, denoiser, monkeypatch):
        self.calls, self.inside = [], False
        original = F.scaled_dot_product_attention

        def attend(query, key, value, attn_mask=None, **options):
            if self.inside:
                logits = query.double() @ key.double().mT / query.shape[-1] ** 0.5
                self.calls.append((logits + (0 if attn_mask is None else attn_mask)).softmax(-1))
            return original(query, key, value, attn_mask=attn_mask, **options)

        monkeypatch.setattr(F, "scaled_dot_product_attention", attend)
        denoiser.register_forward_pre_hook(lambda *_: self.watch(True))
        denoiser.register_forward_hook(lambda *_: self.watch(False))

    def watch(self, inside):
        self.inside = inside

    def taken(self):
        """Of the prompt's half of the batch, mean over heads: (rows, keys) of each call."""
        calls, self.calls = [call[-1].mean(0) for call in self.calls], []
        return calls


def enlarged(values, grid, target):
    return F.interpolate(values.reshape(1, 1, *grid), target, mode="bilinear")[0, 0]


def expected_words(calls, kind, finest):
    """Of "cats", mean over the layers that see the text."""
    text, places = KINDS[kind]
    n, found = finest[0] * finest[1], []
    for attention in calls:
        rows, keys = attention.shape
        if rows == keys == n + text:  # joint
            image, start = (slice(text, None), 0) if "flux" in kind else (slice(0, n), n)
            attention = attention[image, start : start + text]
        elif keys != text:
            continue
        halved = next(
            (-(-finest[0] // d), -(-finest[1] // d))
            for d in (1, 2, 4, 8)
            if -(-finest[0] // d) * -(-finest[1] // d) == len(attention)
        )
        found.append(enlarged(attention[:, places].sum(-1), halved, finest))
    return torch.stack(found).mean(0)


def test_words_have_their_share_of_the_softmax_random_weights(folder, kind, monkeypatch):
    pipeline, backbone = load_generator(folder)
    spy, seen = None, []

    def look(moment):
        calls = spy.taken()
        expected = expected_words(calls, kind, moment.grid)
        assert (moment.words[1].double() - expected).abs().max() < 1e-6
        image = [c for c in calls if c.shape[0] == c.shape[1]]
        assert len(image) == len(backbone.layers)
        sums = moment.attention.sum(-1)
        torch.testing.assert_close(sums, torch.ones_like(sums))
        seen.append(moment.timestep)

    spy = Spy(backbone.denoiser, monkeypatch)
    made = denoise(pipeline, backbone, PROMPT, SETTINGS, look)
    assert made.words == ("two", "cats", "a", "dog")
    assert tuple(seen) == made.timesteps
    assert sorted(seen, reverse=True) == seen
    assert len(set(seen)) == 2


def test_the_picture_is_the_pipelines_own_random_weights(folder, kind):
    pipeline, backbone = load_generator(folder)
    made = denoise(pipeline, backbone, PROMPT, SETTINGS)
    plain = diffusers.DiffusionPipeline.from_pretrained(folder)
    options = {"use_resolution_binning": False, "clean_caption": False} if kind == "pixart" else {}
    options |= {"max_sequence_length": 256} if kind == "flux-schnell" else {}
    picture = plain(
        PROMPT, height=64, width=96, num_inference_steps=2,
        generator=torch.Generator().manual_seed(3), **options,
    ).images[0]  # fmt: skip
    assert np.array_equal(made.image, np.asarray(picture))
    assert made.image.shape == (64, 96, 3)


@pytest.fixture
def sd15(tiny_model, tiny_texts):
    return tiny_model("sd15", null=False, **tiny_texts("sd15"))


def test_the_curve_compares_neighbours_the_noisier_in_second_place(sd15):
    maps = []
    settings = PromptSettings(64, 96, steps=4)
    made = denoise(*load_generator(sd15), PROMPT, settings, lambda m: maps.append(m.attention))
    grid = (8, 12)
    by_hand = [float(map_change(b, a, grid)) for a, b in pairwise(maps)]
    assert made.curve.tolist() == pytest.approx(by_hand)
    assert made.emergence == int(np.argmax(by_hand))


def test_guidance_and_negative_prompt_reach_the_pipeline_random_weights(sd15):
    pipeline, backbone = load_generator(sd15)
    pictures = [
        denoise(pipeline, backbone, PROMPT, PromptSettings(64, 64, 2, **options)).image
        for options in ({}, {"guidance": 1.0}, {"negative_prompt": "dog"}, {"seed": 1})
    ]
    assert all((pictures[0] != other).any() for other in pictures[1:])


def test_without_t5_sd3_reads_clip_alone_random_weights(tiny_model, tiny_texts):
    parts = {name: part for name, part in tiny_texts("sd3").items() if not name.endswith("_3")}
    words = []
    made = denoise(
        *load_generator(tiny_model("sd3", null=False, **parts)), PROMPT, SETTINGS,
        lambda moment: words.append(moment.words),
    )  # fmt: skip
    assert made.words == ("two", "cats", "a", "dog")
    assert words[0].shape == (4, 4, 6)


def test_the_sheet_has_a_row_for_every_word_random_weights(sd15):
    sheet, made = explain_prompt(*load_generator(sd15), PROMPT, SETTINGS)
    assert sheet.height == (3 + 4) * (TILE + 26) + 8
    shown = Image.fromarray(made.image).resize((TILE, TILE * 2 // 3), Image.Resampling.NEAREST)
    first = sheet.crop((8, 26, 8 + TILE, 26 + TILE * 2 // 3))
    assert np.array_equal(np.asarray(first), np.asarray(shown))


@pytest.mark.parametrize(("steps", "star"), [(1, 0), (2, 1), (6, 3), (50, 0), (50, 17), (50, 49)])
def test_the_steps_shown_are_few_and_hold_the_chosen_one(steps, star):
    shown = shown_steps(steps, star)
    assert star in shown
    assert shown == sorted(set(shown))
    assert len(shown) == min(6, steps)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("!?", r"the prompt '!\?' has no word"),
        ("a " * 76 + "dog", "too long: 'dog' lies behind the 77 tokens"),
    ],
)
def test_prompts_that_cannot_be_read(sd15, prompt, message):
    with pytest.raises(ValueError, match=message):
        denoise(*load_generator(sd15), prompt, SETTINGS)


def run(*arguments):
    return CliRunner().invoke(app, ["explain", *map(str, arguments), "--device", "cpu"])


def test_the_command_draws_a_sheet_random_weights(sd15, tmp_path):
    out = tmp_path / "sheet.png"
    options = ["--height", 64, "--width", 96, "--steps", 2, "--guidance", 2, "--seed", 1]
    result = run("--prompt", "two cats", "--backbone", sd15, "--out", out, *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{out}: t* = ")
    with Image.open(out) as sheet:
        assert sheet.height == (3 + 2) * (TILE + 26) + 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", "cats"], "'trace-mini' has no text encoder, and can follow no prompt"),
        ([], "give an image or a --prompt"),
        (["a.png", "--prompt", "cats"], "give an image or a --prompt"),
        (["a.png", "--steps", 3], "--steps needs --prompt"),
        (["--prompt", "cats", "--stride", 50], "--stride is for images, not for a --prompt"),
        (["--prompt", "cats", "--steps", 0], "steps must be 1 or more, not 0"),
    ],
)
def test_wrong_use_is_one_line(tmp_path, arguments, message):
    result = run(*arguments, "--out", tmp_path / "sheet.png")
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_pipeline_without_encoders_is_refused(tiny_model):
    with pytest.raises(BackboneError, match=r"'.*sdxl' has no text encoder"):
        load_generator(tiny_model("sdxl"))


def test_a_family_without_a_row_is_refused(monkeypatch, sd15):
    monkeypatch.delitem(TEXTS, "sd")
    with pytest.raises(BackboneError, match="how the family 'sd' reads a prompt is not known"):
        load_generator(sd15)
