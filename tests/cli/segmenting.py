"""`trace-edges segment`, run as tests do."""

from pathlib import Path

from typer.testing import CliRunner

from trace_edges.cli import app

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SMALL = ["--resolution", "64", "--device", "cpu"]
FAST = [*SMALL, "--training-free", "--subcell", "1", "--timestep", "0"]


def run(*arguments):
    return CliRunner().invoke(app, ["segment", *map(str, arguments)])


def lines(text):
    return [line for line in text.splitlines() if line.strip()]
