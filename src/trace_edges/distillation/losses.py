"""The loss L = L_edge + L_rec (section 3.4), and the edge losses beside the paper's."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor, nn
from torch.nn import functional as F

from trace_edges.detector.pixels import AnyStudent
from trace_edges.detector.student import Student
from trace_edges.distillation.examples import Batch
from trace_edges.distillation.settings import DistillationSettings, EdgeLoss


def batch_loss(
    model: nn.Module,
    student: AnyStudent,
    batch: Batch,
    settings: DistillationSettings,
) -> Float[Tensor, ""]:
    """L = edge_weight * L_edge + reconstruction_weight * L_rec.

    Args:
        model: the student, or torch's wrapper of it.
        student: itself, whose VAE decodes for L_rec.
        batch: crops with their labels.
        settings: of the run.
    """
    logits, output = model(batch.images, batch.features)
    target, counts = batch.target.to(logits.device), batch.counts.to(logits.device)
    loss = settings.edge_weight * EDGE_LOSSES[settings.edge_loss](logits, target, counts)
    if settings.reconstruction_weight and isinstance(student, Student):
        decoded = student.reconstruct(output)
        images = student.reduced(batch.images).to(decoded.device)
        loss = loss + settings.reconstruction_weight * reconstruction_loss(decoded, images)
    return loss


def dice_loss(
    logits: Float[Tensor, "b h w"],
    target: Float[Tensor, "b h w"],
    counts: Bool[Tensor, "b h w"],
) -> Float32[Tensor, ""]:
    """1 - Dice over the pixels that count, in [0, 1]; the paper's L_edge."""
    edges, target = logits.float().sigmoid() * counts, target.float() * counts
    overlap = (edges * target).sum()
    return 1 - (2 * overlap + 1) / (edges.square().sum() + target.square().sum() + 1)


def entropy_loss(
    logits: Float[Tensor, "b h w"],
    target: Float[Tensor, "b h w"],
    counts: Bool[Tensor, "b h w"],
) -> Float32[Tensor, ""]:
    """Mean relative entropy in nats over the pixels that count: 0 is the target itself.

    Binary cross-entropy less the target's own entropy, which no answer can go below. Its best
    answer is the expected strength at a pixel: where labels scatter about a border, the answer
    peaks where they are densest.
    """
    target = target.float()
    losses: Tensor = F.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
    losses = losses - torch.special.entr(target) - torch.special.entr(1 - target)
    return (losses * counts).sum() / counts.sum().clamp(min=1)


EDGE_LOSSES: dict[EdgeLoss, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "entropy": entropy_loss, "dice": dice_loss
}  # fmt: skip


def reconstruction_loss(
    decoded: Float[Tensor, "b 3 H W"], images: Float[Tensor, "b 3 H W"]
) -> Float32[Tensor, ""]:
    """||I - I_hat||^2, mean over pixels of [-1, 1]."""
    return torch.mean((decoded.float() - images.float()) ** 2)
