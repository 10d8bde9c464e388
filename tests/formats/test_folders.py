import pytest

from trace_edges.formats.folders import NamedFiles, annotation_files, by_name, find_by_name


def test_files_come_by_name_without_hidden_ones_and_strangers(tmp_path):
    for name in ("b.PNG", "a.png", ".c.png", "d.txt", "a.b.png"):
        (tmp_path / name).touch()
    (tmp_path / "day1").mkdir()
    (tmp_path / "day1/a.png").touch()
    assert list(annotation_files(tmp_path, (".png",))) == ["a.b", "a", "b", "day1/a"]


def test_no_file_and_one_stem_twice_are_refused(tmp_path):
    with pytest.raises(ValueError, match=rf"{tmp_path.name}: holds no file of \.png"):
        annotation_files(tmp_path, (".png",))
    for name in ("a.png", "a.tif"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"a\.tif: a\.png has the same stem"):
        annotation_files(tmp_path, (".png", ".tif"))


def test_the_same_name_twice_is_a_clash_too(tmp_path):
    paths = [tmp_path / name for name in ("a.jpg", "a.png", "day1/a.jpg", "day1/b.c.jpg")]
    files, clashes = by_name(paths, tmp_path)
    assert list(files) == ["a", "day1/a", "day1/b.c"]
    assert [finding.subject for finding in clashes] == [str(tmp_path / "a.png")]
    assert by_name([tmp_path / "a.jpg"], tmp_path / "a.jpg")[0] == {"a": tmp_path / "a.jpg"}


def test_names_with_folders_meet_those_without_if_no_other_is_meant(tmp_path):
    there = NamedFiles({name: tmp_path / name for name in ("day1/a", "day2/a", "day1/b", "c")})
    names = ["day2/a", "b", "day3/c", "day3/b", "a"]
    assert there.of(names) == {"day2/a": tmp_path / "day2/a", "day3/c": tmp_path / "c"}
    assert there.of(["b"]) == {"b": tmp_path / "day1/b"}


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
