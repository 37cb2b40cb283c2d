"""What HiFi-GAN is trained by (arXiv 2010.05646, section 2.4): least squares, features, mel frames; their weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsynth.training.hifigan_discriminators import Opinion
from rtsynth.vocoder.mel import FLOOR, SPREAD, MelSettings, filterbank, hann

FEATURES, MEL = 2.0, 45.0  # weights, beside 1 of the adversarial loss


class Mel(nn.Module):
    """`rtsynth.vocoder.mel.mel_frames` in torch, with gradients: (B, N) -> (B, bands, T)."""

    def __init__(self, settings: MelSettings) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("window", torch.from_numpy(hann(settings).astype(np.float32)))
        self.register_buffer("filterbank", torch.from_numpy(filterbank(settings).astype(np.float32)))

    def forward(self, sound: Tensor) -> Tensor:
        settings = self.settings
        padded = functional.pad(sound[:, None], (settings.pad, settings.pad), mode="reflect")[:, 0]
        spectra = torch.stft(
            padded, settings.n_fft, settings.hop, window=self.window, center=False, return_complex=True
        )
        magnitudes = torch.sqrt(spectra.real**2 + spectra.imag**2 + SPREAD)
        return torch.log(torch.clamp(self.filterbank @ magnitudes, min=FLOOR))


def discriminator_loss(real: Sequence[Opinion], made: Sequence[Opinion]) -> Tensor:
    """Σ mean (1 - D(x))² + mean D(G(s))²."""
    return _sum(
        ((1.0 - a.scores) ** 2).mean() + (b.scores**2).mean() for a, b in zip(real, made, strict=True)
    )


def adversarial_loss(made: Sequence[Opinion]) -> Tensor:
    """Σ mean (1 - D(G(s)))²."""
    return _sum(((1.0 - opinion.scores) ** 2).mean() for opinion in made)


def feature_loss(real: Sequence[Opinion], made: Sequence[Opinion]) -> Tensor:
    """Σ over discriminators and layers of mean |D_i(x) - D_i(G(s))|; what is real gives no gradient worth having."""
    return _sum(
        (a - b).abs().mean()
        for one, other in zip(real, made, strict=True)
        for a, b in zip(one.features, other.features, strict=True)
    )


def mel_loss(wanted: Tensor, said: Tensor) -> Tensor:
    """Mean |difference| of log-mel frames (B, bands, T), nepers."""
    return (wanted - said).abs().mean()


def _sum(terms: object) -> Tensor:
    return torch.stack(list(terms)).sum()  # type: ignore[call-overload]
