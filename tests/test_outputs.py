import os
import pickle

import pytest

from trace_edges.files import FileError, write_atomically, write_text
from trace_edges.outputs import LEDGER, Outputs, results_below

DETECT = Outputs("detect")


def write(text, path, outputs=DETECT):
    with outputs.writing():
        write_text(text, path)


def test_what_the_command_wrote_is_replaced(tmp_path):
    for text in ("one", "two"):
        write(text, tmp_path / "a.json")
        assert (tmp_path / "a.json").read_text(encoding="utf-8") == text


def test_what_it_did_not_write_is_not(tmp_path):
    (tmp_path / "a.json").write_text("mine", encoding="utf-8")
    with pytest.raises(FileError, match=r"a\.json was not written by trace-edges detect, .* move"):
        write("ours", tmp_path / "a.json")
    with pytest.raises(FileError, match="was not written by trace-edges detect"):
        DETECT.remove(tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "mine"


def test_results_of_another_command_stay(tmp_path):
    write("edges", tmp_path / "a.json")
    with pytest.raises(FileError, match=r"a\.json is a result of trace-edges detect, and is not"):
        write("masks", tmp_path / "a.json", Outputs("segment"))
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "edges"


def test_a_result_that_the_user_worked_on_is_the_users(tmp_path):
    write("one", tmp_path / "a.json")
    (tmp_path / "a.json").write_text("better", encoding="utf-8")
    with pytest.raises(FileError, match="was changed since trace-edges detect wrote it"):
        write("two", tmp_path / "a.json")
    write("two", tmp_path / "a.json", Outputs("detect", overwrite=True))  # asked for by name
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "two"
    (tmp_path / "b.json").write_text("mine", encoding="utf-8")
    with pytest.raises(FileError):
        write("two", tmp_path / "b.json", Outputs("detect", overwrite=True))


@pytest.mark.parametrize(
    "given", ["in/a.png", "./in/../in/a.png", "linked/a.png", "hard.png", "in", "linked"]
)
def test_an_input_is_not_an_output_by_whatever_path(tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    write("old", tmp_path / "in/a.png")  # even if it was written by the same command
    os.symlink("in", "linked")
    os.link("in/a.png", "hard.png")
    guard = Outputs("detect", (given,), overwrite=True)
    with pytest.raises(FileError, match=r"a\.png .* give another place"):
        guard.check(tmp_path / "in/a.png")
    with pytest.raises(FileError):
        write("new", tmp_path / "in/a.png", guard)
    assert (tmp_path / "in/a.png").read_text(encoding="utf-8") == "old"


def test_nothing_is_written_into_a_folder_that_is_read(tmp_path):
    (tmp_path / "in/below").mkdir(parents=True)
    guard = Outputs("refine", (tmp_path / "in",))
    for path in ("in/new.png", "in/below/new.png", "in/new/new.png"):
        with pytest.raises(FileError, match="which this command reads"):
            guard.check(tmp_path / path)
    guard.check(tmp_path / "beside.png", tmp_path / "in.png")


def test_links_and_folders_are_not_replaced(tmp_path):
    (tmp_path / "target").write_text("mine", encoding="utf-8")
    os.symlink("target", tmp_path / "link.json")
    os.symlink("nowhere", tmp_path / "broken.json")
    (tmp_path / "folder.json").mkdir()
    for name in ("link", "broken", "folder"):
        with pytest.raises(FileError, match="exists and is not a regular file"):
            write("ours", tmp_path / f"{name}.json")
    assert (tmp_path / "target").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    "name", ['"a", "b".json', "a\nb.json", "é.json", os.fsdecode(b"\xff.json")]
)
def test_any_name_is_known_again(tmp_path, name):
    for text in ("one", "two"):
        write(text, tmp_path / name)
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(FileError, match="was changed since"):
        write("three", tmp_path / name)


def test_a_list_that_a_kill_cut_short_costs_one_line(tmp_path):
    write("one", tmp_path / "a.json")
    ledger = tmp_path / LEDGER
    ledger.write_bytes(ledger.read_bytes() + b'\n["detect", "b.json", "01')
    (tmp_path / "b.json").write_text("mine", encoding="utf-8")
    write("two", tmp_path / "a.json")
    write("three", tmp_path / "a.json")
    with pytest.raises(FileError, match="was not written by"):
        write("ours", tmp_path / "b.json")


@pytest.mark.parametrize(
    "line",
    [b"null", b"[1, 2, 3]", b'["detect", 3, "01"]', b'[["detect"], {}, null]', b"3", b"\0" * 99,
     b"[" * 100_000, b"\xff\xfe[\0", b'["detect", "a\\u0000b", "01"]', b'["a", "\\ud800", "b"]'],
    ids=range(10),
)  # fmt: skip
def test_lines_of_something_else_cost_nothing(tmp_path, line):
    write("one", tmp_path / "a.json")
    ledger = tmp_path / LEDGER
    ledger.write_bytes(ledger.read_bytes() + b"\n" + line + b"\n")
    write("two", tmp_path / "a.json")
    found = results_below(str(tmp_path), [LEDGER])
    assert str(tmp_path / "a.json") in found


def test_a_kill_between_the_list_and_the_file_leaves_both_contents_known(tmp_path):
    write("one", tmp_path / "a.json")
    (tmp_path / "new").write_text("two", encoding="utf-8")
    DETECT.note(tmp_path / "new", tmp_path / "a.json")  # and never came to its place
    write("three", tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "three"


def test_what_comes_while_writing_is_not_replaced(tmp_path):
    def write_slowly():
        with DETECT.writing(), write_atomically(tmp_path / "a.json") as temporary:
            temporary.write_text("ours", encoding="utf-8")
            (tmp_path / "a.json").write_text("mine", encoding="utf-8")

    with pytest.raises(FileError, match="was not written by"):
        write_slowly()
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"a.json"}


def test_the_guard_travels_and_ends(tmp_path):
    write("one", tmp_path / "a.json")
    write("two", tmp_path / "a.json", pickle.loads(pickle.dumps(DETECT)))
    write_text("a library call", tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "a library call"
