import numpy as np
import pytest

from trace_edges.metrics.panoptic import Panoptic, SegmentInfo, panoptic_counts, panoptic_quality
from trace_edges.results import Category

CAT, DOG, GRASS = 1, 2, 3
CATEGORIES = (
    Category(CAT, "cat", True),
    Category(DOG, "dog", True),
    Category(GRASS, "grass", False),
)
VOC = (*(Category(i, f"thing {i}", True) for i in range(1, 21)), Category(50, "background", False))


def columns(*segments):
    """A picture 10 px high: segments of (category, width) or (category, width, crowd) from left.

    A category of 0 leaves its columns void. Ids are 10, 20, ... by place.
    """
    ids, listed = [], []
    for place, (category, width, *crowd) in enumerate(segments, 1):
        ids += [10 * place if category else 0] * width
        if category:
            listed.append(SegmentInfo(10 * place, category, *crowd))
    return Panoptic(np.tile(np.array(ids, dtype=np.int32), (10, 1)), tuple(listed))


def score(prediction, truth, categories=CATEGORIES):
    return panoptic_quality([(prediction, truth)], categories)


def counts(prediction, truth):
    """(tp, fp, fn) of cats, then of dogs."""
    total = panoptic_counts(prediction, truth, CATEGORIES)
    return [(int(total.tp[k]), int(total.fp[k]), int(total.fn[k])) for k in (0, 1)]


def test_a_perfect_prediction_scores_one():
    image = columns((CAT, 4), (CAT, 3), (0, 3), (GRASS, 10))
    scores = score(image, image)
    for mean, classes in ((scores.all, 2), (scores.things, 1), (scores.stuff, 1)):
        assert (mean.pq, mean.sq, mean.rq, mean.classes) == (1, 1, 1, classes)
    # Dogs are in neither picture and in no mean.
    assert [c.pq for c in scores.per_class] == [1, None, 1]
    assert (scores.images, scores.categories, scores.protocol) == (1, 3, "coco")


def test_one_split():
    # A cat of 60 px in two parts: 40 / 60 = 2/3 matches, 20 / 60 is wrong.
    scores = score(columns((CAT, 4), (CAT, 2), (GRASS, 4)), columns((CAT, 6), (GRASS, 4)))
    cat = scores.per_class[0]
    assert (cat.tp, cat.fp, cat.fn) == (1, 1, 0)
    assert (cat.sq, cat.rq, cat.pq) == pytest.approx((2 / 3, 1 / 1.5, 4 / 9))
    assert (scores.things.pq, scores.stuff.pq) == pytest.approx((4 / 9, 1))
    assert scores.all.pq == pytest.approx((4 / 9 + 1) / 2)
    assert scores.all.sq == pytest.approx((2 / 3 + 1) / 2)


def test_one_merge():
    # Cats of 40 and 20 px as one: 40 / 60 = 2/3 matches, the other cat is missed.
    scores = score(columns((CAT, 6), (GRASS, 4)), columns((CAT, 4), (CAT, 2), (GRASS, 4)))
    cat = scores.per_class[0]
    assert (cat.tp, cat.fp, cat.fn) == (1, 0, 1)
    assert (cat.sq, cat.rq, cat.pq) == pytest.approx((2 / 3, 1 / 1.5, 4 / 9))


def test_an_iou_of_one_half_is_no_match():
    halves, whole = columns((CAT, 5), (CAT, 5)), columns((CAT, 10))
    assert counts(halves, whole)[0] == (0, 2, 1)
    assert counts(whole, halves)[0] == (0, 1, 2)
    scores = score(halves, whole)
    assert (scores.all.pq, scores.all.sq, scores.all.rq) == (0, 0, 0)
    assert (scores.stuff.pq, scores.stuff.classes) == (None, 0)


def test_the_class_must_agree():
    assert counts(columns((DOG, 10)), columns((CAT, 10))) == [(0, 0, 1), (0, 1, 0)]


def test_void_of_the_truth_does_not_count_in_the_union():
    # 60 px, 20 of them on void: union 60 + 40 - 40 - 20 = 40.
    scores = score(columns((CAT, 6), (0, 4)), columns((CAT, 4), (0, 6)))
    assert scores.all.pq == pytest.approx(1)


def test_void_of_the_prediction_counts():
    scores = score(columns((CAT, 6), (0, 4)), columns((CAT, 8), (0, 2)))
    assert scores.per_class[0].sq == pytest.approx(6 / 8)


@pytest.mark.parametrize(("on_void", "wrong"), [(5, 1), (6, 0)])
def test_a_wrong_segment_is_dropped_if_more_than_half_is_void(on_void, wrong):
    prediction = columns((0, 10), (DOG, 10), (0, 10))
    truth = columns((CAT, 20 - on_void), (0, 10 + on_void))
    assert counts(prediction, truth) == [(0, 0, 1), (0, wrong, 0)]


