from typing import get_args

import pytest

from trace_edges.formats.edge_maps import EdgeFormat
from trace_edges.formats.labels import export_labels
from trace_edges.formats.registry import FORMATS, Role, get_format, names, truth_kinds


def test_every_name_leads_to_a_function():
    for one in FORMATS:
        roles = [role for role in get_args(Role) if getattr(one, role)]
        assert roles, one.name
        for role in roles:
            assert callable(one.function(role))


def test_names_are_plain_and_differ():
    assert len(set(names())) == len(FORMATS)


def test_lists_of_choices():
    assert names(writes="instances") == (
        "coco-instances", "coco-results", "labels", "yolo", "label-studio",
    )  # fmt: skip
    assert names(writes="panoptic") == ("coco-panoptic",)
    assert names(reads="semantic") == ("semantic",)
    assert names(reads="edges") == get_args(EdgeFormat)
    assert "voc" not in names(reads="instances")  # it is read as ground truth alone
    with pytest.raises(ValueError, match="unknown content 'masks': choose from edges, instances"):
        names(writes="masks")


def test_kinds_of_ground_truth_and_which_of_them_are_drawn():
    assert truth_kinds() == (
        "coco-panoptic", "coco-instances", "voc", "bsds", "labels", "boundaries",
    )  # fmt: skip
    assert truth_kinds("edges") == ("bsds", "boundaries")


def test_a_format_gives_its_functions_or_says_that_it_has_none():
    assert get_format("labels").function("write") is export_labels
    with pytest.raises(ValueError, match="format voc has no function to write"):
        get_format("voc").function("write")
    with pytest.raises(ValueError, match="unknown format 'gif': choose from coco-panoptic"):
        get_format("gif")
