"""Folders of detectors: config.json with any value in the place of any key, and broken weights."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from trace_edges.backbones import BackboneError
from trace_edges.backbones.checkpoints import embedded_folder
from trace_edges.detector import EdgeDetector

from .harness import Case, check
from .jsons import ALL, VALUES, broken_files, changed

COMMAND = ("detect", "a.png", "--out", "out", "--detector", "det", "--resolution", "64",
           "--device", "cpu", "--quiet")  # fmt: skip
EMBEDDED = embedded_folder() / "detector"
OK: dict[str, Any] = json.loads((EMBEDDED / "config.json").read_text(encoding="utf-8"))
TEXT = frozenset({"text", "number as text", "empty text"})
LEFT_OUT = frozenset({"missing"})
# Of every key, the values that must be refused, in a line that names it.
WRONG: dict[tuple[str, ...], frozenset[str]] = {
    ("backbone",): ALL - TEXT,
    ("backbone_fingerprint",): ALL - TEXT,
    ("resolution",): ALL,
    ("student",): ALL,
    ("student", "blocks"): ALL - {"list"} - LEFT_OUT,
    ("student", "width"): ALL - LEFT_OUT,
    ("student", "rank"): ALL - LEFT_OUT,
    ("student", "attention"): ALL - LEFT_OUT,
    ("blocks",): ALL,
    ("training",): ALL - {"object"} - LEFT_OUT,
    ("trace_edges",): ALL - TEXT - LEFT_OUT,
    ("backbone_dtype",): ALL - LEFT_OUT,
    ("backbone_rounded",): ALL - LEFT_OUT,
    ("backbone_revision",): ALL - TEXT - {"null"} - LEFT_OUT,
}


def made(file: str, write: Callable[[Path], object]) -> Callable[[Path], None]:
    """A picture, and the embedded detector with one file written anew."""

    def make(folder: Path) -> None:
        shutil.copytree(EMBEDDED, folder / "det")
        Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(folder / "a.png")
        (folder / "det" / file).unlink()
        write(folder / "det" / file)

    return make


def case(kind: str, file: str, write: Callable[[Path], object], *names: str) -> Case:
    """Names: what the line holds; none: the detector is sound."""
    done = () if names else ("out/a.edges.png",)
    return Case(kind, made(file, write), COMMAND, names, int(bool(names)), done)


def configs() -> Iterator[Case]:
    def written(content: Any) -> Callable[[Path], object]:
        return lambda path: path.write_text(json.dumps(content), encoding="utf-8")

    for place, wrong in WRONG.items():
        content = OK if place[0] in OK else OK | {place[0]: None}
        for value, one in VALUES.items():
            names = ("det", place[-1]) if value in wrong else ()
            if place[0] in ("backbone", "backbone_fingerprint") and value in TEXT:
                names = ("det",)  # another backbone than it was trained on, or none
            kind = f"{'.'.join(place)} {value}"
            yield case(kind, "config.json", written(changed(content, place, one)), *names)
    yield case("a key of a later version", "config.json", written(OK | {"later": [1]}))
    student = OK["student"] | {"depth": 3}
    yield case("a key of a later student", "config.json", written(OK | {"student": student}),
               "det", "student.depth")  # fmt: skip
    for name, blocks in {"unknown": ["no.such.block"], "negative": [-1], "none": []}.items():
        content = OK | {"blocks": blocks}
        yield case(f"blocks {name}", "config.json", written(content), "det")
    for number in (99, -99, 10**9):  # names decide, as numbers change with the backbone's version
        content = OK | {"student": OK["student"] | {"blocks": [number]}}
        names = ("det", "block") if number == 10**9 else ()
        yield case(f"block {number}", "config.json", written(content), *names)
    for key, value in {"width": 4096, "rank": 4096, "attention": 32}.items():
        content = OK | {"student": OK["student"] | {key: value}}
        yield case(f"{key} of another detector", "config.json", written(content), "det")
    for way in ("null", "variant", "prediction_type", "quantize"):
        content = OK | {f"backbone_{way}": "nonsense"}
        yield case(f"{way} nonsense", "config.json", written(content), "det")
    for kind, write in broken_files(json.dumps(OK)):
        yield case(f"config {kind}", "config.json", write, "det", "config.json")


@cache
def sound() -> dict[str, torch.Tensor]:
    return load_file(EMBEDDED / "detector.safetensors")


def weights() -> Iterator[Case]:
    file, first = "detector.safetensors", next(iter(sound()))
    whole = (EMBEDDED / file).read_bytes()
    length = struct.unpack("<Q", whole[:8])[0]

    def saved(**changes: torch.Tensor | None) -> Callable[[Path], object]:
        tensors = {n: t for n, t in (sound() | changes).items() if t is not None}
        return lambda path: save_file(tensors, path)

    one = sound()[first]
    contents: dict[str, bytes] = {
        "empty": b"", "eight bytes": whole[:8], "cut in the header": whole[: length // 2],
        "cut in the values": whole[: len(whole) // 2], "one byte short": whole[:-1],
        "one byte more": whole + b"\0", "zeros": bytes(4096), "text": b"weights" * 100,
        "a header without end": struct.pack("<Q", 2**60) + whole[8:],
        "a header that is no JSON": whole[:8] + b"x" * length + whole[8 + length :],
        "a header that is a list": struct.pack("<Q", 2) + b"[]",
        "a header that is null": struct.pack("<Q", 4) + b"null",
        "a header of nothing": struct.pack("<Q", 2) + b"{}",
        "a pickle": pickle.dumps({first: 1}), "a zip": b"PK\3\4" + bytes(200),
        "a picture": b"\x89PNG\r\n\x1a\n" + bytes(200),
        "a page of the web": b"<!DOCTYPE html><title>404</title>",
        "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "offsets swapped": whole.replace(b"data_offsets", b"offsets_data"),
        "a type that is none": whole.replace(b'"F32"', b'"X32"'),
        "larger shapes": whole.replace(b'"shape":[', b'"shape":[9'),
    }  # fmt: skip
    for kind, content in contents.items():
        yield case(f"weights {kind}", file, lambda path, c=content: path.write_bytes(c),
                   "det", file)  # fmt: skip
    tensors: dict[str, dict[str, torch.Tensor | None]] = {
        "lack one": {first: None}, "have one more": {"decoder.more": one.clone()},
        "have another shape": {first: torch.zeros(3, 3)}, "have a number": {first: torch.ones(())},
        "have an empty one": {first: torch.zeros(0)}, "hold integers": {first: one.to(torch.int64)},
        "hold truth": {first: one.bool()}, "hold NaN": {first: one.clone().fill_(torch.nan)},
        "hold infinity": {first: one.clone().fill_(torch.inf)},
        "have a LoRA": {"denoiser.x.lora_A.default.weight": torch.zeros(2, 2)},
        "have another width": {"decoder.enter.weight": torch.zeros(8, 1, 1, 1)},
    }  # fmt: skip
    for kind, changes in tensors.items():
        yield case(f"weights that {kind}", file, saved(**changes), "det", file)
    for name in ("float64", "float16", "bfloat16", "float8_e4m3fn"):
        changes = {key: value.to(getattr(torch, name)) for key, value in sound().items()}
        yield case(f"weights in {name}", file, saved(**changes))
    yield case("weights a pipe", file, os.mkfifo, "det", file)
    yield case("weights a folder", file, Path.mkdir, "det", file)
    yield case("weights not there", file, lambda path: None, "det", file)
    yield case("weights a link to nothing", file, lambda p: p.symlink_to("nowhere"), "det", file)
    yield case("weights a link to itself", file, lambda p: p.symlink_to(p.name), "det", file)
    yield case("weights a device", file, lambda p: p.symlink_to("/dev/zero"), "det", file)


CASES = [*configs(), *weights()]
SOME = ("config deep brackets", "resolution a thousand million", "weights cut in the values",
        "weights that hold NaN", "student.width NaN", "a key of a later version")  # fmt: skip


@pytest.mark.parametrize(
    "kinds",
    [pytest.param(CASES[place::8], id=f"part {place}", marks=pytest.mark.long if place else ())
     for place in range(8)],
)  # fmt: skip
def test_a_broken_detector_is_refused_in_one_line_that_names_it(
    kinds: list[Case], tmp_path: Path, trace_mini: Any, monkeypatch: Any
) -> None:
    """As it is loaded; a backbone that would be loaded for every case is there already."""
    from trace_edges import backbones

    def load(name: str, **options: Any) -> Any:
        return trace_mini if name == "trace-mini" and not any(
            options[way] for way in ("null", "variant", "prediction_type", "quantize")
        ) else real(name, **options)  # fmt: skip

    real = backbones.load_backbone
    monkeypatch.setattr(backbones, "load_backbone", load)
    wrong = []
    for number, one in enumerate(kinds):
        folder = tmp_path / str(number)
        folder.mkdir()
        one.make(folder)
        try:
            EdgeDetector.from_pretrained(folder / "det")
            line = None
        except BackboneError as error:
            line = str(error)
        except Exception as error:  # noqa: BLE001  what it is, is told to the test
            wrong.append(f"{one}: {type(error).__name__}: {error}")
            continue
        if (line is None) != (one.code == 0):
            wrong.append(f"{one}: {line}")
        elif line is not None and not all(name in line for name in one.names):
            wrong.append(f"{one}: no {one.names} in {line!r}")
        elif line is not None and (len(line.splitlines()) > 1 or len(line) > 600):
            wrong.append(f"{one}: not one line: {line!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.long
@pytest.mark.parametrize("case", [one for one in CASES if one.kind in SOME], ids=str)
def test_the_command_ends_as_it_should(case: Case, tmp_path: Path) -> None:
    """All of them are `python -m tests.corpus detectors`."""
    check(case, tmp_path)


def test_there_are_enough_kinds() -> None:
    assert len({one.kind for one in CASES}) >= 250
