"""What command lines of many tests share: examples, and words that make them fast."""

from pathlib import Path

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SMALL = ["--resolution", "64", "--device", "cpu"]
FAST = [*SMALL, "--training-free", "--subcell", "1", "--timestep", "0"]


def lines(text):
    return [line for line in text.splitlines() if line.strip()]
