"""The autoencoder stage: pixels to latents and back, its loss, and how the latents are spread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import AutoencoderTiny
from jaxtyping import Float, Float32
from torch import Tensor, nn

from recipes.trace_mini.images import Batches, seeded
from recipes.trace_mini.settings import PretrainingSettings
from trace_edges.training import fit

STAGE = 1  # the entropy of what it is shown
_STATISTICS = 2  # of what its latents are measured on
_MEASURED = 16  # batches
_TOGETHER = 8  # images in one pass of validation


def autoencoder_loss(
    decoded: Float[Tensor, "b 3 h w"], images: Float[Tensor, "b 3 h w"]
) -> Float32[Tensor, ""]:
    """L1 + 2 MSE + 0.7 L1 of the gradient, of pixels in [-1, 1].

    The gradient (differences of neighbours, down and across, each a mean) is what keeps borders
    sharp in the latents.
    """
    error = decoded.float() - images.float()
    down, across = error[..., 1:, :] - error[..., :-1, :], error[..., 1:] - error[..., :-1]
    gradient = down.abs().mean() + across.abs().mean()
    return error.abs().mean() + 2 * error.square().mean() + 0.7 * gradient


class Reconstruction(nn.Module):
    """Images through the latents and back, with a little noise on the latents: what the denoiser
    will leave in them must not matter to the decoder.
    """

    def __init__(self, vae: AutoencoderTiny) -> None:
        super().__init__()
        self.vae = vae

    def forward(
        self, images: Float[Tensor, "b 3 h w"], noise: Callable[[torch.Size], Tensor]
    ) -> Float[Tensor, "b 3 h w"]:
        """`noise` gives what is added to latents of this shape."""
        latents = self.vae.encode(images).latents
        return self.vae.decode(latents + noise(latents.shape).to(latents)).sample


def build_autoencoder(settings: PretrainingSettings) -> AutoencoderTiny:
    """With random weights that the seed decides."""
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        return AutoencoderTiny(**settings.vae)


def train_autoencoder(
    vae: AutoencoderTiny,
    batches: Batches,
    check: Float[Tensor, "n 3 r r"],
    folder: Path,
    settings: PretrainingSettings,
    begun_with: str,
    accelerator: Accelerator,
    workers: int = 0,
    on_step: Callable[[Mapping[str, float]], object] | None = None,
) -> None:
    """Train it, or go on; at the end its config says how its latents are spread.

    Args:
        vae: on the accelerator's device.
        batches: images in [-1, 1].
        check: held-out images that the loss is measured on.
        folder: of the stage.
        settings: of the run.
        begun_with: see `fit`.
        accelerator: number type, gradient accumulation and devices.
        workers: processes that make the batches; 0: this one.
        on_step: called with what was written to the curves.
    """
    device = accelerator.device

    def loss_of(model: nn.Module, images: Tensor, number: int) -> Tensor:
        generator = seeded(device, settings.seed, STAGE, accelerator.process_index, number)

        def noise(shape: torch.Size) -> Tensor:
            drawn = torch.randn(shape, generator=generator, device=device)
            return settings.latent_noise * drawn

        images = images.to(device)
        return autoencoder_loss(model(images, noise), images)

    @torch.no_grad()
    def measure(step: int) -> dict[str, float]:
        losses = []
        for images in check.to(device).split(_TOGETHER):
            decoded = vae.decode(vae.encode(images).latents).sample
            losses.append(float(autoencoder_loss(decoded, images)))
        return {"validation_loss": sum(losses) / len(losses)}

    model = Reconstruction(vae)
    fit(
        model, settings.autoencoder, folder, begun_with,
        lambda start, stop: batches.loader(start, stop, workers), loss_of, measure, accelerator,
        on_step=on_step,
    )  # fmt: skip
    vae.requires_grad_(False).eval()
    measure_latents(vae, batches.of(_STATISTICS))


@torch.no_grad()
def measure_latents(vae: AutoencoderTiny, batches: Batches) -> None:
    """Write mean and standard deviation of every channel of the latents into the VAE's config."""
    device = next(vae.parameters()).device
    latents = torch.cat([
        vae.encode(batches[number].to(device)).latents.double().cpu() for number in range(_MEASURED)
    ])  # fmt: skip
    std, mean = torch.std_mean(latents, dim=(0, 2, 3))
    vae.register_to_config(
        latents_mean=[round(x, 6) for x in mean.tolist()],
        latents_std=[max(round(x, 6), 1e-6) for x in std.tolist()],
    )
