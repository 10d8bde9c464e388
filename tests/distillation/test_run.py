"""A whole distillation: labels, split, training, and the detector that is left."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trace_edges.backbones import load_backbone
from trace_edges.detector import EdgeDetector, StudentSettings
from trace_edges.distillation import CONFIGS, TrainingOptions, distill_detector
from trace_edges.distillation.run import CALIBRATION, split_photographs
from trace_edges.distillation.validation import OdsValidation
from trace_edges.files import FileError, _home
from trace_edges.results import Calibration
from trace_edges.training.curves import LINES
from trace_edges.training_free.pipeline import TraceEdgePipeline
from trace_edges.training_free.settings import TraceSettings

from .truth import bright_parts

SETTINGS = replace(
    CONFIGS["toy"],
    student=StudentSettings(blocks=(0, 1), width=16),
    teacher=TraceSettings(timestep=99, trajectory="noise", resolution=64),
    resolution=64, detect_resolution=96, crop=64, batch_size=2, steps=4, validate_every=2,
    save_every=2,
)  # fmt: skip
OPTIONS = TrainingOptions(hold_out=2)


@pytest.fixture
def photographs(tmp_path):
    """Four of noise, and one in between that cannot be read."""
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for path in paths:
        noise = np.random.default_rng(int(path.stem)).integers(0, 256, (64, 96, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    paths[2].write_bytes(b"no image")
    return paths


@pytest.fixture
def distil(tiny_pixart, photographs, tmp_path):
    """A function that distils into a folder, from random weights that are always the same."""
    folder = tiny_pixart()

    def call(out="run", teacher=None, settings=SETTINGS, **options):
        pipe = TraceEdgePipeline(load_backbone(folder))
        return distill_detector(
            photographs, tmp_path / out, settings, load_backbone(folder), teacher or pipe,
            **{"options": OPTIONS} | options,
        )  # fmt: skip

    return call


def config(folder):
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def test_the_detector_is_saved_with_how_it_was_trained(distil, photographs, tmp_path):
    unusable, steps = [], []
    detector = distil(on_unusable=unusable.append, on_step=steps.append)
    saved = EdgeDetector.from_pretrained(tmp_path / "run")
    assert np.array_equal(detector(photographs[0]).edges, saved(photographs[0]).edges)
    assert saved.resolution == 96
    training = config(tmp_path / "run")["training"]
    assert (training["photographs"], training["held_out"]) == (2, 2)
    assert [line["step"] for line in steps] == [1, 2, 3, 4]
    assert training["measured"] == {
        "validation loss, first": steps[0]["validation_loss"],
        "validation loss, last": steps[3]["validation_loss"],
    }
    (problem,) = unusable
    assert "2.png" in problem
    assert len(list((tmp_path / "run" / "labels").rglob("*.npy"))) == 4


def test_a_run_that_has_ended_is_started_again_and_changes_nothing(distil, tmp_path):
    distil()
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.is_file()}
    steps = []
    distil(on_step=steps.append)
    assert steps == []
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.is_file()} == before


def test_labels_lie_where_they_are_asked_for_and_a_student_teaches_the_next(distil, tmp_path):
    first = distil()
    second = distil("second", first, labels=tmp_path / "labels")
    assert len(list((tmp_path / "labels").rglob("*.npy"))) == 4
    assert not (tmp_path / "second" / "labels").exists()
    (view,) = second.training["looks"]
    assert view == {"detector": first.fingerprint(), "resolution": 96}


def test_the_best_ods_is_kept_with_the_detector(distil, tmp_path):
    values = [0.1, 0.4, 0.2]

    class ValidationFakedByAList:
        patience = 5

        def describe(self):
            return {}

        def __call__(self, student):
            return values.pop(0)

        def calibrate(self, detector):
            return None

    detector = distil(validation=ValidationFakedByAList())
    assert detector.training["measured"]["validation ODS"] == 0.4
    assert not (tmp_path / "run" / CALIBRATION).exists()


def test_the_calibration_is_of_the_detector_as_it_is_used(distil, photographs, tmp_path):
    truth = bright_parts(photographs[:2], tmp_path / "truth")
    detector = distil(validation=OdsValidation(photographs[:2], truth, 64))
    calibration = Calibration.load(tmp_path / "run" / CALIBRATION)
    assert calibration.made_with["resolution"] == 96
    assert calibration.made_with["weights"] == detector.fingerprint()
    calibrated = detector(photographs[0]).calibrated(calibration)
    assert np.array_equal(calibrated.edges, calibration(detector(photographs[0]).edges))
    with pytest.raises(ValueError, match="measured on edges with resolution 96"):
        detector(photographs[0], resolution=64).calibrated(calibration)


def test_progress_is_of_every_photograph_and_every_step(distil):
    shown = []

    class Shown:
        def __init__(self, total, what):
            self.line = [what, total, 0]

        def __enter__(self):
            shown.append(self.line)
            return self.advance

        def advance(self):
            self.line[2] += 1

        def __exit__(self, *error):
            pass

    distil(progress=Shown)
    assert shown == [["labels", 5, 5], ["distilling", 4, 4]]


def test_every_so_many_th_photograph_is_held_out():
    paths = [Path(str(number)) for number in range(5)]
    assert split_photographs(paths, 2) == ([paths[1], paths[3]], [paths[0], paths[2], paths[4]])
    with pytest.raises(ValueError, match="1 usable photographs are too few"):
        split_photographs(paths[:1], 2)


def test_the_options_of_the_run_decide_the_split(distil, tmp_path):
    distil(options=TrainingOptions(hold_out=4))
    assert config(tmp_path / "run")["training"]["photographs"] == 3
    assert len((tmp_path / "run" / LINES).read_text(encoding="utf-8").splitlines()) == 4


def files(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_run_that_was_stopped_leaves_the_same_files(distil, tmp_path):
    """Config, card, weights, labels, curves, pictures; and what a kill left half-written goes."""

    class StoppedError(Exception):
        pass

    def stop(line):
        if line["step"] == 3:
            raise StoppedError

    distil("a")
    with pytest.raises(StoppedError):
        distil("b", on_step=stop)
    left = f".{_home()}ffffff0001.part"  # of a process of this machine that is no more
    for place in (tmp_path / "b", tmp_path / "b" / "labels" / "00"):
        place.mkdir(exist_ok=True)
        (place / left).write_text("half", encoding="utf-8")
    distil("b")
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_a_folder_that_is_gone_ends_the_run_at_the_next_step_and_is_not_made_anew(distil, tmp_path):
    expected = distil("a")
    steps = []

    def unmount(line):
        steps.append(line["step"])
        (tmp_path / "run").rename(tmp_path / "elsewhere")

    with pytest.raises(FileError, match="no longer the folder"):
        distil(on_step=unmount)
    assert steps == [1]
    assert not (tmp_path / "run").exists()
    (tmp_path / "elsewhere").rename(tmp_path / "run")
    assert distil().fingerprint() == expected.fingerprint()


def test_a_disk_that_fills_up_ends_the_run_at_the_next_step_faked(distil, tmp_path, monkeypatch):
    expected = distil("a")
    steps, free = [], [1 << 40]
    disk = lambda place: shutil._ntuple_diskusage(1 << 40, 0, free[0])  # noqa: E731
    monkeypatch.setattr("trace_edges.distillation.destination.shutil.disk_usage", disk)

    def fill(line):
        steps.append(line["step"])
        free[0] = 1000

    with pytest.raises(
        OSError, match=r"disk is full: 0 MiB are free.* start the same command again"
    ):
        distil(on_step=fill)
    assert steps == [1]
    with pytest.raises(OSError, match="disk is full"):  # before anything is done
        distil("other")
    assert not (tmp_path / "other").exists()
    free[0] = 1 << 40
    assert distil().fingerprint() == expected.fingerprint()


def test_the_student_is_loaded_once_the_labels_are_made(distil, tmp_path, tiny_pixart):
    folder, seen = tiny_pixart("own"), []

    def load():
        seen.extend((tmp_path / "run" / "labels").rglob("*.npy"))
        return load_backbone(folder)

    pipe = TraceEdgePipeline(load_backbone(folder))
    photographs = sorted(tmp_path.glob("*.png"))
    distill_detector(photographs, tmp_path / "run", SETTINGS, load, pipe, options=OPTIONS)
    assert len(seen) == 4


def test_a_backbone_in_another_number_type_than_the_settings_is_refused(distil):
    with pytest.raises(ValueError, match=r"is in float32, .* load it with dtype=torch.bfloat16"):
        distil(settings=replace(SETTINGS, dtype="bfloat16"))
