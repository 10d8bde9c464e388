"""Where the text lies among the keys of a softmax, and what its padding has added to its logits."""

from __future__ import annotations

import torch
from jaxtyping import Float, Float32
from torch import Tensor

from trace_edges.backbones import BackboneError
from trace_edges.explain.texts import Reading, Text


def joint_text(text: Text, reading: Reading, image: slice, keys: int) -> int | None:
    """Where the text starts among the keys of a self-attention; None: they are the image's alone.

    Args:
        image: places of the image's tokens.
        keys: how many there are.

    Raises:
        BackboneError: there is another number of them than image and text make.
    """
    tokens = image.stop - image.start
    filled = -(-tokens // text.image_multiple) * text.image_multiple  # rounded up
    if keys <= filled:
        return None
    first, spare = (filled, keys) if image.start == 0 else (text.registers, image.start)
    # Behind the text there may be what fills up the shorter of two in a batch.
    if first + reading.total > spare or (image.start and first + reading.total < spare):
        raise BackboneError(
            f"{keys} tokens in a joint attention are not {tokens} of the image, {reading.total} "
            "of the text and what is known to fill them up: has the pipeline of diffusers changed?"
        )
    return first


def logit_bias(
    text: Text, reading: Reading, first: int, k: Float[Tensor, "b heads m d"]
) -> Float32[Tensor, " m"] | None:
    """What is added to the logits of each key; None: nothing.

    Args:
        first: where the text starts among the keys.
    """
    if not text.padding:
        return None
    bias = torch.zeros(k.shape[2], device=k.device)
    bias[first + reading.seen : first + reading.total] = text.padding
    return bias
