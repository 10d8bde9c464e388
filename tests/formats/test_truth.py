import pickle

import pytest
from PIL import Image

from trace_edges.formats.pixels import read_pixels
from trace_edges.formats.truth import Finding, GroundTruthError, refusal, refused


def test_an_error_is_the_line_of_its_finding():
    error = refusal("a.png", "is of two\nlines", "write one")
    assert isinstance(error, ValueError)
    assert str(error) == "a.png: is of two lines; write one"
    assert error.finding == Finding("a.png", "is of two\nlines", "write one", "error")


def test_an_error_comes_back_from_another_process():
    error = pickle.loads(pickle.dumps(refusal("a.png", "is bad", "mend it")))
    assert isinstance(error, GroundTruthError)
    assert error.finding.mend == "mend it"


def test_pictures_that_cannot_be_used_are_ground_truth_errors_in_one_line(tmp_path):
    def read(path, modes, kind):
        with refused(path):
            read_pixels(path, modes, kind)

    path = tmp_path / "a.png"
    path.write_text("no picture", encoding="utf-8")
    with pytest.raises(GroundTruthError, match=r"a\.png: is not a JPEG.*; convert") as caught:
        read(path, ("L",), "X is Y")
    assert caught.value.finding.subject == str(path)
    assert "\n" not in str(caught.value)
    Image.new("RGB", (8, 8)).save(path)
    with pytest.raises(GroundTruthError, match=r"a\.png: is an image of mode RGB; X is Y: save"):
        read(path, ("L",), "X is Y")
    with pytest.raises(GroundTruthError, match=r"lost\.png: there is no such file; add it"):
        read(tmp_path / "lost.png", ("L",), "X is Y")
