"""What this machine is, and whether the package works on it: what a bug report should hold.

Nothing heavy is imported before a check that needs it runs: a library that cannot be imported is
one of the things to find out.
"""

from trace_edges.doctor import machine, models, software
from trace_edges.doctor.report import Check, Finding, Section, examine

CHECKS: dict[str, Check] = {
    "versions": software.versions,
    "extras": software.extras,
    "environment": software.environment,
    "devices": machine.devices,
    "numbers": machine.numbers,
    "compiler": machine.compiler,
    "kernels": models.kernels,
    "room": machine.room,
    "backbones in the hub's cache": models.cached_backbones,
    "trace-mini": models.embedded_model,
}

__all__ = ["CHECKS", "Check", "Finding", "Section", "examine"]
