"""Folders of models as people have them, broken: backbones, encoders, SAM, by command."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.tiny_models import _PIXART, tiny_vae
from tests.tiny_sams import write_sam
from tests.tiny_texts import t5

from .harness import Case, check, shared_out
from .jsons import VALUES, broken_files, changed

_DETECT = ("detect", "photo.png", "--out", "out", "--stride", "500", "--resolution")
COMMANDS = {
    "pipeline": (*_DETECT, "64", "--backbone", "model"),
    "encoder": (*_DETECT[:4], "--resolution", "56", "--backbone", "model"),
    "sam": ("segment", "photo.png", "--out", "out", "--sam", "model"),
}
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 34383547\n"
)
WEIGHTS = "diffusion_pytorch_model.safetensors"


def _pipeline(folder: Path) -> None:
    import diffusers

    text_encoder, tokenizer = t5(16)
    diffusers.PixArtAlphaPipeline(
        tokenizer, text_encoder.eval(), tiny_vae(None),
        diffusers.PixArtTransformer2DModel(**_PIXART), diffusers.DDIMScheduler(),
    ).save_pretrained(folder)  # fmt: skip


def _encoder(folder: Path) -> None:
    import transformers

    config = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    transformers.Dinov2Model(config).save_pretrained(folder)
    colours = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.25, 0.25, 0.5]}
    (folder / "preprocessor_config.json").write_text(json.dumps(colours), encoding="utf-8")


MADE: Mapping[str, Callable[[Path], object]] = {
    "pipeline": _pipeline, "encoder": _encoder, "sam": lambda folder: write_sam("sam", folder),
}  # fmt: skip
_PLACE = tempfile.TemporaryDirectory(prefix="model-folders-")


@cache
def template(kind: str) -> Path:
    """A sound folder of this kind, made once."""
    torch.manual_seed(0)
    folder = Path(_PLACE.name, kind)
    MADE[kind](folder)
    return folder


Break = Callable[[Path], object]


def case(what: str, kind: str, spoil: Break, *names: str, code: int = 1, **more: Any) -> Case:
    """A folder of one kind, in which something was spoilt."""

    def make(folder: Path) -> None:
        picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "photo.png")
        shutil.copytree(template(kind), folder / "model")
        spoil(folder / "model")

    return Case(what, make, COMMANDS[kind], names, code, name=kind, **more)


def edit(file: str, key: str, value: Any) -> Break:
    def spoil(model: Path) -> None:
        path = model / file
        content = json.loads(path.read_text(encoding="utf-8"))
        if key in content or value is not VALUES["missing"]:
            path.write_text(
                json.dumps(changed(content | {key: None}, (key,), value)), encoding="utf-8"
            )

    return spoil


# Keys on which the shapes of the weights depend, or the noise. Values that leave them right, or
# that are as good, are named beside them.
_SAME = frozenset({"missing", "null"})
KEYS: Mapping[tuple[str, str, str], frozenset[str]] = {
    ("pipeline", "model_index.json", "_class_name"): frozenset(),
    ("pipeline", "model_index.json", "transformer"): frozenset(),
    ("pipeline", "model_index.json", "vae"): frozenset(),
    ("pipeline", "model_index.json", "scheduler"): frozenset(),
    ("pipeline", "model_index.json", "text_encoder"): frozenset(),
    ("pipeline", "model_index.json", "tokenizer"): frozenset(),
    ("pipeline", "transformer/config.json", "num_layers"): frozenset(),
    ("pipeline", "transformer/config.json", "num_attention_heads"): frozenset(),
    ("pipeline", "transformer/config.json", "attention_head_dim"): frozenset(),
    ("pipeline", "transformer/config.json", "patch_size"): frozenset({"missing"}),
    ("pipeline", "transformer/config.json", "in_channels"): frozenset({"missing"}),
    ("pipeline", "transformer/config.json", "caption_channels"): frozenset(),
    ("pipeline", "transformer/config.json", "cross_attention_dim"): frozenset(),
    ("pipeline", "transformer/config.json", "quantization_config"): _SAME,
    ("pipeline", "vae/config.json", "latent_channels"): frozenset({"missing"}),
    ("pipeline", "vae/config.json", "block_out_channels"): frozenset(),
    ("pipeline", "vae/config.json", "layers_per_block"): frozenset({"missing", "true"}),  # 1
    ("pipeline", "scheduler/scheduler_config.json", "beta_schedule"): frozenset({"missing"}),
    ("pipeline", "scheduler/scheduler_config.json", "prediction_type"): frozenset({"missing"}),
    ("pipeline", "text_encoder/config.json", "d_model"): frozenset(),
    ("pipeline", "text_encoder/config.json", "num_heads"): frozenset(),
    ("pipeline", "text_encoder/config.json", "vocab_size"): frozenset(),
    ("encoder", "config.json", "hidden_size"): frozenset(),
    ("encoder", "config.json", "num_hidden_layers"): frozenset(),
    ("encoder", "config.json", "num_attention_heads"): frozenset(),
    ("encoder", "config.json", "patch_size"): frozenset({"missing"}),
    ("encoder", "config.json", "model_type"): frozenset(),
    ("encoder", "preprocessor_config.json", "image_mean"): frozenset({"missing"}),
    ("encoder", "preprocessor_config.json", "image_std"): frozenset({"missing"}),
    ("sam", "config.json", "model_type"): frozenset(),
    ("sam", "config.json", "vision_config"): frozenset(),
    ("sam", "preprocessor_config.json", "image_mean"): frozenset(),
}  # fmt: skip


def wrong_values() -> Iterator[Case]:
    for (kind, file, key), right in KEYS.items():
        for name, value in VALUES.items():
            if name in right:
                continue
            part = "" if key == "prediction_type" else file.rpartition("/")[0]
            names = () if file == "model_index.json" else ("model", part)
            yield case(f"{file} {key} is {name}", kind, edit(file, key, value), *names)


def wrong_files() -> Iterator[Case]:
    texts = ("model_index.json", "transformer/config.json", "vae/config.json", "scheduler/"
             "scheduler_config.json", "tokenizer/tokenizer.json", "text_encoder/config.json",
             "tokenizer/tokenizer_config.json")  # fmt: skip
    places = [("pipeline", file) for file in texts]
    places += [("encoder", "config.json"), ("encoder", "preprocessor_config.json")]
    places += [("sam", "config.json"), ("sam", "preprocessor_config.json")]
    for kind, file in places:
        for what, write in broken_files('{"a": [1, 2, {"b": "c"}], "images": "d"}'):

            def spoil(model: Path, file: str = file, write: Break = write) -> None:
                (model / file).unlink()
                write(model / file)

            as_if_none = what in ("an empty object", "a link to nothing", "a link to itself")
            says_nothing = what == "an empty object" and file == "tokenizer/tokenizer_config.json"
            optional = as_if_none and (kind, file) == ("encoder", "preprocessor_config.json")
            if not (says_nothing or optional):  # the class alone says the same
                yield case(f"{file}: {what}", kind, spoil, "model")


def rewritten(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Break:
    def spoil(path: Path) -> None:
        save_file(change(load_file(path)), path, {"format": "pt"})

    return spoil


def renamed(name: str) -> Break:
    return lambda path: path.rename(path.with_name(name))


def replaced(make: Callable[[Path], object]) -> Break:
    def spoil(path: Path) -> None:
        path.unlink()
        make(path)

    return spoil


def header(content: Any, length: int | None = None) -> Break:
    """A file of safetensors with this header, and zeros behind it."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    size = (len(text) if length is None else length).to_bytes(8, "little")
    return lambda path: path.write_bytes(size + text + bytes(64))


