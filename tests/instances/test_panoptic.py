import numpy as np
import pytest

from trace_edges.instances import panoptic_from_semantic
from trace_edges.metrics.boundaries import boundaries_from_labels

CAR, PERSON, ROAD, VOID = 3, 1, 8, 255


def street():
    """Two cars side by side, the right one split by a person in front; road around, some void."""
    instances = np.full((60, 120), 1)
    instances[20:40, 10:50] = 2
    instances[20:40, 50:100] = 3
    instances[10:50, 82:92] = 4
    instances[55:, 100:] = 5
    classes = np.array([0, ROAD, CAR, CAR, PERSON, VOID])
    return classes[instances], boundaries_from_labels(instances).astype(np.float32), instances


def test_a_street():
    semantic, edges, instances = street()
    result = panoptic_from_semantic(semantic, edges, {CAR, PERSON})
    found = [(s.id, s.category, s.thing) for s in result.segments]
    assert found == [(1, PERSON, True), (2, CAR, True), (3, CAR, True), (4, ROAD, False)]
    assert np.array_equal(result.ids > 0, semantic != VOID)
    assert np.array_equal(result.ids == 1, instances == 4)
    assert np.array_equal(result.ids == 4, instances == 1)
    # Both cars have 800 px. The line between them is drawn on one side of the boundary.
    for car in (2, 3):
        overlap = (instances == car)[:, :, None] & (result.ids[:, :, None] == [2, 3])
        assert overlap.sum(axis=(0, 1)).max() >= 780


def test_stuff_in_front_does_not_join_and_stuff_has_one_segment():
    semantic, edges, _ = street()
    result = panoptic_from_semantic(semantic, edges, {CAR}, {PERSON})
    assert [(s.category, s.thing) for s in result.segments] == [(PERSON, False)] + 3 * [(CAR, True)]
    assert (result.ids[semantic == ROAD] == 0).all()


def test_stuff_in_parts_with_an_edge_through_it_is_one_segment():
    semantic = np.full((20, 40), ROAD)
    semantic[:, 25:30] = VOID
    edges = np.zeros((20, 40), dtype=np.float32)
    edges[:, 10] = 1
    result = panoptic_from_semantic(semantic, edges, {CAR})
    assert [s.category for s in result.segments] == [ROAD]
    assert np.array_equal(result.ids, semantic == ROAD)
    assert result.ids.dtype == np.int32


def test_an_instance_of_its_own_class_hides_no_part_of_a_thing():
    """Three cars touch in a row. The last is small enough to be a part of the first, seen on the
    other side of the one in the middle, if that were something else than a car."""
    edges = np.zeros((20, 70), dtype=np.float32)
    edges[:, 40] = edges[:, 60] = 1
    semantic = np.full((20, 70), CAR)
    assert len(panoptic_from_semantic(semantic, edges, {CAR, PERSON}).segments) == 3
    semantic[:, 40:60] = PERSON
    result = panoptic_from_semantic(semantic, edges, {CAR, PERSON})
    assert [s.category for s in result.segments] == [PERSON, CAR]


def test_void_can_be_any_number_or_none():
    semantic, edges, _ = street()
    result = panoptic_from_semantic(semantic, edges, {CAR}, void=None)
    assert [s.category for s in result.segments if not s.thing] == [PERSON, ROAD, VOID]
    result = panoptic_from_semantic(semantic, edges, {CAR}, void=ROAD)
    assert (result.ids[semantic == ROAD] == 0).all()


def test_a_map_without_things_or_without_anything():
    edges = np.zeros((4, 5))
    assert panoptic_from_semantic(np.full((4, 5), VOID), edges, {CAR}).segments == ()
    result = panoptic_from_semantic(np.zeros((4, 5), dtype=np.uint8), edges, ())
    assert [(s.category, s.thing) for s in result.segments] == [(0, False)]


def test_wrong_input():
    semantic, edges, _ = street()
    with pytest.raises(ValueError, match="one number per class"):
        panoptic_from_semantic(semantic.astype(float), edges, {CAR})
    with pytest.raises(ValueError, match=r"one number per class"):
        panoptic_from_semantic(np.stack([semantic] * 2), np.stack([edges] * 2), {CAR})
    with pytest.raises(ValueError, match="class 3 is a thing and also stuff or void"):
        panoptic_from_semantic(semantic, edges, {CAR}, {CAR, ROAD})
    with pytest.raises(ValueError, match="swapped"):
        panoptic_from_semantic(semantic, edges.T, {CAR})


def test_names_of_classes_are_refused():
    semantic, edges, _ = street()
    with pytest.raises(ValueError, match="'dog' is not the number of a class"):
        panoptic_from_semantic(semantic, edges, things=["dog"])
    with pytest.raises(ValueError, match=r"things is a collection of classes: give \{1\}"):
        panoptic_from_semantic(semantic, edges, things=1)
    known = panoptic_from_semantic(semantic, edges, {CAR}).segments
    assert panoptic_from_semantic(semantic, edges, np.array([CAR])).segments == known
