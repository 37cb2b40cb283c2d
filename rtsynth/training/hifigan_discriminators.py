"""HiFi-GAN's two kinds of discriminators (arXiv 2010.05646, section 2.3), named as in jik876/hifi-gan.

Each says of a sound (B, 1, N) a score for every place (B, M), and what its layers heard, for the feature loss.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from rtsynth.training.hifigan import Norm
from rtsynth.vocoder.hifigan import SLOPE

PERIODS = (2, 3, 5, 7, 11)  # samples


class Opinion(NamedTuple):
    """Of one discriminator on one sound."""

    scores: Tensor  # (B, M): 1 for what is real
    features: list[Tensor]  # every layer's output, the scores last


class PeriodDiscriminator(nn.Module):
    """Looks at every `period`-th sample: the sound folded to (B, 1, N / period, period), reflected to fill it."""

    def __init__(self, period: int, thinner: int) -> None:
        super().__init__()
        self.period = period
        widths = (1, *(width // thinner for width in (32, 128, 512, 1024, 1024)))
        strides = (3, 3, 3, 3, 1)
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(into, out, (5, 1), (stride, 1), padding=(2, 0)))
            for into, out, stride in zip(widths, widths[1:], strides, strict=False)
        )
        self.conv_post = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, sound: Tensor) -> Opinion:
        filled = functional.pad(sound, (0, -sound.shape[-1] % self.period), mode="reflect")
        return _judged(filled.unflatten(-1, (-1, self.period)), self.convs, self.conv_post)


class ScaleDiscriminator(nn.Module):
    """Looks at the sound as it is, in grouped convolutions that thin it out."""

    def __init__(self, norm: Norm, thinner: int) -> None:
        super().__init__()
        table = [  # channels in, out, taps, stride, groups
            (1, 128, 15, 1, 1),
            (128, 128, 41, 2, 4),
            (128, 256, 41, 2, 16),
            (256, 512, 41, 4, 16),
            (512, 1024, 41, 4, 16),
            (1024, 1024, 41, 1, 16),
            (1024, 1024, 5, 1, 1),
        ]
        self.convs = nn.ModuleList(
            norm(nn.Conv1d(-(-into // thinner), out // thinner, taps, stride, taps // 2, groups=groups))
            for into, out, taps, stride, groups in table
        )
        self.conv_post = norm(nn.Conv1d(1024 // thinner, 1, 3, padding=1))

    def forward(self, sound: Tensor) -> Opinion:
        return _judged(sound, self.convs, self.conv_post)


class MultiPeriod(nn.Module):
    """MPD: one for every period. `thinner`: a divisor of all channels, 1 as published."""

    def __init__(self, thinner: int = 1) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(PeriodDiscriminator(period, thinner) for period in PERIODS)

    def forward(self, sound: Tensor) -> list[Opinion]:
        return [discriminator(sound) for discriminator in self.discriminators]


class MultiScale(nn.Module):
    """MSD: of the sound as it is, and of its means over 2 and over 4 samples. The first has spectral norm."""

    def __init__(self, thinner: int = 1) -> None:
        super().__init__()
        norms = (spectral_norm, weight_norm, weight_norm)
        self.discriminators = nn.ModuleList(ScaleDiscriminator(norm, thinner) for norm in norms)
        self.meanpools = nn.ModuleList(nn.AvgPool1d(4, 2, padding=2) for _ in range(2))

    def forward(self, sound: Tensor) -> list[Opinion]:
        opinions = []
        for place, discriminator in enumerate(self.discriminators):
            sound = self.meanpools[place - 1](sound) if place else sound
            opinions.append(discriminator(sound))
        return opinions


def _judged(x: Tensor, convs: nn.ModuleList, last: nn.Module) -> Opinion:
    features = []
    for conv in convs:
        x = functional.leaky_relu(conv(x), SLOPE)
        features.append(x)
    x = last(x)
    return Opinion(torch.flatten(x, 1), [*features, x])
