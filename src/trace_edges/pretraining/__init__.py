"""A backbone from nothing: autoencoder and denoiser, trained on composites and photographs."""

from trace_edges.pretraining.card import Told, write_card
from trace_edges.pretraining.run import pretrain
from trace_edges.pretraining.settings import CONFIGS, PretrainingSettings

__all__ = ["CONFIGS", "PretrainingSettings", "Told", "pretrain", "write_card"]
