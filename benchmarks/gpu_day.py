"""What a short loan of a GPU is best used for: one command, within a budget, in order of value.

    python -m benchmarks.gpu_day --minutes 12 --out gpu_day
    python -m benchmarks.gpu_day --minutes 2 --out cpu_day --device cpu --tiny      # to try it

`trace-edges doctor`; the tests that need a GPU; full-size timings of the paper's five backbones
with random weights; and, for the time that is left, the training of a trace-mini from nothing,
whose checkpoint (OUT/training, which the next day is given again) goes on where it stopped. Each
runs in a process of its own with a time limit of its own, and none stops the next. OUT/gpu_day.json
and OUT/gpu_day.md are written after each.

Nothing is downloaded, and this file imports the standard library alone: what is missing of the
package's requirements is said first. A machine without a network is given them as wheels:

    pip download --no-deps --dest wheels diffusers beartype     # where there is a network
    pip install --no-deps wheels/*.whl                          # there; torch and the rest are
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAPER = ("sd15", "sdxl", "pixart-alpha", "sd3.5-large", "flux-dev")
TESTS_NEED = ("pytest", "pytest-timeout", "beartype")
TRAINING_NEEDS = ("matplotlib",)
GRACE = 5.0  # s for a process to end by itself when its time is over
LEAST = 5.0  # s: with less nothing is begun

# Seconds of a plain pass with random weights in bfloat16 on one H100, measured in November 2026
# before there was a command for it: what new readings are put beside.
EARLIER = {("sd3.5-large", 512): 0.076, ("sd3.5-large", 1024): 0.100}


@dataclass(frozen=True)
class Step:
    """One thing to run.

    Attributes:
        name: of its log, and in the summary.
        command: arguments of this Python.
        share: of the whole budget, at most; 1: all that is left.
        needs: distributions beyond the package's own, without which it is left out.
        result: JSON file that it writes.
    """

    name: str
    command: tuple[str, ...]
    share: float
    needs: tuple[str, ...] = ()
    result: Path | None = None


@dataclass(frozen=True)
class Ended:
    """How a step ended.

    Attributes:
        state: "done", "failed", "stopped" when its time was over, or "left out".
        code: exit status.
        seconds: it took.
        told: the last lines of its output, or why it was left out.
    """

    name: str
    state: str
    code: int | None
    seconds: float
    told: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=12.0, help="time for everything together")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder for the results; give the same one on the next day",
    )
    parser.add_argument("--device", default="auto", help="auto, cuda, cuda:1, cpu, ...")
    parser.add_argument("--tiny", action="store_true", help="use sizes that a CPU can compute")
    options = parser.parse_args()
    if not options.minutes > 0:
        raise SystemExit("--minutes must be more than 0")
    deadline = time.monotonic() + 60 * options.minutes
    options.out.mkdir(parents=True, exist_ok=True)
    out = options.out.resolve()
    ended: list[Ended] = []
    if absent := missing(requirements()):
        print(f"missing: {', '.join(absent)}; see `python -m benchmarks.gpu_day --help`")
        report(out, [Ended("requirements", "failed", None, 0.0, f"missing: {absent}")], ())
        raise SystemExit(1)
    steps = plan(out, options.device, options.tiny)
    for step in steps:
        left = deadline - time.monotonic() - GRACE
        most = min(left, step.share * 60 * options.minutes)
        if absent := missing(step.needs):
            ended.append(Ended(step.name, "left out", None, 0.0, f"missing: {', '.join(absent)}"))
        elif most < LEAST:
            ended.append(Ended(step.name, "left out", None, 0.0, "no time was left"))
        else:
            print(f"{step.name}, {most:.0f} s at most ...", flush=True)
            ended.append(run(step, most, out))
        print(f"{step.name}: {ended[-1].state} after {ended[-1].seconds:.0f} s", flush=True)
        report(out, ended, steps)
    if any(one.state == "failed" for one in ended):
        raise SystemExit(1)


def plan(out: Path, device: str, tiny: bool) -> tuple[Step, ...]:
    """The steps, the most valuable first."""
    cli = ("-m", "trace_edges", "doctor", "--device", device, "--out")
    tests = ("-m", "pytest", "tests/gpu", "-m", "gpu", "-p", "no:cacheprovider",
             f"--junitxml={out / 'tests.xml'}")  # fmt: skip
    sizes = ("--px", "64", "--repeats", "1") if tiny else ("--px", "512", "1024", "--whole")
    sizes += () if device == "auto" else ("--device", device)
    names = ("pixart-alpha-512",) if tiny else PAPER
    recipe = ("-m", "recipes.trace_mini", "pretrain", "--out", str(out / "training"), "--quiet",
              "--device", device)  # fmt: skip
    recipe += ("--config", "smoke") if tiny else (
        "--config", "gpu", "--scenes", "2000", "--mixed-precision", "bf16", "--save-every", "50",
        "--workers", str(min(16, os.cpu_count() or 1)),
    )  # fmt: skip
    return (
        Step("doctor", (*cli, str(out / "doctor.json")), 0.2, result=out / "doctor.json"),
        Step("tests", tests, 0.3, TESTS_NEED),
        *(
            Step(
                f"full size, {name}",
                ("-m", "benchmarks.speed.full_size", name, *sizes, "--json", str(file)),
                0.15 if not tiny else 0.5,
                result=file,
            )
            for name in names
            for file in [out / f"full_size-{name}.json"]
        ),
        Step("training", recipe, 1.0, TRAINING_NEEDS),
    )


def requirements() -> list[str]:
    """Distributions that the package always needs, by pyproject.toml."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "dependencies"
    ]
    return [re.split(r"[\s<>=!~;\[]", one, maxsplit=1)[0] for one in listed]


