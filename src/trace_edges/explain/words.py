"""Which tokens of a prompt stand for which of its words."""

from __future__ import annotations

import re
from typing import Any

Words = dict[str, tuple[int, ...]]
"""Word -> places of its tokens among those of the text; one that comes twice has both."""

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
    """Of each word with its start and end in the text, the places of its tokens."""
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
