"""`EdgeModel`: which source of edges, loaded and set how, as plain values that travel between
processes and stand in records.

It lies above the sources that it loads, not beside `EdgeSource`, which they are built on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, get_args

from trace_edges.backbones.checkpoints import EMBEDDED, PIXELS
from trace_edges.loading import Loading
from trace_edges.training_free.settings import TraceSettings

if TYPE_CHECKING:
    from trace_edges.instances.components import Origin

Quality = Literal["default", "fast", "best"]
Runtime = Literal["auto", "torch", "onnx"]
Method = Literal["one-step", "training-free", "folder"]

# By quality: multiples of the resolution at which a detector sees an image, and whether it sees it
# mirrored too. Of 512 px they are 384, 512 and 704 px; docs/distillation.md has the scores.
VIEWS: dict[Quality, tuple[tuple[float, ...], bool]] = {
    "fast": ((0.75,), False),
    "default": ((1.0,), False),
    "best": ((0.75, 1.0, 1.375), True),
}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which source of edges is asked for.

    Attributes:
        training_free: Read the self-attention of the backbone instead of using a detector; slower,
            and works with every backbone.
        detector: A distilled detector: a folder, a hub id, or trace-mini, the student of that
            model. None: trace-pixels, which reads the image alone.
        backbone: Model whose attention is read: a name that `trace-edges backbones` lists, a
            folder, or a hub id. Any other than trace-mini implies --training-free.
        quality: How a detector sees every image: fast at three quarters of its resolution, best six
            times, at three sizes and mirrored.
        runtime: What computes a detector that reads the image alone: torch, or onnx for ONNX
            Runtime (the extra onnx), which is faster on a CPU. auto takes torch if it is installed.
    """

    training_free: bool = False
    detector: str | None = None
    backbone: str = EMBEDDED
    quality: Quality = "default"
    runtime: Runtime = "auto"

    @property
    def is_one_step(self) -> bool:
        """A detector is asked for; any backbone but trace-mini implies the training-free method.

        Raises:
            ValueError: one is asked for, and something else too.
        """
        reads_attention = self.training_free or self.backbone != EMBEDDED
        if self.detector is not None and reads_attention:
            other = "--training-free" if self.training_free else "--backbone"
            raise ValueError(f"--detector brings its own backbone: leave {other} out")
        if self.quality != "default" and reads_attention:
            raise ValueError(f"--quality {self.quality} is for detectors: leave --backbone and "
                             "--training-free out")  # fmt: skip
        if self.runtime != "auto" and reads_attention:
            raise ValueError("--runtime is for detectors: leave --backbone and --training-free out")
        return not reads_attention

    @property
    def detector_name(self) -> str:
        """The detector, where one is asked for."""
        return self.detector or PIXELS


@dataclass(frozen=True, kw_only=True)
class EdgeModel:
    """A source of edges by name.

    Attributes:
        name: of a detector ("trace-pixels", a folder, a hub id) or of a backbone ("trace-mini", and
            so on), or the folder of edges. None: the one of the package.
        method: "one-step" (a detector), "training-free", or "folder".
        settings: how images are read; of a detector the resolution alone.
        loading: how weights are loaded.
        quality: which `VIEWS` of every image a detector sees.
        runtime: what computes a detector that reads the image alone.
    """

    name: str = None  # type: ignore[assignment]  # never None once it is made
    method: Method = "one-step"
    settings: TraceSettings = field(default_factory=TraceSettings)
    loading: Loading = field(default_factory=Loading)
    quality: Quality = "default"
    runtime: Runtime = "auto"

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            known = ", ".join(get_args(Method))
            raise ValueError(f"unknown method {self.method!r}; known: {known}")
        if self.name is None:
            own = EMBEDDED if self.method == "training-free" else PIXELS
            object.__setattr__(self, "name", own)

    @classmethod
    def choose(cls, choice: Choice, settings: TraceSettings, loading: Loading) -> EdgeModel:
        """The model that was asked for.

        Raises:
            ValueError: options of the training-free method were given for a detector.
        """
        if not choice.is_one_step:
            return cls(name=choice.backbone, method="training-free", settings=settings,
                       loading=loading)  # fmt: skip
        refuse_training_free(settings, loading)
        return cls(name=choice.detector_name, settings=settings, loading=loading,
                   quality=choice.quality, runtime=choice.runtime)  # fmt: skip

    def load(self) -> Any:
        """The source, as an `EdgeSource`.

        Raises:
            BackboneError: it cannot be found, or is not supported.
            ValueError: the device is not there, or the folder holds no edges.
            MissingExtraError: `runtime` is onnx, and it is not installed.
        """
        if self.method == "folder":
            from trace_edges.edge_folder import EdgeFolder

            return EdgeFolder(self.name)
        from trace_edges.backbones.problems import check_backbone_name, check_detector_name

        if self.method == "training-free":
            check_backbone_name(self.name)
            return self.loading.load_pipeline(self.name)
        check_detector_name(self.name)
        if self.runtime == "onnx" or (self.runtime == "auto" and find_spec("torch") is None):
            if self.loading.device not in ("auto", "cpu"):
                raise ValueError(f"device {self.loading.device!r} needs PyTorch: ONNX Runtime "
                                 "computes on the CPU here")  # fmt: skip
            from trace_edges.detector import RuntimeDetector

            return RuntimeDetector.from_pretrained(self.name)
        from trace_edges.detector import EdgeDetector

        placement = self.loading.placement
        if self.loading.dtype == "auto":  # of one in fewer bits, it is another
            placement["dtype"] = None
        return EdgeDetector.from_pretrained(self.name, **placement)

    def origin(self) -> Origin:
        """What draws the edges, by the config of a detector; its weights are not loaded.

        Raises:
            BackboneError: there is no such detector.
        """
        from trace_edges.detector.config import read_config
        from trace_edges.detector.hub import find_artefact
        from trace_edges.instances.components import origin_of

        known: dict[str, Any] = {"method": self.method}
        if self.method == "one-step":
            artefact = find_artefact(self.name, None, local_files_only=False)
            known["backbone"] = read_config(artefact).backbone
        return origin_of(known)

    def source_settings(self) -> Any:
        """`settings` as the source takes them."""
        if self.method == "training-free":
            return self.settings
        if self.method == "folder":
            from trace_edges.edge_folder import FolderSettings

            return FolderSettings()
        from trace_edges.detector import DetectorSettings

        return DetectorSettings(self.settings.resolution, *VIEWS[self.quality])


def refuse_training_free(settings: TraceSettings, loading: Loading) -> None:
    """`ValueError` where an option was given that only the training-free method has."""
    given = asdict(settings) | loading.of_diffusion
    unset = asdict(TraceSettings()) | Loading().of_diffusion
    given["resolution"] = unset["resolution"]  # detectors have it too
    refuse(given, unset, "belongs to the training-free method: add --training-free")


def refuse(given: Mapping[str, Any], unset: Mapping[str, Any], why: str) -> None:
    """`ValueError` where an option has another value than when it is left out."""
    for name, value in given.items():
        if value != unset[name]:
            raise ValueError(f"--{name.replace('_', '-')} {why}")
