"""What a job will cost, measured on some of its images."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app
from trace_edges.cli.annotate_trial import lines, size, span
from trace_edges.jobs.trial import Trial, _spread


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(7):
        pixels = np.random.default_rng(number).integers(0, 255, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


def run(photos, *more):
    words = ["annotate", photos, photos.parent / "out", "--task", "instances", "--dry-run",
             "--measure", "3", "--resolution", "64", "--device", "cpu", *more]  # fmt: skip
    return CliRunner().invoke(app, [*map(str, words)])


@pytest.mark.parametrize("to", ["folder", "tar", "coco"])
def test_the_cost_is_said_and_nothing_is_written(photos, to):
    done = run(photos, "--to", to)
    assert done.exit_code == 0, done.output
    assert "7 images: 1 minute with 1 process, 1 minute with --actors" in done.output
    assert "Measured on 4 images" in done.output  # and one of them to begin with
    assert not (photos.parent / "out").exists()


def test_images_that_fail_are_said(photos):
    for number in range(1, 7):
        (photos / f"{number}.png").write_bytes(b"none")
    done = run(photos)
    assert done.exit_code == 0, done.output
    assert "3 of 4 measured images failed" in done.output
    (photos / "0.png").write_bytes(b"none")
    none = run(photos)
    assert none.exit_code == 1
    assert "none of 4 images could be done: " in none.output


def test_what_200_000_images_cost():
    trial = Trial(200_000, 10, 0, 3.93, 3.97, 155_000, 1_600_000_000, 2)
    assert trial.hours() == pytest.approx(218.3, abs=0.1)
    assert lines(trial, 2) == [
        "200,000 images: 9.1 days with 1 process, 4.6 days with --actors 2",
        "31.0 GB of results; 1.6 GB of memory for each process",
        "Measured on 10 images: each took 3.93 s, and 3.97 s of the time of one core. With n "
        "processes on n cores, here or elsewhere, the latter is divided by n.",
    ]
    assert "--actors 8 if there were as many cores (there are 2)" in lines(trial, 8)[0]
    assert "--engine ray --actors 8" in lines(trial, 8, ray=True)[0]
    assert "actors" not in lines(trial, None)[0]
    assert [span(h) for h in (0.001, 0.05, 1.5, 60)] == [
        "1 minute",
        "3 minutes",
        "1.5 hours",
        "2.5 days",
    ]
    assert [size(b) for b in (500, 2.5e6, 3e9)] == ["0 kB", "2.5 MB", "3.0 GB"]


@pytest.mark.parametrize("total", [0, 1, 3, 11, 12, 44, 45, 200_000])
def test_images_to_measure_are_spread_over_a_source_that_is_listed_once(total):
    chosen, counted = _spread(iter(range(total)), 11)
    assert counted == total
    assert len(chosen) == min(11, total)
    assert list(chosen) == sorted(set(chosen))
    if total > 11:
        gaps = np.diff([*chosen, total])
        assert chosen[0] == 0
        assert gaps.max() <= total / 11 * 2
