"""Noise that is decided by what it is drawn for."""

from __future__ import annotations

import numpy as np
import torch


def seeded(device: torch.device, *entropy: int) -> torch.Generator:
    """A generator of the device, seeded by all of these numbers; equal on devices of one kind."""
    (seed,) = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(seed))
