"""What takes long the first time: done once, in the process that all cases are forks of."""

import io

import numpy as np
from matplotlib.figure import Figure

from trace_edges.metrics.counts import cldice, edge_counts
from trace_edges.metrics.protocol import BSDS

_LINE = np.zeros((24, 24), dtype=bool)
_LINE[12] = True
edge_counts(_LINE.astype(np.float32), [_LINE], BSDS)  # compiled when they are first called
cldice(_LINE, _LINE, 1)
_figure = Figure()
_figure.subplots().set_title("fonts")
_figure.savefig(io.BytesIO())
