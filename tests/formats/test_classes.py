"""Tables of classes: what the numbers of semantic maps stand for."""

import json

import pytest

from trace_edges.formats.classes import ClassTable, read_class_table, table_of_numbers
from trace_edges.results import Category


def _written(path, content):
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_tables_of_classes(tmp_path):
    entries = [{"id": 4, "name": "x", "isthing": 1}, {"id": 9, "name": "y", "isthing": 0}]
    listed = _written(tmp_path / "list.json", entries)
    inside = _written(tmp_path / "inside.json", {"categories": entries})
    assert read_class_table(listed) == read_class_table(inside)
    assert read_class_table(listed).by_number == {4: 4, 9: 9}
    contiguous = read_class_table(listed, contiguous=True)
    assert contiguous.by_number == {1: 4, 2: 9}
    assert (contiguous.things, contiguous.stuff) == ({4}, {9})
    numbers = table_of_numbers([3], [0])
    assert (numbers.things, numbers.stuff) == ({3}, {0})


def test_tables_that_say_two_things_are_refused(tmp_path):
    with pytest.raises(ValueError, match="class 2 is listed as a thing and as stuff"):
        table_of_numbers([1, 2], [2])
    with pytest.raises(ValueError, match=r"other\.json: categories.0. .id 1. lacks isthing"):
        read_class_table(_written(tmp_path / "other.json", [{"id": 1, "name": "x"}]))
    with pytest.raises(ValueError, match="an id of its own"):
        ClassTable((Category(1, "x", True), Category(1, "y", True)), {1: 1})
    with pytest.raises(ValueError, match="255"):
        table_of_numbers([255])
