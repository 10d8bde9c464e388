"""An annotation team's week, small: composites, and others that stand for photographs."""

import json
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec

import pytest

from trace_edges.formats.exchange import open_masks
from trace_edges.formats.labelled import photographs_in


@pytest.mark.timeout(900)
@pytest.mark.long
def test_a_week_leads_from_images_to_what_their_correction_is_worth(tmp_path):
    """Every step has its result: 3 composites and 2 images that stand for photographs."""
    made = [sys.executable, "-m", "recipes.trace_mini", "composites", "--n", "2", "--seed", "9"]
    subprocess.run([*made, "--out", tmp_path / "photos", "--quiet"], check=True)
    week = [sys.executable, "-m", "benchmarks.masks.week", tmp_path / "week", "--composites", "3"]
    week += ["--held-out", "2", "--side", "128", "--size", "64"]
    week += ["--steps", "2" if find_spec("torchvision") else "0"]
    photographs = [tmp_path / "photos" / "images", tmp_path / "photos" / "panoptic.json", "2"]
    done = subprocess.run(
        [*week, "--photographs", *photographs], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    out = tmp_path / "week"
    record = json.loads((out / "week.json").read_text(encoding="utf-8"))
    candidates = json.loads((out / "results" / "instances.json").read_text(encoding="utf-8"))
    files = {image["id"]: image["file_name"] for image in candidates["images"]}
    assert len(files) == record["annotate"]["done"] == 5
    assert all(mark["score"] >= 0.05 for mark in candidates["annotations"])  # --min-score
    for tool in ("cvat", "label-studio", "yolo"):  # what each tool gets are the candidates
        read = open_masks(out / tool, photographs=photographs_in(out / "images")).images
        there = {one.photograph: len(one.masks) for one in read}
        counted = Counter(files[mark["image_id"]] for mark in candidates["annotations"])
        assert there == {file: counted[file] for file in files.values()}
    found = record["correction"]
    assert found["images"] == 5
    assert found["prelabels"] == len(candidates["annotations"]) > 0
    true = json.loads((out / "corrected.json").read_text(encoding="utf-8"))
    assert found["corrected"] == len(true["annotations"])
    assert 0 < found["clicks"] <= found["clicks_from_nothing"]
    assert len(list((out / "report_files").rglob("*.jpg"))) == 5
    assert (out / "report.html").read_text(encoding="utf-8").count('"disagreement":') == 5
    shuffled = json.loads((out / "shuffled.json").read_text(encoding="utf-8"))
    assert shuffled["annotations"] != true["annotations"]  # the control: masks of other images
    judged = ["candidates, untrained"]
    if find_spec("torchvision"):
        judged += [f"trained on {name}" for name in ("candidates", "corrections", "shuffled")]
    assert {name for name in record if "trained" in name} == set(judged)
    assert all(0 <= record[name]["ap"] <= 1 for name in judged)
    assert done.stdout.count("AR@100") == len(judged)
