"""Kernels and models: run, and compared with what must come out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from trace_edges.doctor.report import Finding, attempted
from trace_edges.results import EdgeMap

HEAD_DIMS = (40, 64, 72, 80, 128, 160, 256)  # of the backbones that have names
_DTYPES = ("float32", "float16", "bfloat16")
_KERNEL_TOLERANCE = 1e-4  # of sums of softmaxes, which are at most 1
_TOKENS = 200  # fills no block

# Largest difference of edges, which lie in [0, 1], from those of the CPU in float32. On a CPU
# trace-mini is off by 0.001 in float16 and 0.011 in bfloat16; float32 leaves room for TF32.
EDGE_TOLERANCE = {"float32": 0.005, "float16": 0.01, "bfloat16": 0.05}
_SIDE = 256  # px of the image
_RESOLUTION = 128
_NEAR, _FAR = 10, 20  # px from a border
_AT_BORDER = 2.0  # so many times as many lines as elsewhere is the least there must be
_REINSTALL = "reinstall torch and trace-edges, and report this"


def kernels(device: str) -> Iterator[Finding]:
    """Triton kernels on this device against PyTorch, for every number type and head dimension."""
    import torch

    from trace_edges.loading import Loading

    where: torch.device = Loading(device=device).placement["device"]
    if where.type != "cuda":
        yield Finding("triton", "no CUDA device: the PyTorch way is used")
        return
    if find_spec("triton") is None:
        mend = 'pip install "trace-edges[fast]"'
        yield Finding("triton", "not installed: the slower PyTorch way is used", "note", mend)
        return
    with torch.cuda.device(where):
        yield from _kernels_on(where)


def _kernels_on(where: Any) -> Iterator[Finding]:
    for dtype in _DTYPES:
        yield from attempted(f"maps, {dtype}", partial(_head_mean, where, dtype))
    yield from attempted("divergence", partial(_divergence, where))


def _head_mean(where: Any, dtype: str) -> Iterator[Finding]:
    import torch

    from trace_edges.attention.kernels import add_head_mean_fused
    from trace_edges.attention.maps import add_head_mean_blocks

    for d in HEAD_DIMS:
        generator = torch.Generator().manual_seed(d)
        q, k = (
            torch.randn(1, 3, _TOKENS, d, generator=generator).to(where, getattr(torch, dtype))
            for _ in "qk"
        )
        fused, plain = (torch.zeros(1, _TOKENS, _TOKENS, device=where) for _ in "fp")
        add_head_mean_fused(fused, q, k, d**-0.5)
        add_head_mean_blocks(plain, q, k, d**-0.5)
        worst = float((fused - plain).abs().max())
        yield _compared(f"maps, {dtype}", worst, _KERNEL_TOLERANCE, f"{d} channels a head")


def _divergence(where: Any) -> Iterator[Finding]:
    import torch

    from trace_edges.attention.kernels import kl_between_rows_fused
    from trace_edges.training_free.divergence import MINIMUM_PROBABILITY, kl_divergence

    generator = torch.Generator().manual_seed(0)
    p, q = (
        torch.softmax(4 * torch.randn(1, 50, _TOKENS, generator=generator), -1).to(where)
        for _ in "pq"
    )
    rows = torch.arange(50, device=where)
    fused = kl_between_rows_fused(p, q, rows, rows.flip(0), MINIMUM_PROBABILITY)
    plain = kl_divergence(p, q.flip(1))
    worst = float(((fused - plain).abs() / plain.abs().max()).max())
    yield _compared("divergence", worst, _KERNEL_TOLERANCE, "")


def cached_backbones(device: str) -> Iterator[Finding]:
    """Which backbones that have names are in the hub's cache, wholly or in part."""
    from huggingface_hub import get_token

    from trace_edges.backbones import CHECKPOINTS, ENCODERS, BackboneError

    absent = 0
    for name in (*CHECKPOINTS, *ENCODERS):
        try:
            found = _cached(name)
        except BackboneError as error:
            found = Finding(
                name, str(error), "note", "remove it from the cache, and fetch it again"
            )
        absent += found is None
        if found is not None:
            yield found
    yield Finding("others", f"{absent} that have names are not here")
    yield Finding("hub login", "yes" if get_token() else "no: gated models need one")


