"""What the causal vocoder is told by: fundamentals, and the energy distance of spectrograms.

The sound of a frame is a draw: noise, and a phase that no mel frame tells. A distance to the recording alone is least
for a sound without noise; Gritsenko et al. (A spectral energy distance for parallel speech synthesis, 2020,
arXiv 2008.01160) take twice the distance to the recording less that between two draws, which is least for the right
law. It needs no adversary.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from rtsynth.training.causal_vocoder import CANDIDATES
from rtsynth.vocoder.excitation import RATE

SIZES = (64, 128, 256, 512, 1024, 2048)  # samples of the windows; hops are half of them
FLOOR = 3e-5  # amplitude, added before the logarithm
LINEAR = 1.0  # weight of the differences of magnitudes beside those of logarithms
BLUR = 1.2  # candidates, one sigma


def pitch_loss(said: Tensor, grid: Tensor, ln_f0: Tensor, voiced: Tensor) -> tuple[Tensor, Tensor]:
    """Cross entropy of the fundamental where there is a voice, and of whether there is one. said (B, C + 1, T)."""
    step = float(grid[1, 0] - grid[0, 0])
    target = torch.exp(-0.5 * ((grid - ln_f0[:, None]) / (BLUR * step)).square())  # (B, C, T)
    target = target / target.sum(dim=1, keepdim=True).clamp(min=1e-9)
    apart = -(target * torch.log_softmax(said[:, :CANDIDATES], dim=1)).sum(dim=1)
    where = (apart * voiced).sum() / voiced.sum().clamp(min=1.0)
    return where, functional.binary_cross_entropy_with_logits(said[:, CANDIDATES], voiced)


def energy_distance(
    first: Tensor, second: Tensor, wanted: Tensor, top: Tensor, repulsion: float = 1.0
) -> Tensor:
    """Of two draws (B, N) and the recording (B, N), which has nothing above top (B,) hertz."""
    total = first.new_zeros(())
    for size in SIZES:
        a, b, x = (_magnitudes(sound, size) for sound in (first, second, wanted))
        hertz = torch.arange(a.shape[1], device=a.device) * RATE / size
        weight = (hertz[None] <= top[:, None]).float()[:, :, None]
        level = x.square().mean(dim=(1, 2), keepdim=True).sqrt() + 1e-3
        to = _apart(a, x, level, weight) + _apart(b, x, level, weight)
        total = total + to - repulsion * _apart(a, b, level, weight)
    return total / len(SIZES)


def _apart(a: Tensor, b: Tensor, level: Tensor, weight: Tensor) -> Tensor:
    logarithms = (torch.log(a + FLOOR) - torch.log(b + FLOOR)).abs()
    linear = (a - b).abs() / level
    return ((logarithms + LINEAR * linear) * weight).sum() / (weight.sum() * a.shape[2])


def _magnitudes(sound: Tensor, size: int) -> Tensor:
    """(B, N) -> (B, size / 2 + 1, F), of white noise of deviation σ about σ."""
    window = torch.hann_window(size, device=sound.device)
    spectrum = torch.stft(sound, size, size // 2, window=window, center=False, return_complex=True)
    return (spectrum.real.square() + spectrum.imag.square() + 1e-10).sqrt() / window.square().sum().sqrt()
