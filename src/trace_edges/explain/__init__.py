"""Sheets that show the method at work, on an image or on one that is made from a prompt."""

from trace_edges.explain.denoising import Denoising, Moment, PromptSettings, denoise, load_generator
from trace_edges.explain.sheets import explain, explain_prompt

__all__ = [
    "Denoising",
    "Moment",
    "PromptSettings",
    "denoise",
    "explain",
    "explain_prompt",
    "load_generator",
]
