"""The Fourier transforms of the article's generator: torch's for training, DFT nodes for the exported graph.

torch's older exporter knows no transform, and older runtimes no half-sided inverse; so the graph's inverse is a whole
complex one of the spectrum and its mirror image. Spectra are pairs of real tensors (..., n // 2 + 1).
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

Pair = tuple[Tensor, Tensor]


class Fourier(Protocol):
    """Of real signals, n points."""

    def forward(self, sound: Tensor, n: int) -> Pair:
        """(..., m), m <= n, zeros appended -> real and imaginary part (..., n // 2 + 1)."""

    def inverse(self, spectrum: Pair, n: int) -> Tensor:
        """(..., n)."""


class Fast:
    """torch's."""

    def forward(self, sound: Tensor, n: int) -> Pair:
        spectrum = torch.fft.rfft(sound, n)
        return spectrum.real, spectrum.imag

    def inverse(self, spectrum: Pair, n: int) -> Tensor:
        return torch.fft.irfft(torch.complex(*spectrum), n)


class Exported:
    """The same as nodes of an ONNX graph, opset 17."""

    def forward(self, sound: Tensor, n: int) -> Pair:
        shape = sound.shape
        padded = functional.pad(sound, (0, n - int(shape[-1]))).reshape(-1, n, 1)
        return _halves(_Transform.apply(padded, False), (*shape[:-1], n // 2 + 1))

    def inverse(self, spectrum: Pair, n: int) -> Tensor:
        real, imaginary = (part.reshape(-1, n // 2 + 1) for part in spectrum)
        mirrored = [part[:, 1:-1].flip(-1) for part in (real, -imaginary)]
        parts = zip((real, imaginary), mirrored, strict=True)
        whole = torch.stack([torch.cat(part, dim=-1) for part in parts], dim=-1)
        return _Transform.apply(whole, True)[..., 0].reshape(*spectrum[0].shape[:-1], n)


def _halves(spectrum: Tensor, shape: tuple[int, ...]) -> Pair:
    return spectrum[..., 0].reshape(shape), spectrum[..., 1].reshape(shape)


class _Transform(torch.autograd.Function):
    """DFT along axis 1: (B, n, 1) -> (B, n // 2 + 1, 2), or back, (B, n, 2) -> (B, n, 2)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, back: bool) -> Tensor:
        if back:
            return torch.view_as_real(torch.fft.ifft(torch.view_as_complex(x.contiguous()), dim=1))
        return torch.view_as_real(torch.fft.rfft(x[..., 0], dim=1))

    @staticmethod
    def symbolic(graph: Any, x: Any, back: bool) -> Any:
        return graph.op("DFT", x, axis_i=1, inverse_i=int(back), onesided_i=int(not back))


def convolve(fourier: Fourier, a: Tensor, b: Tensor, n: int) -> Tensor:
    """(..., n): a and b convolved, through transforms of n points: right where n >= both lengths together."""
    (c, d), (e, f) = fourier.forward(a, n), fourier.forward(b, n)
    return fourier.inverse((c * e - d * f, c * f + d * e), n)
