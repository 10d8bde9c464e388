"""What the results of images are called: as the images are, and each name once."""

import unicodedata
from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trace_edges.inputs import _names, find_images


def named(*given, recursive=False):
    """What the results of images are called, of files, folders and patterns."""
    return {path.as_posix(): name for path, name in find_images(given, recursive).names.items()}


@pytest.mark.parametrize(
    "expected",
    [
        {"a.jpg": "a"},
        {"x/a.jpg": "a", "y/b.jpg": "b", "a.b.png": "a.b"},
        {"a.jpg": "a.jpg", "a.png": "a.png", "b.png": "b"},
        {"A.jpg": "A.jpg", "a.png": "a.png"},
        {"x/a.jpg": "x/a", "y/a.jpg": "y/a", "z/a.png": "a.png"},
        {"x/z/a.jpg": "x/z/a", "y/z/a.jpg": "y/z/a"},
        {"a.jpg": "a", "x/a.jpg": "x/a"},
        {"x/a.jpg": "x/a", "y/x/a.jpg": "y/x/a"},
        {"a.jpg": "a.jpg", "a.png": "a.png", "a.jpg.png": "a.jpg.png"},
        {"x/a.jpg": "x/a", "y/a.jpg": "y/a", "x_a.jpg.png": "x_a.jpg"},
    ],
)
def test_names_of_results_of_named_files(expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in map(Path, expected):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for order in permutations(expected):
        assert named(*order) == expected


def test_below_a_folder_results_are_called_as_the_images_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in map(Path, ("ds/top.png", "ds/day1/img.png", "ds/day2/img.png", "ds/day2/img.jpg")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    below = {
        "ds/day1/img.png": "day1/img",
        "ds/day2/img.jpg": "day2/img.jpg",
        "ds/day2/img.png": "day2/img.png",
        "ds/top.png": "top",
    }
    assert named("ds", recursive=True) == named("ds/**") == below
    assert named("ds/../ds", recursive=True).values() != []
    assert list(named(tmp_path / "ds", recursive=True).values()) == list(below.values())
    # What is given decides, not what else lies there: a further image renames none.
    Path("ds/day3").mkdir()
    Path("ds/day3/img.png").touch()
    assert named("ds", recursive=True) == below | {"ds/day3/img.png": "day3/img"}
    assert named("ds/day1", "ds/day3") == {
        "ds/day1/img.png": "day1/img",
        "ds/day3/img.png": "day3/img",
    }
    assert named("ds/day1", "ds/top.png") == {"ds/day1/img.png": "img", "ds/top.png": "top"}
    assert named("ds/day?/img.png") == {
        f"ds/day{day}/img.png": f"day{day}/img" for day in (1, 2, 3)
    }


def test_names_of_results_end_in_numbers_where_nothing_else_helps(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("0.jpg", "a.jpg", "A.jpg"):
        Path(name).touch()
    clashing = {"a.jpg": "a.jpg_1", "A.jpg": "A.jpg_2"}
    assert named("a.jpg", "A.jpg") == clashing
    assert named("0.jpg", "a.jpg", "A.jpg") == {"0.jpg": "0", **clashing}  # as before it came
    accents = [unicodedata.normalize(form, "\u00e9.jpg") for form in ("NFC", "NFD")]
    for name in accents:
        Path(name).touch()
    assert len({unicodedata.normalize("NFC", name) for name in named(*accents).values()}) == 2


WORDS = st.sampled_from(["a", "A", "b", "a_b", "b_a", "a.jpg", "a.jpg_1", "x"])
PATHS = st.builds(
    lambda folders, stem, suffix: Path(*folders, stem + suffix),
    st.lists(WORDS, max_size=3),
    WORDS,
    st.sampled_from([".jpg", ".JPG", ".png", ".jpg.png"]),
)


@given(st.lists(st.tuples(PATHS, st.booleans()), unique_by=lambda one: one[0], max_size=12))
def test_names_of_results_are_always_unique(paths):
    found = [(path, path.as_posix() if below else path.name) for path, below in paths]
    names = _names(found) if found else {}
    assert list(names) == [path for path, _ in found]
    folded = Counter(name.casefold() for name in names.values())
    assert all(uses == 1 for uses in folded.values())
    for path, name in names.items():
        assert name.rpartition("/")[2].startswith(path.stem)
