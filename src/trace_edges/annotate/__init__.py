"""Whole data sets: any source, any destination, killed and continued, on one machine or many."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trace_edges.annotate.entries import Entry as Entry
    from trace_edges.annotate.entries import Shard as Shard
    from trace_edges.annotate.entries import Source as Source
    from trace_edges.annotate.job import Job as Job
    from trace_edges.annotate.job import Status as Status
    from trace_edges.annotate.job import annotate as annotate
    from trace_edges.annotate.models import ModelLoader as ModelLoader
    from trace_edges.annotate.opening import open_source as open_source
    from trace_edges.annotate.sinks import make_sink as make_sink
    from trace_edges.annotate.tasks import EdgesTask as EdgesTask
    from trace_edges.annotate.tasks import InstancesTask as InstancesTask
    from trace_edges.annotate.tasks import PanopticTask as PanopticTask

# Every worker imports this package on its way: what it does not need must not cost it seconds.
_HOMES = {
    "EdgesTask": "tasks",
    "Entry": "entries",
    "InstancesTask": "tasks",
    "Job": "job",
    "ModelLoader": "models",
    "PanopticTask": "tasks",
    "Shard": "entries",
    "Source": "entries",
    "Status": "job",
    "annotate": "job",
    "make_sink": "sinks",
    "open_source": "opening",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'trace_edges.annotate' has no attribute {name!r}")
    return getattr(import_module(f"trace_edges.annotate.{_HOMES[name]}"), name)