def index_of(listed: Any) -> Break:
    """The weights under another name, and an index that lists this."""

    def spoil(path: Path) -> None:
        names = load_file(path)
        path.unlink()
        content = (
            listed if not isinstance(listed, str) else {"weight_map": dict.fromkeys(names, listed)}
        )
        (path.parent / f"{path.name}.index.json").write_text(json.dumps(content), encoding="utf-8")

    return spoil


def _wide(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: torch.zeros(*tensor.shape, 2) for name, tensor in tensors.items()}


_SPAN = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
SPOILT: Mapping[str, Break] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut in the header": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "cut in the weights": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "longer than it says": lambda path: path.write_bytes(path.read_bytes() + bytes(100)),
    "a pointer of Git LFS": lambda path: path.write_bytes(POINTER),
    "a page of a web server": lambda path: path.write_bytes(b"<!DOCTYPE html><html>404</html>"),
    "a picture": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
    "zeros": lambda path: path.write_bytes(bytes(10_000)),
    "a huge header": header({}, length=2**62),
    "a header that is a list": header([]),
    "a header that is no JSON": header(b"{{{{"),
    "no tensors": header({}),
    "a huge tensor": header({"a": _SPAN | {"shape": [2**40, 2**20]}}),
    "a negative shape": header({"a": _SPAN | {"shape": [-4]}}),
    "offsets out of the file": header({"a": _SPAN | {"data_offsets": [0, 2**50]}}),
    "tensors over each other": header({"a": _SPAN, "b": _SPAN}),
    "a type that nobody knows": header({"a": _SPAN | {"dtype": "F3"}}),
    "names with another beginning": rewritten(
        lambda tensors: {f"base_model.model.{name}": t for name, t in tensors.items()}),
    "a LoRA still on": rewritten(
        lambda tensors: {f"{name}.base_layer": t for name, t in tensors.items()}),
    "some missing": rewritten(lambda tensors: dict(sorted(tensors.items())[3:])),
    "of other shapes": rewritten(_wide),
    "under another name": renamed("my_model.safetensors"),
    "a pickle": renamed("pytorch_model.bin"),
    "of llama.cpp": renamed("flux-Q4_0.gguf"),
    "of Flax": renamed("diffusion_flax_model.msgpack"),
    "of a variant that is cut": lambda path: renamed(path.name.replace(".", ".fp16.", 1))(
        (path.write_bytes(POINTER), path)[1]),
    "a pipe": replaced(os.mkfifo),
    "a device without end": replaced(lambda path: path.symlink_to("/dev/zero")),
    "a link to nothing": replaced(lambda path: path.symlink_to("../../blobs/0123")),
    "a link to itself": replaced(lambda path: path.symlink_to(path.name)),
    "a folder": replaced(lambda path: path.mkdir()),
    "gone": lambda path: path.unlink(),
    "an index of another folder": index_of("../model.safetensors"),
    "an index of a path": index_of("/etc/passwd"),
    "an index of pickles": index_of("pytorch_model-00001-of-00002.bin"),
    "an index of what is not there": index_of(f"{WEIGHTS[:-12]}-00001-of-00002.safetensors"),
    "an index that is a list": index_of([]),
    "an index without a map": index_of({"metadata": {}}),
    "an index with an empty map": index_of({"weight_map": {}}),
    "an index with a map of numbers": index_of({"weight_map": {"a": 3}}),
}  # fmt: skip
SOUND: Mapping[str, Break] = {
    "no metadata": lambda path: save_file(load_file(path), path),
    "half precision": rewritten(lambda tensors: {n: t.half() for n, t in tensors.items()}),
    "others beside them": rewritten(lambda tensors: tensors | {"more": torch.zeros(1)}),
}


