"""The nodes as ComfyUI calls them: found by their mappings, filled from INPUT_TYPES."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

PLACE = Path(__file__).parents[2] / "integrations" / "comfyui"


@pytest.fixture(scope="module")
def nodes():
    """Imported by its folder, whose name is whatever the user gave it."""
    places = {"submodule_search_locations": [str(PLACE)]}
    spec = importlib.util.spec_from_file_location("custom_node", PLACE / "__init__.py", **places)
    module = importlib.util.module_from_spec(spec)
    sys.modules["custom_node"] = module
    spec.loader.exec_module(module)
    yield module
    for name in [name for name in sys.modules if name.split(".")[0] == "custom_node"]:
        del sys.modules[name]


def defaults(node):
    """What the widgets stand at; sockets have no default."""
    values = {}
    for name, (kind, *options) in node.INPUT_TYPES()["required"].items():
        if kind not in ("IMAGE", "MASK"):
            values[name] = options[0]["default"]
    return values


def call(node, **given):
    answer = getattr(node(), node.FUNCTION)(**(defaults(node) | given))
    assert isinstance(answer, tuple)
    assert len(answer) == len(node.RETURN_TYPES) == len(node.RETURN_NAMES)
    return answer


def images(count, height, width):
    """A bright square on a dark ground, each image in other colours."""
    batch = torch.full((count, height, width, 3), 0.2)
    for index in range(count):
        batch[index, height // 4 : height // 2, width // 4 : width // 2] = 0.5 + 0.4 * index
    return batch.clamp(0, 1)


def test_every_node_says_what_comfyui_asks_for(nodes):
    assert nodes.NODE_CLASS_MAPPINGS.keys() == nodes.NODE_DISPLAY_NAME_MAPPINGS.keys()
    for node in nodes.NODE_CLASS_MAPPINGS.values():
        assert callable(getattr(node, node.FUNCTION))
        assert node.CATEGORY
        for kind, *options in node.INPUT_TYPES()["required"].values():
            assert kind in ("IMAGE", "STRING", "INT", "FLOAT") or isinstance(kind, list)
            assert kind == "IMAGE" or "default" in options[0]


@pytest.mark.parametrize("style", ["thin", "soft", "scribble"])
def test_edges_have_the_form_and_size_of_the_images(nodes, style):
    node = nodes.NODE_CLASS_MAPPINGS["TraceEdges"]
    (edges,) = call(node, image=images(2, 70, 93), resolution=96, style=style)
    assert edges.shape == (2, 70, 93, 3)
    assert edges.dtype == torch.float32
    assert edges.min() == 0
    assert edges.max() > 0.9  # full contrast
    assert torch.equal(edges[..., 0], edges[..., 1])


def test_alpha_is_left_out(nodes):
    node = nodes.NODE_CLASS_MAPPINGS["TraceEdges"]
    plain = images(1, 64, 64)
    with_alpha = torch.cat([plain, torch.ones(1, 64, 64, 1)], dim=-1)
    assert torch.equal(*(call(node, image=one, resolution=64)[0] for one in (plain, with_alpha)))


def test_the_attention_of_a_backbone_is_read_too(nodes):
    node = nodes.NODE_CLASS_MAPPINGS["TraceEdges"]
    (edges,) = call(node, image=images(1, 64, 64), backbone="trace-mini", resolution=64)
    (others,) = call(node, image=images(1, 64, 64), resolution=64)
    assert edges.shape == others.shape
    assert not torch.equal(edges, others)


def test_masks_of_all_images_follow_one_another(nodes):
    node = nodes.NODE_CLASS_MAPPINGS["TraceInstances"]
    both = images(2, 64, 80)
    masks, drawn = call(node, image=both, resolution=96, strength=0.02, min_area=0.0)
    singly = [
        call(node, image=both[i : i + 1], resolution=96, strength=0.02, min_area=0.0)[0]
        for i in range(2)
    ]
    assert len(masks) == sum(map(len, singly)) >= 2
    assert masks.shape[1:] == (64, 80)
    assert set(np.unique(masks)) == {0.0, 1.0}
    assert drawn.shape == (2, 64, 80, 3)
    # Every pixel belongs to one instance of its image.
    assert torch.equal(masks.sum(0), torch.full((64, 80), 2.0))
