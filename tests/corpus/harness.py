"""Bad inputs made in code, given to the real command, and what must hold for each.

Every reader has a file `test_READER.py` here with a list `CASES`. A case makes its input in an
empty folder and names the command; the command runs there in a process of its own, with a bound on
time and memory. Whatever the input, this must hold (`faults`):

- the exit code is the case's, and there is no traceback, no signal and no lack of time or memory;
- standard error holds lines of ours only, and one of them names everything in `names`: the file,
  and the entry or key where there is one;
- every file that was there before has the same bytes afterwards, but for those in `ours`;
- nothing half-written is left, and every file in `done` is there: sound entries are done.

`python -m tests.corpus` runs all cases and prints a table: kinds, inputs, as they should be.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

# What the commands import, loaded once: every case is a fork of a process that has it.
PRELOADED = [
    "pyarrow", "pycocotools.mask", "torch", "torch.nn.attention.flex_attention", "diffusers",
    "numba", "skimage.measure", "trace_edges.cli", "trace_edges.evaluation.masks",
    "trace_edges.evaluation.edges", "trace_edges.evaluation.panoptic", "trace_edges.jobs.detecting",
    "trace_edges.jobs.folders",
    "trace_edges.jobs.refine", "trace_edges.jobs.job", "trace_edges.detector.detector",
    "trace_edges.evaluation.report", "matplotlib.pyplot", "matplotlib.backends.backend_agg",
    "transformers", "tests.corpus.warm",
]  # fmt: skip
_LONGEST_LINE = 600
_TRACEBACK = "Traceback (most recent call last)"
_RAISED = 70  # an exception came out of the command


@dataclass(frozen=True)
class Case:
    """One bad input.

    Args:
        kind: what is wrong, in a few words; the same for inputs of one kind.
        make: writes the input into the empty folder that it is given.
        command: the words after `trace-edges`, with paths relative to that folder.
        names: what one line of standard error must hold.
        code: the exit code that is right; 0 where the input is unusual and still right.
        either: the input may be taken as well: then the code is 0, and nothing need be named.
        done: files that must be there afterwards.
        ours: files of the input that the command may change.
        name: tells this input from others of its kind.
        seconds: time that the command may take.
        megabytes: memory that it may take beyond what its imports take.
    """

    kind: str
    make: Callable[[Path], object]
    command: tuple[str, ...]
    names: tuple[str, ...]
    code: int = 1
    either: bool = False
    done: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()
    name: str = ""
    seconds: float = 60
    megabytes: int = 2000
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join(filter(None, (self.kind, self.name))).replace(" ", "_")


def shared_out(cases: Sequence[Case], every: int, short: int) -> list[Any]:
    """One case of `every`, as parameters of a test; one of `short`, a multiple of it, in
    `make test`, the others in `make test-long`.
    """
    return [
        pytest.param(one, id=str(one), marks=pytest.mark.long if place % short else ())
        for place, one in enumerate(cases)
        if place % every == 0
    ]


@dataclass(frozen=True)
class Outcome:
    """How a command ended. `code` is negative after a signal, and None if it ran out of time."""

    code: int | None
    out: str
    err: str


def run(case: Case, folder: Path) -> Outcome:
    """Run the command of a case in its folder, whose input is there already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        command = (case.command, dict(case.environment), case.megabytes)
        process = context.Process(target=_run_here, args=(folder, out, err, *command))
        process.start()
        process.join(case.seconds)
        late = process.is_alive()
        if late:
            process.kill()
            process.join()
        texts = [
            p.read_text(encoding="utf-8", errors="replace") if p.exists() else ""
            for p in (out, err)
        ]
        return Outcome(None if late else process.exitcode, *texts)


def _run_here(
    folder: Path,
    out: Path,
    err: Path,
    words: tuple[str, ...],
    environment: dict[str, str],
    megabytes: int,
) -> None:
    import torch

    from trace_edges.cli import app

    os.setpgid(0, 0)
    for path, number in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.update({"COLUMNS": "200", "TRACE_EDGES_CACHE": str(out.parent), **environment})
    torch.set_num_threads(1)
    taken = (
        int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
        * resource.getpagesize()
    )
    limit = taken + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        app(list(words), prog_name="trace-edges")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  as the interpreter would: a traceback and an exit code
        traceback.print_exc()
        code = _RAISED
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def digests(folder: Path) -> dict[str, str]:
    """A digest of every file below a folder by its relative path; of a link, where it points to."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = os.fsdecode(os.fsencode(path.relative_to(folder)))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            with path.open("rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def faults(case: Case, folder: Path) -> list[str]:
    """Make the input of a case in an empty folder, run its command, and say what is not right."""
    case.make(folder)
    before = digests(folder)
    outcome = run(case, folder)
    after = digests(folder)
    taken = case.either and outcome.code == 0
    found = []
    if outcome.code is None:
        found.append(f"ran longer than {case.seconds} s")
    elif outcome.code != case.code and not taken:
        found.append(f"exit code {outcome.code}, not {case.code}")
    if _TRACEBACK in outcome.err + outcome.out:
        found.append("a traceback")
    lines = outcome.err.splitlines()
    ours = [line for line in lines if line.startswith(("trace-edges:", "... and "))]
    usage = case.code == 2  # the words that typer has for a wrong option
    if len(ours) < len(lines) and not usage:
        found.append(f"a line that is not ours: {next(x for x in lines if x not in ours)[:200]!r}")
    if not usage and any(len(line) > _LONGEST_LINE for line in lines):
        found.append("a line that nobody reads to its end")
    said = lines if not usage else [" ".join(outcome.err.split())]
    if (
        case.names
        and not taken
        and not any(all(name in line for name in case.names) for line in said)
    ):
        found.append(f"no line names {', '.join(case.names)}")
    changed = [n for n in before if after.get(n) != before[n] and n not in case.ours]
    if changed:
        found.append(f"changed or removed: {', '.join(changed)}")
    if half := [name for name in after if ".part" in name and name not in before]:
        found.append(f"half-written: {', '.join(half)}")
    if missing := [name for name in case.done if not (folder / name).exists()]:
        found.append(f"not done: {', '.join(missing)}")
    return [*found, outcome.err[-2000:]] if found else []


def check(case: Case, folder: Path) -> None:
    """Fail with everything that is not right about a case."""
    found = faults(case, folder)
    assert not found, "\n".join([str(case), *found])
