"""Text encoders small enough to run in a test, each with a tokenizer of a few pieces."""

import string

import pytest
import tokenizers
import torch
import transformers

_SMALL = {"intermediate_size": 16, "num_attention_heads": 2}
_DECODER = _SMALL | {"vocab_size": 300, "num_key_value_heads": 1, "bos_token_id": None,
                     "eos_token_id": 256, "pad_token_id": 256}  # fmt: skip
# As those of Qwen write it.
_TEMPLATE = """{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def clip(width, projection=None):
    """A CLIP text encoder of two layers, and a tokenizer of letters and of "cats"."""
    letters = [letter + end for letter in "abcdefghijklmnopqrstuvwxyz,'" for end in ("", "</w>")]
    pieces = ["<|startoftext|>", "<|endoftext|>", *letters, "ca", "ts</w>", "cats</w>"]
    tokenizer = transformers.CLIPTokenizer(
        vocab={piece: place for place, piece in enumerate(pieces)},
        merges=[("c", "a"), ("t", "s</w>"), ("ca", "ts</w>")], model_max_length=77,
    )  # fmt: skip
    config = transformers.CLIPTextConfig(
        **_SMALL, vocab_size=len(pieces), hidden_size=width, num_hidden_layers=2,
        projection_dim=projection or 8, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    kind = "CLIPTextModelWithProjection" if projection else "CLIPTextModel"
    return getattr(transformers, kind)(config), tokenizer


def t5(width, kind="T5EncoderModel"):
    """A T5 encoder of one layer, and a tokenizer of letters, "cat", "two" and "fur"."""
    pieces = ["<pad>", "</s>", "<unk>", "▁", *"abcdefghijklmnopqrstuvwxyz,'", "▁cat", "▁two",
              "▁fur"]  # fmt: skip
    tokenizer = transformers.T5Tokenizer(
        vocab=[(p, -float(i)) for i, p in enumerate(pieces)], extra_ids=0
    )
    model = getattr(transformers, kind)
    config = model.config_class(
        vocab_size=len(pieces), d_model=width, d_kv=8, d_ff=16, num_layers=1, num_heads=2
    )
    return model(config), tokenizer


def byte_tokenizer():
    """Of Qwen's kind, with a token for every byte."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocab = {byte: index for index, byte in enumerate(alphabet)}
    return transformers.Qwen2Tokenizer(vocab=vocab, merges=[], chat_template=_TEMPLATE)


def decoder(kind, width, layers, tokenizer=byte_tokenizer):
    """A language model of this class of transformers."""
    model = getattr(transformers, kind)
    config = model.config_class(**_DECODER, hidden_size=width, head_dim=4, num_hidden_layers=layers)
    return model(config), tokenizer()


def gemma_tokenizer():
    """Of characters, two joined to the space before; begins every text with a token of its own."""
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "▁", *string.printable.strip(), "▁c", "▁f"]
    vocab = {piece: place for place, piece in enumerate(pieces)}
    merges = [("▁", "c"), ("▁", "f")]
    return transformers.GemmaTokenizer(vocab=vocab, merges=merges, add_bos_token=True)


def glm_tokenizer():
    """Of words, that begins every text with two tokens of its own."""
    words = ["<pad>", "[gMASK]", "<sop>", "a", "two", "cats", "fury", "dog", ","]
    vocab = {word: place for place, word in enumerate(words)}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocab, unk_token="a"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    model.post_processor = tokenizers.processors.TemplateProcessing(
        single="[gMASK] <sop> $A", special_tokens=[("[gMASK]", 1), ("<sop>", 2)]
    )
    return transformers.PreTrainedTokenizerFast(tokenizer_object=model, pad_token="<pad>")


