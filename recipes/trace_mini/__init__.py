"""A backbone from nothing: autoencoder and denoiser, trained on composites and photographs."""

from recipes.trace_mini.card import Provenance, write_card
from recipes.trace_mini.run import pretrain
from recipes.trace_mini.settings import CONFIGS, PretrainingSettings

__all__ = ["CONFIGS", "PretrainingSettings", "Provenance", "pretrain", "write_card"]
