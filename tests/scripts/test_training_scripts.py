"""The training scripts on the files that `trace-edges refine` and `trace-edges panoptic` write."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from trace_edges.cli import app
from trace_edges.formats import export_coco
from trace_edges.results import InstanceMasks

coder = pytest.importorskip("pycocotools.mask")

FOLDER = Path(__file__).parents[2] / "scripts" / "reproduce"
MODULES = ("train_loop", "train_mask_rcnn", "train_mask2former")
STEPS = 20
HEIGHT, WIDTH = 48, 64
needs_torchvision = pytest.mark.skipif(
    importlib.util.find_spec("torchvision") is None,
    reason="torchvision is not installed: it has to be of the same date as torch",
)


@pytest.fixture(autouse=True)
def modules(monkeypatch):
    """The scripts import each other by bare names, which must not stay for other tests."""
    monkeypatch.syspath_prepend(FOLDER)
    yield
    for name in MODULES:
        sys.modules.pop(name, None)


def script(name):
    return importlib.import_module(name)


def trace_edges(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments), "--quiet"])
    assert result.exit_code == 0, result.output


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Five photographs of two touching things on a ground; what the two commands make of them."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("photographs", "edges", "semantic"):
        (folder / name).mkdir()
    rng, masks = np.random.default_rng(0), {}
    for number in range(1, 6):
        left, top = rng.integers(4, 20), rng.integers(4, 16)
        pair = np.zeros((HEIGHT, WIDTH), dtype=bool)
        pair[top : top + 24, left : left + 32] = True
        picture = rng.integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        picture[pair] += 120
        line = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        line[top : top + 24, left + 16] = 255
        masks[f"{number:03}"] = InstanceMasks(pair[None], np.ones(1, dtype=np.float32))
        Image.fromarray(picture).save(folder / "photographs" / f"{number:03}.jpg")
        Image.fromarray(line).save(folder / "edges" / f"{number:03}.edges.png")
        Image.fromarray(3 * pair.astype(np.uint8)).save(folder / "semantic" / f"{number:03}.png")
    export_coco(masks, folder / "given.json")
    trace_edges("refine", folder / "given.json", folder / "edges", "--out", folder / "masks.json")
    options = ["--things", "3", "--stuff", "0", "--out", folder / "panoptic"]
    trace_edges("panoptic", folder / "semantic", folder / "edges", *options)
    return folder


def test_the_masks_of_the_json_are_what_is_trained_on(data):
    content = json.loads((data / "masks.json").read_text(encoding="utf-8"))
    samples = script("train_mask_rcnn").MaskSamples(data / "masks.json", data / "photographs")
    assert len(samples) == 5
    for index, image in enumerate(content["images"]):
        rles = [a["segmentation"] for a in content["annotations"] if a["image_id"] == image["id"]]
        expected = coder.decode(rles).transpose(2, 0, 1)  # (n, h, w)
        assert len(expected) == 2  # the edge has cut what was given
        colours, target = samples.read(index)
        assert (target["masks"].numpy() == expected).all()
        assert (target["boxes"][:, 2:] - target["boxes"][:, :2]).tolist() == [
            [np.ptp(np.nonzero(mask)[axis]) + 1 for axis in (1, 0)] for mask in expected
        ]
        assert target["labels"].tolist() == [1, 1]
        with Image.open(data / "photographs" / image["file_name"]) as photograph:
            assert np.array_equal((colours * 255).round().permute(1, 2, 0), np.array(photograph))
        turned, other = samples.read(index, mirrored=True)
        assert torch.equal(turned, colours.flip(-1))
        assert torch.equal(other["masks"], target["masks"].flip(-1))
        assert other["boxes"][:, 0].tolist() == (WIDTH - target["boxes"][:, 2]).tolist()


def test_the_segments_of_the_pngs_are_what_is_trained_on(data):
    content = json.loads((data / "panoptic" / "panoptic.json").read_text(encoding="utf-8"))
    module = script("train_mask2former")
    samples = module.PanopticSamples(data / "panoptic/panoptic.json", data / "photographs", WIDTH)
    order = [category["id"] for category in content["categories"]]
    for index, entry in enumerate(content["annotations"]):
        with Image.open(data / "panoptic" / "panoptic" / entry["file_name"]) as png:
            ids = np.asarray(png).astype(int) @ [1, 256, 65536]
        segments = entry["segments_info"]
        colours, masks, classes = samples.read(index)
        assert (masks.numpy() == [ids == one["id"] for one in segments]).all()
        assert [order[k] for k in classes.tolist()] == [one["category_id"] for one in segments]
        assert sorted(order[k] for k in classes.tolist()) == [0, 3, 3]
        turned = samples.read(index, mirrored=True)
        assert torch.equal(turned[0], colours.flip(-1))
        assert torch.equal(turned[1], masks.flip(-1))
    small = module.PanopticSamples(data / "panoptic/panoptic.json", data / "photographs", 32)
    assert small.read(0)[1].shape == (3, 24, 32)


def test_photographs_of_several_sizes_make_a_batch():
    module = script("train_mask2former")
    sizes = ((6, 4), (3, 8))
    samples = [(torch.ones(3, *s), torch.ones(2, *s), torch.tensor([0, 1])) for s in sizes]
    batch = module.collate(samples)
    assert batch["pixel_values"].shape == (2, 3, 6, 8)
    assert batch["pixel_mask"].sum(dim=(1, 2)).tolist() == [24, 24]
    assert [m.sum().item() for m in batch["mask_labels"]] == [48, 48]


@pytest.fixture(
    params=[pytest.param("train_mask_rcnn", marks=needs_torchvision), "train_mask2former"]
)
def training(request, data):
    """(its module, a function that runs it in a folder) for each script, at the smallest size."""
    given = {
        "train_mask_rcnn": [data / "masks.json", "--backbone", "resnet18", "--regions", 8],
        "train_mask2former": [data / "panoptic" / "panoptic.json"],
    }[request.param]

    def run(out, *more, steps=STEPS):
        arguments = [*given, data / "photographs", "--out", out, "--size", WIDTH, "--batch", 1]
        arguments += ["--steps", steps, "--device", "cpu", *more]
        return script(request.param).main([str(one) for one in arguments])

    return script(request.param), run


def stored(out):
    return torch.load(out / "checkpoint.pt", weights_only=True)


def test_twenty_steps_from_random_weights(training, tmp_path):
    _, run = training
    assert run(tmp_path) == 0
    losses = json.loads((tmp_path / "losses.json").read_text(encoding="utf-8"))
    assert len(losses) == STEPS
    assert np.isfinite(losses).all()
    state = stored(tmp_path)
    assert state["losses"] == losses
    assert all(weight.isfinite().all() for weight in state["model"].values())
    assert not list(tmp_path.glob(".*"))  # nothing half-written
    assert run(tmp_path) == 0  # it is done: nothing is trained again
    assert json.loads((tmp_path / "losses.json").read_text(encoding="utf-8")) == losses


def test_a_run_that_was_stopped_ends_with_the_same_weights(training, tmp_path, monkeypatch):
    module, run = training
    assert run(tmp_path / "whole", steps=6) == 0
    own, calls = module.loss_of, []

    def stops(model, batch):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return own(model, batch)

    monkeypatch.setattr(module, "loss_of", stops)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", "--save-every", 4, steps=6)
    assert len(stored(tmp_path / "parts")["losses"]) == 4
    monkeypatch.setattr(module, "loss_of", own)
    assert run(tmp_path / "parts", "--save-every", 4, steps=6) == 0
    whole, parts = stored(tmp_path / "whole"), stored(tmp_path / "parts")
    assert whole["losses"] == parts["losses"]
    assert all(torch.equal(w, parts["model"][name]) for name, w in whole["model"].items())


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    training, tmp_path, monkeypatch, capsys
):
    _, run = training
    assert run(tmp_path, steps=2) == 0
    state = stored(tmp_path)
    torch.save(state | {"losses": state["losses"][:1]}, tmp_path / "checkpoint.pt")  # go on
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    capsys.readouterr()

    def full(_, path):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    assert run(tmp_path, steps=2) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "No space left on device" in line
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.*")} == before


def test_other_settings_and_losses_that_are_no_numbers(training, tmp_path, monkeypatch, capsys):
    module, run = training
    assert run(tmp_path, steps=2) == 0
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    capsys.readouterr()
    assert run(tmp_path, steps=3) == 1
    assert "was begun with steps 2, not 3" in capsys.readouterr().err
    own = module.loss_of
    monkeypatch.setattr(module, "loss_of", lambda *a: own(*a) * float("nan"))
    assert run(tmp_path / "new", steps=2) == 1
    assert "the loss of step 1 is nan: lower the rate" in capsys.readouterr().err
    assert not (tmp_path / "new" / "checkpoint.pt").exists()
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_files_that_will_not_do_are_refused_in_one_line(data, tmp_path, capsys):
    masks, panoptic = script("train_mask_rcnn"), script("train_mask2former")
    (tmp_path / "results.json").write_text("[]", encoding="utf-8")
    assert masks.main([str(tmp_path / "results.json"), "photos", "--out", str(tmp_path)]) == 1
    assert "lists no images" in capsys.readouterr().err
    content = json.loads((data / "masks.json").read_text(encoding="utf-8"))
    (tmp_path / "none.json").write_text(json.dumps(content | {"annotations": []}), encoding="utf-8")
    assert masks.main([str(tmp_path / "none.json"), "photos", "--out", str(tmp_path)]) == 1
    assert "holds no mask" in capsys.readouterr().err
    small = tmp_path / "small"
    small.mkdir()
    for path in (data / "photographs").iterdir():
        Image.new("RGB", (20, 20)).save(small / path.name)
    arguments = [str(data / "panoptic" / "panoptic.json"), str(small), "--out", str(tmp_path)]
    assert panoptic.main([*arguments, "--device", "cpu"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "is (20, 20) and its segments (48, 64) (height, width)" in line
    assert panoptic.main([*arguments, "--steps", "0"]) == 1
    assert "--steps must be 1 or more" in capsys.readouterr().err
