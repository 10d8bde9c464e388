"""Words of a prompt: the tokens that stand for them, and the places of their keys in a softmax.

A prompt's words are found among its tokens, the tokens in the text that the family's pipeline makes
of the prompt (`PromptFormat`), and the text among the keys of a softmax.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from trace_edges.backbones import FAMILIES, BackboneError, Family
from trace_edges.backbones.specs import PromptFormat

Words = dict[str, tuple[int, ...]]
"""Word -> places of its tokens among those of the text; one that comes twice has both."""

_MARK = "\ufdd0"  # no character, and so in no template
_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")


def words_of(prompt: str) -> list[tuple[str, int, int]]:
    """The words of a prompt in its order, each with where it starts and ends."""
    return [(match[0], match.start(), match.end()) for match in _WORD.finditer(prompt)]


def word_tokens(
    tokenizer: Any,
    prompt: str,
    length: int,
    around: tuple[str, str] = ("", ""),
    special: bool = True,
) -> Words:
    """Places of the tokens of each word, among those that the text encoder is given.

    Args:
        tokenizer: of transformers.
        prompt: as it stands in what the tokenizer is given.
        length: tokens that the encoder reads, with those that mark start and end. Of a word that
            lies behind them there is no token.
        around: what the tokenizer is given before and behind the prompt. None of its tokens is a
            word's, but for one that reaches into the prompt.
        special: the tokenizer adds its marks of start and end.
    """
    before, after = around
    words = [(word, len(before) + a, len(before) + b) for word, a, b in words_of(prompt)]
    places = _places(tokenizer, before + prompt + after, words, length, special)
    found: Words = {}
    for (word, _, _), tokens in zip(words, places, strict=True):
        found[word] = found.get(word, ()) + tokens
    return found


def _places(
    tokenizer: Any, text: str, words: list[tuple[str, int, int]], length: int, special: bool
) -> list[tuple[int, ...]]:
    """Places of the tokens of each word, given with its start and end in the text."""
    cut = {"truncation": True, "max_length": length, "add_special_tokens": special}
    if tokenizer.is_fast:
        offsets = tokenizer(text, return_offsets_mapping=True, **cut)["offset_mapping"]
        return [
            tuple(at for at, (a, b) in enumerate(offsets) if a < end and b > start)
            for _, start, end in words
        ]

    def ids(part: str, special: bool = False) -> list[int]:
        return tokenizer(part, add_special_tokens=special)["input_ids"]

    # Without offsets: a word has the tokens by which what precedes it grows when it joins in. They
    # stand behind the marks of the start; the marks of the end have their place also in a text that
    # was cut off.
    marked, plain = ids(text, special), ids(text)
    lead = next(at for at in range(len(marked)) if marked[at : at + len(plain)] == plain)
    read = length - (len(marked) - len(plain))
    return [
        tuple(
            lead + at
            for at in range(len(ids(text[:start].rstrip())), len(ids(text[:end])))
            if at < read
        )
        for _, start, end in words
    ]


def prompt_format(family: Family) -> PromptFormat:
    """Rules by which a family reads a prompt.

    Raises:
        BackboneError: it is not known.
    """
    if family.prompt is None:
        known = ", ".join(row.name for row in FAMILIES if row.prompt is not None)
        raise BackboneError(
            f"how the family {family.name!r} reads a prompt is not known here; prompts work with "
            f"{known}"
        )
    return family.prompt


@dataclass(frozen=True)
class Reading:
    """A prompt as a family reads it.

    Attributes:
        words: word -> places of its tokens among those of the text.
        total: tokens of the text, with those that fill it up.
        visible: how many of them are seen in full; a bias is added to the logits of the others.
    """

    words: Words
    total: int
    visible: int


def text_length(pipeline: Any, family: Family) -> int:
    """Tokens that a text has at most, with those that fill it up."""
    config = getattr(pipeline, family.denoiser).config
    return prompt_format(family).max_tokens or family.condition(config)["prompt_embeds"][1]


def read_prompt(pipeline: Any, family: Family, prompt: str) -> Reading:
    """Find the words of a prompt in the text that the denoiser is given.

    Args:
        pipeline: of diffusers, with its tokenizers.

    Raises:
        ValueError: the prompt has no word, or more than the text encoders read.
    """
    text, longest = prompt_format(family), text_length(pipeline, family)
    prompt = prompt.strip().lower() if text.lowercase else prompt
    starts = list(text.tokenizers.values())
    words: Words = {}
    total = visible = longest
    for name, start, end in zip(text.tokenizers, starts, [*starts[1:], longest], strict=True):
        if getattr(pipeline, name) is None:  # of SD3 without T5, whose tokens are zeros then
            continue
        found, front, own = _tokens(pipeline, name, text, prompt, end - start)
        front, behind = text.filling(own) if text.filling else (front, end - start - front - own)
        for word, places in found.items():
            words[word] = words.get(word, ()) + tuple(start + front + place for place in places)
        if text.filling:
            total = visible = start + front + own + behind
        if text.padding_bias:
            visible = min(total, start + front + own + text.visible_padding)
    if not words:
        raise ValueError(f"the prompt {prompt!r} contains no word: describe what is in the image")
    if unread := [word for word, places in words.items() if not places]:
        raise ValueError(
            f"the prompt is too long: {unread[0]!r} lies beyond the {longest} tokens of text that "
            "this model reads"
        )
    return Reading(words, total, visible)


def _tokens(
    pipeline: Any, name: str, text: PromptFormat, prompt: str, longest: int
) -> tuple[Words, int, int]:
    """Places of the words among the tokens of one tokenizer, how many it puts in front of them to
    fill them up to the longest, and how many they are.
    """
    before, after = _around(text.template, pipeline, prompt)
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


def _around(template: Callable[[Any, str], str], pipeline: Any, prompt: str) -> tuple[str, str]:
    """The text that stands before and behind the prompt.

    Raises:
        ValueError: the template changes the prompt itself.
    """
    before, _, after = template(pipeline, _MARK).partition(_MARK)
    if template(pipeline, prompt) != before + prompt + after:
        raise ValueError(
            f"{type(pipeline).__name__} changes the prompt {prompt!r}: remove the spaces around it "
            "and marks such as [IMG]"
        )
    return before, after


def joint_text(text: PromptFormat, reading: Reading, image: slice, keys: int) -> int | None:
    """Place of the text's first key in a self-attention; None: they are the image's alone.

    Args:
        image: places of the image's tokens.
        keys: how many there are.

    Raises:
        BackboneError: there is another number of them than image and text make.
    """
    tokens = image.stop - image.start
    filled = -(-tokens // text.image_multiple) * text.image_multiple  # rounded up
    if keys <= filled:
        return None
    first, spare = (filled, keys) if image.start == 0 else (text.registers, image.start)
    # Behind the text there may be what fills up the shorter of two in a batch.
    if first + reading.total > spare or (image.start and first + reading.total < spare):
        raise BackboneError(
            f"a joint attention has {keys} tokens, which are not the {tokens} of the image, the "
            f"{reading.total} of the text and known padding: diffusers may have changed"
        )
    return first


def logit_bias(
    text: PromptFormat, reading: Reading, first: int, k: Float[Tensor, "b heads m d"]
) -> Float32[Tensor, " m"] | None:
    """The bias that is added to the logits of each key; None: nothing.

    Args:
        first: where the text starts among the keys.
    """
    if not text.padding_bias:
        return None
    bias = torch.zeros(k.shape[2], device=k.device)
    bias[first + reading.visible : first + reading.total] = text.padding_bias
    return bias
