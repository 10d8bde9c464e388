"""Words lie where the pipeline's own text encoders and denoiser have their tokens.

The encoders are faked: they give every token a random embedding of its own, its id in front.
"""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from tokenizers.processors import TemplateProcessing
from transformers.modeling_outputs import BaseModelOutput

from trace_edges.backbones import FAMILIES, BackboneError
from trace_edges.explain import PromptSettings, denoise, load_generator
from trace_edges.explain.words import Reading, joint_text, prompt_format, read_prompt

PROMPT = "two cats, a dog"
PROMPTS = {family.name: family.prompt for family in FAMILIES}
SETTINGS = PromptSettings(height=64, width=96, steps=1)
IMAGE = 4 * 6  # tokens
# Where the text starts among the keys of the first softmax that sees it.
KINDS = {
    "pixart": 0,
    "pixart-sigma": 0,
    "hunyuan-dit": 0,
    "flux2-dev": 0,
    "flux2-klein": 0,
    "qwen-image": 0,
    "z-image": 32,  # what the image's tokens are filled up to
    "lumina2": 0,
    "auraflow": 8,  # behind the registers
    "chroma": 0,
    "cogview4": 0,
}
# Tokens that its text has at most.
LONGEST = {
    "pixart": 120, "pixart-sigma": 300, "hunyuan-dit": 77 + 256, "flux2-dev": 512,
    "flux2-klein": 512, "qwen-image": 512, "z-image": 512, "lumina2": 256, "auraflow": 256,
    "chroma": 512, "cogview4": 1024,
}  # fmt: skip
# As many tokens as "cats" by every tokenizer, and none of them the same.
OTHER = PROMPT.replace("cats", "fury")


def fake(encoder):
    """Embeddings of its width, all hidden states alike."""
    width = encoder.config.get_text_config().hidden_size
    table = torch.randn(512, width, generator=torch.Generator().manual_seed(0))
    table[:, 0] = torch.arange(512)

    def forward(input_ids, **options):
        embeds = table[input_ids]
        return BaseModelOutput(last_hidden_state=embeds, hidden_states=(embeds,) * 40)

    encoder.forward = forward


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def generator(tiny_model, tiny_texts, kind):
    room = {"axes_lens": [1024, 32, 32]} if kind == "z-image" else {}
    folder = tiny_model(kind, null=False, **tiny_texts(kind), **room)
    pipeline, backbone = load_generator(folder)
    for name, part in pipeline.components.items():
        if name.startswith("text_encoder"):
            fake(part)
    for name, layer in backbone.denoiser.named_modules():
        if "context_refiner" in name and name.endswith("to_out.0"):
            layer.weight.zero_()  # else its text's tokens would be mixed
    return pipeline, backbone


def ids_given(inputs, options):
    """First channel of the text that the denoiser is given, all texts of the batch."""
    text = inputs[2] if len(inputs) > 2 else options["encoder_hidden_states"]
    found = torch.stack([row[:, 0] for row in text])
    more = options.get("encoder_hidden_states_t5")
    return found if more is None else torch.cat([found, more[..., 0]], dim=1)


def spelt(pipeline, name, ids):
    pieces = getattr(pipeline, name)
    pieces = getattr(pieces, "tokenizer", pieces).convert_ids_to_tokens(ids)
    return "".join(pieces).lower().translate(str.maketrans("", "", "▁Ġ#"))


def ids_told(generator, kind, prompt):
    """Ids of the text that the denoiser of diffusers' own pipeline is given, without guidance."""
    pipeline, backbone = generator
    told = []
    hook = backbone.denoiser.register_forward_pre_hook(
        lambda _, inputs, options: told.append(ids_given(inputs, options)), with_kwargs=True
    )
    scale = {"guidance_scale": 0.0 if kind == "z-image" else 1.0}
    pipeline(
        prompt=prompt, height=64, width=96, num_inference_steps=1, output_type="latent", **scale
    )
    hook.remove()
    (ids,) = told[0].round().int().tolist()
    return ids


def spelt_words(pipeline, reading, row, ids):
    """(Tokenizer, word) -> what the tokens at its places spell."""
    found = {}
    starts = [*row.tokenizers.items(), (None, len(ids))]
    for (name, start), (_, end) in pairwise(starts):
        for word, places in reading.words.items():
            own = [ids[place] for place in places if start <= place < end]
            found[name, word] = spelt(pipeline, name, own)
    return found


def test_tokens_at_the_places_spell_the_words_faked_encoders(generator, kind):
    pipeline, backbone = generator
    row = prompt_format(backbone.family)
    reading = read_prompt(pipeline, backbone.family, PROMPT)
    assert list(reading.words) == ["two", "cats", "a", "dog"]
    words = spelt_words(pipeline, reading, row, ids_told(generator, kind, PROMPT))
    assert all(spelling == word for (_, word), spelling in words.items())


