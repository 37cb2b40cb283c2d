"""What the article's model is trained by: its own loss and adversary, and the one that mends it.

The article's: Σ_k (‖r_k‖₁ - ‖r_{k-1}‖₁), r_k = F(target) - Σ_{j≤k} F(event j), loudest first. It telescopes to
‖F(target) - Σ F(event)‖₁ - ‖F(target)‖₁, whatever the order, and is computed as that. It is one of sums of magnitudes:
two antiphase events cost nothing. Mended: spectra of the sum, and a price of the switch instead of the vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from rtsynth.training.article import Size
from rtsynth.training.article_model import Decomposition
from rtsynth.training.spectral_distance import spectral_distance

BANDS = ((128, 64), (64, 32), (16, 8))  # frame and hop of the three spectrograms of an octave band
SMALLEST_BAND = 512  # samples
VECTOR_PRICE = 1e-4
ADVERSARY_WEIGHT = 1000.0
STAGES = 6  # of the adversary, each halving the frames
SWITCH_PRICE = 1e-3


def weighted(sound: Tensor) -> Tensor:
    """(B, window): the second half, whose events the next window finds, fades out."""
    half = sound.shape[-1] // 2
    fall = torch.linspace(1.0, 0.0, half, device=sound.device) ** 8
    return sound * torch.cat([torch.ones_like(fall), fall])


# ---- the article's ----


def features(sound: Tensor, size: Size) -> Tensor:
    """F: (..., n) -> (..., values): magnitudes, 2048/256, and those of octave bands, critically sampled."""
    parts = [_magnitudes(sound, size.frame, size.hop)]
    spectrum = torch.fft.rfft(sound, norm="ortho")
    band = SMALLEST_BAND
    low = 0
    while band <= sound.shape[-1]:
        high = band // 2 + 1
        kept = functional.pad(spectrum[..., low:high], (low, 0))
        octave = torch.fft.irfft(kept, band, norm="ortho")
        parts += [_magnitudes(octave, frame, hop) for frame, hop in BANDS]
        low, band = high, 2 * band
    return torch.cat([part.flatten(-2) for part in parts], dim=-1)


def article_loss(found: Decomposition, target: Tensor, size: Size) -> Tensor:
    wanted = features(weighted(target), size)
    made = sum(features(sounds, size) for sounds in found.sounds.unbind(dim=1))
    removed = (wanted - made).abs().sum() - wanted.abs().sum()
    return removed + VECTOR_PRICE * found.vectors.abs().sum()


class Adversary(nn.Module):
    """The article's discriminator of the window's first half: (B, window) -> (B, 1, 1)."""

    def __init__(self, size: Size, channels: int = 128) -> None:
        super().__init__()
        self.size = size
        layers: list[nn.Module] = [nn.Conv1d(size.bins + 1, channels, 1)]
        left = max(
            1, size.frames // 2 >> STAGES
        )  # frames after them: the article's 4, a shorter window's fewer
        for _ in range(STAGES):
            layers += [
                nn.Dropout(0.1),
                weight_norm(nn.Conv1d(channels, channels, 3, stride=2, padding=1)),
                nn.LeakyReLU(0.2),
            ]
        layers.append(nn.Conv1d(channels, 1, min(4, left), stride=4))
        self.layers = nn.Sequential(*layers)

    def forward(self, sound: Tensor) -> Tensor:
        half = sound[..., : self.size.window // 2]
        return self.layers(_magnitudes(half, self.size.frame, self.size.hop).transpose(-1, -2))


def fooled(adversary: Adversary, found: Decomposition, chance: torch.Generator) -> Tensor:
    """What the generator pays: of a random half of the events, each taken or left."""
    kept = torch.rand(found.amplitudes.shape, generator=chance) < 0.5
    some = (found.sounds * kept[..., None].to(found.sounds)).sum(dim=1)
    return ADVERSARY_WEIGHT * (1.0 - adversary(some)).abs().mean()


def told_apart(adversary: Adversary, found: Decomposition, target: Tensor) -> Tensor:
    """What the adversary pays."""
    return adversary(found.sum.detach()).abs().mean() + (1.0 - adversary(weighted(target))).abs().mean()


# ---- the mended one ----


def mended_loss(found: Decomposition, target: Tensor) -> Tensor:
    """Distance of the sum's spectra, that of the switches from the gains, and the price of the switches."""
    said = functional.smooth_l1_loss(found.amplitudes, found.gains)
    return (
        spectral_distance(found.sum, weighted(target))
        + said
        + SWITCH_PRICE * found.amplitudes.sum(dim=1).mean()
    )


def _magnitudes(sound: Tensor, frame: int, hop: int) -> Tensor:
    """(..., n) -> (..., n / hop, frame / 2 + 1), Hann, ortho."""
    window = torch.hann_window(frame, device=sound.device)
    parts = functional.pad(sound, (0, frame)).unfold(-1, frame, hop)[..., : sound.shape[-1] // hop, :]
    return torch.fft.rfft(parts * window, norm="ortho").abs()
