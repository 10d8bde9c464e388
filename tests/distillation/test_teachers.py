"""Teachers: how many views there are, how each is described, and that labels are of their mean."""

import numpy as np
import pytest

from trace_edges.backbones import load_backbone
from trace_edges.detector import EdgeDetector, Student, StudentSettings
from trace_edges.distillation.labels import LabelSettings
from trace_edges.distillation.teachers import Averaging, StudentTeacher, TrainingFreeTeacher
from trace_edges.training_free.pipeline import TraceEdgePipeline
from trace_edges.training_free.settings import TraceSettings

SETTINGS = TraceSettings(timestep=99, trajectory="noise", resolution=64)
IMAGE = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
LITERAL = LabelSettings(rule="literal")


@pytest.fixture
def backbone(tiny_pixart):
    return load_backbone(tiny_pixart())


@pytest.fixture
def teacher(backbone):
    def make(**several):
        return TrainingFreeTeacher(TraceEdgePipeline(backbone), SETTINGS, Averaging(**several))

    return make


@pytest.fixture
def student_teacher(backbone):
    student = Student(backbone, StudentSettings(blocks=(0, 1), width=16))

    def make(**several):
        return StudentTeacher(EdgeDetector(student, 64), Averaging(**several))

    return make


def test_views_are_all_combinations_and_no_two_are_described_alike(teacher):
    views = teacher(
        resolutions=(64, 96), timesteps=(99, 199), seeds=(0, 1, 2), mirror=True
    ).views  # fmt: skip
    assert len(views) == 2 * 2 * 3 * 2
    assert len({repr(sorted(view.description.items(), key=str)) for view in views}) == len(views)


def test_one_view_is_as_the_settings_say(teacher):
    (view,) = teacher().views
    assert (view.description["timestep"], view.description["resolution"]) == (99, 64)
    values = view.read(IMAGE)
    assert values.ndim == 2
    assert (values >= 0).all()


def test_a_mirrored_view_reads_the_mirrored_image_and_turns_back(teacher):
    straight, mirrored = teacher(mirror=True).views
    turned = np.ascontiguousarray(IMAGE[:, ::-1])
    assert np.array_equal(mirrored.read(turned), straight.read(IMAGE)[:, ::-1])


def test_labels_are_those_of_the_mean_of_the_views(teacher):
    made = teacher()
    low, high = np.zeros((4, 6), np.float32), np.zeros((4, 6), np.float32)
    high[:, 3] = 2.0
    both = made.labels([low, high], IMAGE, LITERAL)
    mean = made.labels([(low + high) / 2], IMAGE, LITERAL)
    assert np.array_equal(both.target, mean.target)


def test_views_of_several_grids_meet_on_the_finest(teacher):
    made = teacher()
    coarse, fine = np.ones((4, 6), np.float32), np.ones((8, 12), np.float32)
    fine[:, 6] = 3.0  # the edge is the fine grid's alone
    labels = made.labels([coarse, fine], IMAGE, LITERAL)
    alone = made.labels([(fine + 1) / 2], IMAGE, LITERAL)
    assert np.array_equal(labels.target, alone.target)


def test_a_student_teaches_at_the_resolutions_asked_for(student_teacher):
    first, second = student_teacher(resolutions=(64, 96)).views
    assert first.read(IMAGE).size < second.read(IMAGE).size
    assert first.description["detector"] == second.description["detector"]
    made = student_teacher()
    labels = made.labels([made.views[0].read(IMAGE)], IMAGE, LabelSettings())
    assert labels.target.shape == (64, 96)
    assert 0 <= labels.target.min() <= labels.target.max() <= 1


def test_a_students_line_becomes_a_line_and_the_rest_none(student_teacher):
    probability = np.full((64, 96), 0.02, np.float32)
    probability[:, 40:43] = 0.5
    labels = student_teacher().labels([probability], IMAGE, LabelSettings(snap=0))
    assert (labels.target[10:-10, 41] > 0.5).all()
    assert (labels.target[:, :30] < 0.05).all()


def test_a_student_has_neither_steps_nor_noise(student_teacher):
    with pytest.raises(ValueError, match="leave timesteps and seeds out"):
        student_teacher(timesteps=(99,))
