"""The day's steps: isolated from each other, within their time, written down as they end."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks import gpu_day
from benchmarks.gpu_day import Step

ROOT = Path(__file__).parents[2]
FAKE_HANG = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
FAKE_CHILD = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(60)\n"
)


def fake_step(name, code, share=1.0, **others):
    return Step(name, ("-c", code), share, **others)


def run_day(tmp_path, monkeypatch, steps, minutes):
    """main() with these steps; its exit status, what it wrote, and the seconds it took."""
    monkeypatch.setattr(gpu_day, "plan", lambda out, device, tiny: tuple(steps))
    monkeypatch.setattr(
        sys, "argv", ["gpu_day", "--minutes", str(minutes), "--out", str(tmp_path / "day")]
    )
    started, code = time.monotonic(), 0
    try:
        gpu_day.main()
    except SystemExit as end:
        code = end.code
    record = json.loads((tmp_path / "day" / "gpu_day.json").read_text(encoding="utf-8"))
    return code, record, time.monotonic() - started


def test_a_fake_crash_does_not_stop_the_next(tmp_path, monkeypatch):
    steps = [
        fake_step("crash", "import os; os.kill(os.getpid(), 11)"),
        fake_step("sound", "print('all well')"),
    ]
    code, record, _ = run_day(tmp_path, monkeypatch, steps, 1)
    assert code == 1
    assert [one["state"] for one in record["ended"]] == ["failed", "done"]
    assert record["ended"][0]["code"] == -11
    assert record["ended"][1]["told"] == "all well"
    assert "## crash: failed" in (tmp_path / "day" / "gpu_day.md").read_text(encoding="utf-8")


def test_a_fake_hang_is_stopped_and_the_budget_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_day, "GRACE", 0.5)
    monkeypatch.setattr(gpu_day, "LEAST", 0.5)
    steps = [fake_step("hang", FAKE_HANG, 0.5), fake_step("next", "print('begun')")]
    code, record, seconds = run_day(tmp_path, monkeypatch, steps, 0.1)
    assert [one["state"] for one in record["ended"]] == ["stopped", "done"]
    assert code == 0
    assert seconds < 6 + 1


def is_running(process):
    return psutil.pid_exists(process) and psutil.Process(process).status() != "zombie"


def test_processes_that_a_step_began_end_with_it(tmp_path):
    ended = gpu_day.run(fake_step("child", FAKE_CHILD), 1.0, tmp_path)
    assert ended.state == "stopped"
    (child,) = (int(line) for line in ended.told.splitlines() if line.isdigit())
    until = time.monotonic() + 20
    while is_running(child) and time.monotonic() < until:  # a kill takes a moment
        time.sleep(0.05)
    assert not is_running(child)


def test_what_a_step_needs_is_said_and_it_is_left_out(tmp_path, monkeypatch):
    steps = [fake_step("tests", "print('run')", needs=("no-such-distribution",))]
    code, record, _ = run_day(tmp_path, monkeypatch, steps, 1)
    assert code == 0
    (ended,) = record["ended"]
    assert (ended["state"], ended["told"]) == ("left out", "missing: no-such-distribution")


def test_requirements_that_are_missing_come_first(tmp_path, monkeypatch, capsys):
    assert {"torch", "diffusers", "scikit-image"} <= set(gpu_day.requirements())
    monkeypatch.setattr(gpu_day, "requirements", lambda: ["no-such-distribution"])
    code, record, _ = run_day(tmp_path, monkeypatch, [fake_step("never", "")], 1)
    assert code == 1
    assert capsys.readouterr().out.startswith("missing: no-such-distribution;")
    assert [one["name"] for one in record["ended"]] == ["requirements"]


def test_nothing_but_the_standard_library_is_imported():
    code = "import sys, benchmarks.gpu_day; print(set(sys.modules) & {'torch', 'numpy', 'typer'})"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout == "set()\n"


def test_timings_stand_beside_the_earlier_ones_also_where_a_file_is_cut(tmp_path):
    row = {"name": "sd3.5-large", "px": 512, "pass": 0.08, "capture": 0.1, "measured": 2**34}
    result = {"settings": {"machine": "A card", "dtype": "bfloat16"}, "rows": [row]}
    text = gpu_day.summary([], {"full": result, "cut": None})
    assert "| `sd3.5-large` | 512 | 0.080 | 0.076 | 1.25 x |  |  | 16.00 |" in text
    (tmp_path / "cut.json").write_text('{"rows": [', encoding="utf-8")
    assert gpu_day.read(tmp_path / "cut.json") is None


@pytest.mark.long
def test_two_minutes_on_a_cpu_go_through_every_step(tmp_path):
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_day", "--minutes", "2", "--tiny", "--device", "cpu",
         "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout
    assert time.monotonic() - started < 120 + 5
    record = json.loads((tmp_path / "gpu_day.json").read_text(encoding="utf-8"))
    states = {one["name"]: one["state"] for one in record["ended"]}
    # On a busy machine a step may be out of time, but none fails.
    assert set(states) == {"doctor", "tests", "full size, pixart-alpha-512", "training"}
    assert set(states.values()) <= {"done", "stopped"}, record["ended"]
    assert states["doctor"] != "done" or record["results"]["doctor"]["broken"] == []
    assert (tmp_path / "training" / "training").is_dir()  # what the next day goes on from
