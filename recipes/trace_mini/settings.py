"""What can be set of a pretraining, and the sets of settings that have names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from recipes.trace_mini.composites import SceneSettings
from recipes.trace_mini.denoisers import KINDS
from trace_edges.training import Stage


@dataclass(frozen=True)
class PretrainingSettings:
    """A whole run: the same settings, images and machine give the same weights.

    Attributes:
        resolution: side in px of the squares that the model is trained on.
        vae: the config of a diffusers `AutoencoderTiny`.
        denoiser: a class of `KINDS`, by name.
        config: of the denoiser; its channels and size follow from the autoencoder.
        autoencoder, training: how the two are trained.
        objects, size, group: what composites are like; see `SceneSettings`.
        scenes: so many different composites are rendered ahead and shown again and again, in other
            crops and mirrored; 0: every one is rendered when it is shown, and none comes twice.
        photographs_share: of a batch, from the `photographs_from`-th step of the denoiser on and
            in all of the autoencoder's; without effect where no photographs are given.
        latent_noise: standard deviation of the noise on what the autoencoder's decoder is given.
        min_snr: gamma of the min-SNR weighting of the denoiser's loss.
        check_scenes: composites of held-out sprites that are validated on.
        tolerance: px between an edge and the border it is counted for, in validation.
        seed: of the first weights, the composites, the crops and the noise.
    """

    resolution: int
    vae: Mapping[str, Any]
    config: Mapping[str, Any]
    autoencoder: Stage
    training: Stage
    denoiser: str = "PixArtTransformer2DModel"
    objects: tuple[int, int] = (3, 12)
    size: tuple[float, float] = (0.12, 0.45)
    group: float = 0.55
    scenes: int = 0
    photographs_share: float = 0.6
    photographs_from: int = 0
    latent_noise: float = 0.05
    min_snr: float = 5.0
    check_scenes: int = 32
    tolerance: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.denoiser not in KINDS:
            raise ValueError(f"unknown denoiser {self.denoiser!r}; known: {', '.join(KINDS)}")
        if not 0 <= self.photographs_share <= 1:
            raise ValueError(f"photographs_share must be 0 .. 1, not {self.photographs_share}")
        if self.check_scenes < 2:
            raise ValueError("check_scenes must be 2 or more: chance is another scene's edges")
        if self.scenes < 0 or self.seed < 0:
            raise ValueError("scenes and seed must be 0 or more")
        if self.resolution % self.factor or self.resolution < 4 * self.factor:
            raise ValueError(
                f"resolution {self.resolution} must be a multiple of {self.factor}, the pixels of "
                "a latent, and at least four of them"
            )

    @property
    def factor(self) -> int:
        """Pixels along a side of one latent."""
        return 2 ** (len(self.vae["encoder_block_out_channels"]) - 1)

    @property
    def scene(self) -> SceneSettings:
        """What composites are like, a little larger than the crops that are taken from them."""
        side = self.side
        return SceneSettings(side, side, self.objects, self.size, self.group)

    @property
    def side(self) -> int:
        """Px of the images that crops are taken from."""
        return self.resolution * 9 // 8

    def describe(self) -> dict[str, Any]:
        """As JSON holds it."""
        lists = {name: list(getattr(self, name)) for name in ("objects", "size")}
        vae = {k: list(v) if isinstance(v, tuple) else v for k, v in self.vae.items()}
        return asdict(self) | lists | {"vae": vae}


def _tiny(width: int, channels: int, blocks: tuple[int, ...]) -> dict[str, Any]:
    """An AutoencoderTiny with these blocks from the pixels down."""
    return {
        "encoder_block_out_channels": (width,) * len(blocks),
        "decoder_block_out_channels": (width,) * len(blocks),
        "num_encoder_blocks": blocks,
        "num_decoder_blocks": blocks[::-1],
        "latent_channels": channels,
    }


_SEED_VAE = _tiny(64, 16, (1, 3, 3, 3))  # 2.46 M parameters, 8 px a latent
_SEED_DENOISER = {"num_layers": 14, "num_attention_heads": 4, "attention_head_dim": 64}  # 15.4 M

CONFIGS = {
    # One CPU core, two minutes, from nothing: does it learn at all?
    "smoke": PretrainingSettings(
        resolution=128, vae=_tiny(16, 16, (1, 1, 1, 1)),
        config={"num_layers": 3, "num_attention_heads": 4, "attention_head_dim": 16},
        autoencoder=Stage(4, 250, 1e-3, warm_up=50, validate_every=250),
        training=Stage(16, 300, 2e-3, validate_every=300),
        objects=(2, 5), size=(0.25, 0.6), scenes=200, check_scenes=20,
    ),
    # One H100, 25 minutes: the recipe of trace-mini's seed weights.
    "gpu": PretrainingSettings(
        resolution=256, vae=_SEED_VAE, config=_SEED_DENOISER,
        autoencoder=Stage(
            32, 4000, 1e-3, warm_up=200, ema=0.999, validate_every=1000, save_every=1000
        ),
        training=Stage(
            192, 6287, 5e-4, warm_up=500, ema=0.9997, validate_every=1571, save_every=500
        ),
        scenes=24_000, photographs_from=1599,
    ),
    # The same model on a grid of 64 x 64, which is what limits the seed weights.
    "gpu-512": PretrainingSettings(
        resolution=512, vae=_SEED_VAE, config=_SEED_DENOISER | {"interpolation_scale": 2},
        autoencoder=Stage(
            16, 4000, 1e-3, warm_up=200, ema=0.999, validate_every=1000, save_every=1000
        ),
        training=Stage(
            48, 12_000, 5e-4, warm_up=500, ema=0.9997, validate_every=3000, save_every=500
        ),
        scenes=12_000, photographs_from=2000, tolerance=6.0,
    ),
}  # fmt: skip
