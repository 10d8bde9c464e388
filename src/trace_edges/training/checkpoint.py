"""State of a training run, in one safetensors file that is whole or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from trace_edges.files import FileError, write_atomically

Weights = dict[str, Tensor]


def save_checkpoint(
    path: Path,
    step: int,
    weights: Mapping[str, nn.Parameter],
    average: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    settings: str,
    scaler: torch.amp.GradScaler | None = None,
) -> None:
    """Write the state after `step` steps; `settings` says what must be equal to go on, `scaler` is
    of the loss in float16.
    """
    tensors: Weights = {f"weights/{name}": value for name, value in weights.items()}
    tensors |= {f"average/{name}": value for name, value in average.items()}
    for name, parameter in weights.items():
        for key, value in optimizer.state[parameter].items():
            tensors[f"optimizer/{key}/{name}"] = value
    # One entry: the order of several is random, and equal runs should give equal files.
    run = {"step": step, "settings": json.loads(settings)}
    run |= {} if scaler is None else {"scaler": scaler.state_dict()}
    save_weights(path, tensors, {"run": json.dumps(run, sort_keys=True)})


def save_weights(
    path: Path, weights: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write weights as safetensors, whatever device they are on."""
    tensors = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
    with write_atomically(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def checkpoint_bytes(model: nn.Module) -> int:
    """Size of the state of a training: weights, their average and AdamW's two moments."""
    return 4 * sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)


def check_checkpoint(path: Path, settings: str) -> int:
    """Give the step of a saved state that may go on with these settings.

    Raises:
        FileError: it was made with other settings or photographs; the line says which.
    """
    with safe_open(path, "pt") as stored:
        run = json.loads(stored.metadata()["run"])
    if run["settings"] != json.loads(settings):
        changed = _difference(run["settings"], json.loads(settings))
        raise FileError(
            path, f"was begun with {changed}", "give these settings again, or another folder"
        )
    return int(run["step"])


def load_checkpoint(
    path: Path,
    weights: Mapping[str, nn.Parameter],
    average: Weights,
    optimizer: torch.optim.Optimizer,
    settings: str,
    scaler: torch.amp.GradScaler | None = None,
) -> int:
    """Put a saved state back in place and return its step.

    Raises:
        FileError: as in `check_checkpoint`.
    """
    step = check_checkpoint(path, settings)
    with safe_open(path, "pt") as stored:
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        scale = json.loads(stored.metadata()["run"]).get("scaler")
    if scaler is not None and scale is not None:
        scaler.load_state_dict(scale)
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.copy_(tensors[f"weights/{name}"])
            average[name].copy_(tensors[f"average/{name}"])
            state = {}
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = tensors.get(f"optimizer/{key}/{name}")
                if value is None:  # no step was taken yet: each so far overflowed
                    break
                state[key] = value if key == "step" else value.to(parameter.device)
            if state:
                optimizer.state[parameter] = state
    return step


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{key} {before.get(key)}, not {now.get(key)}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    )