def wrong_weights() -> Iterator[Case]:
    places = [("pipeline", part) for part in ("transformer", "vae", "text_encoder")]
    for what, spoil in SPOILT.items():
        for kind, part in (*places, ("encoder", ""), ("sam", "")):
            if kind != "pipeline" and what == "an index of what is not there":
                continue

            def spoil_part(model: Path, part: str = part, spoil: Break = spoil) -> None:
                (path,) = (model / part).glob("*.safetensors")
                spoil(path)

            yield case(f"weights: {what}", kind, spoil_part, "model", part)
    for what, spoil in SOUND.items():

        def change(model: Path, spoil: Break = spoil) -> None:
            spoil(model / "transformer" / WEIGHTS)

        yield case(f"weights: {what}", "pipeline", change, code=0)


def other_places() -> Iterator[Case]:
    """Not a folder of the kind at all."""

    def only(*names: str) -> Break:
        def spoil(model: Path) -> None:
            shutil.rmtree(model)
            model.mkdir()
            for name in names:
                (model / name).parent.mkdir(exist_ok=True)
                (model / name).write_bytes(b"junk")

        return spoil

    def gone(*names: str) -> Break:
        def spoil(model: Path) -> None:
            for name in names:
                shutil.rmtree(model / name) if (model / name).is_dir() else (model / name).unlink()

        return spoil

    def instead(name: str, data: bytes) -> Break:
        def spoil(model: Path) -> None:
            shutil.rmtree(model)
            model.write_bytes(data) if name == "file" else os.mkfifo(model)

        return spoil

    for what, names, said in (
        ("an empty folder", (), "model_index.json"),
        ("a LoRA of diffusers", ("pytorch_lora_weights.safetensors",), "LoRA"),
        ("a LoRA of peft", ("adapter_model.safetensors", "adapter_config.json"), "LoRA"),
        ("a single file in a folder", ("sd15.safetensors",), "sd15.safetensors"),
        ("a GGUF in a folder", ("flux.gguf",), "flux.gguf"),
        ("a checkpoint in a folder", ("sd15.ckpt",), "sd15.ckpt"),
        ("pictures", ("a.jpg", "b.jpg"), "model_index.json"),
    ):
        yield case(what, "pipeline", only(*names), "model", said)
    for part in ("transformer", "vae", "scheduler", "tokenizer", "text_encoder"):
        yield case(f"no {part}", "pipeline", gone(part), "model", part)

        def fill(model: Path, part: str = part) -> None:
            shutil.rmtree(model / part)
            (model / part).write_text("x", encoding="utf-8")

        yield case(f"a file for {part}", "pipeline", fill, "model", part)
    for file in ("transformer/config.json", "vae/config.json", "text_encoder/config.json",
                 "scheduler/scheduler_config.json", "tokenizer/tokenizer.json"):  # fmt: skip
        yield case(f"no {file}", "pipeline", gone(file), "model", file.split("/")[0])
    yield case("no folder but a file", "pipeline", instead("file", b"PK\3\4"), "model")
    yield case("no folder but a pipe", "pipeline", instead("pipe", b""), "model")


CASES = [*wrong_values(), *wrong_files(), *wrong_weights(), *other_places()]


@pytest.mark.parametrize("case", shared_out(CASES, every=75, short=300))
def test_every_seventy_fifth_case(case: Case, tmp_path: Path) -> None:
    """All of them are `python -m tests.corpus model_folders`."""
    check(case, tmp_path)


def test_there_are_enough_kinds() -> None:
    assert len({one.kind for one in CASES}) >= 100
