import pickle

import pytest

from trace_edges.files import FileError, read_json


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
        FileError, match=r"a\.json is no valid JSON \(.*\): write or fetch"
    ) as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_just_that(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"lost\.json"):
        read_json(tmp_path / "lost.json")


def test_the_error_comes_whole_out_of_a_worker(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(FileError) as caught:
        read_json(tmp_path / "a.json")
    sent = pickle.loads(pickle.dumps(caught.value))
    assert str(sent) == str(caught.value)
    assert (sent.path, sent.mend) == (tmp_path / "a.json", "write or fetch it again")
