"""No result depends on the order, the strides, the byte order or the number type of an array."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import trace_edges
from trace_edges.evaluation.edges import edge_truth
from trace_edges.explain import explain
from trace_edges.formats import Segments
from trace_edges.formats.edge_maps import read_edge_map, write_edge_map
from trace_edges.formats.labels import read_masks, write_label_png
from trace_edges.images import (
    load_image,
    load_images,
    read_image,
    read_images,
    resize_image,
    to_model,
)
from trace_edges.images import to_tensor as image_tensor
from trace_edges.instances import (
    Propagation,
    Seeds,
    attach_fragments,
    attention_affinity,
    build_hierarchy,
    candidates_from_edges,
    centred_affinity,
    contours,
    feature_affinity,
    instances_from_edges,
    instances_from_grid,
    maskcut,
    panoptic_from_semantic,
    promerge,
    propagate,
    refine_instances,
    snap_to_colours,
    weigh_lines,
)
from trace_edges.metrics import EdgeProtocol, EdgeTruth
from trace_edges.metrics.boundaries import boundaries_from_labels, ignored_region
from trace_edges.metrics.edges import evaluate_edges
from trace_edges.metrics.lines import suppress_non_maxima, thin, thin_numba
from trace_edges.metrics.matching import match_count, match_pixels_scipy
from trace_edges.results import EdgeMap, Emergence, InstanceMasks, PanopticMap, Segment
from trace_edges.training_free.pipeline import TraceEdgePipeline
from trace_edges.training_free.settings import TraceSettings

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, (6, 7)).repeat(5, 0).repeat(4, 1).astype(np.int32)
LINES = boundaries_from_labels(LABELS, "thick")
OTHER = np.roll(LINES, 1, axis=1)
# In steps that half precision holds.
SMOOTH = (np.rint(RNG.random((30, 28)) * 64) / 64).astype(np.float32)
WALLS = (LINES * 0.75).astype(np.float32)
AFFINITY = np.kron(np.eye(4), np.ones((6, 6))).astype(np.float32) * 0.5 + 0.25
ATTENTION = (AFFINITY / AFFINITY.sum(1, keepdims=True)).astype(np.float32)
FEATURES = (np.rint(RNG.random((4, 6, 3)) * 64) / 64).astype(np.float32)
CELLS = np.stack([np.arange(12).reshape(3, 4) < 6, np.arange(12).reshape(3, 4) > 8])
PIXELS = RNG.integers(0, 256, (30, 28, 3)).astype(np.uint8)


def reversed_strides(array):
    return np.flip(np.ascontiguousarray(np.flip(array)))


def sliced(array):
    wide = np.zeros([2 * side for side in array.shape], array.dtype)
    wide[tuple(slice(None, None, 2) for _ in array.shape)] = array
    return wide[tuple(slice(None, None, 2) for _ in array.shape)]


def read_only(array):
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def swapped_bytes(array):
    return array.astype(array.dtype.newbyteorder(">"))


LAYOUTS = [np.asfortranarray, sliced, reversed_strides, read_only, swapped_bytes]


def saved_labels(labels, folder):
    write_label_png(labels, folder / "a.png")
    return read_masks(folder / "a.png")


def saved_edges(edges, folder):
    write_edge_map(edges, folder / "a.npy", "npy")
    return read_edge_map(folder / "a.npy")


def saved_map(labels, ids, folder):
    """A panoptic map of two things, as its own ids give it."""
    segments = tuple(Segment(int(one), 1, True) for one in np.unique(ids) if one)
    return PanopticMap(np.asarray(labels), segments).ids


def regions_of(hierarchy):
    return hierarchy.labels, hierarchy.births


def drawn(image):
    """Edges of one image, from the pipeline at its smallest."""
    return PIPES[0](image, resolution=64, timestep=0).edges


PIPES = []
FIXED = TraceSettings(resolution=64, timestep=0)
SMALL = Propagation(min_area=1, min_radius=0)
MASKS = np.stack([LABELS == 1, LABELS == 2])
ONES = np.ones(2, np.float32)

# By the name under which it is public; what is behind a comma tells rows of one function apart.
FUNCTIONS = {
    "thin": (thin, [LINES]),
    "thin_numba": (thin_numba, [LINES]),
    "weigh_lines": (
        lambda smooth, ridges: weigh_lines(EdgeMap(smooth[None], ridges[None])),
        [SMOOTH, LINES],
    ),
    "suppress_non_maxima": (suppress_non_maxima, [SMOOTH]),
    "match_count": (lambda a, b: match_count(a, b, 2.0), [LINES, OTHER]),
    "match_pixels_scipy": (lambda a, b: match_pixels_scipy(a, b, 1.0)[0].sum(), [LINES, OTHER]),
    "boundaries_from_labels": (boundaries_from_labels, [LABELS]),
    "boundaries_from_labels, void": (
        lambda labels, void: boundaries_from_labels(labels, "thin", void, "nearest"),
        [LABELS, LABELS == 3],
    ),
    "ignored_region": (lambda void: ignored_region(void, 2.0), [LABELS == 3]),
    "evaluate_edges": (lambda a, b: evaluate_edges([a], [b]).ods, [SMOOTH, LINES]),
    "evaluate_edges, uint16": (
        lambda a, b: evaluate_edges([a], [b]).ods,
        [np.rint(SMOOTH * 65535).astype(np.uint16), LINES],
    ),
    "EdgeTruth": (lambda a, b: np.stack(EdgeTruth([a], b).annotations), [LINES, OTHER]),
    "Segments": (
        lambda labels, void: edge_truth([Segments(labels, void)], EdgeProtocol()).annotations[0],
        [LABELS, LABELS == 3],
    ),
    "load_image": (load_image, [PIXELS]),
    "load_image, 16 bits": (load_image, [PIXELS.astype(np.uint16) * 257]),
    "load_image, floats": (load_image, [np.rint(PIXELS / 4) / 64]),
    "read_image": (lambda pixels: read_image(pixels).pixels, [PIXELS]),
    "load_images": (lambda pixels: load_images([pixels, pixels])[1], [PIXELS]),
    "read_images": (lambda pixels: read_images(pixels)[1].pixels, [np.stack([PIXELS, PIXELS])]),
    "resize_image": (lambda pixels: resize_image(pixels, (20, 16)), [PIXELS]),
    "to_model": (to_model, [PIXELS]),
    "to_tensor": (lambda pixels: image_tensor(pixels).numpy(), [PIXELS]),
    "TraceEdgePipeline": (drawn, [PIXELS]),
    "explain": (lambda pixels: np.asarray(explain(PIPES[0], pixels, FIXED)[0]), [PIXELS]),
    "InstanceMasks": (lambda a, b: InstanceMasks(a, b).label_map, [MASKS, ONES]),
    "InstanceMasks.from_labels": (lambda a: InstanceMasks.from_labels(a).label_map, [LABELS]),
    "EdgeMap": (lambda a, b: EdgeMap(a, b).thin, [SMOOTH[None], LINES[None]]),
    "Emergence": (
        lambda a, b, c: Emergence(a, b, c).curve,
        [np.array([0, 99, 199]), np.ones((1, 2), np.float32), np.array([99])],
    ),
    "PanopticMap": (lambda a: saved_map(a, LABELS, None), [LABELS]),
    "propagate": (lambda a, b: propagate(a, b, SMALL), [LABELS > 1, WALLS]),
    "attach_fragments": (attach_fragments, [LABELS, LABELS == 3]),
    "refine_instances": (
        lambda a, b: refine_instances(a, b, propagation=SMALL),
        [MASKS, WALLS],
    ),
    "panoptic_from_semantic": (
        lambda a, b: panoptic_from_semantic(a, b, [1, 2]).ids,
        [LABELS, WALLS],
    ),
    "Seeds": (
        lambda points: Seeds(InstanceMasks(MASKS, ONES), points).points,
        [np.array([[[7, 1]], [[3, 2]]])],
    ),
    "instances_from_edges": (lambda a: instances_from_edges(a).label_map, [SMOOTH]),
    "candidates_from_edges": (lambda a: candidates_from_edges(a).masks, [SMOOTH]),
    "build_hierarchy": (lambda a: build_hierarchy(a).labels, [SMOOTH]),
    "contours": (contours, [SMOOTH]),
    "attention_affinity": (attention_affinity, [ATTENTION]),
    "centred_affinity": (centred_affinity, [AFFINITY]),
    "feature_affinity": (feature_affinity, [FEATURES]),
    "instances_from_grid": (lambda a: instances_from_grid(a, (30, 28)).label_map, [CELLS]),
    "instances_from_grid, image": (
        lambda a, b: instances_from_grid(a, (30, 28), b).label_map,
        [CELLS, PIXELS],
    ),
    "snap_to_colours": (snap_to_colours, [WALLS, PIXELS]),
    "maskcut": (lambda a: maskcut(a, (4, 6), min_area=0), [AFFINITY]),
    "promerge": (lambda a: promerge(a, (4, 6), stride=1), [AFFINITY]),
    "write_label_png": (saved_labels, [LABELS, ...]),
    "write_edge_map": (saved_edges, [SMOOTH, ...]),
}

NEEDS_CRF = {"instances_from_grid, image", "snap_to_colours"}

# These only carry what the package itself has made.
NOT_GIVEN = {"Denoising", "Moment", "LoadedImage", "Hierarchy", "EdgeScores"}
TAKES_ARRAYS = (
    "ndarray",
    "'Edges'",
    "'Edges |",
    "'Mask'",
    "'Labels'",
    "'ImageSource",
    "Hierarchy | Edges",
)


def public_functions():
    """Names of all that takes arrays, of the `__all__` of the package and its rooms."""
    rooms = [
        importlib.import_module(f"trace_edges.{one.name}")
        for one in pkgutil.iter_modules(trace_edges.__path__)
        if one.name != "cli"
    ]
    for room in [trace_edges, *rooms]:
        for name in getattr(room, "__all__", ()):
            found = getattr(room, name)
            if inspect.isfunction(found) or inspect.isclass(found):
                try:
                    taken = str(inspect.signature(found))
                except ValueError:  # an exception
                    continue
                if any(kind in taken.partition(" -> ")[0] for kind in TAKES_ARRAYS):
                    yield name


def test_every_public_function_that_takes_arrays_has_a_row():
    names = set(public_functions())
    assert {"evaluate_edges", "propagate", "load_image", "PanopticMap"} <= names
    assert sorted(names - NOT_GIVEN - {row.partition(",")[0] for row in FUNCTIONS}) == []


@pytest.fixture(autouse=True)
def _pipe(trace_mini, request):
    row = getattr(request.node, "callspec", None)
    if row is not None and row.params["name"] in NEEDS_CRF:
        pytest.importorskip("pydensecrf")
    PIPES[:] = [TraceEdgePipeline(trace_mini)]


def compare(function, given, plain):
    np.testing.assert_array_equal(function(*given), function(*plain))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_layout_of_an_array_changes_no_result(name, layout, tmp_path):
    function, arguments = FUNCTIONS[name]
    plain = [tmp_path if one is ... else one.copy() for one in arguments]
    other = [tmp_path if one is ... else layout(one) for one in arguments]
    compare(function, other, plain)
    for given, was in zip(other, arguments, strict=True):
        if was is not ...:
            np.testing.assert_array_equal(given, was)  # and nothing of the caller's is changed


# Zero and one are no mask there: strengths and masks are easily confused.
REFUSES_BYTES = {"match_count", "match_pixels_scipy", "evaluate_edges", "evaluate_edges, uint16",
                 "InstanceMasks", "refine_instances"}  # fmt: skip

# What each type may come as; an image's range follows its type, so images stay as they are.
TYPES = {
    "half": {np.float32: np.float16, np.float64: np.float16},
    "double": {np.float32: np.float64},
    "bytes": {np.bool_: np.uint8},
    "wide": {np.int32: np.int64, np.int64: np.int32},
    "narrow": {np.int32: np.uint8},
}


@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_number_type_of_an_array_changes_no_result(name, types, tmp_path):
    """Or a line that names the type refuses it."""
    function, arguments = FUNCTIONS[name]
    plain = [tmp_path if one is ... else one.copy() for one in arguments]
    other = [tmp_path if one is ... else one.astype(TYPES[types].get(one.dtype.type, one.dtype))
             for one in arguments]  # fmt: skip
    if not any(one is not tmp_path and one.dtype != was.dtype
               for one, was in zip(other, plain, strict=True)):  # fmt: skip
        pytest.skip("takes no array of such a type")
    expected = np.asarray(function(*plain), float)
    if types == "bytes" and name in REFUSES_BYTES:
        with pytest.raises((TypeError, ValueError), match=r"boolean.* not uint8"):
            function(*other)
        return
    found = np.asarray(function(*other), float)
    np.testing.assert_allclose(found, expected, atol=2e-3)
