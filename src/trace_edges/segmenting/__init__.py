"""From photographs to instances: the whole way, for one picture and for files."""

from trace_edges.segmenting.files import segment_files
from trace_edges.segmenting.finder import Found, InstanceFinder, PictureError, Selection
from trace_edges.segmenting.prompting import Prompting

__all__ = ["Found", "InstanceFinder", "PictureError", "Prompting", "Selection", "segment_files"]