@pytest.mark.parametrize(("first", "wrong"), [(0, 0), (1, 1)])
def test_more_than_half_is_counted_to_the_pixel(first, wrong):
    """A dog from here to pixel 10, of which the first six are void: 6 of 11, or 5 of 10."""
    place = np.arange(12)[None]
    truth = Panoptic(np.where(place < 6, 0, 10), (SegmentInfo(10, CAT),))
    dog = Panoptic(np.where((place >= first) & (place < 11), 10, 0), (SegmentInfo(10, DOG),))
    assert counts(dog, truth)[1] == (0, wrong, 0)


def test_a_crowd_is_never_missed_and_takes_its_own_class_only():
    truth = columns((CAT, 10, True), (GRASS, 10))
    assert counts(columns((0, 10), (GRASS, 10)), truth) == [(0, 0, 0), (0, 0, 0)]
    assert counts(columns((CAT, 5), (CAT, 5), (GRASS, 10)), truth) == [(0, 0, 0), (0, 0, 0)]
    assert counts(columns((CAT, 10), (GRASS, 10)), truth) == [(0, 0, 0), (0, 0, 0)]
    assert counts(columns((DOG, 10), (GRASS, 10)), truth) == [(0, 0, 0), (0, 1, 0)]


def test_void_and_crowd_add_up():
    # 40 px on void, 20 on the crowd, 40 on grass: together more than half.
    prediction = columns((CAT, 10), (0, 10))
    truth = columns((0, 4), (CAT, 2, True), (GRASS, 14))
    assert counts(prediction, truth)[0] == (0, 0, 0)
    assert counts(prediction, columns((0, 4), (DOG, 2, True), (GRASS, 14)))[0] == (0, 1, 0)


def test_crowds_without_pixels_say_nothing():
    image = columns((CAT, 10))
    listed = Panoptic(image.ids, (*image.segments, SegmentInfo(99, CAT, True)))
    assert counts(listed, listed)[0] == (1, 0, 0)


def test_counts_add_up_over_images_before_they_are_divided():
    # A match of IoU 1 and a miss, in two images: PQ 1 / 1.5, not the mean of 1 and 0.
    found, missed = columns((CAT, 10)), columns((0, 10))
    scores = panoptic_quality([(found, found), (missed, found)], CATEGORIES)
    assert scores.all.pq == pytest.approx(1 / 1.5)
    assert scores.images == 2


def test_voc_is_the_mean_of_twenty_things_and_background():
    truth = columns(*((i, 2) for i in range(1, 21)), (50, 10))
    prediction = columns(*((i if i <= 10 else 0, 2) for i in range(1, 21)), (50, 10))
    scores = panoptic_quality([(prediction, truth)], VOC, "voc")
    assert (scores.things.pq, scores.stuff.pq) == (0.5, 1)
    assert scores.all.pq == pytest.approx(11 / 21)
    assert (scores.all.classes, scores.protocol) == (21, "voc")


def test_voc_asks_for_its_classes():
    image = columns((CAT, 4))
    with pytest.raises(ValueError, match=r"20 things and one stuff class.*not 2 and 1"):
        panoptic_quality([(image, image)], CATEGORIES, "voc")
    with pytest.raises(ValueError, match="unknown protocol 'lvis'"):
        panoptic_quality([(image, image)], CATEGORIES, "lvis")


@pytest.mark.parametrize(
    ("ids", "segments", "words"),
    [
        ([[0, 7]], [], "segment 7 is in the image but not listed"),
        ([[7, 3]], [SegmentInfo(3, CAT)], "segment 7 is in the image but not listed"),
        (
            [[0, 7]],
            [SegmentInfo(7, CAT), SegmentInfo(8, CAT)],
            "segment 8 is listed but not in the image",
        ),
        ([[0, 7]], [SegmentInfo(7, CAT), SegmentInfo(7, DOG)], "segment 7 is listed twice"),
        ([[0, 7]], [SegmentInfo(7, CAT), SegmentInfo(0, DOG)], "the id 0, which is void"),
        ([0, 7], [SegmentInfo(7, CAT)], r"one map \(h, w\)"),
    ],
)
def test_picture_and_list_must_agree(ids, segments, words):
    with pytest.raises(ValueError, match=words):
        Panoptic(np.array(ids), segments)


def test_pairs_must_fit():
    with pytest.raises(ValueError, match=r"the prediction is \(10, 4\) in size"):
        score(columns((CAT, 4)), columns((CAT, 5)))
    with pytest.raises(ValueError, match="segment 10 is of category 8, which the ground truth"):
        score(columns((8, 4)), columns((CAT, 4)))
    with pytest.raises(ValueError, match="no image to evaluate"):
        panoptic_quality([], CATEGORIES)
    with pytest.raises(ValueError, match="two categories share an id"):
        panoptic_quality([], (*CATEGORIES, CATEGORIES[0]))


def test_of_two_crowds_of_a_class_both_count():
    """More than half of the cat lies on the two together, a third on either; see the module."""
    truth = columns((CAT, 4, True), (CAT, 4, True), (GRASS, 4))
    assert counts(columns((CAT, 12)), truth)[0] == (0, 0, 0)
