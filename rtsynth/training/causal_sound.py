"""The sound of the causal vocoder, and mel frames, in torch: what rtsynth/vocoder says in NumPy, to train through."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rtsynth.training.causal_vocoder import BINS
from rtsynth.vocoder.excitation import HOP, NEAR_PULSE, RATE
from rtsynth.vocoder.mel import FLOOR, HIFIGAN, SPREAD, filterbank


def sources(f0: Tensor, before: Tensor, phase: Tensor, noise: Tensor) -> Tensor:
    """(B, T) hertz at the frames' ends, (B,) before the first, (B,) cycles, noise (B, T·HOP) -> (B, 3, T·HOP)."""
    f0 = f0.double()
    begin = torch.cat([before[:, None].double(), f0[:, :-1]], dim=1)
    ramp = torch.arange(1, HOP + 1, device=f0.device, dtype=torch.float64) / HOP
    hertz = (begin[..., None] + (f0 - begin)[..., None] * ramp).flatten(1)  # (B, T·HOP)
    cycles = phase[:, None] + torch.cumsum(hertz, dim=1) / RATE
    turn = 2.0 * torch.pi * (cycles - cycles.round())
    count = 0.5 * RATE / hertz
    whole = count.floor()
    half = torch.sin(0.5 * turn)
    near = half.abs() < NEAR_PULSE
    kernel = (
        torch.sin(0.5 * whole * turn) * torch.cos(0.5 * (whole + 1.0) * turn) / half.masked_fill(near, 1.0)
    )
    total = torch.where(near, whole, kernel) + (count - whole) * torch.cos((whole + 1.0) * turn)
    pulses = (torch.sqrt(2.0 / count) * total).float()
    burst = ((1.0 + torch.cos(turn)).square() / (35.0 / 8.0) ** 0.5).float()
    return torch.stack([pulses, noise, noise * burst], dim=1)


def filtered(filters: Tensor, excitation: Tensor) -> Tensor:
    """Filters (B, 4 BINS, T) on sources (B, 3, T·HOP) -> sound (B, T·HOP), a hop late; frame 0 hears zeros before."""
    batch, _, frames = filters.shape
    window = torch.hann_window(2 * HOP, device=filters.device).sqrt()
    heard = functional.pad(excitation, (HOP, 0)).unfold(-1, 2 * HOP, HOP) * window  # (B, 3, T, 512)
    spectra = torch.fft.rfft(heard)  # (B, 3, T, BINS)
    level, angle, steady, beside = filters.transpose(1, 2).split(BINS, dim=2)
    answer = (
        torch.polar(level.exp(), angle) * spectra[:, 0]
        + steady.exp() * spectra[:, 1]
        + beside.exp() * spectra[:, 2]
    )
    pieces = torch.fft.irfft(answer, n=2 * HOP) * window  # (B, T, 512)
    late = functional.pad(pieces[:, :-1, HOP:], (0, 0, 1, 0))
    return (pieces[..., :HOP] + late).reshape(batch, frames * HOP)


class Mel(torch.nn.Module):
    """(B, 384 + 256 T + 384) samples, neighbours included -> (B, 80, T)."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bands", torch.tensor(np.asarray(filterbank(HIFIGAN)), dtype=torch.float32))
        self.register_buffer("window", torch.hann_window(HIFIGAN.n_fft))

    def forward(self, samples: Tensor) -> Tensor:
        pieces = samples.unfold(-1, HIFIGAN.n_fft, HIFIGAN.hop) * self.window
        spectrum = torch.fft.rfft(pieces)
        magnitudes = (spectrum.real.square() + spectrum.imag.square() + SPREAD).sqrt()
        return torch.log((magnitudes @ self.bands.T).clamp(min=FLOOR)).transpose(1, 2)
