"""Which tokens of a prompt stand for which of its words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Words = dict[str, tuple[int, ...]]
"""Word -> places of its tokens among those of the text; one that comes twice has both."""

_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")


def words_of(prompt: str) -> list[tuple[str, int, int]]:
    """The words of a prompt in its order, each with where it starts and ends."""
    return [(match[0], match.start(), match.end()) for match in _WORD.finditer(prompt)]


def word_tokens(tokenizer: Any, prompt: str, length: int) -> Words:
    """Places of the tokens of each word, among those that the text encoder is given.

    Args:
        tokenizer: of transformers.
        prompt: as the tokenizer is given it.
        length: tokens that the encoder reads, with those that mark start and end. Of a word that
            lies behind them there is no token.
    """
    found: Words = {}
    places = _places(tokenizer, prompt, length)
    for number, (word, _, _) in enumerate(words_of(prompt)):
        found[word] = found.get(word, ()) + places[number]
    return found


def _places(tokenizer: Any, prompt: str, length: int) -> Mapping[int, tuple[int, ...]]:
    """Number of the word -> places of its tokens."""
    words = words_of(prompt)
    cut = {"truncation": True, "max_length": length}
    if tokenizer.is_fast:
        spans = tokenizer(prompt, return_offsets_mapping=True, **cut)["offset_mapping"]
        return {
            number: tuple(at for at, (a, b) in enumerate(spans) if a < end and b > start)
            for number, (_, start, end) in enumerate(words)
        }

    def count(text: str) -> int:
        return len(tokenizer(text.rstrip(), add_special_tokens=False)["input_ids"])

    # Without offsets: a word has the tokens by which what precedes it grows when it joins in.
    ids = tokenizer(prompt, **cut)["input_ids"]
    special = tokenizer.get_special_tokens_mask(ids, already_has_special_tokens=True)
    lead, read = special.index(0) if 0 in special else 0, special.count(0)
    return {
        number: tuple(
            lead + at for at in range(count(prompt[:start]), count(prompt[:end])) if at < read
        )
        for number, (_, start, end) in enumerate(words)
    }
