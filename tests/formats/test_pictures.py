import pytest
from PIL import Image

from trace_edges.formats.findings import GroundTruthError
from trace_edges.formats.pictures import annotation_files, by_stem, read_pixels, upright_size


def test_files_come_by_stem_without_hidden_ones_and_strangers(tmp_path):
    for name in ("b.PNG", "a.png", ".c.png", "d.txt", "a.b.png"):
        (tmp_path / name).touch()
    assert list(annotation_files(tmp_path, (".png",))) == ["a.b", "a", "b"]


def test_no_file_and_one_stem_twice_are_refused(tmp_path):
    with pytest.raises(ValueError, match=rf"{tmp_path.name}: holds no file of \.png"):
        annotation_files(tmp_path, (".png",))
    for name in ("a.png", "a.tif"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"a\.tif: a\.png has the same stem"):
        annotation_files(tmp_path, (".png", ".tif"))


def test_the_same_name_twice_is_a_clash_too(tmp_path):
    files, clashes = by_stem([tmp_path / "a.jpg", tmp_path / "a.jpg"])
    assert list(files) == ["a"]
    assert len(clashes) == 1


def test_pictures_that_cannot_be_used_are_ground_truth_errors_in_one_line(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("no picture")
    with pytest.raises(GroundTruthError, match=r"a\.png: cannot be decoded .*; fetch") as caught:
        read_pixels(path, ("L",), "X is Y")
    assert caught.value.finding.subject == str(path)
    assert "\n" not in str(caught.value)
    Image.new("RGB", (8, 8)).save(path)
    with pytest.raises(GroundTruthError, match=r"a\.png: is a picture of mode RGB; X is Y: save"):
        read_pixels(path, ("L",), "X is Y")
    with pytest.raises(GroundTruthError, match=r"lost\.png: there is no such file; add it"):
        read_pixels(tmp_path / "lost.png", ("L",), "X is Y")


@pytest.mark.parametrize(("orientation", "size"), [(1, (4, 6)), (3, (4, 6)), (6, (6, 4))])
def test_a_photograph_is_measured_upright(tmp_path, orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (6, 4)).save(tmp_path / "a.jpg", exif=exif)
    assert upright_size(tmp_path / "a.jpg") == size
