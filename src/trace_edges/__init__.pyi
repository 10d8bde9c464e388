from .backbones import BackboneError as BackboneError
from .detector import EdgeDetector as EdgeDetector
from .edge_folder import EdgeFolder as EdgeFolder
from .edge_model import EdgeModel as EdgeModel
from .evaluation import evaluate_masks as evaluate_masks
from .evaluation import evaluate_panoptic as evaluate_panoptic
from .formats import export_coco as export_coco
from .formats import open_ground_truth as open_ground_truth
from .images import ImageError as ImageError
from .images import load_image as load_image
from .images import load_images as load_images
from .instances import candidates_from_edges as candidates_from_edges
from .instances import instances_from_edges as instances_from_edges
from .instances import panoptic_from_semantic as panoptic_from_semantic
from .instances import refine_instances as refine_instances
from .instances.sam import load_sam as load_sam
from .metrics import EdgeProtocol as EdgeProtocol
from .metrics import boundaries_from_labels as boundaries_from_labels
from .metrics import evaluate_edges as evaluate_edges
from .results import Calibration as Calibration
from .results import EdgeMap as EdgeMap
from .results import Emergence as Emergence
from .results import InstanceMasks as InstanceMasks
from .results import PanopticMap as PanopticMap
from .training_free import TraceEdgePipeline as TraceEdgePipeline
from .training_free import TraceSettings as TraceSettings

__version__: str
