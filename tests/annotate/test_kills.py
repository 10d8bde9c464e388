"""`trace-edges annotate` with the embedded model, killed at random moments."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
def test_seven_kills_change_no_byte_and_lose_no_picture(tmp_path):
    command = [sys.executable, ROOT / "benchmarks" / "annotate_kills.py", ROOT / "examples"]
    options = ["--count", "60", "--broken", "8", "--kills", "7", "--to", "tar"]
    options += ["--work", tmp_path / "work", "--json", tmp_path / "record.json"]
    ended = subprocess.run([*map(str, command + options)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["same_bytes"]
    assert record["kills_amid_results"] >= 1, "no kill fell into the work"
