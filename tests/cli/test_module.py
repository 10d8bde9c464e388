"""`python -m trace_edges` is the command."""

import subprocess
import sys

import trace_edges


def test_the_package_runs_as_the_command():
    command = [sys.executable, "-m", "trace_edges", "--version"]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    assert found.stdout.split() == ["trace-edges", trace_edges.__version__]
