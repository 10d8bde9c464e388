"""The sheet shows the run that gave the edges; its colours stay with the things they stand for."""

import numpy as np
import pytest
import torch
from PIL import Image

from trace_edges.explain import explain
from trace_edges.explain.sheets import _TILE as TILE
from trace_edges.explain.sheets import principal_colours
from trace_edges.training_free.pipeline import TraceEdgePipeline, TraceSettings


def picture():
    rows, columns = np.mgrid[:48, :64]
    disc = np.hypot(rows - 20, columns - 30) < 12
    return np.repeat((40 + 160 * disc + rows)[..., None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({}, 1 + 1 + 1),  # the results, five steps of attention, five of ABDiv
        ({"stride": 100}, 1 + 2 + 2),  # eleven steps take two rows
        ({"timestep": 249, "trajectory": "noise"}, 3),  # one step, and no curve
        ({"subcell": 2, "timestep": 249}, 3),
    ],
)
def test_the_sheet_and_the_edges_of_the_same_run(trace_mini, changes, rows):
    pipe = TraceEdgePipeline(trace_mini)
    settings = TraceSettings(**{"resolution": 64, "subcell": 1, "stride": 250} | changes)
    sheet, result = explain(pipe, picture(), settings)
    assert sheet.height == rows * (TILE + 26) + 8  # a caption of 18 px, and gaps of 8
    plain = pipe(picture(), settings)
    assert np.array_equal(result.edges, plain.edges)
    assert np.array_equal(result.ridges, plain.ridges)
    assert np.array_equal(result.emergence.curve, plain.emergence.curve)
    shown = Image.fromarray(picture()).resize((TILE, TILE * 3 // 4), Image.Resampling.NEAREST)
    first = sheet.crop((8, 26, 8 + TILE, 26 + TILE * 3 // 4))
    assert np.array_equal(np.asarray(first), np.asarray(shown))


@pytest.mark.parametrize("kind", ["sd15", "sdxl", "pixart", "sd3.5-medium", "flux-schnell"])
def test_every_family_has_a_sheet_random_weights(tiny_model, kind):
    """On a grid that is not square, from 8 x 11 cells to 3 x 4."""
    pipe = TraceEdgePipeline.from_pretrained(tiny_model(kind))
    sheet, result = explain(pipe, picture(), TraceSettings(resolution=72, stride=500))
    assert sheet.height == 3 * (TILE + 26) + 8
    h, w = result.raw.shape[1:]
    assert h < w
    assert h * pipe.backbone.cell == result.settings["model_size"][0]
    plain = pipe(picture(), resolution=72, stride=500)
    assert np.array_equal(result.edges, plain.edges)


def groups(sizes, noise=0.01, seed=0):
    """A map in which each group of tokens looks at itself, with the group of each token."""
    member = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    generator = torch.Generator().manual_seed(seed)
    same = (member[:, None] == member).float()
    same = same + noise * torch.rand(same.shape, generator=generator)
    return same / same.sum(-1, keepdim=True), member


def test_groups_have_a_colour_each():
    attention, member = groups([10, 14, 20])
    colours = principal_colours(attention)
    assert colours.shape == (44, 3)
    plane = colours[:, :2]  # three groups differ in two components; the third is noise
    means = torch.stack([plane[member == group].mean(0) for group in range(3)])
    within = torch.cat([plane[member == group] - means[group] for group in range(3)]).abs().max()
    assert torch.pdist(means).min() > 5 * within
    torch.testing.assert_close(colours.std(dim=0), torch.ones(3))


def test_colours_are_turned_to_agree_with_those_before():
    attention, _ = groups([8, 9, 11, 20])
    first = principal_colours(attention)
    turned = first[:, [2, 0, 1]] * torch.tensor([-1.0, 1.0, -1.0])  # another order, other signs
    torch.testing.assert_close(principal_colours(attention, turned), turned, rtol=0, atol=1e-3)


def test_colours_are_always_the_same_and_draw_no_random_numbers():
    attention, _ = groups([8, 9, 11])
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = principal_colours(attention)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(principal_colours(attention), first)


def test_a_map_of_two_tokens_has_colours():
    colours = principal_colours(torch.tensor([[0.9, 0.1], [0.2, 0.8]]))
    assert colours.shape == (2, 3)
    assert colours.isfinite().all()
