"""A reader that goes away, as `head -1` does, ends a command as it ends others of Unix."""

import json
import subprocess
import sys

import pytest
from PIL import Image


@pytest.mark.parametrize("words", [["backbones"], ["backbones", "--json"]])
def test_a_closed_pipe_is_no_error_of_ours(words):
    command = [sys.executable, "-m", "trace_edges", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    said = process.stderr.read()
    assert (process.wait(60), said) == (141, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="shells there cannot close a stream")
def test_closed_streams_change_nothing(tmp_path):
    """A file that is written must not get the number of a stream, and what is printed with it."""
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    command = f"{sys.executable} -m trace_edges detect a.png --out e 0>&- 1>&- 2>&-"
    assert subprocess.run(["sh", "-c", command], cwd=tmp_path, check=False).returncode == 0
    assert json.loads((tmp_path / "e" / "a.json").read_text(encoding="utf-8"))["height"] == 40
    names = {"a.edges.png", "a.overlay.png", "a.json", ".trace-edges"}
    assert {path.name for path in (tmp_path / "e").iterdir()} == names


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /dev/full")
@pytest.mark.parametrize("words", ["--help", "detect --help", "backbones"])
def test_what_cannot_be_printed_is_one_line(words):
    command = f"{sys.executable} -m trace_edges {words} > /dev/full"
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert "No space left on device" in ended.stderr