def _cached(name: str) -> Finding | None:
    from huggingface_hub import try_to_load_from_cache

    from trace_edges.backbones import ENCODERS, take_inventory

    if name in ENCODERS:
        config = try_to_load_from_cache(ENCODERS[name].hub, "config.json")
        return Finding(name, "here") if isinstance(config, str) else None
    one = take_inventory(name)
    if one.folder is None:
        return None
    if missing := [part for part, here in one.components.items() if not here]:
        mend = "the next command that names it fetches the rest"
        return Finding(name, f"partly here, without {', '.join(missing)}", "note", mend)
    null = one.nulls[one.family.default_null]
    return Finding(name, "here" + ("" if null else ", but for its null condition"))


def embedded_model(device: str) -> Iterator[Finding]:
    """The embedded model on a drawn image: edges where they must be, the same on every device."""
    import torch

    from trace_edges.backbones.latents import has_bfloat16
    from trace_edges.loading import Loading

    where: torch.device = Loading(device=device).placement["device"]
    image, distance = drawn_image()
    expected = run_embedded("cpu", "float32", image)
    for method, (edges, seconds) in expected.items():
        yield _drawn_right(method, edges, seconds, distance)
    if where.type == "cpu":
        return

    def like_cpu(dtype: str) -> Iterator[Finding]:
        for method, (edges, seconds) in run_embedded(where, dtype, image).items():
            worst = float(np.abs(edges.edges - expected[method][0].edges).max())
            told = f"{seconds:.2f} s"
            yield _compared(f"{method}, {dtype}", worst, EDGE_TOLERANCE[dtype], told)

    for dtype in _DTYPES:
        if dtype == "bfloat16" and not has_bfloat16(where):
            yield Finding("both, bfloat16", f"{where} does not have it: float16 is taken", "note")
        else:
            yield from attempted(f"both, {dtype}", partial(like_cpu, dtype))


def drawn_image() -> tuple[np.ndarray, np.ndarray]:
    """A disc and a square on grey ground, (H, W, 3) uint8, and the px to the nearest border,
    (H, W).
    """
    y, x = np.mgrid[:_SIDE, :_SIDE]
    disc = np.hypot(y - 128, x - 80) - 56
    square = np.maximum(abs(y - 128), abs(x - 184)) - 48
    image = np.full((_SIDE, _SIDE, 3), 190, np.uint8)
    image[disc < 0] = 200, 60, 40
    image[square < 0] = 40, 80, 190
    return image, np.minimum(abs(disc), abs(square))


def run_embedded(device: Any, dtype: str, image: np.ndarray) -> dict[str, tuple[EdgeMap, float]]:
    """Edges by both methods, and the seconds they took; an accelerator is warmed up before."""
    import torch

    from trace_edges.detector import EdgeDetector
    from trace_edges.training_free.pipeline import TraceEdgePipeline

    found = {}
    both: Any = (("training-free", TraceEdgePipeline), ("one step", EdgeDetector))
    for method, kind in both:
        model = kind.from_pretrained(device=device, dtype=getattr(torch, dtype))
        if str(device) != "cpu":
            model(image, resolution=_RESOLUTION)
        started = time.perf_counter()
        edges = model(image, resolution=_RESOLUTION)
        found[method] = edges, time.perf_counter() - started
    return found


def _drawn_right(method: str, out: EdgeMap, seconds: float, distance: np.ndarray) -> Finding:
    subject, lines = f"{method}, cpu", out.ridges[0]
    near, far = lines[distance < _NEAR].mean(), lines[distance > _FAR].mean()
    times = float(near / max(far, 1e-4))
    told = f"{seconds:.2f} s, {times:.1f} times as many lines at borders as elsewhere"
    if times < _AT_BORDER:
        mend = f"there should be {_AT_BORDER:.0f} times as many: {_REINSTALL}"
        return Finding(subject, told, "broken", mend)
    return Finding(subject, told)


def _compared(subject: str, worst: float, tolerance: float, told: str) -> Finding:
    told = f"{told}, " if told else ""
    told += f"differs by {worst:.1e} at most (tolerance {tolerance:.0e})"
    if not worst <= tolerance:  # also where it is no number
        return Finding(subject, told, "broken", "results of this device cannot be trusted")
    return Finding(subject, told)
