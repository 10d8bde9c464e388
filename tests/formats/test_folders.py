import pytest

from trace_edges.formats.folders import annotation_files, by_stem, find_by_name


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


def test_files_of_a_kind_come_by_the_name_of_their_image(tmp_path):
    for name in ("a.edges.PNG", "b.png", "b.overlay.png", ".c.png", "d.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    found = find_by_name(tmp_path, "map", (".png",), of=".edges", without=(".overlay",))
    assert {name: path.name for name, path in found.items()} == {"a": "a.edges.PNG", "b": "b.png"}
    (tmp_path / "a.png").touch()
    with pytest.raises(ValueError, match=r"a\.png: a\.edges\.PNG is of the same image; remove one"):
        find_by_name(tmp_path, "map", (".png",), of=".edges")
    with pytest.raises(ValueError, match=r"holds no map \(\.npy\)"):
        find_by_name(tmp_path, "map", (".npy",))
    with pytest.raises(ValueError, match="lost: there is no such folder of maps; check the path"):
        find_by_name(tmp_path / "lost", "map", (".png",))
