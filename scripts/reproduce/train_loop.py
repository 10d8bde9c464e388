"""Options, order of the samples, loop and checkpoint of both training scripts.

A checkpoint holds everything: weights, running statistics of norms, the optimizer, losses. A run
that was stopped goes on with the same command; on one CPU thread it ends with the same weights.

`trace_edges.training.fit` is not used: it trains with AdamW at one rate, clips the gradient at 1
and keeps a running average. These recipes need SGD or a lower rate for the backbone, other clips,
no average, and running statistics of norms in the checkpoint.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from trace_edges.files import FileError, write_atomically

CHECKPOINT, LOSSES = "checkpoint.pt", "losses.json"
WARM_UP, LAST = 100, 0.9  # steps; share of the run after which the rate is a tenth


class Samples(Protocol):
    """A data set whose sample k may be asked for mirrored."""

    def __len__(self) -> int: ...

    def read(self, index: int, mirrored: bool = False) -> Any: ...


@dataclass(frozen=True)
class Run:
    """How long, with what, and where to.

    Attributes:
        settings: JSON values that must be equal for a run to go on; `steps` may not change either,
            since the rate depends on it.
    """

    out: Path
    steps: int
    batch: int
    seed: int
    save_every: int
    workers: int
    device: torch.device
    settings: dict[str, Any]


def options(description: str, *, steps: int, batch: int) -> argparse.ArgumentParser:
    """The options of every training script; those of its data come on top."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the run; the same command continues it"
    )
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch", type=int, default=batch, help="number of photographs in a step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=int, default=1000, metavar="STEPS")
    parser.add_argument(
        "--workers", type=int, default=0, help="number of processes that read photographs"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def run_of(given: argparse.Namespace, settings: dict[str, Any]) -> Run:
    """The run that the options ask for."""
    for name in ("steps", "batch", "save_every"):
        if getattr(given, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be 1 or more")
    shared = {"steps": given.steps, "batch": given.batch, "seed": given.seed}
    return Run(
        given.out, given.steps, given.batch, given.seed, given.save_every, given.workers,
        torch.device(given.device), json.loads(json.dumps(settings | shared)),
    )  # fmt: skip


def train(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    samples: Samples,
    collate: Callable[[Sequence[Any]], Any],
    loss_of: Callable[[nn.Module, Any], Tensor],
    run: Run,
    *,
    clip: float,
) -> list[float]:
    """Train, and leave checkpoint.pt and losses.json in the folder of the run.

    Args:
        model: with its first weights, on the device.
        optimizer: of it; a group's rate at the start is its largest.
        collate: a list of samples -> a batch.
        loss_of: (model, batch) -> the loss to minimise.
        clip: the largest norm of the gradient.

    Returns:
        The loss of every step, those before a stop included.

    Raises:
        FileError: the folder holds a run with other settings.
        FloatingPointError: a loss is not finite. What was saved before it stays.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    losses = _go_on(model, optimizer, run)
    loader = DataLoader(
        _ByPlace(samples), batch_sampler=_Order(len(samples), run, len(losses)),
        collate_fn=collate, num_workers=run.workers,
    )  # fmt: skip
    model.train()
    for step, batch in enumerate(loader, len(losses)):
        torch.manual_seed(run.seed * 1_000_003 + step)  # models draw at random which pixels count
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * share_of_rate(step, run.steps)
        loss = loss_of(model, batch)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise FloatingPointError(f"the loss of step {step + 1} is {losses[-1]}: lower the rate")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        if (step + 1) % run.save_every == 0 or step + 1 == run.steps:
            _save(model, optimizer, losses, run)
            print(f"step {step + 1} of {run.steps}: loss {losses[-1]:.4f}", flush=True)
    return losses


def share_of_rate(step: int, steps: int) -> float:
    """Up along a line for the first `WARM_UP` steps; a tenth in the last tenth of the run."""
    return min(1, (step + 1) / min(WARM_UP, steps)) * (0.1 if step >= LAST * steps else 1)


def finish(work: Callable[[], object]) -> int:
    """Exit status; what is wrong with files or options is one line."""
    try:
        work()
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


class _ByPlace(Dataset):
    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __getitem__(self, place: tuple[int, bool]) -> Any:
        return self.samples.read(*place)


class _Order:
    """Batches of (sample, mirrored): every epoch a new order, which the seed alone decides."""

    def __init__(self, count: int, run: Run, start: int) -> None:
        if not count:
            raise ValueError("there is no sample to train on")
        self.count, self.run, self.start = count, run, start

    def __len__(self) -> int:
        return self.run.steps - self.start

    def __iter__(self) -> Iterator[list[tuple[int, bool]]]:
        epoch, order, mirrored = -1, np.zeros(0, int), np.zeros(0, bool)
        for step in range(self.start, self.run.steps):
            batch = []
            for place in range(step * self.run.batch, (step + 1) * self.run.batch):
                if place // self.count != epoch:
                    epoch = place // self.count
                    rng = np.random.default_rng([self.run.seed, epoch])
                    order, mirrored = rng.permutation(self.count), rng.random(self.count) < 0.5
                within = place % self.count
                batch.append((int(order[within]), bool(mirrored[within])))
            yield batch


def _go_on(model: nn.Module, optimizer: torch.optim.Optimizer, run: Run) -> list[float]:
    path = run.out / CHECKPOINT
    if not path.exists():
        return []
    stored = torch.load(path, map_location="cpu", weights_only=True)
    if stored["settings"] != run.settings:
        before, now = stored["settings"], run.settings
        changed = next(k for k in sorted(before | now) if before.get(k) != now.get(k))
        problem = f"was begun with {changed} {before.get(changed)}, not {now.get(changed)}"
        raise FileError(path, problem, "give another folder, or that")
    model.load_state_dict(stored["model"])
    optimizer.load_state_dict(stored["optimizer"])
    return list(stored["losses"])


def _save(
    model: nn.Module, optimizer: torch.optim.Optimizer, losses: Sequence[float], run: Run
) -> None:
    state = {"settings": run.settings, "losses": list(losses), "model": model.state_dict()}
    with write_atomically(run.out / CHECKPOINT) as temporary:
        torch.save(state | {"optimizer": optimizer.state_dict()}, temporary)
    with write_atomically(run.out / LOSSES) as temporary:
        temporary.write_text(json.dumps(list(losses)) + "\n", encoding="utf-8")
