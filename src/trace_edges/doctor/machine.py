"""Devices and their memory, number formats, the compiler for kernels, and room on the disk."""

from __future__ import annotations

import os
import platform
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from trace_edges.doctor.report import Finding, without_home

GIB = 2**30
_LITTLE_ROOM = 5 * GIB  # less than the smallest of the paper's backbones and its text encoders
_COMPILERS = ("gcc", "clang", "cc")  # where CC says nothing
_WITHOUT_COMPILER = "without it a CUDA device computes maps the slower PyTorch way"


def processor() -> str:
    """The processor's name, where the system tells it, and the number of its cores."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def devices(device: str) -> Iterator[Finding]:
    """The processor, every accelerator, and which of them the commands would take."""
    import torch

    memory = psutil.virtual_memory()
    yield Finding(
        "cpu", f"{processor()}, {torch.get_num_threads()} threads, "
        f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB free",
    )  # fmt: skip
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            yield cuda_device(index)
    elif (why := _unused_card(torch.version.cuda, torch.version.hip)) is not None:
        yield why
    if torch.backends.mps.is_available():
        most = torch.mps.recommended_max_memory()
        yield Finding("mps", f"{platform.machine()}, at most {most / GIB:.1f} GiB")
    if torch.xpu.is_available():
        for index in range(torch.xpu.device_count()):
            yield Finding(f"xpu:{index}", torch.xpu.get_device_name(index))
    yield from _chosen(device)


def cuda_device(index: int) -> Finding:
    """One card: name, compute capability, memory, and whether this torch was built for it."""
    import torch

    about = torch.cuda.get_device_properties(index)
    free, total = torch.cuda.mem_get_info(index)
    capability = (about.major, about.minor)
    told = (
        f"{about.name}, compute capability {about.major}.{about.minor}, "
        f"{free / GIB:.1f} of {total / GIB:.1f} GiB free, CUDA {torch.version.cuda}"
    )
    subject = f"cuda:{index}"
    if not is_built_for(capability, torch.cuda.get_arch_list()):
        built = " ".join(torch.cuda.get_arch_list())
        mend = f"this torch is built for {built}: install a torch for this card"
        return Finding(subject, told, "broken", mend)
    return Finding(subject, told)


def is_built_for(capability: tuple[int, int], built: list[str]) -> bool:
    """A build runs on cards of its own generation that are not older, and where it has PTX on any
    that is not.

    Args:
        capability: of the card.
        built: "sm_80", "compute_90", ..., as `torch.cuda.get_arch_list`.
    """
    for one in built:
        kind, _, number = one.partition("_")
        digits = "".join(filter(str.isdigit, number))
        if not digits:
            return True  # names of AMD's cards
        target = (int(digits[:-1]), int(digits[-1]))
        near = kind == "compute" or target[0] == capability[0]
        if near and target <= capability:
            return True
    return not built


def _unused_card(cuda: str | None, hip: str | None) -> Finding | None:
    if not (Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi")) or hip:
        return None
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return Finding("cuda", "hidden by CUDA_VISIBLE_DEVICES", "note")
    if cuda is None:
        mend = "install a torch that is built for CUDA (pytorch.org)"
        return Finding(
            "cuda", "there is an NVIDIA driver, but this torch is for CPUs", "broken", mend
        )
    mend = f"the driver may be too old for CUDA {cuda}: see what nvidia-smi says"
    return Finding("cuda", "there is an NVIDIA driver, but torch cannot use it", "broken", mend)


def _chosen(device: str) -> Iterator[Finding]:
    from trace_edges.loading import Loading

    try:
        placement: dict[str, Any] = Loading(device=device).placement
    except ValueError as error:
        yield Finding(f"--device {device}", str(error), "broken", "give another --device")
        return
    dtype = str(placement["dtype"]).removeprefix("torch.")
    yield Finding(f"--device {device}", f"takes {placement['device']}, in {dtype}")


def numbers(device: str) -> Iterator[Finding]:
    """How torch computes where nobody says otherwise."""
    import torch

    yield Finding("float32 products", torch.get_float32_matmul_precision())
    if torch.cuda.is_available():
        yield Finding("convolutions", "TF32" if torch.backends.cudnn.allow_tf32 else "float32")
    only = torch.are_deterministic_algorithms_enabled()
    yield Finding("deterministic", "required" if only else "not required")


def compiler(device: str) -> Iterator[Finding]:
    """Triton compiles a launcher for its kernels in C when they are first used."""
    asked = os.environ.get("CC")
    known = filter(None, map(shutil.which, (asked,) if asked else _COMPILERS))
    if (found := next(known, None)) is None:
        yield Finding("C compiler", f"{asked or 'none'} is not there", "note",
                      f"install gcc; {_WITHOUT_COMPILER}")  # fmt: skip
    else:
        yield Finding("C compiler", without_home(found))
    if (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        yield Finding("Python.h", "there")
    else:
        yield Finding("Python.h", "missing", "note",
                      f"install Python's headers (python3-dev); {_WITHOUT_COMPILER}")  # fmt: skip


def room(device: str) -> Iterator[Finding]:
    """Room on the disks of the caches, and whether they can be written."""
    from huggingface_hub import constants

    from trace_edges.backbones.nulls import cache_folder

    for subject, folder in (
        ("hub cache", Path(constants.HF_HUB_CACHE)),
        ("own cache", cache_folder()),
    ):
        there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
        free = shutil.disk_usage(there).free
        told = f"{without_home(str(folder))}, {free / GIB:.1f} GiB free"
        if not os.access(there, os.W_OK):
            variable = "HF_HOME" if subject == "hub cache" else "TRACE_EDGES_CACHE"
            mend = f"cannot be written: set {variable} to a folder that can"
            yield Finding(subject, told, "note", mend)
        elif free < _LITTLE_ROOM:
            yield Finding(subject, told, "note", "too little for most backbones")
        else:
            yield Finding(subject, told)
