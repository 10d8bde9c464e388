"""Memory of a training step, added up on torch's meta device: estimated, not measured.

    python -m benchmarks.speed.training_memory --config 24gb --backbone sd3.5-large --batch 1 2 4

Weights, LoRA with gradients, AdamW and running average, and the largest sum of what is alive at one
time in forward and backward pass. What the allocator, the kernels and cuBLAS hold comes on top.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode, handle_torch_function

from benchmarks._shared.costs import empty_backbone
from benchmarks._shared.reports import guarded
from trace_edges.backbones.sizing import LiveBytes, PlainValues, weights_and_buffers
from trace_edges.detector import Student
from trace_edges.distillation import CONFIGS
from trace_edges.distillation.examples import Batch
from trace_edges.distillation.losses import batch_loss
from trace_edges.training import checkpoint_bytes

GIB = 2**30


class _Kernel(torch.autograd.Function):
    """Attention as a fused kernel has it: no map; for the backward pass it keeps what went in."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = query.new_empty(*query.shape[:-1], value.shape[-1])
        ctx.save_for_backward(query, key, value, output)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return tuple(torch.empty_like(one) for one in ctx.saved_tensors[:3])


_SDPA = F.scaled_dot_product_attention


def _fused(query: Tensor, key: Tensor, value: Tensor, *args: Any, **options: Any) -> Any:
    """In the place of PyTorch's own; what records attention hears that one still."""
    if torch._C._is_torch_function_mode_enabled():
        given = (query, key, value, *args)
        return handle_torch_function(_SDPA, given[:1], *given, **options)
    return _Kernel.apply(query, key, value)  # type: ignore[no-untyped-call]


class _Fused(TorchFunctionMode):
    """Below what records: the kernel runs."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is _SDPA:
            named = dict(zip(("query", "key", "value"), args, strict=False)) | (kwargs or {})
            return _Kernel.apply(named["query"], named["key"], named["value"])  # type: ignore[no-untyped-call]
        return func(*args, **(kwargs or {}))


def step_memory(config: str, name: str, batch: int, crop: int | None = None) -> dict[str, float]:
    """GiB of the parts of a training step, and their sum at its peak."""
    settings = replace(CONFIGS[config], batch_size=batch)
    settings = replace(settings, crop=crop or settings.crop)
    backbone = empty_backbone(name, getattr(torch, settings.dtype))
    frozen = _bytes(weights_and_buffers(backbone))
    student = Student(backbone, settings.student, base="none").to("meta")
    if settings.gradient_checkpointing:
        student.denoiser.enable_gradient_checkpointing()
        backbone.vae.enable_gradient_checkpointing()
    size = settings.crop // backbone.cell * backbone.cell
    images = torch.zeros(batch, 3, size, size, device="meta")
    target = torch.zeros(batch, size, size, device="meta")
    frozen_and_learnt = [*student.parameters(), *weights_and_buffers(backbone)]
    # A mode alone would not hear what the backward pass computes again.
    fused = patch.object(F, "scaled_dot_product_attention", _fused)
    with _Fused(), PlainValues(), fused, LiveBytes(frozen_and_learnt) as live:
        loss = batch_loss(student, student, Batch(images, None, target, target > 0), settings)
        loss.backward()
    learnt = checkpoint_bytes(student)
    return {
        "frozen weights": frozen / GIB, "learnt, average and AdamW": learnt / GIB,
        "alive in the step, gradients too": live.peak / GIB,
        "sum": (frozen + learnt + live.peak) / GIB,
    }  # fmt: skip


def _bytes(tensors: list[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--config", default="24gb", choices=CONFIGS)
    parser.add_argument("--backbone", default="sd3.5-large")
    parser.add_argument("--batch", type=int, nargs="+", default=[1])
    parser.add_argument("--crop", type=int)
    given = parser.parse_args()
    for batch in given.batch:
        found = step_memory(given.config, given.backbone, batch, given.crop)
        print(json.dumps({"batch": batch} | {name: round(one, 2) for name, one in found.items()}))


if __name__ == "__main__":
    guarded(main)
