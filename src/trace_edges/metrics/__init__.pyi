from .boundaries import boundaries_from_labels as boundaries_from_labels
from .counts import EdgeTruth as EdgeTruth
from .edges import EdgeScores as EdgeScores
from .edges import evaluate_edges as evaluate_edges
from .masks import MaskScores as MaskScores
from .panoptic import PanopticScores as PanopticScores
from .protocol import EdgeProtocol as EdgeProtocol
