"""How each family is told its prompt, and where the image's tokens ask about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trace_edges.backbones import BackboneError, Family
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
        masked: the tokens that fill the text up cannot be seen.
    """

    tokenizers: Mapping[str, int]
    cross_attention: re.Pattern[str] | None = None
    lowered: bool = False
    masked: bool = False


_ATTN2 = re.compile(r".*transformer_blocks\.\d+\.attn2")
_UNET = Text({"tokenizer": 0}, _ATTN2)
_PIXART = Text({"tokenizer": 0}, _ATTN2, lowered=True, masked=True)

TEXTS: dict[str, Text] = {  # by family
    "sd": _UNET,
    "sdxl": _UNET,
    "pixart": _PIXART,
    "pixart-sigma": _PIXART,
    "sd3": Text({"tokenizer": 0, "tokenizer_3": 77}),
    "flux": Text({"tokenizer_2": 0}),
}


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
        seen: how many tokens of the text can be seen; those behind only fill it up.
    """

    words: Words
    seen: int


def text_length(pipeline: Any, family: Family) -> int:
    """Tokens of the text, with those that fill it up."""
    config = getattr(pipeline, family.denoiser).config
    return family.condition(config)["prompt_embeds"][1]


def read_prompt(pipeline: Any, family: Family, prompt: str) -> Reading:
    """Where the words of a prompt come to lie in the text that the denoiser is given.

    Args:
        pipeline: of diffusers, with its tokenizers.

    Raises:
        ValueError: the prompt has no word, or more than the text encoders read.
    """
    text, total = text_of(family), text_length(pipeline, family)
    prompt = prompt.strip().lower() if text.lowered else prompt.strip()
    starts = list(text.tokenizers.values())
    words: Words = {}
    seen = total
    for name, start, end in zip(text.tokenizers, starts, [*starts[1:], total], strict=True):
        tokenizer = getattr(pipeline, name)
        if tokenizer is None:  # of SD3 without T5, whose tokens are zeros then
            continue
        for word, places in word_tokens(tokenizer, prompt, end - start).items():
            words[word] = words.get(word, ()) + tuple(start + place for place in places)
        if text.masked:
            seen = len(tokenizer(prompt, truncation=True, max_length=end - start)["input_ids"])
    if not words:
        raise ValueError(f"the prompt {prompt!r} has no word")
    if unread := [word for word, places in words.items() if not places]:
        raise ValueError(
            f"the prompt is too long: {unread[0]!r} lies behind the {total} tokens of text that "
            "this model reads"
        )
    return Reading(words, seen)
