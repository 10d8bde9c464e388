"""A reader that goes away, as `head -1` does, ends a command as it ends others of Unix."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("words", [["backbones"], ["backbones", "--json"]])
def test_a_closed_pipe_is_no_error_of_ours(words):
    command = [sys.executable, "-m", "trace_edges", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    said = process.stderr.read()
    assert (process.wait(60), said) == (141, b"")
