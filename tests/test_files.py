"""Files are written whole or not at all."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from trace_edges.files import remove_temporaries, write_atomically


def write_half(target, error, named=False):
    with write_atomically(target) as temporary:
        temporary.write_text("half", encoding="utf-8")
        if named:
            error.filename = str(temporary)
        if error:
            raise error


def deny(source, target):
    raise PermissionError(errno.EACCES, "Permission denied", str(source))


def left(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_writing_replaces_the_file_at_the_end(tmp_path):
    target = tmp_path / "new" / "folder" / "edges.png"
    for content in ("first", "second"):
        with write_atomically(target) as temporary:
            temporary.write_text(content, encoding="utf-8")
            assert temporary.parent == target.parent
            assert temporary.suffix == ".png"
            assert temporary.name.startswith(".")
            assert not target.exists() or target.read_text(encoding="utf-8") == "first"
        assert target.read_text(encoding="utf-8") == content
        assert left(tmp_path) == ["edges.png"]


def test_two_writers_do_not_meet(tmp_path):
    target = tmp_path / "a.txt"
    with write_atomically(target) as one, write_atomically(str(target)) as two:
        assert one != two
        one.write_text("one", encoding="utf-8")
        two.write_text("two", encoding="utf-8")
    assert target.read_text(encoding="utf-8") == "one"
    assert left(tmp_path) == ["a.txt"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_the_file_gets_the_usual_permissions(tmp_path):
    (tmp_path / "plain").touch()
    with write_atomically(tmp_path / "atomic") as temporary:
        temporary.touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "atomic")}
    assert len(modes) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError, RuntimeError])
def test_any_exception_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(error):
        write_half(target, error())
    assert target.read_text(encoding="utf-8") == "old"
    assert left(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("named", [True, False])
def test_a_full_disk_leaves_nothing_and_names_the_file(tmp_path, named):
    target = tmp_path / "a.png"
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left") as caught:
        write_half(target, error, named)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(target)
    assert left(tmp_path) == []


def test_further_errors_of_the_system_name_the_right_file(tmp_path, monkeypatch):
    target = tmp_path / "a.png"
    with pytest.raises(OSError, match=r"a\.png: encoder error"), write_atomically(target):
        raise OSError("encoder error -2")
    with pytest.raises(FileNotFoundError, match=r"lost\.png"), write_atomically(target):
        (tmp_path / "lost.png").read_bytes()
    with pytest.raises(FileNotFoundError, match=r"a\.png"), write_atomically(target):
        pass  # nothing was written
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"), write_atomically(tmp_path / "file" / "a.png"):
        pytest.fail("there is no folder to write to")

    monkeypatch.setattr(Path, "replace", deny)
    with pytest.raises(PermissionError, match=r"'.*a\.png'$"):
        write_half(target, None)
    assert left(tmp_path) == ["file"]


def test_what_a_killed_writer_left_is_taken_away_and_nothing_else(tmp_path):
    (tmp_path / "below").mkdir()
    kept = [tmp_path / name for name in ("a.png", ".part.png", ".0123.part.png", "below/b.part")]
    for path in kept:
        path.touch()
    writer = """
import os, sys
from trace_edges.files import write_atomically
with write_atomically(sys.argv[1]) as temporary:
    temporary.touch()
    print(flush=True)
    if sys.stdin.readline():
        os._exit(1)
"""
    command = [sys.executable, "-c", writer, str(tmp_path / "below" / "c.png")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    killed, alive = (subprocess.Popen(command, **pipes) for _ in range(2))
    for process in (killed, alive):
        process.stdout.readline()
    killed.communicate("\n")
    assert len(list((tmp_path / "below").iterdir())) == 3
    remove_temporaries(tmp_path)
    assert len(list((tmp_path / "below").iterdir())) == 2  # a process writes there
    alive.communicate("\n")
    remove_temporaries(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)
