"""Training data of both models: square crops of composites and photographs, in batches.

Images are larger than the crops by an eighth. A batch is decided by the seed and the number of
its step alone: nothing is remembered, so a run that goes on sees what an undisturbed one does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from recipes.trace_mini.composites import SceneSettings, visible_scene
from recipes.trace_mini.composites.sprites import Sprite
from recipes.trace_mini.settings import PretrainingSettings
from trace_edges.files import write_atomically
from trace_edges.images import ImageError, load_image
from trace_edges.metrics.edges import spread

Square = UInt8[np.ndarray, "s s 3"]

_ENDLESS = 2**62
_SQUARES = 3  # at most so many of one photograph
LEARN, CHECK = 0, 1  # the entropy that keeps composites to learn from apart from those to check


class Composites:
    """Composites by number; each is drawn from its number and the seed.

    Args:
        sprites: by name.
        scene: what they are like.
        seed: of all of them.
        ahead: those that are rendered already; None: each is rendered when it is asked for.
    """

    def __init__(
        self,
        sprites: Mapping[str, Sprite],
        scene: SceneSettings,
        seed: int,
        ahead: UInt8[np.ndarray, "n s s 3"] | None = None,
    ) -> None:
        self._sprites, self._scene, self._seed, self._ahead = sprites, scene, seed, ahead

    def __len__(self) -> int:
        return _ENDLESS if self._ahead is None else len(self._ahead)

    def __getitem__(self, number: int) -> Square:
        if self._ahead is not None:
            return self._ahead[number]
        return render_composite(number, self._sprites, self._scene, self._seed)


def render_composite(
    number: int, sprites: Mapping[str, Sprite], scene: SceneSettings, seed: int
) -> Square:
    """The composite of this number."""
    return visible_scene(list(sprites), sprites, scene, (seed, LEARN, number))[1]


def render_ahead(
    path: Path,
    sprites: Mapping[str, Sprite],
    settings: PretrainingSettings,
    workers: int = 1,
    progress: Callable[[], object] | None = None,
) -> UInt8[np.ndarray, "n s s 3"]:
    """The first `settings.scenes` composites, in a file that is read as it is needed.

    What lies there already is taken as it is: the caller answers for its belonging to the run.
    """
    draw = partial(render_composite, sprites=sprites, scene=settings.scene, seed=settings.seed)
    return _stored(path, spread(draw, range(settings.scenes), workers), settings, progress)


def store_photographs(
    path: Path,
    photographs: Sequence[Path],
    settings: PretrainingSettings,
    progress: Callable[[], object] | None = None,
    on_problem: Callable[[str], object] | None = None,
) -> UInt8[np.ndarray, "n s s 3"]:
    """Squares of photographs, in a file that is read as it is needed.

    The shorter side becomes that of the squares, and a long photograph gives several that cover it,
    three at most. One that cannot be read is left out and named to `on_problem`.
    """

    def squares() -> Iterator[Square]:
        for photograph in photographs:
            try:
                yield from cover(load_image(photograph), settings.side)
            except ImageError as error:
                if on_problem is not None:
                    on_problem(str(error))
            if progress is not None:
                progress()

    return _stored(path, squares(), settings, None)


def cover(image: UInt8[np.ndarray, "h w 3"], side: int) -> Iterator[Square]:
    """Squares, evenly spaced along the longer side, of an image whose shorter side is brought to
    `side`; the middle is covered first where three are not enough.
    """
    height, width, _ = image.shape
    scale = side / min(height, width)
    size = max(side, round(width * scale)), max(side, round(height * scale))
    resized = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)
    spare = max(size) - side
    count = min(_SQUARES, 1 + round(spare / side + 0.25))  # from a quarter more than a square on
    for place in [0.5] if count == 1 else np.linspace(0, 1, count):
        start = round(spare * float(place))
        left, top = (start, 0) if size[0] > size[1] else (0, start)
        yield np.asarray(resized.crop((left, top, left + side, top + side)))


def _stored(
    path: Path,
    images: Iterator[Square],
    settings: PretrainingSettings,
    progress: Callable[[], object] | None,
) -> UInt8[np.ndarray, "n s s 3"]:
    if not path.exists():
        with write_atomically(path) as temporary, temporary.open("wb") as file:
            for image in images:
                file.write(image.tobytes())
                if progress is not None:
                    progress()
            if not file.tell():
                raise ValueError("none of the photographs can be used: give others, or none")
    flat = np.memmap(path, dtype=np.uint8, mode="r")
    return flat.reshape(-1, settings.side, settings.side, 3)


class Batches(Dataset):
    """The batches of a stage by number; `loader` gives them in order.

    Args:
        composites: to learn from.
        photographs: squares; None: composites only.
        settings: of the run.
        batch_size: crops.
        mixed_from: the number from which on photographs come in.
        entropy: what keeps these batches apart from others of the run.
    """

    def __init__(
        self,
        composites: Composites,
        photographs: UInt8[np.ndarray, "n s s 3"] | None,
        settings: PretrainingSettings,
        batch_size: int,
        mixed_from: int,
        *entropy: int,
    ) -> None:
        self._composites, self._photographs, self._settings = composites, photographs, settings
        self._batch_size, self._mixed_from, self._entropy = batch_size, mixed_from, entropy

    def __getitem__(self, number: int) -> Float32[Tensor, "b 3 r r"]:
        rng = np.random.default_rng((self._settings.seed, *self._entropy, number))
        crops = [self._crop(number, rng) for _ in range(self._batch_size)]
        return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 127.5 - 1

    def _crop(self, number: int, rng: np.random.Generator) -> Square:
        mixed = self._photographs is not None and number >= self._mixed_from
        is_photograph = rng.random() < self._settings.photographs_share
        source = self._photographs if mixed and is_photograph else self._composites
        assert source is not None
        image = source[int(rng.integers(len(source)))]
        return random_crop(image, self._settings.resolution, rng)

    def of(self, entropy: int) -> Batches:
        """The same images in batches that are no stage's."""
        return Batches(
            self._composites, self._photographs, self._settings, self._batch_size,
            self._mixed_from, entropy,
        )  # fmt: skip

    def loader(self, start: int, stop: int, workers: int) -> DataLoader:
        """The batches `start` to `stop`, made by so many processes; 0: by this one."""
        return DataLoader(self, batch_size=None, sampler=range(start, stop), num_workers=workers)


def seeded(device: torch.device, *entropy: int) -> torch.Generator:
    """A generator of the device, seeded by all of these numbers; equal on devices of one kind."""
    (seed,) = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(seed))


def random_crop(image: Square, resolution: int, rng: np.random.Generator) -> Square:
    """A crop between `resolution` and the whole, brought to `resolution`; half are mirrored."""
    side = int(rng.integers(resolution, len(image) + 1))
    top, left = rng.integers(len(image) - side + 1, size=2)
    crop = image[top : top + side, left : left + side]
    if side > resolution:
        resized = Image.fromarray(crop).resize((resolution, resolution), Image.Resampling.BILINEAR)
        crop = np.asarray(resized)
    return crop[:, ::-1] if rng.random() < 0.5 else crop
