"""Versions, extras and environment variables."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.version import Version

from trace_edges import __version__
from trace_edges.doctor.report import Finding, without_home

_PACKAGE = "trace-edges"
_TOOLS = ("dev",)  # an extra for those who work on the package

# Not asked for by the package, but with a say in what it does where they are installed.
_OTHERS = ("torchvision", "tokenizers", "sentencepiece", "tiktoken", "hf-xet", "flash-attn",
           "sageattention", "xformers")  # fmt: skip

# What a variable that is set changes; those without a word are only good to know.
_VARIABLES = {
    "CUDA_VISIBLE_DEVICES": "",
    "PYTORCH_CUDA_ALLOC_CONF": "",
    "PYTORCH_ALLOC_CONF": "",
    "NVIDIA_TF32_OVERRIDE": "overrules the precision of float32 products",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "overrules the precision of float32 products",
    "CUBLAS_WORKSPACE_CONFIG": "",
    "PYTORCH_ENABLE_MPS_FALLBACK": "what Metal lacks runs on the CPU",
    "PYTORCH_MPS_HIGH_WATERMARK_RATIO": "",
    "TRITON_INTERPRET": "kernels run in Python, many times slower: unset it",
    "TRITON_CACHE_DIR": "",
    "CC": "",
    "OMP_NUM_THREADS": "",
    "HF_HUB_OFFLINE": "nothing is fetched",
    "TRANSFORMERS_OFFLINE": "nothing is fetched",
    "HF_HOME": "",
    "HF_HUB_CACHE": "",
    "XDG_CACHE_HOME": "",
    "TRACE_EDGES_CACHE": "",
}
_SECRET = ("HF_TOKEN", "HF_ENDPOINT")
_ATTENTION = "DIFFUSERS_ATTN_BACKEND"
_OFF = ("", "0", "false", "no", "off")


def requirements() -> dict[str, list[Requirement]]:
    """What the package asks for, by extra; "" is what it always needs.

    Empty where only a copy of its source is on the path.
    """
    found: dict[str, list[Requirement]] = {}
    try:
        extras = metadata.metadata(_PACKAGE).get_all("Provides-Extra") or []
        listed = [Requirement(line) for line in metadata.requires(_PACKAGE) or []]
    except metadata.PackageNotFoundError:
        return found
    for one in listed:
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            found.setdefault("", []).append(one)
        for extra in extras:
            if one.marker is not None and one.marker.evaluate({"extra": extra}):
                found.setdefault(extra, []).append(one)
    return found


def versions(device: str) -> Iterator[Finding]:
    """What the package always needs, and what else has a say."""
    yield Finding("system", platform.platform())
    yield Finding("python", f"{platform.python_version()}, {platform.python_implementation()}")
    yield Finding(_PACKAGE, __version__)
    needed = requirements().get("", [])
    if not needed:
        yield Finding(
            "requirements", f"{_PACKAGE} is on the path but not installed: versions are not checked"
        )
    for one in needed:
        yield _library(one)
    listed = {one.name.lower().replace("_", "-") for one in needed}
    for name in ("torch", "diffusers", "transformers", "accelerate", *_OTHERS):
        if name not in listed and (version := _version(name)):
            yield Finding(name, version)


def extras(device: str) -> Iterator[Finding]:
    """Which extras are installed; one that is there but too old is a note."""
    for extra, needed in requirements().items():
        if not extra or extra in _TOOLS:
            continue
        libraries = [_library(one) for one in needed if one.name != _PACKAGE]
        missing = [one.subject for one in libraries if one.told == "missing"]
        old = [one for one in libraries if one.state == "broken" and one.subject not in missing]
        told = ", ".join(f"{one.subject} {one.told}" for one in libraries)
        if old:
            yield Finding(extra, told, "note", f'pip install --upgrade "{_PACKAGE}[{extra}]"')
        else:
            yield Finding(extra, told if not missing else f"not installed ({', '.join(missing)})")


def environment(device: str) -> Iterator[Finding]:
    """Variables that are set and change what the package does; no secret is shown."""
    attention = os.environ.get(_ATTENTION, "native")
    if not attention.lstrip("_").startswith("native"):
        yield Finding(
            _ATTENTION, attention, "note",
            "attention that another backend computes cannot be read: unset it",
        )  # fmt: skip
    for name, meaning in _VARIABLES.items():
        value = os.environ.get(name)
        if value is None:
            continue
        says = bool(meaning) and value.lower() not in _OFF
        yield Finding(name, without_home(value), "note" if says else "ok", meaning if says else "")
    for name in _SECRET:
        if name in os.environ:
            yield Finding(name, "set")
    if not any(name in os.environ for name in (_ATTENTION, *_VARIABLES, *_SECRET)):
        yield Finding("variables", "none of those that matter is set")


def _library(needed: Requirement) -> Finding:
    version = _version(needed.name)
    if version is None:
        return Finding(needed.name, "missing", "broken", f'pip install "{_asked(needed)}"')
    if not needed.specifier.contains(Version(version), prereleases=True):
        mend = f'pip install --upgrade "{_asked(needed)}"'
        return Finding(needed.name, f"{version} does not do", "broken", mend)
    return Finding(needed.name, version)


def _asked(needed: Requirement) -> str:
    extras = f"[{','.join(sorted(needed.extras))}]" if needed.extras else ""
    return f"{needed.name}{extras}{needed.specifier}"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
