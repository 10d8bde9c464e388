"""`EdgeModel`: which source of edges, loaded and set how, as plain values that travel between
processes and stand in records.

It lies above the sources that it loads, not beside `EdgeSource`, which they are built on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, get_args

from trace_edges.backbones.checkpoints import EMBEDDED, PIXELS
from trace_edges.training_free.settings import TraceSettings

if TYPE_CHECKING:
    from trace_edges.instances.components import Origin

Quality = Literal["default", "fast", "best"]
Runtime = Literal["auto", "torch", "onnx"]
Method = Literal["one-step", "training-free", "folder"]
DType = Literal["auto", "float32", "float16", "bfloat16"]
Prediction = Literal["epsilon", "v_prediction"]
Quantization = Literal["bnb-4bit", "bnb-8bit", "torchao-int8"]

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
class LoadOptions:
    """How diffusion models are loaded; encoders know `revision` and `offload` too.

    Attributes:
        null: Kind of null condition, which stands in for the prompt. None: the one stored with the
            model, or else the default of its family.
        revision: Branch, tag or commit of the model on the hub.
        variant: Variant of the weight files, such as fp16. None: the plain files, or else the
            variant that exists.
        prediction_type: What the denoiser predicts. None: what its scheduler or file says.
        quantize: Load the denoiser with fewer bits per weight. Needs the extra quantize.
        offload: Keep the weights in main memory, and move each part to the device only while it
            runs.
        vae_tiling: Encode large images in tiles, to save memory.
    """

    null: str | None = None
    revision: str | None = None
    variant: str | None = None
    prediction_type: Prediction | None = None
    quantize: Quantization | None = None
    offload: bool = False
    vae_tiling: bool = False


@dataclass(frozen=True, kw_only=True)
class Loading(LoadOptions):
    """How models of every kind are loaded, and where they go.

    Attributes:
        null, revision, variant, prediction_type, quantize, offload, vae_tiling: see `LoadOptions`.
        device: Device to run on: cpu, cuda, cuda:1, mps, and so on; auto takes an accelerator if
            there is one.
        dtype: Number type of the weights; auto takes float32 on a CPU, and elsewhere bfloat16, or
            float16 where the device lacks it.
        no_kernels: On a CUDA device, use PyTorch instead of the faster Triton kernels.
    """

    device: str = "auto"
    dtype: DType = "auto"
    no_kernels: bool = False

    @property
    def placement(self) -> dict[str, Any]:
        """`device` and `dtype` as torch has them; every way of loading asks, so that here kernels
        are switched off, for the whole process.

        Raises:
            ValueError: the device is not there.
        """
        import torch

        from trace_edges.attention.fused import switch_off
        from trace_edges.backbones.latents import default_dtype

        if self.no_kernels:
            switch_off()
        name = self.device
        if name == "auto":
            name = str(torch.accelerator.current_accelerator(check_available=True) or "cpu")
        try:
            device = torch.device(name)
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"device {name!r} is not available: {reason}") from error
        chosen = default_dtype(device) if self.dtype == "auto" else getattr(torch, self.dtype)
        return {"device": device, "dtype": chosen}

    @property
    def weight_options(self) -> dict[str, Any]:
        """Those that decide what the weights are."""
        from trace_edges.backbones import WEIGHT_OPTIONS

        return {option: getattr(self, option) for option in WEIGHT_OPTIONS}

    @property
    def of_diffusion(self) -> dict[str, Any]:
        """Those that only a pipeline knows."""
        return {one.name: getattr(self, one.name) for one in fields(LoadOptions)}

    def load_pipeline(self, name: str) -> Any:
        """The training-free pipeline of a backbone, ready to run on the device.

        Raises:
            BackboneError: as `TraceEdgePipeline.from_pretrained`.
            ValueError: the device is not there.
        """
        from trace_edges.training_free.pipeline import TraceEdgePipeline

        placement = self.placement
        device = placement["device"]
        placement["device"] = "cpu" if self.offload else device
        pipe = TraceEdgePipeline.from_pretrained(name, **placement, **self.weight_options)
        if self.vae_tiling:
            pipe.enable_vae_tiling()
        return pipe.enable_model_cpu_offload(device) if self.offload else pipe

    def load_denoiser(self, name: str) -> Any:
        """The diffusion model alone, for training; no encoder.

        Raises:
            BackboneError: as `load_backbone`.
            ValueError: the device is not there.
        """
        from trace_edges.backbones import load_backbone

        return load_backbone(name, **self.placement, **self.weight_options)


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
    given = _as_dict(settings) | loading.of_diffusion
    unset = _as_dict(TraceSettings()) | Loading().of_diffusion
    for name, value in given.items():
        if name != "resolution" and value != unset[name]:
            raise ValueError(
                f"--{name.replace('_', '-')} belongs to the training-free method: add "
                "--training-free"
            )


def _as_dict(settings: TraceSettings) -> dict[str, Any]:
    return {one.name: getattr(settings, one.name) for one in fields(settings)}
