"""Instance edges from the self-attention of text-to-image diffusion models (TRACE, ICLR 2026)."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trace_edges.backbones import BackboneError as BackboneError
    from trace_edges.datasets import open_ground_truth as open_ground_truth
    from trace_edges.detector import EdgeDetector as EdgeDetector
    from trace_edges.export import export_coco as export_coco
    from trace_edges.images import ImageError as ImageError
    from trace_edges.images import load_image as load_image
    from trace_edges.images import load_images as load_images
    from trace_edges.metrics import EdgeProtocol as EdgeProtocol
    from trace_edges.metrics import boundaries_from_labels as boundaries_from_labels
    from trace_edges.metrics import evaluate_edges as evaluate_edges
    from trace_edges.metrics import evaluate_masks as evaluate_masks
    from trace_edges.metrics import evaluate_panoptic as evaluate_panoptic
    from trace_edges.pipeline import TraceEdgePipeline as TraceEdgePipeline
    from trace_edges.pipeline import TraceSettings as TraceSettings
    from trace_edges.results import EdgeMap as EdgeMap
    from trace_edges.results import Emergence as Emergence
    from trace_edges.results import InstanceMasks as InstanceMasks
    from trace_edges.results import PanopticMap as PanopticMap
    from trace_edges.sam import load_sam as load_sam
    from trace_edges.segmentation import instances_from_edges as instances_from_edges
    from trace_edges.segmentation import panoptic_from_semantic as panoptic_from_semantic
    from trace_edges.segmentation import refine_instances as refine_instances

__version__ = version("trace-edges")

# torch and diffusers take seconds to import: they come with the first name that needs them.
_HOMES = {
    "BackboneError": "backbones",
    "EdgeDetector": "detector",
    "EdgeMap": "results",
    "EdgeProtocol": "metrics",
    "Emergence": "results",
    "ImageError": "images",
    "InstanceMasks": "results",
    "PanopticMap": "results",
    "TraceEdgePipeline": "pipeline",
    "TraceSettings": "pipeline",
    "boundaries_from_labels": "metrics",
    "evaluate_edges": "metrics",
    "evaluate_masks": "metrics",
    "evaluate_panoptic": "metrics",
    "export_coco": "export",
    "instances_from_edges": "segmentation",
    "load_image": "images",
    "load_images": "images",
    "load_sam": "sam",
    "open_ground_truth": "datasets",
    "panoptic_from_semantic": "segmentation",
    "refine_instances": "segmentation",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'trace_edges' has no attribute {name!r}")
    return getattr(import_module(f"trace_edges.{_HOMES[name]}"), name)
