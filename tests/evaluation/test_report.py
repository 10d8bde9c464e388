"""The files of a report, and the colours of mistakes."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from trace_edges.evaluation.edges import evaluate_edge_folders
from trace_edges.evaluation.report import (
    FALSE,
    FOUND,
    MISSED,
    comparison_sheet,
    mistakes,
    write_report,
)
from trace_edges.metrics.counts import EdgeTruth
from trace_edges.metrics.protocol import EdgeProtocol

TEN = EdgeProtocol(thresholds=10)


def test_the_report_holds_the_protocol_beside_every_number(methods, truth, tmp_path):
    pytest.importorskip("matplotlib")
    result = evaluate_edge_folders(methods, truth, TEN)
    scores, table, curves, picture = write_report(result, tmp_path / "out", {"kind": "labels"})
    record = json.loads(scores.read_text(encoding="utf-8"))
    assert record["protocol"]["thresholds"] == 10
    assert record["methods"]["perfect"]["ods"] == 1
    assert record["kind"] == "labels"
    lines = table.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "| method | ODS | OIS | AP | R50 | clDice |"
    assert lines[2].startswith("| perfect | 1.000 | 1.000 |")  # best first
    assert "0.0075 of the diagonal" in lines[-1]
    with curves.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30
    assert {"method": "perfect", "precision": "1", "recall": "1"}.items() <= rows[0].items()
    assert Image.open(picture).size[0] > 300


def test_found_false_and_missed_edges_have_their_colours():
    truth, lines = np.zeros((2, 60, 60), dtype=bool)
    truth[10], truth[30] = True, True
    lines[11], lines[50] = True, True  # one pixel off, and where nothing is
    picture = mistakes(
        np.full((60, 60, 3), 90, np.uint8),
        lines,
        EdgeTruth([truth]),
        EdgeProtocol(max_distance=0.02),
    )
    pixels = np.asarray(picture)
    assert tuple(pixels[11, 30]) == FOUND
    assert tuple(pixels[50, 30]) == FALSE
    assert tuple(pixels[30, 30]) == MISSED
    assert tuple(pixels[0, 30]) == (30, 30, 30)


def test_the_sheet_has_a_row_per_method(methods, truth):
    result = evaluate_edge_folders(methods, truth, TEN)
    sheet = comparison_sheet(result, truth, examples=1)
    one = comparison_sheet(evaluate_edge_folders({"x": methods["perfect"]}, truth, TEN), truth)
    assert sheet.height > 2.5 * one.height
