"""The script for published maps, on a data set made here: BSDS itself is not there."""

import json
import sys

import numpy as np
from PIL import Image
from scipy.io import savemat

from benchmarks.edges import published


def test_maps_that_are_the_truth_reach_1_and_stand_beside_the_published_numbers(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "truth").mkdir()
    (tmp_path / "maps").mkdir()
    for name, column in (("1", 150), ("2", 300)):
        drawn = np.zeros((321, 481), dtype=np.uint8)
        drawn[:, column] = 1
        labels = 1 + (np.arange(481) >= column) * np.ones((321, 1))
        cell = np.empty((1, 1), dtype=object)
        cell[0, 0] = {"Segmentation": labels.astype(np.uint16), "Boundaries": drawn}
        savemat(tmp_path / "truth" / f"{name}.mat", {"groundTruth": cell})
        Image.fromarray(200 * drawn).save(tmp_path / "maps" / f"{name}.png")
    given = ["--maps", f"PiDiNet={tmp_path / 'maps'}", "--truth", str(tmp_path / "truth")]
    monkeypatch.setattr(sys, "argv", ["published", *given, "--out", str(tmp_path / "out.json")])
    published.main()
    text = capsys.readouterr().out
    rows = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [(row["nms"], row["images"]) for row in rows] == [("toolbox", 2), ("ridges", 2)]
    assert rows[1]["ours"] == [1, 1]
    assert rows[0]["published"] == [0.807, 0.823]
    assert "0.807 (+0.1930) | 0.823 (+0.1770) | no |" in text
