"""How far a model's sound is from a recording, in decibels: ENV, ONE, ATT, MR and VALLEY.

ENV     mean |dB| between the energies of time-frequency cells: a Hann window of 40 ms every 20 ms, 40 triangular bands
        on the ERB-rate scale from 20 Hz to 20 kHz; over the cells where the recording is above -60 dB of its loudest
        cell, both sides held above -70 dB. The model's energies are means over its draws.
ONE     the same for one draw, which is what a listener hears: the mean over the draws.
ATT     ENV in the first 6 frames: those centred from 20 ms before the onset to 80 ms after.
MR      mean |dB| of the bins within 60 dB of the loudest, windows of 256 to 4096 samples, first draw.
VALLEY  mean |dB| between the 30 % quantiles of the bins inside each ERB band, Blackman window of 8192 samples: the haze
        between partials, which ENV cannot see. Over the cells above -85 dB of the loudest bin; mean over the draws.

ENV alone is easily won: free noise gains reach 2.4 dB with hardly a mode. All of them belong to the same rendering.
A frame is centred on its time, the first on the first sample. ERB: Glasberg and Moore, Derivation of auditory filter
shapes from notched-noise data, 1990.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

CELL_WINDOW = 0.040  # seconds
CELL_HOP = 0.020
CELL_BANDS = 40
CELL_RANGE = (20.0, 20000.0)  # hertz
COUNTED_DB = -60.0  # cells the mean is over, of the loudest
HELD_DB = -70.0  # no cell counts as quieter
ATTACK_END = 0.080  # seconds after the onset: centre of the last frame of the attack
RESOLUTIONS = (256, 512, 1024, 2048, 4096)  # samples
VALLEY_WINDOW = 8192  # samples
VALLEY_QUANTILE = 0.3
VALLEY_COUNTED_DB = -85.0  # of the loudest bin
VALLEY_HELD_DB = -95.0
SIGNAL_DB = 6.0  # above the recording's own noise
MOST_NOISE_DB = -40.0  # of the loudest cell: no band is noisier than that, it is only steady


@dataclass(frozen=True)
class Scores:
    """All figures of one rendering, in decibels; 0 is the recording itself."""

    env: float
    one: float
    att: float
    mr: float
    valley: float
    env_signal: float  # ENV over the cells at least SIGNAL_DB above the recording's own noise


def erb_rate(f: ArrayLike) -> Array:
    """Number of ERBs below f (Hz)."""
    return 21.4 * np.log10(1.0 + 0.00437 * np.asarray(f, float))


def erb_frequency(rate: ArrayLike) -> Array:
    """The frequency (Hz) with `rate` ERBs below it."""
    return (10.0 ** (np.asarray(rate, float) / 21.4) - 1.0) / 0.00437


def erb_edges(count: int = CELL_BANDS) -> Array:
    """Feet and tops (count + 2,), hertz, of triangles on the ERB-rate scale over CELL_RANGE."""
    low, high = erb_rate(CELL_RANGE)
    return erb_frequency(np.linspace(low, high, count + 2))


def erb_triangles(n_fft: int, sample_rate: float) -> Array:
    """Weights (CELL_BANDS, n_fft/2 + 1) of the bins: triangles in hertz from foot to top to foot, 0 above Nyquist."""
    f = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    edges = erb_edges()
    low, top, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.maximum(np.minimum((f - low) / (top - low), (high - f) / (high - top)), 0.0)


@dataclass(frozen=True, eq=False)
class Frames:
    """A short-time Fourier transform: window (W,), a frame every hop samples from sample 0 on, zero-padded to n_fft."""

    window: Array
    hop: int
    n_fft: int

    def count(self, samples: int) -> int:
        return 1 + max(samples - 1, 0) // self.hop

    def spectrum(self, x: Array) -> NDArray[np.complex128]:
        """STFT (F, n_fft/2 + 1) of x (N,), frames centred on their time; silence beyond its ends."""
        from scipy.fft import rfft

        size = self.window.size
        padded = np.pad(x, (size // 2, size - size // 2 + self.hop))
        frames = np.lib.stride_tricks.sliding_window_view(padded, size)[:: self.hop][: self.count(x.size)]
        transformed: NDArray[np.complex128] = rfft(frames * self.window, self.n_fft, axis=-1)
        return transformed

    def power(self, x: Array) -> Array:
        """|STFT|² (F, n_fft/2 + 1) of x (N,)."""
        spectrum = self.spectrum(x)
        return np.square(spectrum.real) + np.square(spectrum.imag)


def cell_frames(sample_rate: float, window: float = CELL_WINDOW, hop: float = CELL_HOP) -> Frames:
    """Hann frames of `window` seconds every `hop`, fine enough in frequency for the narrowest triangle."""
    from scipy.signal.windows import hann

    size = round(window * sample_rate)
    narrowest = float(np.diff(erb_edges())[0])
    n_fft = 1 << int(np.ceil(np.log2(max(size, 3.0 * sample_rate / narrowest))))
    return Frames(hann(size, sym=False), max(round(hop * sample_rate), 1), n_fft)


def valley_frames(hop: int = VALLEY_WINDOW // 2) -> Frames:
    from scipy.signal.windows import blackman

    return Frames(blackman(VALLEY_WINDOW, sym=False), hop, VALLEY_WINDOW)


def valley_slices(sample_rate: float) -> list[slice]:
    """The bins of each ERB band, half way to its neighbours; no band above Nyquist."""
    low, high = erb_rate(CELL_RANGE)
    step = (high - low) / (CELL_BANDS + 1)
    edges = erb_frequency(low + step * (0.5 + np.arange(CELL_BANDS + 1)))
    bins = np.ceil(edges * (VALLEY_WINDOW / sample_rate)).astype(int)
    bins = np.minimum(bins, VALLEY_WINDOW // 2 + 1)
    return [slice(a, b) for a, b in pairwise(bins.tolist()) if b > a]


def valleys(power: Array, slices: list[slice]) -> Array:
    """The VALLEY_QUANTILE (F, bands) of the bins of power (F, bins) in each band."""
    return np.stack([np.quantile(power[:, s], VALLEY_QUANTILE, axis=1) for s in slices], axis=1)


def measure(recording: ArrayLike, draws: ArrayLike, sample_rate: float, onset: int = 0) -> Scores:
    """How far draws (S, N) of a model are from a recording (N,) whose note begins at sample `onset`."""
    return Target(recording, sample_rate, onset).score(draws)


class Target:
    """A recording (N,) whose note begins at sample `onset`, analysed once; `score` tells how far draws are from it.

    ValueError where the recording is not (N,), not finite, or silent.
    """

    def __init__(self, recording: ArrayLike, sample_rate: float, onset: int = 0) -> None:
        x = np.asarray(recording, float)
        if x.ndim != 1 or not np.isfinite(x).all() or not x.any():
            raise ValueError(f"wants a recording of shape (N,), finite and not silent, got shape {x.shape}")
        self._samples = x
        self._frames, self._valley_frames = cell_frames(sample_rate), valley_frames()
        self._attack = 1 + int((onset + ATTACK_END * sample_rate) / self._frames.hop)
        self._triangles = erb_triangles(self._frames.n_fft, sample_rate)
        self._slices = valley_slices(sample_rate)
        self.cells = self._cells(x)
        self.counted = self.cells > _power(COUNTED_DB) * self.cells.max()
        self.signal = self.counted & (self.cells > _power(SIGNAL_DB) * self._noise())
        power = self._valley_frames.power(x)
        self.valleys, self._loudest_bin = valleys(power, self._slices), float(power.max())
        self.valleys_counted = self.valleys > _power(VALLEY_COUNTED_DB) * self._loudest_bin

    def _cells(self, x: Array) -> Array:
        return self._frames.power(x) @ self._triangles.T

    def _noise(self) -> Array:
        """The recording's own noise (bands,): as quiet as a band gets for a twentieth of the time."""
        return np.minimum(np.quantile(self.cells, 0.05, axis=0), _power(MOST_NOISE_DB) * self.cells.max())

    def score(self, draws: ArrayLike) -> Scores:
        """Distances of draws (S, N) from the recording. ValueError where N is not the recording's."""
        y = np.atleast_2d(np.asarray(draws, float))
        if y.ndim != 2 or y.shape[1] != self._samples.size or not y.size:
            raise ValueError(f"wants draws of shape (S, {self._samples.size}), got {y.shape}")
        cells = np.stack([self._cells(draw) for draw in y])
        mean = self.cell_errors_db(cells.mean(axis=0))
        return Scores(
            env=_mean(mean, self.counted),
            one=float(np.mean([_mean(self.cell_errors_db(one), self.counted) for one in cells])),
            att=_mean(mean[: self._attack], self.counted[: self._attack]),
            mr=self._resolution_db(y[0]),
            valley=float(np.mean([self._valley_db(draw) for draw in y])),
            env_signal=_mean(mean, self.signal),
        )

    def cell_errors_db(self, cells: Array) -> Array:
        """|dB| (F, CELL_BANDS) between energies and the recording's, both held at HELD_DB."""
        return _distance_db(cells, self.cells, _power(HELD_DB) * self.cells.max())

    def _valley_db(self, draw: Array) -> float:
        model = valleys(self._valley_frames.power(draw), self._slices)
        errors = _distance_db(model, self.valleys, _power(VALLEY_HELD_DB) * self._loudest_bin)
        return _mean(errors, self.valleys_counted)

    def _resolution_db(self, draw: Array) -> float:
        from scipy.signal.windows import hann

        figures = []
        for size in RESOLUTIONS:
            frames = Frames(hann(size, sym=False), size // 4, size)
            recording, model = frames.power(self._samples), frames.power(draw)
            loudest = recording.max()
            errors = _distance_db(model, recording, _power(HELD_DB) * loudest)
            figures.append(_mean(errors, recording > _power(COUNTED_DB) * loudest))
        return float(np.mean(figures))


def _power(db: float) -> float:
    return float(10.0 ** (db / 10.0))


def _distance_db(a: Array, b: Array, held: float) -> Array:
    return np.abs(10.0 * np.log10(np.maximum(a, held) / np.maximum(b, held)))


def _mean(errors: Array, counted: Mask) -> float:
    """The mean over the counted; 0 where none counts, so that a late onset has no attack to miss."""
    return float(errors[counted].mean()) if counted.any() else 0.0
