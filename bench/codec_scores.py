"""How near a decoded sound is to its original: the scores of the codec's tables, all of them at 16 kHz, mono.

STOI and extended STOI: by pystoi. OVR: the overall quality of DNSMOS P.835 (Reddy, Gopal and Cutler, 2022; network
`sig_bak_ovr.onnx` and polynomial of its authors), clips shorter than 9.01 s repeated, a window a second, mean over
them. dist: mean |dB difference| of STFT magnitudes, FFT 512, 1024 and 2048 (Hann, hop a quarter), both floored 60 dB
below the original's loudest bin, the decoded sound scaled to the original's RMS, mean over the three sizes.
DNSMOS moves by 0.1 to 0.2 with the seed of a decoder's noise alone: differences below 0.15 say nothing.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RATE = 16_000
DNSMOS = Path(__file__).resolve().parents[2] / "shared/data/weights/metrics_dnsmos/sig_bak_ovr.onnx"
_OVR = np.polynomial.Polynomial([0.04602535, 1.11546468, -0.06766283])
_DNSMOS_SAMPLES = 144_160  # 9.01 s
SIZES = (512, 1024, 2048)
FLOOR_DB = 60.0
LAG_STEP = 0.0025  # seconds


class Scores(NamedTuple):
    """Of one clip."""

    stoi: float
    estoi: float
    ovr: float  # NaN where the network is absent
    dist: float  # dB


def scores(original: Array, decoded: Array, lag: int = 0) -> Scores:
    """Of decoded (M,) against original (N,), both at 16 kHz; `lag`: samples by which the decoded sound is late."""
    from pystoi import stoi

    there = aligned(decoded, lag, original.size)
    return Scores(
        float(stoi(original, there, RATE)),
        float(stoi(original, there, RATE, extended=True)),
        ovr(there),
        dist(original, there),
    )


def aligned(decoded: Array, lag: int, count: int) -> Array:
    """Decoded (M,) without its first `lag` samples (or with -lag zeros before it), cut or padded to (count,)."""
    shifted = decoded[lag:] if lag >= 0 else np.concatenate([np.zeros(-lag), decoded])
    return np.pad(shifted[:count], (0, max(0, count - shifted.size)))


def common_lag(originals: list[Array], decoded: list[Array], longest: float = 0.1) -> int:
    """The one delay (samples) that brings all the clips of a system nearest in `dist`; the grid is 2.5 ms."""
    step = round(LAG_STEP * RATE)
    lags = [step * k for k in range(-2, round(longest / LAG_STEP) + 1)]
    far = [
        np.mean([dist(x, aligned(y, lag, x.size)) for x, y in zip(originals, decoded, strict=True)])
        for lag in lags
    ]
    return lags[int(np.argmin(far))]


def dist(original: Array, decoded: Array) -> float:
    """dB; see the top of this file."""
    loudness = np.sqrt(np.mean(original**2) / max(float(np.mean(decoded**2)), 1e-20))
    return float(np.mean([_distance(original, loudness * decoded, size) for size in SIZES]))


def _distance(original: Array, decoded: Array, size: int) -> float:
    here, there = magnitudes(original, size), magnitudes(decoded, size)
    floor = max(float(here.max()), 1e-10) * 10.0 ** (-FLOOR_DB / 20.0)
    return float(np.mean(np.abs(20.0 * np.log10(np.maximum(here, floor) / np.maximum(there, floor)))))


def magnitudes(samples: Array, size: int) -> Array:
    """(F, size // 2 + 1) of samples (N,), zeros after their end."""
    padded = np.pad(samples, (0, size))
    stretches = np.lib.stride_tricks.sliding_window_view(padded, size)[:: size // 4]
    return np.abs(np.fft.rfft(stretches * np.hanning(size + 1)[:-1]))


def ovr(samples: Array) -> float:
    """DNSMOS P.835 OVR of samples (N,) at 16 kHz; NaN where its network is not beside the project."""
    if not DNSMOS.exists():
        return float("nan")
    repeated = np.tile(samples, -(-_DNSMOS_SAMPLES // samples.size))
    windows = np.lib.stride_tricks.sliding_window_view(repeated, _DNSMOS_SAMPLES)[::RATE]
    raw = [_network().run(None, {"input_1": window[None].astype(np.float32)})[0][0, 2] for window in windows]
    return float(np.mean(_OVR(np.asarray(raw, np.float64))))


@functools.cache
def _network() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(DNSMOS), options, providers=["CPUExecutionProvider"])
