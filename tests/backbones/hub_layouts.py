"""Repositories as the hub has them, with tiny weights, in the cache of huggingface_hub.

Where the facts are from:

    [copy]    model_index.json, configs and names of files in copies of the repository that people
              keep on GitHub: SD 1.5, SD 2.1 (base), SDXL (base), SD 3.5 Large (model_index.json),
              FLUX.1-schnell in four bits (all configs)
    [code]    values that public code quotes from the repository: PixArt-alpha's transformer,
              Z-Image's and Lumina 2's transformer
    [memory]  nobody looked: the sharding, the variants and the keys of all others

Keys and types of values are the hub's; sizes are those of the tiny models.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER_COMMIT = "fedcba9876543210fedcba9876543210fedcba98"
JUNK = b"nothing that anybody may read"


@dataclass(frozen=True)
class Layout:
    """How a repository differs from what `save_pretrained` of today writes.

    Attributes:
        tiny: name of `TINY` and of `TEXTS`.
        version: `_diffusers_version` of its configs.
        index: entries of model_index.json.
        configs: by part: keys of its config with other values.
        lacks: by part: keys that its config does not have.
        variants: by variant: the parts that have weights of it.
        shards: parts whose weights are in several files.
        beside: other files, none of which may be read.
    """

    tiny: str
    version: str
    index: Mapping[str, Any] = field(default_factory=dict)
    configs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shards: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


_PNDM = {"_class_name": "PNDMScheduler", "skip_prk_steps": True, "set_alpha_to_one": False,
         "steps_offset": 1, "trained_betas": None, "clip_sample": False}  # fmt: skip
_OF_DDIM = ("rescale_betas_zero_snr", "timestep_spacing", "sample_max_value", "thresholding",
            "dynamic_thresholding_ratio", "clip_sample_range")  # fmt: skip
_OLD_VAE = ("scaling_factor", "shift_factor", "latents_mean", "latents_std", "force_upcast",
            "use_quant_conv", "use_post_quant_conv", "mid_block_add_attention")  # fmt: skip
_NEW_IN_UNET = ("addition_embed_type", "addition_time_embed_dim", "attention_type",
                "class_embeddings_concat", "conv_in_kernel", "conv_out_kernel",
                "cross_attention_norm", "dropout",
                "encoder_hid_dim", "encoder_hid_dim_type", "mid_block_type", "num_attention_heads",
                "reverse_transformer_layers_per_block", "time_embedding_type",
                "transformer_layers_per_block", "upcast_attention")  # fmt: skip
_FLOW_OF_TODAY = ("invert_sigmas", "shift_terminal", "stochastic_sampling", "time_shift_type",
                  "use_beta_sigmas", "use_exponential_sigmas", "use_karras_sigmas")  # fmt: skip
_NO_CHECKER = {"safety_checker": [None, None], "feature_extractor": [None, None]}
_ENCODERS_3 = ("text_encoder", "text_encoder_2", "text_encoder_3")

LAYOUTS = {
    # [copy]: the files and the keys.
    "sd15": Layout(
        "sd15", "0.6.0",
        index={"feature_extractor": ["transformers", "CLIPImageProcessor"],
               "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
               "scheduler": ["diffusers", "PNDMScheduler"]},
        configs={"scheduler": _PNDM},
        lacks={"scheduler": (*_OF_DDIM, "prediction_type"), "vae": _OLD_VAE,
               "unet": (*_NEW_IN_UNET, "dual_cross_attention", "num_class_embeds",
                        "only_cross_attention", "use_linear_projection"),
               "model_index": ("image_encoder", "requires_safety_checker")},
        variants={"fp16": ("unet", "vae", "text_encoder", "safety_checker"), "non_ema": ("unet",)},
        beside=("safety_checker/config.json", "safety_checker/model.safetensors",
                "safety_checker/pytorch_model.bin", "feature_extractor/preprocessor_config.json",
                "text_encoder/pytorch_model.bin", "text_encoder/pytorch_model.fp16.bin",
                "unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.fp16.bin",
                "unet/diffusion_pytorch_model.non_ema.bin", "vae/diffusion_pytorch_model.bin",
                "vae/diffusion_pytorch_model.fp16.bin", "v1-5-pruned.ckpt",
                "v1-5-pruned-emaonly.safetensors", "v1-inference.yaml"),
    ),
    # [copy] of 2.1-base; that of 768 px, its v_prediction and its fp16 files [memory].
    "sd21": Layout(
        "sd21", "0.10.0.dev0",
        index={"feature_extractor": ["transformers", "CLIPFeatureExtractor"],
               "requires_safety_checker": False, "safety_checker": [None, None],
               "scheduler": ["diffusers", "PNDMScheduler"]},
        configs={"scheduler": _PNDM},
        lacks={"scheduler": _OF_DDIM, "vae": _OLD_VAE, "unet": _NEW_IN_UNET,
               "model_index": ("image_encoder",)},
        variants={"fp16": ("unet", "vae", "text_encoder")},
        beside=("feature_extractor/preprocessor_config.json", "text_encoder/pytorch_model.bin",
                "unet/diffusion_pytorch_model.bin", "vae/diffusion_pytorch_model.bin",
                "v2-1_768-ema-pruned.ckpt", "v2-1_768-ema-pruned.safetensors"),
    ),
    # [copy].
    "sdxl": Layout(
        "sdxl", "0.19.0.dev0",
        index={"force_zeros_for_empty_prompt": True, "add_watermarker": None,
               "scheduler": ["diffusers", "EulerDiscreteScheduler"]},
        configs={"scheduler": _PNDM | {"_class_name": "EulerDiscreteScheduler",
                                       "interpolation_type": "linear", "sample_max_value": 1.0,
                                       "timestep_spacing": "leading", "use_karras_sigmas": False},
                 "vae": {"_name_or_path": "../sdxl-vae/", "force_upcast": True},
                 "unet": dict.fromkeys(
                     ("class_embed_type", "cross_attention_norm", "encoder_hid_dim",
                      "encoder_hid_dim_type", "mid_block_only_cross_attention",
                      "num_attention_heads", "num_class_embeds", "time_cond_proj_dim",
                      "time_embedding_act_fn", "time_embedding_dim", "timestep_post_act",
                      "upcast_attention"))},
        lacks={"vae": ("shift_factor", "latents_mean", "latents_std", "use_quant_conv",
                       "use_post_quant_conv", "mid_block_add_attention"),
               "model_index": ("image_encoder", "feature_extractor"),
               "unet": ("attention_type", "dropout", "reverse_transformer_layers_per_block")},
        variants={"fp16": ("unet", "vae", "text_encoder", "text_encoder_2", "vae_1_0")},
        beside=("sd_xl_base_1.0.safetensors", "sd_xl_offset_example-lora_1.0.safetensors",
                "01.png", "text_encoder/flax_model.msgpack", "text_encoder/model.onnx",
                "text_encoder/openvino_model.bin", "text_encoder/openvino_model.xml",
                "text_encoder_2/model.onnx_data", "unet/diffusion_flax_model.msgpack",
                "unet/model.onnx", "unet/model.onnx_data", "unet/openvino_model.bin",
                "unet/openvino_model.xml", "vae/diffusion_flax_model.msgpack",
                "vae_1_0/config.json", "vae_1_0/diffusion_pytorch_model.safetensors",
                "vae_decoder/model.onnx", "vae_decoder/config.json", "vae_encoder/config.json",
                "vae_encoder/openvino_model.bin"),
    ),
    # [code] for the transformer: under its old class, before some keys; the rest [memory].
    "pixart-alpha": Layout(
        "pixart", "0.22.0.dev0",
        index={"transformer": ["diffusers", "Transformer2DModel"]},
        configs={"transformer": {"_class_name": "Transformer2DModel",
                                 "double_self_attention": False, "num_vector_embeds": None,
                                 "only_cross_attention": False, "use_linear_projection": False}},
        lacks={"transformer": ("use_additional_conditions", "interpolation_scale"),
               "scheduler": _OF_DDIM, "vae": _OLD_VAE[1:]},
        shards=("text_encoder",),
    ),
    "pixart-alpha-512": Layout(
        "pixart", "0.22.0.dev0",
        index={"transformer": ["diffusers", "Transformer2DModel"]},
        configs={"transformer": {"_class_name": "Transformer2DModel"}},
        lacks={"transformer": ("use_additional_conditions", "interpolation_scale")},
        shards=("text_encoder",),
    ),
    # [memory].
    "pixart-sigma": Layout(
        "pixart-sigma", "0.28.0.dev0",
        configs={"transformer": {"use_additional_conditions": False}},
        shards=("text_encoder",),
    ),
    # [copy] of SD 3.5 Large for model_index.json; shards and the fp16 files of T5 [memory].
    "sd3.5-large": Layout(
        "sd3.5-large", "0.30.3.dev0",
        lacks={"model_index": ("image_encoder", "feature_extractor"), "scheduler": _FLOW_OF_TODAY,
               "transformer": ("dual_attention_layers",)},
        variants={"fp16": _ENCODERS_3},
        shards=("transformer", "text_encoder_3"),
        beside=("sd3.5_large.safetensors", "text_encoders/clip_g.safetensors",
                "mmdit.png", "SD3.5L_example_workflow.json"),
    ),
    # [memory].
    "sd3.5-medium": Layout(
        "sd3.5-medium", "0.31.0.dev0", variants={"fp16": _ENCODERS_3}, shards=("text_encoder_3",),
        lacks={"model_index": ("image_encoder", "feature_extractor")},
        beside=("sd3.5_medium.safetensors",),
    ),
    "sd3-medium": Layout(
        "sd3", "0.29.0.dev0", variants={"fp16": _ENCODERS_3}, shards=("text_encoder_3",),
        lacks={"model_index": ("image_encoder", "feature_extractor"),
               "transformer": ("dual_attention_layers", "qk_norm")},
    ),
    # [copy] of schnell, in four bits there; its shards and dev's extra keys [memory].
    "flux-schnell": Layout(
        "flux-schnell", "0.31.0.dev0",
        configs={"vae": {"latents_mean": None, "latents_std": None, "force_upcast": True},
                 "transformer": {"_name_or_path": "black-forest-labs/FLUX.1-schnell"}},
        lacks={"model_index": ("image_encoder", "feature_extractor"),
               "transformer": ("out_channels",), "scheduler": _FLOW_OF_TODAY},
        shards=("transformer", "text_encoder_2"),
        beside=("flux1-schnell.safetensors", "ae.safetensors"),
    ),
    "flux-dev": Layout(
        "flux-dev", "0.30.0.dev0", shards=("transformer", "text_encoder_2"),
        lacks={"model_index": ("image_encoder", "feature_extractor"),
               "transformer": ("out_channels",)},
        beside=("flux1-dev.safetensors", "ae.safetensors", "dev_grid.jpg"),
    ),
    # [memory], but for the keys of the transformers of Z-Image and Lumina 2 [code].
    "flux2-dev": Layout("flux2-dev", "0.36.0.dev0", shards=("transformer", "text_encoder"),
                        beside=("flux2-dev.safetensors", "ae.safetensors")),
    "flux2-klein-4b": Layout("flux2-klein", "0.37.0.dev0", shards=("text_encoder",)),
    "flux2-klein-9b": Layout("flux2-klein", "0.37.0.dev0", shards=("transformer", "text_encoder")),
    "qwen-image": Layout("qwen-image", "0.34.0.dev0", shards=("transformer", "text_encoder")),
    "z-image": Layout("z-image", "0.36.0.dev0", shards=("transformer", "text_encoder")),
    "z-image-turbo": Layout(
        "z-image", "0.36.0.dev0", configs={"transformer": {"nheads": 2}},
        shards=("transformer", "text_encoder"),
    ),
    "lumina2": Layout(
        "lumina2", "0.33.0.dev0",
        configs={"transformer": {"ffn_dim_multiplier": None, "out_channels": None,
                                 "scaling_factor": 1.0}},
        shards=("transformer", "text_encoder"),
    ),
    "auraflow": Layout(
        "auraflow", "0.30.0.dev0",
        variants={"fp16": ("transformer", "text_encoder", "vae")},
        shards=("transformer",), beside=("aura_flow_0.1.safetensors", "comfy_workflow.json"),
    ),
    "chroma1-hd": Layout("chroma", "0.35.0.dev0", shards=("transformer", "text_encoder"),
                         beside=("Chroma1-HD.safetensors",)),
    "cogview4": Layout("cogview4", "0.33.0.dev0", shards=("transformer", "text_encoder")),
    "hunyuan-dit-1.2": Layout(
        "hunyuan-dit", "0.29.0.dev0",
        index={"safety_checker": [None, None], "feature_extractor": [None, None],
               "requires_safety_checker": True},
        shards=("text_encoder_2",),
    ),
}  # fmt: skip


def change(path: Path, changed: Mapping[str, Any] = {}, lacks: tuple[str, ...] = ()) -> None:
    """Other values in a JSON file, and some keys no more."""
    content = json.loads(path.read_text(encoding="utf-8")) | changed
    path.write_text(
        json.dumps({k: v for k, v in content.items() if k not in lacks}, indent=2), encoding="utf-8"
    )


def weights_of(part: Path) -> Path:
    """The plain weights of a part, in one file."""
    (found,) = (p for p in part.glob("*.safetensors") if p.name.count(".") == 1)
    return found


def write_variant(part: Path, variant: str, scale: float = 1.0) -> None:
    """Weights of a variant beside the plain ones: halves of them if it is called so."""
    plain = weights_of(part)
    tensors = {name: tensor * scale for name, tensor in load_file(plain).items()}
    if variant == "fp16":
        tensors = {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}
    save_file(tensors, plain.with_suffix(f".{variant}.safetensors"), {"format": "pt"})


def shard(part: Path, variant: str = "") -> None:
    """The plain weights, or those of a variant, in two files and an index."""
    plain = weights_of(part)
    base, end = plain.stem, f".{variant}" if variant else ""
    whole = part / f"{base}{end}.safetensors"
    tensors = load_file(whole)
    whole.unlink()
    names, files = sorted(tensors), {}
    for number, half in enumerate((names[::2], names[1::2]), 1):
        file = f"{base}{end}-{number:05}-of-00002.safetensors"
        save_file({name: tensors[name] for name in half}, part / file, {"format": "pt"})
        files |= dict.fromkeys(half, file)
    total = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": files}
    (part / f"{base}.safetensors.index{end}.json").write_text(
        json.dumps(index, indent=2), encoding="utf-8"
    )


def as_the_hub_has_it(folder: Path, layout: Layout) -> None:
    """Turn what `save_pretrained` wrote into what the repository holds."""
    for file in folder.glob("*/*config.json"):
        if "_diffusers_version" in (before := json.loads(file.read_text(encoding="utf-8"))):
            changed = {
                "_diffusers_version": layout.version,
                **layout.configs.get(file.parent.name, {}),
            }
            lacks = layout.lacks.get(file.parent.name, ())
            change(file, changed, tuple(set(lacks) & before.keys()))
    index = {"_diffusers_version": layout.version, **layout.index}
    change(folder / "model_index.json", index, layout.lacks.get("model_index", ()))
    for name in layout.beside:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(JUNK)
    for variant, parts in layout.variants.items():
        for part in parts:
            if list((folder / part).glob("*.json")) and part not in ("safety_checker", "vae_1_0"):
                write_variant(folder / part, variant, 1.0 if variant == "fp16" else 2.0)
    for part in layout.shards:
        shard(folder / part)
    (folder / "README.md").write_text("---\nlicense: other\n---\n", encoding="utf-8")
    (folder / ".gitattributes").write_text(
        "*.safetensors filter=lfs diff=lfs merge=lfs -text\n", encoding="utf-8"
    )


def put_in_cache(
    folder: Path,
    cache: Path,
    repository: str,
    commit: str = COMMIT,
    refs: tuple[str, ...] = ("main",),
    only: Callable[[str], bool] = lambda name: True,
) -> Path:
    """Lay a folder down as `huggingface_hub` does when it fetches it: files under blobs/ by their
    digest, links to them under snapshots/COMMIT/, and the commit of a branch under refs/.

    Args:
        only: (path in the repository) -> whether this file is fetched.

    Returns:
        The folder of the snapshot.
    """
    place = cache / f"models--{repository.replace('/', '--')}"
    snapshot = place / "snapshots" / commit
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or not only(name):
            continue
        blob = place / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
        blob.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, blob)
        link = snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    for ref in refs:
        (place / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (place / "refs" / ref).write_text(commit, encoding="utf-8")
    return snapshot
