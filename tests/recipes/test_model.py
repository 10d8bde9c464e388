"""The model on disk: whole, or no model at all."""

from pathlib import Path

import pytest
import torch

from recipes.trace_mini.autoencoder import build_autoencoder, measure_latents
from recipes.trace_mini.denoisers import build_denoiser
from recipes.trace_mini.images import Batches, Composites
from recipes.trace_mini.model import save_model
from trace_edges.backbones import BackboneError, load_backbone


class KilledError(Exception):
    pass


@pytest.fixture
def save(settings, sprites, tmp_path):
    """A function that saves the model of a seed, always into one folder."""
    vae = build_autoencoder(settings).requires_grad_(False)
    composites = Composites(sprites[0], settings.scene, settings.seed, None)
    measure_latents(vae, Batches(composites, None, settings, 2, 0, 0, 0))

    def of(seed):
        denoiser = build_denoiser(settings.denoiser, settings.config, 4, 8, seed)
        save_model(tmp_path / "model", settings.denoiser, denoiser, vae, settings.resolution)
        return tmp_path / "model"

    return of


def weights(folder):
    return torch.cat([w.flatten() for w in load_backbone(folder).denoiser.parameters()])


def test_a_model_is_replaced_by_the_next(save):
    first = weights(save(0))
    assert not torch.equal(first, weights(save(1)))
    assert torch.equal(first, weights(save(0)))


@pytest.mark.parametrize("moved", [0, 1, 3])
def test_no_mixture_can_be_opened_after_a_move_that_breaks_off(save, monkeypatch, moved):
    """What a kill would do, by an exception."""
    folder = save(0)
    left, replace = [moved], Path.replace

    def breaks_off(path, place):
        if not left[0]:
            raise KilledError
        left[0] -= 1
        return replace(path, place)

    monkeypatch.setattr(Path, "replace", breaks_off)
    with pytest.raises(KilledError):
        save(1)
    monkeypatch.undo()
    with pytest.raises(BackboneError, match=r"model_index\.json"):
        load_backbone(folder)
    assert weights(save(1)).numel()