def missing(names: Sequence[str]) -> list[str]:
    """Those of these distributions that are not installed."""

    def is_absent(name: str) -> bool:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            return True
        return False

    return list(filter(is_absent, names))


def run(step: Step, most: float, out: Path) -> Ended:
    """Run a step for so many seconds at most; its output goes to a log.

    When the time is over it is interrupted, as by Ctrl-C, and soon after killed, with all processes
    that it began.
    """
    if step.result is not None:
        step.result.unlink(missing_ok=True)  # of an earlier day
    log = out / f"{step.name.replace(', ', '-').replace(' ', '_')}.log"
    paths = [str(ROOT / "src"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    started, state = time.monotonic(), "done"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *step.command], cwd=ROOT, env=environment, stdout=file,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(most)
        except subprocess.TimeoutExpired:
            state = "stopped"
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
        finally:
            stop_group(process)
    if state == "done" and process.returncode:
        state = "failed"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return Ended(
        step.name, state, process.returncode, round(time.monotonic() - started, 1),
        "\n".join(lines[-12:]),
    )  # fmt: skip


def stop_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a process that was started in a session of its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def report(out: Path, ended: Sequence[Ended], steps: Sequence[Step]) -> None:
    """Write what is known so far."""
    results = {step.name: read(step.result) for step in steps if step.result is not None}
    record = {"ended": [asdict(one) for one in ended], "results": results}
    write(out / "gpu_day.json", json.dumps(record, indent=1) + "\n")
    write(out / "gpu_day.md", summary(ended, results))


def summary(ended: Sequence[Ended], results: dict[str, Any]) -> str:
    """The same for people: how every step ended, and the table of timings."""
    lines = ["# GPU day", "", "| step | ended | s |", "|---|---|---|"]
    lines += [f"| {one.name} | {one.state} | {one.seconds:.0f} |" for one in ended]
    rows = [
        (row, result["settings"])
        for result in results.values()
        if result is not None
        for row in result.get("rows", ())
    ]
    if rows:
        machine, dtype = rows[0][1]["machine"], rows[0][1]["dtype"]
        lines += ["", f"Random weights at full size, {machine}, {dtype}; seconds, and GiB:", ""]
        lines += [
            "| name | px | pass | earlier | pass + capture | training-free | one step | peak |"
        ]
        lines += ["|---|---|---|---|---|---|---|---|"]
    for row, _ in rows:
        earlier = EARLIER.get((row["name"], row["px"]))
        cells = [f"`{row['name']}`", row["px"], f"{row['pass']:.3f}", earlier or "",
                 f"{row['capture'] / row['pass']:.2f} x"]  # fmt: skip
        cells += [f"{row[k]:.3f}" if k in row else "" for k in ("training_free", "one_step")]
        cells += [f"{row['measured'] / 2**30:.2f}" if "measured" in row else ""]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    for one in ended:
        if one.state != "done" or one.name in ("doctor", "tests"):
            lines += ["", f"## {one.name}: {one.state}", "", "```", one.told, "```"]
    return "\n".join(lines) + "\n"


def read(path: Path) -> Any:
    """A step's JSON; None where it wrote none, or only half of it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write(path: Path, text: str) -> None:
    """Whole or not at all, since the loan may end at any moment."""
    temporary = path.with_suffix(".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


if __name__ == "__main__":
    main()
