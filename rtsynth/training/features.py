"""What the live encoder hears: levels of bands and signs of a period, from a Fourier transform that is small matrices.

All of it is matrix products, so it travels inside the exported network: there is one implementation, and what was
trained is what is served. (A transform as one matrix would be 2 MB of the file; ONNX's own operator is slow on CPUs.)
B batch, T samples at 16 kHz, K frames.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from rtsynth.codec.event import RATE, mel, mel_hertz
from rtsynth.training.streaming import Layer, last

FRAME = 384  # samples, 24 ms: six control steps
LONG, SHORT = (
    1024,
    512,
)  # samples of the windows: 64 ms for the pitch of deep voices, 32 ms for everything else
LONG_FALL, SHORT_FALL = 128, 64  # samples over which they close: most of the weight lies on what is newest
AGO = (0, 128, 256)  # samples before the newest at which short windows end
BANDS, LOWEST, HIGHEST = 40, 50.0, 8000.0  # mel bands, hertz
FLOOR = 1e-9  # of full scale, a band's power: -90 dB
MIDDLE, SPREAD = -10.0, 4.0  # of ln powers of speech at usual levels: what bands are scaled by
COMPRESSED = 1.0 / 3.0  # power of the power whose transform is the autocorrelation: harmonics count alike
LONG_LAGS = np.r_[32:96, 96:269:2]  # samples: 500 to 60 Hz
SHORT_LAGS = np.arange(32, 194, 2)  # to 83 Hz
COUNT = len(AGO) * BANDS + LONG_LAGS.size + SHORT_LAGS.size  # features a frame

Array = NDArray[np.float64]


class Features(Layer):
    """(B, 1, T) -> (B, COUNT, K), T = 384 K: frame k hears up to sample 384 (k + 1). State (B, 1, 640): what it heard.

    First 40 mel bands of three windows, (ln power + 10) / 4; then autocorrelations of the long and of the newest short
    window, of lag 0.
    """

    reach = LONG - FRAME

    def __init__(self) -> None:
        super().__init__()
        self.long, self.short = Fourier(32, 32), Fourier(16, 32)
        self.register_buffer("long_window", _tensor(window(LONG, LONG_FALL)), persistent=False)
        self.register_buffer("short_window", _tensor(window(SHORT, SHORT_FALL)), persistent=False)
        self.register_buffer("bands", _tensor(mel_bands().T), persistent=False)  # (257, 40)
        self.register_buffer("long_lags", torch.tensor(LONG_LAGS), persistent=False)
        self.register_buffer("short_lags", torch.tensor(SHORT_LAGS), persistent=False)

    def initial_states(self, batch: int = 1) -> tuple[Tensor, ...]:
        return (self.long_window.new_zeros(batch, 1, self.reach),)

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        heard = torch.cat([states[0], x], dim=-1)
        return self._of(heard), last(heard, self.reach)

    def whole(self, x: Tensor) -> Tensor:
        return self._of(functional.pad(x, (self.reach, 0)))

    def place(self, latency: int) -> int:
        if latency:
            raise ValueError("features begin with the signal: nothing before them may be late")
        return 0

    def _of(self, heard: Tensor) -> Tensor:
        """(B, 1, 640 + 384 K) -> (B, COUNT, K)."""
        starts = range(0, int(heard.shape[-1]) - LONG + 1, FRAME)
        frames = torch.stack([heard[:, 0, start : start + LONG] for start in starts], 1)  # (B, K, 1024)
        ends = [LONG - ago for ago in AGO]
        short = torch.stack([frames[..., end - SHORT : end] for end in ends], dim=-2)  # (B, K, 3, 512)
        power = self.short(short * self.short_window)  # (B, K, 3, 257)
        levels = (torch.log(power @ self.bands + FLOOR) - MIDDLE) / SPREAD  # (B, K, 3, 40)
        periods = [
            autocorrelation(self.long, self.long(frames * self.long_window), self.long_lags),
            autocorrelation(self.short, power[..., 0, :], self.short_lags),
        ]
        return torch.cat([levels.flatten(-2), *periods], dim=-1).transpose(-1, -2)


class Fourier(nn.Module):
    """Power spectra by Cooley and Tukey's first step: N = A·B points as matrices of A × A, A × B and B × B.

    With n = B a + b and k = c + A d, X[k] = Σ_b e(bd / B) e(bc / N) Σ_a e(ac / A) x[n], e(u) = exp(-2πi u).
    """

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.a, self.b, self.size = a, b, a * b
        self.within = _turns(a, np.outer(np.arange(a), np.arange(a)))  # (A, A)
        self.twist = _turns(a * b, np.outer(np.arange(a), np.arange(b)))  # (A, B)
        self.across = _turns(b, np.outer(np.arange(b), np.arange(b // 2 + 1)))  # (B, B/2 + 1): up to Nyquist

    def forward(self, x: Tensor) -> Tensor:
        """Power |X[k]|² of x (..., N), k = 0 … N/2: (..., N/2 + 1)."""
        re, im = self.parts(x)
        return re.square() + im.square()

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Real and imaginary part of X[k], k = 0 … N/2, of x (..., N)."""
        cut = x.unflatten(-1, (self.a, self.b))
        re, im = self.within.re @ cut, self.within.im @ cut  # (..., A, B)
        re, im = re * self.twist.re - im * self.twist.im, re * self.twist.im + im * self.twist.re
        re, im = (
            re @ self.across.re - im @ self.across.im,
            re @ self.across.im + im @ self.across.re,
        )  # (..., A, B/2 + 1)
        return tuple(part.transpose(-1, -2).flatten(-2)[..., : self.size // 2 + 1] for part in (re, im))


class Turns(nn.Module):
    """Constants cos and -sin of a matrix of angles; not among the weights."""

    re: Tensor
    im: Tensor

    def __init__(self, angle: Array) -> None:
        super().__init__()
        self.register_buffer("re", _tensor(np.cos(angle)), persistent=False)
        self.register_buffer("im", _tensor(-np.sin(angle)), persistent=False)


def autocorrelation(fourier: Fourier, power: Tensor, lags: Tensor) -> Tensor:
    """(..., L): of the compressed power (..., N/2 + 1), at lags (L,), over lag 0. Silence: zeros."""
    evened = (power + 1e-12) ** COMPRESSED
    evened = torch.cat(
        [evened, evened[..., 1:-1].flip(-1)], dim=-1
    )  # (..., N), symmetric: its transform is real
    found = fourier.parts(evened)[0]
    return found.index_select(-1, lags) / found[..., :1]


def window(size: int, fall: int) -> Array:
    """(size,), sine squared: it opens over size - fall samples and closes over the last `fall`; sum 2."""
    rise = size - fall
    opening = np.sin(0.5 * np.pi * (np.arange(rise) + 0.5) / rise) ** 2
    closing = np.cos(0.5 * np.pi * (np.arange(fall) + 0.5) / fall) ** 2
    shape = np.r_[opening, closing]
    return 2.0 * shape / shape.sum()  # a full-scale sine has a power of 1 at its frequency


def mel_bands() -> Array:
    """(40, 257): triangles over hertz, of height 1, equally wide over mel."""
    edges = mel_hertz(np.linspace(mel(LOWEST), mel(HIGHEST), BANDS + 2))
    hertz = np.arange(SHORT // 2 + 1) * RATE / SHORT
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.clip(np.minimum((hertz - low) / (centre - low), (high - hertz) / (high - centre)), 0.0, None)


def _turns(count: int, products: NDArray[np.int64]) -> Turns:
    """Angles of e(products / count), reduced first: exact for large products."""
    return Turns(2.0 * math.pi * (products % count) / count)


def _tensor(values: Array) -> Tensor:
    return torch.tensor(values, dtype=torch.float32)
