"""How each family is told its prompt, and where the image's tokens ask about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trace_edges.backbones import BackboneError, Family
from trace_edges.explain.chats import (
    Chat,
    around,
    bare,
    flux2_chat,
    lumina2_chat,
    qwen_image_chat,
    z_image_chat,
)
from trace_edges.explain.words import Words, word_tokens


@dataclass(frozen=True)
class Text:
    """One row of the table.

    Attributes:
        tokenizers: names of the pipeline's tokenizers -> where their tokens start among the text's.
            Those of a second encoder that fills other channels of the same tokens are left out.
        cross_attention: full names of the modules in which the image asks about the text alone;
            None: they share the softmax of the self-attention.
        lowered: the pipeline puts the prompt in lower case.
        chat: what the tokenizers are told around the prompt.
        longest: tokens that are read at most; None: as many as the null condition has.
        dropped: (pipeline) -> tokens at the start of which the encoder's output is left out.
        filled: (tokens) -> those put in front and behind, that the image sees as well; None: the
            tokenizer fills up to the longest.
        spared: of those that fill the text up to the longest, that are seen as the text's own.
        padding: what is added to the logits of all others of them; -inf: they cannot be seen.
        registers: tokens in front of the text, where the image's come last in a joint softmax.
        image_multiple: in a joint softmax the image's tokens, where they come first, are filled up
            to a multiple of it.
        prompts_row: of a batch with and without the prompt, the one with it.
        guidance: the pipeline's argument for the scale of it.
    """

    tokenizers: Mapping[str, int]
    cross_attention: re.Pattern[str] | None = None
    lowered: bool = False
    chat: Chat = bare
    longest: int | None = None
    dropped: Callable[[Any], int] = lambda pipeline: 0
    filled: Callable[[int], tuple[int, int]] | None = None
    spared: int = 0
    padding: float = 0.0
    registers: int = 0
    image_multiple: int = 1
    prompts_row: int = -1
    guidance: str = "guidance_scale"


def _alone(tokens: int) -> tuple[int, int]:
    return 0, 0


_ONE = {"tokenizer": 0}
_ATTN2 = re.compile(r".*blocks\.\d+\.attn2")
_UNET = Text(_ONE, _ATTN2)
_PIXART = Text(_ONE, _ATTN2, lowered=True, padding=-float("inf"))

TEXTS: dict[str, Text] = {  # by family
    "sd": _UNET,
    "sdxl": _UNET,
    "pixart": _PIXART,
    "pixart-sigma": _PIXART,
    # Of BERT, and of T5; where they are padding, a learnt token is seen instead.
    "hunyuan-dit": Text({"tokenizer": 0, "tokenizer_2": 77}, _ATTN2, longest=77 + 256),
    "sd3": Text({"tokenizer": 0, "tokenizer_3": 77}),
    "auraflow": Text(_ONE, registers=8),
    "flux": Text({"tokenizer_2": 0}),
    # Its mask is ones and zeros, and is added to the logits: it takes 1 from those it is to hide.
    "chroma": Text(_ONE, longest=512, spared=1, padding=-1.0),
    "lumina2": Text(_ONE, chat=lumina2_chat, longest=256, filled=_alone),
    "cogview4": Text(_ONE, longest=1024, filled=lambda tokens: (-tokens % 16, 0)),
    "qwen-image": Text(
        _ONE, chat=qwen_image_chat, longest=512, filled=_alone, guidance="true_cfg_scale",
        dropped=lambda pipeline: pipeline.prompt_template_encode_start_idx,
    ),
    "z-image": Text(
        _ONE, chat=z_image_chat, longest=512, filled=lambda tokens: (0, -tokens % 32),
        image_multiple=32, prompts_row=0,
    ),
    "flux2": Text(_ONE, chat=flux2_chat),
}  # fmt: skip


def text_of(family: Family) -> Text:
    """The row of a family.

    Raises:
        BackboneError: there is none.
    """
    if family.name not in TEXTS:
        raise BackboneError(
            f"how the family {family.name!r} reads a prompt is not known here; prompts work with "
            f"{', '.join(TEXTS)}"
        )
    return TEXTS[family.name]


@dataclass(frozen=True)
class Reading:
    """A prompt as a family reads it.

    Attributes:
        words: word -> places of its tokens among those of the text.
        total: tokens of the text, with those that fill it up.
        seen: how many of them are seen in full; to the logits of those behind something is added.
    """

    words: Words
    total: int
    seen: int


def text_length(pipeline: Any, family: Family) -> int:
    """Tokens that a text has at most, with those that fill it up."""
    config = getattr(pipeline, family.denoiser).config
    return text_of(family).longest or family.condition(config)["prompt_embeds"][1]


def read_prompt(pipeline: Any, family: Family, prompt: str) -> Reading:
    """Where the words of a prompt come to lie in the text that the denoiser is given.

    Args:
        pipeline: of diffusers, with its tokenizers.

    Raises:
        ValueError: the prompt has no word, or more than the text encoders read.
    """
    text, longest = text_of(family), text_length(pipeline, family)
    prompt = prompt.strip().lower() if text.lowered else prompt
    starts = list(text.tokenizers.values())
    words: Words = {}
    total = seen = longest
    for name, start, end in zip(text.tokenizers, starts, [*starts[1:], longest], strict=True):
        if getattr(pipeline, name) is None:  # of SD3 without T5, whose tokens are zeros then
            continue
        found, front, own = _tokens(pipeline, name, text, prompt, end - start)
        front, behind = text.filled(own) if text.filled else (front, end - start - front - own)
        for word, places in found.items():
            words[word] = words.get(word, ()) + tuple(start + front + place for place in places)
        if text.filled:
            total = seen = start + front + own + behind
        if text.padding:
            seen = min(total, start + front + own + text.spared)
    if not words:
        raise ValueError(f"the prompt {prompt!r} has no word")
    if unread := [word for word, places in words.items() if not places]:
        raise ValueError(
            f"the prompt is too long: {unread[0]!r} lies behind the {longest} tokens of text that "
            "this model reads"
        )
    return Reading(words, total, seen)


def _tokens(
    pipeline: Any, name: str, text: Text, prompt: str, longest: int
) -> tuple[Words, int, int]:
    """Of one tokenizer: places of the words among its tokens, how many it puts in front of them to
    fill them up to the longest, and how many they are.
    """
    before, after = around(text.chat, pipeline, prompt)
    whole, dropped = before + prompt + after, text.dropped(pipeline)
    processor = getattr(pipeline, name)
    tokenizer = getattr(processor, "tokenizer", processor)
    # A processor sees to it that the mark of the start is there once.
    begun = tokenizer.bos_token is not None and whole.startswith(tokenizer.bos_token)
    special = processor is tokenizer or not begun
    cut = longest + dropped
    found = word_tokens(tokenizer, prompt, cut, (before, after), special)
    ids = tokenizer(whole, truncation=True, max_length=cut, add_special_tokens=special)["input_ids"]
    own = len(ids) - dropped
    words = {word: tuple(place - dropped for place in at) for word, at in found.items()}
    return words, longest - own if tokenizer.padding_side == "left" else 0, own
