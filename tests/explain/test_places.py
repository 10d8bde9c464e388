"""Words lie where the pipeline's own text encoders and denoiser have their tokens.

The encoders are faked: they give every token a random embedding of its own, its id in front.
"""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from transformers.modeling_outputs import BaseModelOutput

from trace_edges.explain import PromptSettings, denoise, load_generator
from trace_edges.explain.places import joint_text
from trace_edges.explain.texts import read_prompt, text_of

PROMPT = "two cats, a dog"
SETTINGS = PromptSettings(height=64, width=96, steps=1)
IMAGE = 4 * 6  # tokens
# Where the text starts among the keys of the first softmax that sees it.
KINDS = {
    "pixart": 0,
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
# As long as the dog's, no token is the same, and no tokenizer has a token of another number.
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
    if request.param == "flux2-dev":
        pytest.importorskip("torchvision")  # which transformers wants for its processor
    return request.param


@pytest.fixture
def generator(tiny_model, tiny_texts, kind):
    folder = tiny_model(kind, null=False, **tiny_texts(kind))
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


def test_tokens_at_the_places_spell_the_words_faked_encoders(generator, kind):
    pipeline, backbone = generator
    told = []
    hook = backbone.denoiser.register_forward_pre_hook(
        lambda _, inputs, options: told.append(ids_given(inputs, options)), with_kwargs=True
    )
    guided = {"guidance_scale": 1.0} if kind != "z-image" else {"guidance_scale": 0.0}
    pipeline(
        prompt=PROMPT, height=64, width=96, num_inference_steps=1, output_type="latent", **guided
    )
    hook.remove()
    (ids,) = told[0].round().int().tolist()
    row = text_of(backbone.family)
    reading = read_prompt(pipeline, backbone.family, PROMPT)
    assert list(reading.words) == ["two", "cats", "a", "dog"]
    starts = [*row.tokenizers.items(), (None, len(ids))]
    for (name, start), (_, end) in pairwise(starts):
        for word, places in reading.words.items():
            own = [ids[place] for place in places if start <= place < end]
            assert spelt(pipeline, name, own) == word


def text_keys(generator, prompt, monkeypatch):
    """Keys (tokens, heads * d) of the first softmax that sees the prompt."""
    pipeline, backbone = generator
    row, found = text_of(backbone.family), []
    original = F.scaled_dot_product_attention

    def attend(query, key, *rest, **options):
        image = query.shape[2] - IMAGE
        if inside and (key.shape[2] != query.shape[2] or image > 8):
            found.append(key[row.prompts_row].transpose(0, 1).flatten(1))
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
    row, reading = text_of(backbone.family), read_prompt(pipeline, backbone.family, PROMPT)
    if row.cross_attention is None:
        assert joint_text(row, reading, image, len(one)) == first
