"""`trace-edges segment`: masks of generators, drawn by SAM, and named."""

import json

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from transformers import ViTConfig, ViTModel
from typer.testing import CliRunner

from trace_edges.cli import app
from trace_edges.cli.finishing import Finishing
from trace_edges.formats import read_coco_masks
from trace_edges.instances import instances_from_edges, seeds_from_masks
from trace_edges.instances.sam import load_sam
from trace_edges.training_free import TraceEdgePipeline

from .words import FAST

pytest.importorskip("pycocotools.mask")


def run(*arguments):
    return CliRunner().invoke(app, ["segment", *map(str, arguments)])


def test_masks_are_named_and_sam_says_what_it_changed(quarters, tiny_sam, tiny_namer, tmp_path):
    photos, edges = quarters
    sam, model = tiny_sam("sam", tmp_path / "sam"), tiny_namer("clip", tmp_path / "clip")
    (tmp_path / "names.txt").write_text("red\n\ngreen \nblue\n", encoding="utf-8")
    named = ["--class-names", tmp_path / "names.txt", "--class-model", model]
    command = [photos, "--edges", edges, "--sam", sam, "--iou", 1]
    result = run(*command, *named, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "out" / "g.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in record["categories"]] == ["red", "green", "blue"]
    assert all(0 < entry["class_score"] <= 1 for entry in record["annotations"])
    assert {entry["category_id"] for entry in record["annotations"]} <= {1, 2, 3}
    assert record["sam"]["regions"] == 4
    assert record["sam"]["masks"] == len(record["annotations"])
    assert 0 <= record["sam"]["mean_iou"] < 1
    assert record["notes"][-1].startswith("SAM made")
    one = run(photos, "--edges", edges, "--class-names", "coin", "--out", tmp_path / "one")
    assert one.exit_code == 0, one.output
    content = json.loads((tmp_path / "one" / "instances.json").read_text(encoding="utf-8"))
    assert content["categories"] == [{"id": 1, "name": "coin", "supercategory": "coin"}]


@pytest.mark.parametrize("source", ["maskcut", "promerge"])
def test_generated_masks_are_cut_at_the_edges(photos, tmp_path, source):
    out = tmp_path / "out"
    result = run(photos / "coffee.jpg", "--out", out, "--masks", source, *FAST)
    assert result.exit_code == 0, result.output
    record = json.loads((out / "coffee.json").read_text(encoding="utf-8"))
    assert record["settings"]["source"] == source
    assert record["settings"]["propagation"]["threshold"] == 0.7
    assert record["timestep"] == 0


def write_vit(folder):
    config = ViTConfig(
        hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=3,
        image_size=32, patch_size=16,
    )  # fmt: skip
    ViTModel(config).save_pretrained(folder)
    return folder


def test_an_encoder_needs_edges_but_no_diffusion_model(quarters, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "trace_edges.training_free.pipeline.TraceEdgePipeline.from_pretrained", None
    )
    photos, edges = quarters
    encoder = write_vit(tmp_path / "vit")
    options = ["--masks", "maskcut", "--encoder", encoder, "--device", "cpu"]
    result = run(photos, "--out", tmp_path / "out", "--edges", edges, *options)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "out" / "g.json").read_text(encoding="utf-8"))
    assert record["settings"]["encoder"] == str(tmp_path / "vit")
    assert record["timestep"] is None


@pytest.mark.parametrize("kind", ["sam", "sam2"])
def test_sam_is_asked_for_every_instance(quarters, tiny_sam, tmp_path, kind, monkeypatch):
    """With edges that are there and a folder of weights nothing else is loaded or asked for."""
    monkeypatch.setattr(
        "trace_edges.training_free.pipeline.TraceEdgePipeline.from_pretrained", None
    )
    monkeypatch.setattr("socket.socket.connect", None)
    photos, edges = quarters
    (tmp_path / kind).mkdir()
    options = ["--sam", tiny_sam(kind, tmp_path / kind), "--device", "cpu"]
    options += ["--prompts", "masks+points+boxes", "--points", 2, "--iou", 1]
    result = run(photos, "--out", tmp_path / "out", "--edges", edges, *options)
    assert result.exit_code == 0, result.output
    (found,) = read_coco_masks(tmp_path / "out" / "instances.json").values()

    regions = instances_from_edges(np.load(edges / "g.npy"))
    asked = load_sam(tmp_path / kind).segment(
        photos / "g.png", seeds_from_masks(regions, 2), "points+boxes+masks", iou=1
    )
    assert len(found) == len(asked) > 1
    np.testing.assert_allclose(found.scores, asked.scores, atol=1e-4)
    assert (found.masks == asked.masks).all()
    assert len(found) != len(regions) or (found.masks != regions.masks).any()
    record = json.loads((tmp_path / "out" / "g.json").read_text(encoding="utf-8"))
    assert record["settings"]["sam"] == {
        "name": str(tmp_path / kind), "prompts": "boxes+masks+points", "points": 2, "iou": 1.0,
    }  # fmt: skip

    again = run(photos, "--out", tmp_path / "out", "--edges", edges)
    assert "was made with sam {" in again.stderr
    assert "--overwrite makes it again" in again.stderr


@pytest.mark.parametrize("changed", ["edges", "sam", "names", "encoder", "attention"])
def test_what_was_replaced_under_its_name_is_said(
    changed, quarters, tiny_sam, tiny_namer, tmp_path, monkeypatch
):
    photos, edges = quarters
    sam, namer = tiny_sam("sam", tmp_path / "sam"), tiny_namer("clip", tmp_path / "clip")
    command = (photos, "--edges", edges, "--sam", sam, "--class-model", namer,
               "--class-names", "red,green", "--out", tmp_path / "out")  # fmt: skip
    encoder = write_vit(tmp_path / "vit")
    if changed == "attention":
        fast = (word for word in FAST if word != "--training-free")
        command = (*command, "--masks", "maskcut", *fast)
    if changed == "encoder":
        command = (*command, "--masks", "maskcut", "--encoder", encoder)
    first = run(*command)
    assert first.exit_code == 0, first.output
    assert run(*command).stderr == ""
    if changed == "edges":
        path, said = edges / "g.npy", f"edges that were in {edges / 'g.npy'} before"
        values = np.load(path)
        values[: len(values) // 2] = 0
        np.save(path, values)
    elif changed == "attention":  # of a later version of the package, say
        said = "attention_weights"
        monkeypatch.setattr(TraceEdgePipeline, "fingerprint", lambda _: "others")
    else:
        path = {"sam": sam, "names": namer, "encoder": encoder}[changed] / "model.safetensors"
        said = {"names": "class_weights"}.get(changed, f"{changed}_weights")
        tensors = {name: 1.5 * tensor for name, tensor in load_file(path).items()}
        save_file(tensors, path, {"format": "pt"})
    again = run(*command)
    assert f"was made with {said}" in again.stderr
    assert "--overwrite makes it again" in again.stderr


def test_sam_draws_what_a_generator_found(photos, tiny_sam, tmp_path):
    (tmp_path / "sam").mkdir()
    options = ["--masks", "maskcut", "--sam", tiny_sam("sam", tmp_path / "sam"), *FAST]
    result = run(photos / "coffee.jpg", "--out", tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "out" / "coffee.json").read_text(encoding="utf-8"))
    assert record["settings"]["source"] == "maskcut"
    assert record["settings"]["sam"]["prompts"] == "boxes+points"


def test_a_list_of_class_names_longer_than_a_file_name_is_a_list():
    names = [f"class number {number}" for number in range(80)]
    assert Finishing(class_names=", ".join(names), class_model="clip").names == tuple(names)
