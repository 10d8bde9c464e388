"""What the Triton kernels need of every card, and what they add to a pass: compiled, not run.

    python -m benchmarks.speed.kernels --json out/kernels.json

No GPU is needed: Triton brings NVIDIA's assembler. For each card, number type and head dimension:
shared memory, registers, bytes of spilled registers, products of tensor cores and exponentials in
the code. Then the operations of a pass of SD3.5-Large, and of the capture beside it.
"""

import argparse
import re
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from benchmarks._shared.reports import guarded, markdown, write_json
from trace_edges.attention import kernels
from trace_edges.attention.tiles import FUSION, Card, multiplied_as, tiles_for

# Shared memory that a program can have, from the table of technical specifications in NVIDIA's
# CUDA C++ programming guide; from memory for 100 and 120.
CARDS = {
    arch: Card(arch, kib << 10)
    for arch, kib in {75: 64, 80: 163, 86: 99, 89: 99, 90: 227, 100: 227, 120: 99}.items()
}
HEAD_DIMENSIONS = (8, 32, 40, 64, 72, 80, 96, 128, 160, 256)
DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
HEAD_MEAN = ("_log_sums", "_add_mean")


@dataclass(frozen=True)
class Compiled:
    """What a kernel needs.

    Attributes:
        shared: bytes of a program.
        registers: of a thread.
        spilled: bytes of a thread that found no register.
        products: instructions of tensor cores; None: not counted.
        exponentials: instructions of the special function unit.
    """

    shared: int
    registers: int
    spilled: int
    products: int | None = None
    exponentials: int | None = None


def compile_head_mean(
    name: str, arch: int, dtype: str, d: int, instructions: bool = False
) -> Compiled:
    """Compile one of the two kernels of the head mean for a card, as it would be launched there.

    Args:
        dtype: of the model.
        instructions: count them; that takes as long as compiling.
    """
    kind = multiplied_as(DTYPES[dtype], CARDS[arch])
    (dtype,) = (known for known, one in DTYPES.items() if one == kind)
    constants = {"D": d, **tiles_for(d, kind.itemsize, CARDS[arch]).options()}
    found, cubin = _compiled(name, arch, dtype, constants, unit_strides=("qd", "kd", "tm"))
    return replace(found, **_instructions(cubin)) if instructions else found


def compile_divergence(arch: int) -> Compiled:
    """Compile the kernel of KL for a card."""
    constants = {"BLOCK": kernels.ROW_BLOCK, **FUSION}
    return _compiled("_kl_of_row", arch, "fp32", constants, unit_strides=("pm", "qm"))[0]


def _compiled(
    name: str, arch: int, dtype: str, launch: dict[str, Any], unit_strides: tuple[str, ...]
) -> tuple[Compiled, bytes]:
    kernel = getattr(kernels, name)
    names = kernel.arg_names
    options = {key: value for key, value in launch.items() if key not in names}
    # As a launch has it: a stride of 1 is a constant, addresses and the other strides are
    # multiples of 16.
    constants = {key: value for key, value in launch.items() if key in names}
    constants |= {key: 1 for key in unit_strides if key in names}
    types = {"q": f"*{dtype}", "k": f"*{dtype}", "p": "*fp32", "total": "*fp32", "sums": "*fp32"}
    types |= {"divergence": "*fp32", "first": "*i64", "second": "*i64"}
    types |= {"scale": "fp32", "least": "fp32"} | dict.fromkeys(constants, "constexpr")
    aligned = [["tt.divisibility", 16]]
    ordinary = {"scale", "least", "heads", "n", "m", "r", *constants}
    source = ASTSource(
        kernel,
        {key: types.get(key, "i32") for key in names},
        {(names.index(key),): value for key, value in constants.items()},
        {(place,): aligned for place, key in enumerate(names) if key not in ordinary},
    )
    found = triton.compile(source, target=GPUTarget("cuda", arch, 32), options=options)
    cubin = found.asm["cubin"]
    usage = re.search(r"REG:(\d+) STACK:(\d+)", _dump(cubin, "-res-usage"))
    return Compiled(found.metadata.shared, int(usage[1]), int(usage[2])), cubin


def _instructions(cubin: bytes) -> dict[str, int]:
    units = Counter(re.findall(r"\b(\w*MMA|MUFU\.EX2)\b", _dump(cubin, "-sass")))
    exponentials = units.pop("MUFU.EX2", 0)
    return {"products": sum(units.values()), "exponentials": exponentials}


def _dump(cubin: bytes, what: str) -> str:
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        dumped = subprocess.run([tool, what, file.name], capture_output=True, text=True, check=True)
    return dumped.stdout + dumped.stderr


@dataclass(frozen=True)
class Shape:
    """A denoiser of joint attention, by its numbers.

    Attributes:
        layers, heads, d: attention.
        text: tokens of the prompt.
        weights: of the linear layers of one block, per token of image or text.
    """

    layers: int
    heads: int
    d: int
    text: int
    weights: int


# From the config of SD3.5-Large: width 38 * 64 = 2432, four projections and an MLP four times as
# wide for every token; 77 + 256 tokens of text.
SD35_LARGE = Shape(38, 38, 64, 333, (4 + 8) * 2432**2)


def operations(shape: Shape, tokens: int) -> dict[str, float]:
    """Of a pass with N tokens of the image, and of the capture beside it: multiplications and
    additions of matrix products, and exponentials.
    """
    everything, width = tokens + shape.text, shape.heads * shape.d
    linear = 2 * shape.weights * everything
    attention = 4 * everything**2 * width
    capture = 2 * 2 * tokens**2 * width  # q k^T, twice
    return {
        "pass": shape.layers * (linear + attention),
        "capture": shape.layers * capture,
        "pass_exponentials": shape.layers * shape.heads * everything**2,
        "capture_exponentials": shape.layers * shape.heads * 2 * tokens**2,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cards", type=int, nargs="+", default=list(CARDS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for arch in options.cards:
        for dtype in DTYPES:
            for d in HEAD_DIMENSIONS:
                for name in HEAD_MEAN:
                    found = compile_head_mean(name, arch, dtype, d, instructions=True)
                    rows.append({"sm": arch, "type": dtype, "d": d, "kernel": name, **vars(found)})
        rows.append(
            {"sm": arch, "type": "fp32", "d": "", "kernel": "_kl_of_row",
             **vars(compile_divergence(arch))}
        )  # fmt: skip
    print(markdown(tuple(rows[0]), [tuple(row.values()) for row in rows]))
    counted = {px: operations(SD35_LARGE, (px // 16) ** 2) for px in (512, 1024)}
    for px, count in counted.items():
        print(
            f"\nSD3.5-Large at {px} px: pass {count['pass'] / 1e12:.1f} T operations, pass and "
            f"capture {(count['pass'] + count['capture']) / count['pass']:.2f} times as many; "
            f"exponentials {count['pass_exponentials'] / 1e9:.1f} G, and "
            f"{count['capture_exponentials'] / 1e9:.1f} G more"
        )
    if options.json:
        write_json({"kernels": rows, "sd35_large": counted}, options.json, indent=1)


if __name__ == "__main__":
    guarded(main)
