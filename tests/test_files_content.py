import pickle

import numpy as np
import pytest

from trace_edges.files import FileError, read_json, read_text, write_json, write_npy, write_text


@pytest.mark.parametrize(
    ("text", "content"), [('{"a": [1, null]}', {"a": [1, None]}), ('["é"]', ["é"])]
)
def test_any_json_is_read(tmp_path, text, content):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode())
    assert read_json(path) == read_json(str(path)) == content


@pytest.mark.parametrize("content", [b"", b'{"a": [', b"\xff\xfe\xff"])
def test_what_is_no_json_is_refused_by_name(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(
        FileError, match=r"a\.json is not valid JSON \(.*\): write or fetch"
    ) as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_just_that(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"lost\.json"):
        read_json(tmp_path / "lost.json")


def test_the_error_comes_whole_out_of_a_worker(tmp_path):
    (tmp_path / "a.json").write_text("{", encoding="utf-8")
    with pytest.raises(FileError) as caught:
        read_json(tmp_path / "a.json")
    sent = pickle.loads(pickle.dumps(caught.value))
    assert str(sent) == str(caught.value)
    assert (sent.path, sent.mend) == (tmp_path / "a.json", "write or fetch it again")


@pytest.mark.parametrize(
    ("indent", "text"),
    [
        (None, '{"b":[1,0.5],"a":"\\u00e9"}\n'),
        (1, '{\n "b": [\n  1,\n  0.5\n ],\n "a": "\\u00e9"\n}\n'),
    ],
)
def test_json_is_written_in_the_order_of_its_content(tmp_path, indent, text):
    write_json({"b": [1, 0.5], "a": "é"}, tmp_path / "new" / "a.json", indent=indent)
    assert (tmp_path / "new" / "a.json").read_bytes() == text.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_cannot_hold_are_refused_and_the_older_file_stays(tmp_path, value):
    write_json(1, tmp_path / "a.json")
    with pytest.raises(ValueError, match="JSON"):
        write_json([value], tmp_path / "a.json", indent=1)
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["1\n"]


def test_text_and_arrays_are_written_whole(tmp_path):
    write_text("é\n", tmp_path / "new" / "a.txt")
    assert (tmp_path / "new" / "a.txt").read_bytes() == "é\n".encode()
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_npy(array, tmp_path / "a.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), array)


def test_the_mark_that_editors_of_windows_put_first_is_no_part_of_a_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffMünze\r\n".encode())
    assert read_text(path).split() == ["Münze"]
