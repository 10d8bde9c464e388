"""Scenes: what is drawn is what the ground truth says, and the same seed gives the same bytes."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from recipes.trace_mini.__main__ import app
from recipes.trace_mini.composites import (
    Placed,
    Scene,
    SceneSettings,
    border_between,
    draw_scene,
    load_sprites,
    render,
    touching_twins,
    write_composites,
)
from trace_edges.files import FileError, find_images

GREYS = ((0.5, 0.5, 0.5),) * 3
SMALL = SceneSettings(height=96, width=128, objects=(2, 5))


@pytest.fixture
def red():
    """An opaque red square of 20 px."""
    square = np.zeros((20, 20, 4), dtype=np.uint8)
    square[..., 0] = square[..., 3] = 255
    return {"red": square}


def test_owners_are_the_pixels_that_an_object_shows(red):
    pasted = (Placed("red", 20, 20, 20), Placed("red", 30, 20, 20))
    image, ids, shown = render(Scene(48, 64, GREYS, pasted), red, np.random.default_rng(0))
    ours = image.astype(int)
    really_red = (ours[..., 0] > 200) & (ours[..., 1] < 80)
    assert (really_red == (ids > 0)).mean() > 0.99
    assert shown[1] == 1
    assert shown[0] == pytest.approx(0.5, abs=0.03)
    assert (ids == 2).sum() == pytest.approx(400, abs=45)


def test_the_embedded_sprites_have_a_transparent_ground():
    sprites = load_sprites()
    assert len(sprites) == 24
    assert list(sprites) == sorted(sprites)
    assert all(s.shape == (96, 96, 4) and (s[..., 3] == 0).any() for s in sprites.values())


def test_the_images_of_scenes_are_images_for_other_commands(tmp_path):
    done = CliRunner().invoke(app, ["composites", "--out", str(tmp_path), "--n", "1", "--quiet"])
    assert done.exit_code == 0, done.output
    assert list(find_images([str(tmp_path / "images")]).images) == [tmp_path / "images/000000.png"]


def test_sprites_come_from_folders_and_archives(tmp_path, red):
    wide = np.zeros((10, 20, 4), dtype=np.uint8)
    wide[2:5, 3:9] = 255
    Image.fromarray(wide).save(tmp_path / "wide.webp", lossless=True)
    found = load_sprites(tmp_path)
    assert found["wide"].shape == (20, 20, 4)
    assert (found["wide"][..., 3] > 0).sum() == 18
    np.savez(tmp_path / "s.npz", x=np.stack([red["red"]] * 3), n=np.array(["a", "b", "c"]))
    np.save(tmp_path / "rows.npy", np.array([2, 0]))
    assert list(load_sprites(tmp_path / "s.npz", tmp_path / "rows.npy")) == ["a", "c"]


def test_what_is_no_sprite_is_refused(tmp_path, red):
    with pytest.raises(FileError, match="holds no sprite"):
        load_sprites(tmp_path)
    with pytest.raises(FileError, match="neither a folder"):
        load_sprites(tmp_path / "missing")
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    with pytest.raises(FileError, match="no transparent background"):
        load_sprites(tmp_path)
    np.savez(tmp_path / "s.npz", y=red["red"])
    with pytest.raises(FileError, match="lacks x"):
        load_sprites(tmp_path / "s.npz")
    np.savez(tmp_path / "t.npz", x=red["red"][None], n=np.array(["a"]))
    np.save(tmp_path / "rows.npy", np.array([4]))
    with pytest.raises(FileError, match="row beyond"):
        load_sprites(tmp_path / "t.npz", tmp_path / "rows.npy")


def test_twins_are_touching_instances_of_one_name():
    ids = np.zeros((6, 9), dtype=np.int32)
    ids[1:5, 1:3], ids[1:5, 3:5], ids[1:5, 5:7], ids[5, 8] = 1, 2, 3, 4
    assert touching_twins(ids, ["a", "a", "b", "a"]) == [(1, 2)]
    border = border_between(ids, [(2, 1)])
    assert border.sum() == 4
    assert border[1:5, 2].all()
    assert not border_between(ids, []).any()


def test_a_scene_stays_inside_of_its_settings():
    settings = SceneSettings(height=100, width=200, objects=(4, 6), size=(0.1, 0.2))
    for seed in range(20):
        scene = draw_scene(["a", "b"], np.random.default_rng(seed), settings)
        assert 1 <= len(scene.objects) <= 6
        assert all(0 < o.x < 200 and 0 < o.y < 100 for o in scene.objects)


@pytest.mark.parametrize("wrong", [{"height": 8}, {"objects": (0, 2)}, {"size": (0.5, 0.2)}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=r"give|objects|size"):
        SceneSettings(**wrong)


def test_every_format_says_the_same(tmp_path):
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO

    from trace_edges.formats.coco_truth import read_panoptic

    write_composites(tmp_path, load_sprites(), 3, seed=1, settings=SMALL)
    scenes = json.loads((tmp_path / "scenes.json").read_text(encoding="utf-8"))["scenes"]
    coco = COCO(str(tmp_path / "instances.json"))
    panoptic = json.loads((tmp_path / "panoptic.json").read_text(encoding="utf-8"))
    named = {c["id"]: c["name"] for c in panoptic["categories"]}
    for entry, image in zip(panoptic["annotations"], panoptic["images"], strict=True):
        name = image["file_name"].removesuffix(".png")
        with Image.open(tmp_path / "labels" / image["file_name"]) as png:
            labels = np.asarray(png).astype(int)
        objects = scenes[name]["objects"]
        assert labels.shape == (96, 128)
        assert labels.max() == len(objects)
        assert (tmp_path / "images" / image["file_name"]).exists()
        assert (read_panoptic(tmp_path / "panoptic" / entry["file_name"]) == labels + 1).all()
        things = [s for s in entry["segments_info"] if named[s["category_id"]] != "ground"]
        assert [named[s["category_id"]] for s in things] == [o["name"] for o in objects]
        masks = [coco.annToMask(a) for a in coco.imgToAnns[image["id"]]]
        assert sorted(int(m.sum()) for m in masks) == sorted(np.bincount(labels.ravel())[1:])
        assert (np.sum(masks, axis=0) == (labels > 0)).all()
        shared = touching_twins(labels, [o["name"] for o in objects])
        assert scenes[name]["touching"] == [list(pair) for pair in shared]


def test_the_same_seed_gives_the_same_bytes_and_more_scenes_change_none(tmp_path):
    pytest.importorskip("pycocotools")
    for folder, n in (("a", 2), ("b", 3)):
        write_composites(tmp_path / folder, load_sprites(), n, seed=5, settings=SMALL)
    for number in range(2):
        one, two = (tmp_path / f / "images" / f"{number:06d}.png" for f in "ab")
        assert one.read_bytes() == two.read_bytes()
    third = (tmp_path / "b" / "images" / "000002.png").read_bytes()
    assert third != (tmp_path / "b" / "images" / "000001.png").read_bytes()


def test_sizes_and_numbers_can_be_asked_for(tmp_path):
    """As shares of the side: 0.05 to 0.06 of 256 px are sprites of 13 to 16 px."""
    options = ["--n", 2, "--height", 256, "--width", 256, "--quiet"]
    options += ["--smallest", 0.05, "--largest", 0.06, "--most", 2]
    arguments = ["composites", "--out", tmp_path, *options]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    for scene in range(2):
        with Image.open(tmp_path / "labels" / f"{scene:06}.png") as labels:
            areas = np.bincount(np.asarray(labels).ravel())[1:]
        assert 1 <= len(areas) <= 2
        assert 0 < areas.max() < 20 * 20
    wrong = CliRunner().invoke(app, ["composites", "--out", str(tmp_path), "--smallest", "0.6"])
    assert wrong.exit_code == 1
    assert "size: smallest and largest, in (0, 1]" in wrong.stderr
