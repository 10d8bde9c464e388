"""What is pasted onto photographs, and the labels that come with it."""

import numpy as np
import pytest

from trace_edges.distillation.labels import Labels
from trace_edges.distillation.pasting import Thing, draw_lump, draw_twin, paste

SIZE = (96, 128)


def photograph(value, strength):
    image = np.full((*SIZE, 3), value, np.uint8)
    return image, Labels(np.full(SIZE, strength, np.float32), np.ones(SIZE, bool))


@pytest.fixture
def disc():
    rows, columns = np.ogrid[:64, :64]
    inside = np.hypot(rows - 31.5, columns - 31.5) < 28
    return np.dstack([np.full((64, 64, 3), 250, np.uint8), inside * np.uint8(255)])


def pasted(seed, sprites=(), strength=0.0):
    dark, bright = photograph(40, strength), photograph(200, strength)
    return paste(*dark, lambda: bright, sprites, 1.5, np.random.default_rng(seed))


def test_the_same_draw_gives_the_same_photograph_and_another_gives_another(disc):
    (one, labels), (same, again) = pasted(0, [disc]), pasted(0, [disc])
    assert np.array_equal(one, same)
    assert np.array_equal(labels.target, again.target)
    assert not np.array_equal(one, pasted(1, [disc])[0])


@pytest.mark.parametrize("seed", range(5))
def test_an_edge_lies_where_the_image_changes_and_nowhere_else(seed):
    image, labels = pasted(seed)
    grey = image.mean(-1)
    steep = np.hypot(*np.gradient(grey)) > 40
    assert labels.target.max() == 1
    # Beside an outline, older outlines are cleared, and a little of their change stays.
    assert (labels.target[steep] > 0.3).mean() > 0.9
    assert np.ptp(grey[labels.target < 1e-3]) > 100  # no edges inside or outside: both grounds


def test_the_labels_of_what_is_covered_go_and_those_of_a_piece_come():
    _, labels = pasted(0, strength=0.4)
    values = np.unique(labels.target)
    assert np.isclose(values, 0.4).any()  # the photograph's and the pieces' own
    assert (values == 1).any()


def test_inside_an_object_there_is_no_edge(disc):
    everything_is_edge = photograph(40, 0.4)
    image, labels = paste(
        *everything_is_edge, lambda: everything_is_edge, [disc], 1.5, np.random.default_rng(3)
    )
    inside = image.min(-1) > 235
    assert inside.any()
    outline = labels.target[inside]
    assert (outline < 0.01).any()
    assert not np.isclose(outline, 0.4).any()


def test_a_lump_has_about_its_radius():
    rng = np.random.default_rng(0)
    areas = [draw_lump((200, 200), 20, rng).sum() for _ in range(40)]
    assert 0.4 < np.median(areas) / (np.pi * 20**2) < 1.5


@pytest.mark.parametrize("seed", range(5))
def test_a_twin_lies_right_beside_the_first_and_looks_like_it(disc, seed):
    room = ((68, 68), (68, 68))
    alpha = np.pad(disc[..., 3] / np.float32(255), room)
    colours = np.pad(disc[..., :3], (*room, (0, 0))) * alpha[..., None]
    inside = Labels(alpha * np.float32(0.4), np.ones(alpha.shape, bool))
    twin = draw_twin(Thing(colours, alpha, inside), np.random.default_rng(seed))
    shown, first = twin.alpha > 0.5, alpha > 0.5
    assert 0.75 < shown.sum() / first.sum() < 1.25
    assert abs(twin.colours[shown].mean() - 250) < 25
    assert np.median(twin.labels.target[shown]) == pytest.approx(0.4)
    centres = [np.argwhere(one).mean(axis=0) for one in (first, shown)]
    assert 0.55 * 56 < np.hypot(*(centres[1] - centres[0])) < 1.05 * 56


def test_what_is_not_said_stays_unsaid_but_for_outlines():
    image, labels = photograph(40, 0.0)
    unsaid = Labels(labels.target, np.zeros(SIZE, bool))
    _, found = paste(image, unsaid, lambda: (image, unsaid), (), 1.5, np.random.default_rng(0))
    assert found.counts[found.target > 0.5].all()
    assert not found.counts.all()
