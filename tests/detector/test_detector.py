"""`EdgeDetector` as a user meets it; the embedded one on a real picture."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trace_edges.backbones import BackboneError, load_backbone
from trace_edges.detector import DetectorSettings, EdgeDetector, Student, StudentSettings
from trace_edges.results import EdgeMap

COFFEE = Path(__file__).parents[2] / "examples" / "coffee.jpg"


@pytest.fixture
def backbone(tiny_pixart):
    return tiny_pixart()


@pytest.fixture
def detector(backbone):
    torch.manual_seed(0)
    settings = StudentSettings(blocks=(0, 1), width=16)
    return EdgeDetector(Student(load_backbone(backbone), settings), 64)


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)


def test_edges_have_the_size_of_the_picture_and_come_from_one_step(detector, picture):
    out = detector(picture)
    assert out.edges.shape == out.ridges.shape == (1, 50, 70)
    assert out.raw is None  # it measures no divergence
    assert out.emergence is None  # and seeks no t*
    assert out.settings["resolution"] == 64


def test_an_edge_map_without_divergence_is_saved_and_read_again(detector, picture, tmp_path):
    out = detector(picture)
    out.save(tmp_path / "edges.npz")
    assert np.array_equal(EdgeMap.load(tmp_path / "edges.npz").thin, out.thin)


def test_a_list_and_single_pictures_give_the_same(detector, picture):
    two = detector([picture, picture[::-1].copy()])
    one = detector(picture)
    assert len(two) == 2
    assert np.allclose(two.edges[0], one.edges[0], atol=1e-5)


def test_pictures_of_several_sizes_go_through_each(detector, picture):
    with pytest.raises(ValueError, match=r"2 sizes.*each"):
        detector([picture, picture[:40]])
    found = list(detector.each([picture, picture[:40]], DetectorSettings(96), batch_size=2))
    assert [one.edges.shape for one in found] == [(1, 50, 70), (1, 40, 70)]
    assert {one.settings["resolution"] for one in found} == {96}


def test_the_call_of_controlnets_detectors(detector, picture):
    drawn = detector(Image.fromarray(picture), image_resolution=100, output_type="pil")
    assert (drawn.mode, drawn.size) == ("RGB", (140, 100))
    array = detector(picture, detect_resolution=96, output_type="np")
    assert array.shape == (50, 70, 3)
    assert array.dtype == np.uint8
    assert isinstance(detector([picture], output_type="pil"), list)


@pytest.mark.parametrize(
    "wrong", [{"output_type": "jpg"}, {"image_resolution": 100, "output_type": "edges"}]
)
def test_options_that_do_not_fit_are_refused(detector, picture, wrong):
    with pytest.raises(ValueError, match="output_type"):
        detector(picture, **wrong)


def test_another_base_than_the_one_it_was_trained_on_is_refused(detector, tiny_pixart, tmp_path):
    detector.save_pretrained(tmp_path / "saved")
    other = tiny_pixart("other", cross_attention_dim=48, num_layers=3)
    with pytest.raises(BackboneError, match="trained on other weights"):
        EdgeDetector.from_pretrained(tmp_path / "saved", backbone=other)


def test_weights_that_do_not_fit_the_config_are_refused(detector, tmp_path):
    detector.save_pretrained(tmp_path / "saved")
    config = json.loads((tmp_path / "saved" / "config.json").read_text(encoding="utf-8"))
    config["student"]["rank"] = 2
    (tmp_path / "saved" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    pytest.importorskip("peft")
    with pytest.raises(BackboneError, match="does not hold the weights"):
        EdgeDetector.from_pretrained(tmp_path / "saved")


@pytest.mark.parametrize("name", ["", "nothing-here", "a/b/c"])
def test_a_name_that_leads_nowhere_is_said(name):
    with pytest.raises(
        BackboneError, match="neither 'trace-pixels' nor 'trace-mini', nor a folder"
    ):
        EdgeDetector.from_pretrained(name)


def test_the_embedded_detector_sees_the_cup_and_not_the_table():
    out = EdgeDetector.from_pretrained()(COFFEE, detect_resolution=256)
    edges = out.edges[0]
    assert edges.shape == (400, 600)
    # The rim of the saucer against the table, and a plain piece of table in a corner.
    assert edges[100:380, 100:520].max() > 4 * edges[:40, :40].max()


def test_a_merged_lora_draws_the_same_and_is_saved_as_it_was(backbone, picture, tmp_path):
    pytest.importorskip("peft")
    student = Student(load_backbone(backbone), StudentSettings(blocks=(0, 1), width=16, rank=2))
    torch.manual_seed(0)
    for name, weight in student.named_parameters():
        if ".lora_B." in name:
            torch.nn.init.normal_(weight, std=0.3)
    detector = EdgeDetector(student, 64)
    before = detector(picture).edges
    detector.save_pretrained(tmp_path / "a")
    weight = student.denoiser.state_dict()[
        next(n for n in student.denoiser.state_dict() if n.endswith("to_q.base_layer.weight"))
    ].clone()
    merged = detector.merge_lora().merge_lora()  # twice is once
    name = next(n for n in student.denoiser.state_dict() if n.endswith("to_q.base_layer.weight"))
    assert not torch.equal(student.denoiser.state_dict()[name], weight)
    assert np.allclose(merged(picture).edges, before, atol=1e-5)
    merged.save_pretrained(tmp_path / "b")
    one, two = (tmp_path / folder / "detector.safetensors" for folder in "ab")
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.long
def test_a_compiled_detector_draws_the_same():
    # In a process of its own: what checks shapes in these tests cannot be compiled.
    code = (
        "import numpy as np, trace_edges as te\n"
        "detector = te.EdgeDetector.from_pretrained()\n"
        "picture = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)\n"
        "before = detector(picture, detect_resolution=64).edges\n"
        "after = detector.compile(backend='eager')(picture, detect_resolution=64).edges\n"
        "assert np.allclose(after, before, atol=1e-4), abs(after - before).max()\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_pushing_uploads_what_save_pretrained_writes_to_a_faked_hub(
    detector, tmp_path, monkeypatch
):
    calls = []

    class FakeHub:
        def create_repo(self, repository, **options):
            calls.append(("create", repository, options))

        def upload_folder(self, *, repo_id, folder_path):
            calls.append(("upload", repo_id, sorted(p.name for p in Path(folder_path).iterdir())))

    monkeypatch.setattr("huggingface_hub.HfApi", FakeHub)
    detector.push_to_hub("me/edges", tmp_path / "out", private=True)
    assert calls == [
        ("create", "me/edges", {"exist_ok": True, "private": True}),
        ("upload", "me/edges", ["README.md", "config.json", "detector.safetensors"]),
    ]


def test_the_card_names_what_was_measured(detector, tmp_path):
    detector.training = {"measured": {"validation ODS": 0.4321}}
    detector.save_pretrained(tmp_path)
    assert "| validation ODS | 0.4321 |" in (tmp_path / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("backbone", "base", "licence"), [
    ("sd15", "stable-diffusion-v1-5/stable-diffusion-v1-5", "creativeml-openrail-m"),
    ("somebody/theirs", "somebody/theirs", "that-of-the-backbone"),
    ("trace-mini", None, "that-of-the-backbone"),
    ("a/folder/of/mine", None, "that-of-the-backbone"),
])  # fmt: skip
def test_the_card_has_what_the_hub_shows(backbone, base, licence):
    from huggingface_hub import ModelCard

    from trace_edges.detector.hub import model_card

    data = ModelCard(model_card({"backbone": backbone})).data
    assert (data.base_model, data.license, data.license_name) == (base, "other", licence)
    assert data.library_name == "trace-edges"