def test_a_long_prompt_is_cut_off_where_the_pipeline_does_faked_encoders(generator, kind):
    pipeline, backbone = generator
    row, many = prompt_format(backbone.family), "dog " * 1100
    ids = ids_told(generator, kind, many)
    reading = read_prompt(pipeline, backbone.family, many)
    assert reading.total == reading.visible == len(ids) == LONGEST[kind]
    assert max(reading.words["dog"]) >= len(ids) - 2  # behind it the mark of the end or a space
    for spelling in spelt_words(pipeline, reading, row, ids).values():
        assert spelling == many.replace(" ", "")[: len(spelling)]
    with pytest.raises(ValueError, match=f"'two' lies beyond the {len(ids)} tokens"):
        read_prompt(pipeline, backbone.family, many + "two")


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_put_where_the_tokenizer_has_it_faked_encoders(tiny_model, tiny_texts, side):
    texts = tiny_texts("flux2-klein")
    pipeline, backbone = load_generator(tiny_model("flux2-klein", null=False, **texts))
    pipeline.tokenizer.padding_side = side
    fake(pipeline.text_encoder)
    ids = ids_told((pipeline, backbone), "flux2-klein", PROMPT)
    reading = read_prompt(pipeline, backbone.family, PROMPT)
    words = spelt_words(pipeline, reading, prompt_format(backbone.family), ids)
    assert all(spelling == word for (_, word), spelling in words.items())
    assert (ids[0] == ids[1]) == (side == "left")


@pytest.mark.parametrize("twice", [False, True])
def test_a_mark_of_the_start_in_the_template_is_not_put_twice_faked_encoders(
    tiny_model, tiny_texts, twice
):
    texts = tiny_texts("flux2-dev")
    pipeline, backbone = load_generator(tiny_model("flux2-dev", null=False, **texts))
    fake(pipeline.text_encoder)
    processor, mark = pipeline.tokenizer, "<|endoftext|>"
    number = processor.tokenizer.convert_tokens_to_ids(mark)
    processor.tokenizer._tokenizer.post_processor = TemplateProcessing(
        single=f"{mark} $A", special_tokens=[(mark, number)]
    )
    if twice:
        processor.tokenizer.bos_token = mark
        processor.chat_template = mark + processor.chat_template
    ids = ids_told((pipeline, backbone), "flux2-dev", PROMPT)
    assert ids[0] == number != ids[1]
    reading = read_prompt(pipeline, backbone.family, PROMPT)
    words = spelt_words(pipeline, reading, prompt_format(backbone.family), ids)
    assert all(spelling == word for (_, word), spelling in words.items())


@pytest.mark.parametrize("prompt", [" two cats", "two cats  "])
def test_a_template_that_changes_the_prompt_is_refused(tiny_model, tiny_texts, prompt):
    texts = tiny_texts("z-image")
    pipeline, backbone = load_generator(tiny_model("z-image", null=False, **texts))
    assert read_prompt(pipeline, backbone.family, prompt).words  # as it is
    template = pipeline.tokenizer.chat_template
    pipeline.tokenizer.chat_template = template.replace("m.content", "m.content | trim")
    with pytest.raises(ValueError, match="ZImagePipeline changes the prompt"):
        read_prompt(pipeline, backbone.family, prompt)


@pytest.mark.parametrize(
    ("family", "image", "total", "keys"),
    [
        ("flux", slice(7, 31), 8, 31),
        ("flux", slice(9, 33), 8, 33),
        ("z-image", slice(0, 24), 32, 63),
        ("sd3", slice(0, 24), 8, 31),
    ],
)
def test_another_number_of_tokens_is_refused(family, image, total, keys):
    with pytest.raises(BackboneError, match=f"{keys} tokens, which are not the 24"):
        joint_text(PROMPTS[family], Reading({}, total, total), image, keys)


def text_keys(generator, prompt, monkeypatch):
    """Keys (tokens, heads * d) of the first softmax that sees the prompt."""
    pipeline, backbone = generator
    row, found = prompt_format(backbone.family), []
    original = F.scaled_dot_product_attention

    def attend(query, key, *rest, **options):
        image = query.shape[2] - IMAGE
        if inside and (key.shape[2] != query.shape[2] or image > 8):
            found.append(key[row.prompt_row].transpose(0, 1).flatten(1))
        return original(query, key, *rest, **options)

    inside = []
    layers = [module for name, module in backbone.denoiser.named_modules()
              if name in backbone.layers or name.endswith("attn2")]  # fmt: skip
    hooks = [layer.register_forward_pre_hook(lambda *_: inside.append(1)) for layer in layers]
    hooks += [layer.register_forward_hook(lambda *_: inside.clear()) for layer in layers]
    with monkeypatch.context() as patch:
        patch.setattr(F, "scaled_dot_product_attention", attend)
        denoise(pipeline, backbone, prompt, SETTINGS)
    for hook in hooks:
        hook.remove()
    return found[0]


def test_another_word_changes_the_keys_of_its_own_tokens_faked_encoders(
    generator, kind, monkeypatch
):
    one, other = (text_keys(generator, prompt, monkeypatch) for prompt in (PROMPT, OTHER))
    changed = (one != other).any(dim=1).nonzero()[:, 0].tolist()
    pipeline, backbone = generator
    places = read_prompt(pipeline, backbone.family, PROMPT).words["cats"]
    first = KINDS[kind]
    assert changed == [first + place for place in places]
    image = backbone.family.image_tokens(IMAGE, len(one))
    row, reading = prompt_format(backbone.family), read_prompt(pipeline, backbone.family, PROMPT)
    if row.cross_attention is None:
        assert joint_text(row, reading, image, len(one)) == first
