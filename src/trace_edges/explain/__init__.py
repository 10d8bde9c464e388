"""Sheets that show the method at work, on a photograph or on a picture made from a prompt."""

from trace_edges.explain.denoising import Denoising, Moment, PromptSettings, denoise, load_generator
from trace_edges.explain.picture import explain
from trace_edges.explain.prompt import explain_prompt

__all__ = [
    "Denoising",
    "Moment",
    "PromptSettings",
    "denoise",
    "explain",
    "explain_prompt",
    "load_generator",
]
