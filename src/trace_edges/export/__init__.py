"""Results in the formats of others: COCO, panoptic, label PNG, YOLO, Label Studio and libraries."""

from trace_edges.export.coco import export_coco, export_coco_results
from trace_edges.export.coco_masks import read_coco_masks
from trace_edges.export.fiftyone import to_fiftyone
from trace_edges.export.label_studio import export_label_studio
from trace_edges.export.labels import export_labels, write_label_png
from trace_edges.export.panoptic import export_panoptic
from trace_edges.export.supervision import to_supervision
from trace_edges.export.yolo import export_yolo

__all__ = [
    "export_coco",
    "export_coco_results",
    "export_label_studio",
    "export_labels",
    "export_panoptic",
    "export_yolo",
    "read_coco_masks",
    "to_fiftyone",
    "to_supervision",
    "write_label_png",
]
