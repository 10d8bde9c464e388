"""An annotation team's week, small: composites, and others that stand for photographs."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

TRAINED = ("trained on candidates", "trained on corrections")


@pytest.mark.long
def test_a_week_leads_from_images_to_what_their_correction_is_worth(tmp_path):
    made = [sys.executable, "-m", "recipes.trace_mini", "composites", "--n", "2", "--seed", "9"]
    subprocess.run([*made, "--out", tmp_path / "photos", "--quiet"], check=True)
    week = [sys.executable, "-m", "benchmarks.masks.week", tmp_path / "week", "--composites", "3"]
    week += ["--held-out", "1", "--side", "128", "--size", "64"]
    week += ["--steps", "1" if find_spec("torchvision") else "0"]
    photographs = [tmp_path / "photos" / "images", tmp_path / "photos" / "panoptic.json", "2"]
    done = subprocess.run(
        [*week, "--photographs", *photographs], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "week" / "week.json").read_text(encoding="utf-8"))
    found = record["correction"]
    assert record["annotate"]["done"] == found["images"] == 5
    assert found["prelabels"] > 0
    assert 0 < found["clicks"] <= found["clicks_from_nothing"]
    for file in (
        "cvat/annotations.xml",
        "label-studio/tasks.json",
        "yolo/data.yaml",
        "report.html",
    ):
        assert (tmp_path / "week" / file).is_file()
    if find_spec("torchvision"):
        assert all(0 <= record[name]["ap"] <= 1 for name in TRAINED)
    assert "clicks of" in done.stdout
