"""Words and the tokens that stand for them, with tokenizers of letters and a few whole words."""

import pytest

from trace_edges.explain.words import word_tokens, words_of

PROMPT = "Two cats, a cat's dog: two"
# Of CLIP: start, t w o, cats, comma, a, ca t ' s, d o g, colon (unknown), t w o, end.
CLIP = {"Two": (1, 2, 3), "cats": (4,), "a": (6,), "cat's": (7, 8, 9, 10), "dog": (11, 12, 13)}


class FakedSlow:
    """A tokenizer that keeps its offsets to itself, as those written in Python do."""

    is_fast = False

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.get_special_tokens_mask = tokenizer.get_special_tokens_mask

    def __call__(self, text, **options):
        assert "return_offsets_mapping" not in options
        return self.tokenizer(text, **options)


@pytest.fixture
def clip(tiny_texts):
    return tiny_texts("sd15")["tokenizer"]


@pytest.fixture
def t5(tiny_texts):
    return tiny_texts("pixart")["tokenizer"]


def test_words_are_found_in_the_prompt():
    assert [word for word, _, _ in words_of(PROMPT)] == ["Two", "cats", "a", "cat's", "dog", "two"]
    assert all(PROMPT[start:end] == word for word, start, end in words_of(PROMPT))


def test_places_among_the_tokens_of_clip(clip):
    found = word_tokens(clip, PROMPT, 77)
    tokens = clip.convert_ids_to_tokens(clip(PROMPT)["input_ids"])
    assert found.items() >= CLIP.items()
    assert [tokens[place] for place in found["cats"]] == ["cats</w>"]
    assert "".join(tokens[place] for place in found["two"]) == "two</w>"


def test_places_among_the_tokens_of_t5(t5):
    found = word_tokens(t5, PROMPT.lower(), 120)
    tokens = t5.convert_ids_to_tokens(t5(PROMPT.lower())["input_ids"])
    spelt = {word: "".join(tokens[p] for p in places) for word, places in found.items()}
    assert spelt == {
        "two": "▁two▁two", "cats": "▁cats", "a": "▁a", "cat's": "▁cat's", "dog": "▁dog"
    }  # fmt: skip
    assert len(found["cats"]) == 2


@pytest.mark.parametrize("which", ["clip", "t5"])
def test_the_same_places_without_offsets_faked_slow_tokenizer(request, which):
    tokenizer = request.getfixturevalue(which)
    prompt = PROMPT.replace(":", ",").lower()
    found = word_tokens(tokenizer, prompt, 77)
    assert word_tokens(FakedSlow(tokenizer), prompt, 77) == found
    assert word_tokens(FakedSlow(tokenizer), prompt, 9) == word_tokens(tokenizer, prompt, 9)


AROUND = ("a dog, two ", ", a cat")  # of which no word is the prompt's


@pytest.mark.parametrize("which", ["clip", "t5"])
def test_what_stands_around_the_prompt_has_no_word(request, which):
    tokenizer = request.getfixturevalue(which)
    prompt = PROMPT.replace(":", ",").lower()
    found = word_tokens(tokenizer, prompt, 77, AROUND)
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(prompt.join(AROUND))["input_ids"])
    for word, places in found.items():
        spelt = "".join(tokens[place] for place in places).replace("</w>", "").replace("▁", "")
        assert spelt == word * (1 + (word == "two"))  # in the prompt twice
    assert list(found) == ["two", "cats", "a", "cat's", "dog"]
    for length in (77, 20):
        found = word_tokens(tokenizer, prompt, length, AROUND)
        assert word_tokens(FakedSlow(tokenizer), prompt, length, AROUND) == found


def test_without_the_marks_of_the_start_all_is_one_earlier(clip):
    marked, plain = (word_tokens(clip, "two cats", 77, special=own) for own in (True, False))
    assert marked == {word: tuple(place + 1 for place in at) for word, at in plain.items()}
    assert word_tokens(FakedSlow(clip), "two cats", 77, special=False) == plain


def test_words_behind_what_is_read_have_no_token(clip):
    found = word_tokens(clip, "two cats a dog", 6)  # with the marks of start and end
    assert found == {"two": (1, 2, 3), "cats": (4,), "a": (), "dog": ()}
