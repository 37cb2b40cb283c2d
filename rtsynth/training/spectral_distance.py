"""How far two sounds are apart by their short-time magnitudes: what encoders are trained on."""

from __future__ import annotations

import torch
from torch import Tensor

SIZES = (256, 512, 1024, 2048)  # samples of the windows, hop a quarter
FLOOR = 1e-3  # of the largest magnitude of a sound, -60 dB: what is added before the logarithm
CONVERGENCE = 0.3  # weight of the linear term


def spectral_distance(said: Tensor, wanted: Tensor) -> Tensor:
    """Mean over sounds (B, N) and sizes: |ln magnitudes apart| + 0.3 · |magnitudes apart| / |magnitudes wanted|.

    The logarithm counts what is quiet as well; its absolute value, not its square, keeps noise at its level.
    """
    terms = [_at_size(said, wanted, size) for size in SIZES]
    return torch.stack(terms).mean()


def _at_size(said: Tensor, wanted: Tensor, size: int) -> Tensor:
    window = torch.hann_window(size, device=said.device)
    x, y = (_magnitudes(sound, window) for sound in (wanted, said))  # (B, bins, frames)
    floor = FLOOR * x.amax(dim=(1, 2), keepdim=True) + 1e-7
    logarithms = (torch.log(y + floor) - torch.log(x + floor)).abs().mean()
    apart = torch.linalg.vector_norm(y - x, dim=(1, 2)) / (torch.linalg.vector_norm(x, dim=(1, 2)) + 1e-5)
    return logarithms + CONVERGENCE * apart.mean()


def _magnitudes(sound: Tensor, window: Tensor) -> Tensor:
    size = len(window)
    spectrum = torch.stft(sound, size, size // 4, window=window, return_complex=True)
    return (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt()
