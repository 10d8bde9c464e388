"""A latent diffusion model as TRACE needs it: encode an image, predict noise, show attention."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from typing import Any

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn.functional import interpolate

from trace_edges.attention import AttentionRecorder, Grid, MapAverage, alone
from trace_edges.backbones.backbone import Backbone, add_weights, weights_fingerprint
from trace_edges.backbones.latents import decode, encode
from trace_edges.backbones.schedules import Schedule
from trace_edges.backbones.specs import Defaults, Family, NullCondition

Latents = Float[Tensor, "b c h w"]


class DiffusionBackbone(Backbone):
    """A diffusers denoiser and VAE with the null prompt.

    Attributes: those of `Backbone`, and
        family: how it is run.
        blocks: names of the modules around its layers, whose outputs are the hidden states, in
            the order of a pass.
        channels: of the latents.
        patch: latents along a side of one attention token, on the finest grid.
    """

    schedule: Schedule

    def __init__(
        self,
        name: str,
        family: Family,
        denoiser: nn.Module,
        vae: nn.Module,
        schedule: Schedule,
        null: NullCondition,
        defaults: Defaults | None = None,
    ) -> None:
        self.name, self.family = name, family
        self.denoiser: Any = denoiser.eval().requires_grad_(False)
        self.vae: Any = vae.eval().requires_grad_(False)
        self.schedule, self._null = schedule, null
        self.loaded_with = {}
        self._vae_hook: Any = None
        self.layers = family.layers(denoiser)
        self.blocks = _around(self.layers)
        config: Any = denoiser.config
        factor = family.autoencoder.pixels(vae)
        self.channels, self.patch = family.channels(config), family.patch(config)
        self.cell = self.multiple = factor * self.patch
        self.defaults = defaults or Defaults(factor * family.sample_size(config))

    @property
    def models(self) -> tuple[nn.Module, ...]:
        return self.denoiser, self.vae

    def enable_model_cpu_offload(self, device: str | torch.device = "cuda") -> DiffusionBackbone:
        from accelerate import cpu_offload_with_hook

        self.to("cpu")
        _, encoder = cpu_offload_with_hook(self.vae, torch.device(device))
        _, denoiser = cpu_offload_with_hook(self.denoiser, torch.device(device), encoder)
        encoder.hook.prev_module_hook = denoiser  # the next image is encoded without it
        return self

    @contextmanager
    def offloading_vae(self) -> Iterator[None]:
        """Within, the VAE lies in the computer's memory, but from its use to `offload_vae`."""
        from accelerate import cpu_offload_with_hook

        device = self.device
        _, self._vae_hook = cpu_offload_with_hook(self.vae, device)
        try:
            yield
        finally:
            self._vae_hook.remove()
            self._vae_hook = None
            self.vae.to(device)

    def offload_vae(self) -> None:
        """Move the VAE away until it is used again, where that is enabled."""
        if self._vae_hook is not None:
            self._vae_hook.offload()

    def fingerprint(self, device: str | None = None) -> str:
        """Equal for models that give equal maps: of the weights (a sample of each tensor), the null
        prompt, the schedule, the number type, the kind of device, and whether the VAE tiles.

        Args:
            device: kind of device that is taken for its own; None: where it runs.
        """
        kind = device or self.device.type
        parts: tuple[Any, ...] = (
            self.family.name, self.dtype, kind, self.schedule.prediction_type
        )  # fmt: skip
        parts += ("vae_tiling",) if self.loaded_with.get("vae_tiling") else ()
        tensors = {"alphas": self.schedule.levels, **self._null}
        tensors |= self.denoiser.state_dict(prefix="denoiser.")
        tensors |= self.vae.state_dict(prefix="vae.")
        return weights_fingerprint(parts, tensors)

    def weights_fingerprint(self, dtype: torch.dtype) -> str:
        """Equal for the same denoiser and VAE, whether they are in this number type already or
        would be after being rounded to it.
        """
        digest = blake2b(f"{self.family.name} {dtype}".encode(), digest_size=16)
        add_weights(digest, self.denoiser.state_dict(), dtype)
        add_weights(digest, self.vae.state_dict(), self.family.vae_dtype(dtype))
        return digest.hexdigest()

    def encode(self, images: Float[Tensor, "b 3 H W"]) -> Float32[Tensor, "b c h w"]:
        with alone(self.denoiser):  # which may be moved out of the way
            return encode(self.vae, images, self.family.autoencoder)

    def decode(self, latents: Latents) -> Float[Tensor, "b 3 H W"]:
        """Normalised latents back to images, about in [-1, 1]."""
        with alone(self.denoiser):
            return decode(self.vae, latents, self.family.autoencoder)

    def predict(self, latents: Latents, timestep: int) -> Float32[Tensor, "b c h w"]:
        """The denoiser's output, of the schedule's `prediction_type`, in float32."""
        b, channels = latents.shape[:2]
        null = {
            name: tensor.to(self.device, self.dtype).expand(b, *tensor.shape[1:])
            for name, tensor in self._null.items()
        }
        timesteps = torch.full((b,), timestep, device=self.device)
        latents = latents.to(self.device, self.dtype)
        with alone(self.denoiser):
            output = self.family.predict(self.denoiser, latents, timesteps, null)
        # A denoiser that learnt its variance returns it behind the noise: (B, 2C, h, w).
        return output[:, :channels].float()

    def attend(
        self, latents: Latents, timestep: int
    ) -> tuple[Float32[Tensor, "b c h w"], Float32[Tensor, "b n n"], Grid]:
        with self.recording(latents) as average:
            output = self.predict(latents, timestep)
        attention, grid = average.mean()
        return output, attention, grid

    @contextmanager
    def recording(self, latents: Latents, differentiable: bool = False) -> Iterator[MapAverage]:
        """Within, a pass over these latents adds the self-attention of every layer to the average.

        Raises:
            RecorderError: at the end; a layer's attention did not pass through SDPA.
        """
        average = MapAverage()
        with alone(self.denoiser), self.grids(latents, self.layers) as grid_of:

            def add(layer: str, q: Tensor, k: Tensor, scale: float) -> None:
                h, w = grid_of(layer)
                # Of a joint attention, what the image's tokens pay to each other, before softmax.
                image = self.family.image_tokens(h * w, int(q.shape[2]))
                average.add((h, w), q[:, :, image], k[:, :, image], scale)

            with AttentionRecorder(self.denoiser, self.layers, add, differentiable):
                yield average

    def hidden_states(
        self, latents: Latents, timestep: int, blocks: Sequence[str]
    ) -> tuple[list[Float32[Tensor, "b _ gh gw"]], Float32[Tensor, "b c h w"]]:
        """One pass: the outputs of these `blocks` for the image's tokens, brought to the finest
        grid, each with its own number of channels; and the denoiser's output.
        """
        with (
            alone(self.denoiser),
            self.grids(latents, blocks) as grid_of,
            block_outputs(self.denoiser, blocks) as outputs,
        ):
            output = self.predict(latents, timestep)
        finest = tuple(int(side) // self.patch for side in latents.shape[-2:])
        states = []
        for block in blocks:
            hidden, (h, w) = outputs[block], grid_of(block)
            if isinstance(hidden, tuple):
                hidden = hidden[self.family.image_output]
            tokens = hidden[:, self.family.image_tokens(h * w, int(hidden.shape[1]))]
            # (B, h * w, C) -> (B, C, h, w)
            state = tokens.float().transpose(1, 2).reshape(len(latents), -1, h, w)
            if (h, w) != finest:
                state = interpolate(state, finest, mode="bilinear", align_corners=False)
            states.append(state)
        return states, output

    @contextmanager
    def grids(self, latents: Latents, names: Sequence[str]) -> Iterator[Callable[[str], Grid]]:
        """Within, gives the grid of a layer or block from its turn in the pass on."""
        locate = self.family.feature_map
        if locate is None:
            # int: while the ONNX exporter traces, shapes are tensors.
            h, w = (int(side) // self.patch for side in latents.shape[-2:])
            yield lambda name: (h, w)
            return
        with feature_map_sizes(self.denoiser, map(locate, names)) as sizes:
            yield lambda name: sizes[locate(name)]


def _around(layers: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(layer.rpartition(".")[0] for layer in layers))


@contextmanager
def feature_map_sizes(denoiser: nn.Module, names: Iterable[str]) -> Iterator[dict[str, Grid]]:
    """(h, w) of the feature map (B, C, h, w) that each of these modules is given, as it comes."""
    sizes: dict[str, Grid] = {}

    def reader(name: str) -> Any:
        def read(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            hidden = inputs[0] if inputs else named["hidden_states"]
            sizes[name] = (int(hidden.shape[-2]), int(hidden.shape[-1]))

        return read

    with ExitStack() as hooks:
        for name in dict.fromkeys(names):
            module = denoiser.get_submodule(name)
            hooks.enter_context(module.register_forward_pre_hook(reader(name), with_kwargs=True))
        yield sizes


@contextmanager
def block_outputs(denoiser: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Outputs of these modules, as they are computed."""
    outputs: dict[str, Any] = {}

    def keeper(name: str) -> Any:
        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            outputs[name] = output

        return keep

    with ExitStack() as hooks:
        for name in names:
            hooks.enter_context(denoiser.get_submodule(name).register_forward_hook(keeper(name)))
        yield outputs
