"""Pictures made from a prompt by random models: the curve, the sheet, the command, its errors."""

import json
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.backbones import FAMILIES, BackboneError, load_backbone
from trace_edges.cli import app
from trace_edges.explain import PromptSettings, denoise, explain_prompt, load_generator
from trace_edges.explain.sheets import _PROMPT_TILE as TILE
from trace_edges.explain.sheets import shown_steps
from trace_edges.training_free.emergence import map_change

PROMPT = "two cats, a dog"
SETTINGS = PromptSettings(height=64, width=96, steps=2, seed=3)


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
        ("!?", r"the prompt '!\?' contains no word"),
        ("a " * 76 + "dog", "too long: 'dog' lies beyond the 77 tokens"),
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
        (["--prompt", "cats", "--steps", 0], "--steps must lie in [1, 100000000], not 0"),
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


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed")
@pytest.mark.parametrize("load", [load_generator, load_backbone])
def test_a_library_that_a_processor_lacks_is_named(tiny_model, tiny_texts, load):
    folder = tiny_model("flux2-klein", null=False, **tiny_texts("flux2-klein"))
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    index["tokenizer"] = ["transformers", "PixtralProcessor"]
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(BackboneError, match="PixtralProcessor requires the Torchvision library"):
        load(folder)


def test_a_family_without_a_row_is_refused(monkeypatch, sd15):
    families = tuple(replace(row, prompt=None) if row.name == "sd" else row for row in FAMILIES)
    monkeypatch.setattr("trace_edges.backbones.listed.FAMILIES", families)
    with pytest.raises(BackboneError, match="how the family 'sd' reads a prompt is not known"):
        load_generator(sd15)