def qwen2_vl(width):
    """With eyes, which are not looked with."""
    text = {"hidden_size": width, "num_hidden_layers": 1, "rope_parameters": {
        "rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 2, 2]}}  # fmt: skip
    sight = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2,
             "out_hidden_size": width}  # fmt: skip
    config = transformers.Qwen2_5_VLConfig(text_config=_DECODER | text, vision_config=sight)
    return transformers.Qwen2_5_VLForConditionalGeneration(config), byte_tokenizer()


def bert(width):
    words = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", ",", "two", "dog", "cat", "##s",
             "fur", "##y")  # fmt: skip
    tokenizer = transformers.BertTokenizer(vocab={word: i for i, word in enumerate(words)})
    config = transformers.BertConfig(
        **_SMALL,
        vocab_size=len(words),
        hidden_size=width,
        num_hidden_layers=1,
        max_position_embeddings=77,
    )
    return transformers.BertModel(config), tokenizer


def mistral3(width, layers):
    """With eyes, which are not looked with."""
    pytest.importorskip("torchvision")  # which transformers wants for the processor
    text = {"model_type": "mistral", "hidden_size": width, "head_dim": 4,
            "num_hidden_layers": layers}  # fmt: skip
    sight = _SMALL | {"model_type": "pixtral", "hidden_size": 8, "num_hidden_layers": 1,
                      "head_dim": 4, "image_size": 32, "patch_size": 16}  # fmt: skip
    model = transformers.Mistral3ForConditionalGeneration(
        transformers.Mistral3Config(text_config=_DECODER | text, vision_config=sight)
    )
    words = byte_tokenizer()
    words.add_tokens(["[IMG]", "[IMG_BREAK]", "[IMG_END]"])
    processor = transformers.PixtralProcessor(
        image_processor=transformers.PixtralImageProcessor(),
        tokenizer=transformers.PreTrainedTokenizerFast(
            tokenizer_object=words._tokenizer, pad_token="<|endoftext|>"
        ),
        chat_template="{% for m in messages %}[{{ m.role }}]{% for part in m.content %}"
        "{{ part.text }}{% endfor %}{% endfor %}",
    )
    return model, processor


# By tiny model: its text encoders in their order, as functions.
TEXTS = {
    "sd15": [lambda: clip(24)],
    "sdxl": [lambda: clip(4), lambda: clip(20, projection=20)],
    "pixart": [lambda: t5(16)],
    "pixart-sigma": [lambda: t5(16)],
    "sd3": [lambda: clip(4, projection=4), lambda: clip(16, projection=16), lambda: t5(24)],
    "flux-dev": [lambda: clip(20), lambda: t5(24)],
    "flux2-dev": [lambda: mistral3(8, layers=30)],  # three layers of width 8 are read
    "flux2-klein": [lambda: decoder("Qwen3ForCausalLM", 8, layers=27)],
    "qwen-image": [lambda: qwen2_vl(24)],
    "z-image": [lambda: decoder("Qwen3Model", 24, layers=2)],
    "lumina2": [lambda: decoder("Gemma2Model", 24, layers=2, tokenizer=gemma_tokenizer)],
    "auraflow": [lambda: t5(24, "UMT5EncoderModel")],
    "chroma": [lambda: t5(24)],
    "cogview4": [lambda: decoder("GlmModel", 24, layers=2, tokenizer=glm_tokenizer)],
    "hunyuan-dit": [lambda: bert(16), lambda: t5(24)],
}
TEXTS |= {
    "sd21": TEXTS["sd15"], "sd3.5-medium": TEXTS["sd3"], "sd3.5-large": TEXTS["sd3"],
    "flux-schnell": TEXTS["flux-dev"],
}  # fmt: skip


@pytest.fixture
def tiny_texts():
    """A function that makes the text encoders and tokenizers of a pipeline, by a name of `TINY`."""

    def make(kind):
        torch.manual_seed(1)
        parts = {}
        for number, pair in enumerate(TEXTS[kind], 1):
            end = "" if number == 1 else f"_{number}"
            model, tokenizer = pair()
            parts |= {f"text_encoder{end}": model.eval(), f"tokenizer{end}": tokenizer}
        return parts

    return make
