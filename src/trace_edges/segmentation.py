"""The name of `trace_edges.instances` in 0.1; it goes with the next release."""

from trace_edges.renamed import forwards

__getattr__ = forwards(__name__, "trace_edges.instances")
