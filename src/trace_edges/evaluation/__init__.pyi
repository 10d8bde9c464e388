from .edges import EdgeEvaluation as EdgeEvaluation
from .edges import Problem as Problem
from .edges import edge_truth as edge_truth
from .edges import evaluate_edge_folders as evaluate_edge_folders
from .masks import evaluate_masks as evaluate_masks
from .panoptic import evaluate_panoptic as evaluate_panoptic
from .report import write_report as write_report
