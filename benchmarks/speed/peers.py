"""HED and PiDiNet as networks to time: shapes of their papers, with random weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Hed(nn.Module):
    """HED (Xie and Tu, ICCV 2015): VGG16 without its last pooling, an edge map of each stage."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        channels = 3
        for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            layers: list[nn.Module] = [nn.MaxPool2d(2)] if len(self.stages) else []
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            self.stages.append(nn.Sequential(*layers))
        self.sides = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in (64, 128, 256, 512, 512))
        self.fuse = nn.Conv2d(5, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        size, sides = x.shape[-2:], []
        for stage, side in zip(self.stages, self.sides, strict=True):
            x = stage(x)
            sides.append(F.interpolate(side(x), size, mode="bilinear", align_corners=False))
        return self.fuse(torch.cat(sides, dim=1)).sigmoid()


class PiDiNet(nn.Module):
    """PiDiNet (Su et al., ICCV 2021) as it runs once trained: pixel differences are plain depthwise
    convolutions then. Four stages of four blocks, and an edge map of each.
    """

    def __init__(self, width: int = 60, inner: int = 24) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, width, 3, padding=1)
        widths = (width, 2 * width, 4 * width, 4 * width)
        self.stages, channels = nn.ModuleList(), width
        for number, out in enumerate(widths):
            blocks = []
            for place in range(4 if number else 3):
                blocks.append(_Difference(channels, out, halve=bool(number) and place == 0))
                channels = out
            self.stages.append(nn.Sequential(*blocks))
        self.squeeze = nn.ModuleList(nn.Conv2d(out, inner, 1) for out in widths)
        self.dilated = nn.ModuleList(
            nn.ModuleList(
                nn.Conv2d(inner, inner, 3, padding=d, dilation=d, bias=False) for d in (5, 7, 9, 11)
            )
            for _ in widths
        )
        self.sides = nn.ModuleList(nn.Conv2d(inner, 1, 1) for _ in widths)
        self.fuse = nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        size, sides = x.shape[-2:], []
        x = self.enter(x)
        for number, stage in enumerate(self.stages):
            x = stage(x)
            small = F.relu(self.squeeze[number](x))
            spread = sum(layer(small) for layer in self.dilated[number])
            side = self.sides[number](spread)
            sides.append(F.interpolate(side, size, mode="bilinear", align_corners=False))
        return self.fuse(torch.cat(sides, dim=1)).sigmoid()


class _Difference(nn.Module):
    def __init__(self, channels: int, out: int, halve: bool) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2) if halve else nn.Identity()
        self.each = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.mix = nn.Conv2d(channels, out, 1, bias=False)
        self.skip = nn.Identity() if channels == out else nn.Conv2d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(x)
        return self.mix(F.relu(self.each(x))) + self.skip(x)
