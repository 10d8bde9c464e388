from .pipeline import TraceEdgePipeline as TraceEdgePipeline
from .settings import TraceSettings as TraceSettings
