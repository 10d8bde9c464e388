"""Backbones: AP^mk on COCO14 of ProMerge refined along the edges of each.

python scripts/reproduce/backbones.py --data DATA --out OUT
"""

import sys

from reproduction import Expected, Options, Table
from runner import main
from sources import AP_TOLERANCE, DISTILLED, MASK_ASSUMPTIONS, traced_row, weights

SET = "COCO14"
# Row: AP^mk of the paper, hub id.
DIFFUSION = {
    "SD1.5": (6.8, "stable-diffusion-v1-5/stable-diffusion-v1-5"),
    "SDXL": (7.4, "stabilityai/stable-diffusion-xl-base-1.0"),
    "PixArt-alpha": (7.1, "PixArt-alpha/PixArt-XL-2-512x512"),
    "SD3.5-Large": (8.2, "stabilityai/stable-diffusion-3.5-large"),
    "FLUX.1": (8.3, "black-forest-labs/FLUX.1-dev"),
}
OTHER = {
    "DINOv2-G": (2.6, "facebook/dinov2-giant"),
    "DINOv3 7B": (4.3, "facebook/dinov3-vit7b16-pretrain-lvd1689m"),
    "Qwen2.5-VL 72B": (4.1, "Qwen/Qwen2.5-VL-72B-Instruct"),
}
ASSUMPTIONS = (
    *MASK_ASSUMPTIONS,
    "Checkpoints: FLUX.1-dev (not schnell), PixArt-XL-2-512x512 (not 1024-MS), DINOv2 giant "
    "without registers; the paper names the families.",
    "Diffusion models are distilled; from the others ABDiv is read off the self-attention "
    "directly, averaged over all layers.",
    *DISTILLED,
)


def table(options: Options) -> Table:
    """The table; a stand-in is one row of its own, beside which the paper has no number."""
    title = "Backbones, with the masks of ProMerge"
    backbones = DIFFUSION | OTHER
    if options.backbone:
        rows = [traced_row(options, options.backbone, "ProMerge", (SET,))]
    else:
        rows = []
        for name, (_, hub_id) in backbones.items():
            need = weights(options, hub_id.split("/")[1], hub_id)
            distilled = name in DIFFUSION
            rows.append(traced_row(options, name, "ProMerge", (SET,), need, distilled))
    expected = tuple(
        Expected(name, f"AP^mk {SET}", value, AP_TOLERANCE)
        for name, (value, _) in backbones.items()
    )
    return Table("backbones", title, ASSUMPTIONS, tuple(rows), expected)


if __name__ == "__main__":
    sys.exit(main(table))
