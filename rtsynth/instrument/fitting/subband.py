"""Narrow bands of one Fourier transform of a note, and damped exponentials in the same bands in closed form.

A band is K bins with raised-cosine edges, transformed back: the analytic signal around its centre, K samples over the
length of the transform. An exponential that starts at the onset and is cut off where the recording ends has the
spectrum of a geometric series, exp(-iωn) (1 - z^L) / (1 - z) with z = exp(p/rate - iω); through the same window and
the same inverse transform it meets the same smear of the filter, the same onset and the same end. So a band is fitted
with no error of its own, and amplitudes are those at the onset.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.instrument.fitting.recording import Array

Complex = NDArray[np.complex128]

EDGE = 0.35  # of the half width: raised cosine


@dataclass(frozen=True)
class Onset:
    """How all modes of a note begin: `start` seconds after the recording's onset, with 1 - exp(-t / attack)."""

    start: float = 0.0  # seconds
    attack: float = 0.0  # seconds


@dataclass(frozen=True, eq=False)
class Transform:
    """The Fourier transform of N samples, zero-padded to `size`, whose note begins at sample `onset`."""

    spectrum: Complex  # (size // 2 + 1,)
    size: int
    samples: int  # N
    onset: int
    sample_rate: float

    @property
    def spacing(self) -> float:
        """Hertz between bins."""
        return self.sample_rate / self.size

    def less(self, samples: Array) -> Transform:
        """The same after `samples` (N,) were subtracted."""
        spectrum = self.spectrum - _transformed(samples, self.size)
        return Transform(spectrum, self.size, self.samples, self.onset, self.sample_rate)


def transform(samples: Array, sample_rate: float, onset: int) -> Transform:
    """The transform of samples (N,)."""
    from scipy.fft import next_fast_len

    size = next_fast_len(samples.size, real=True)
    return Transform(_transformed(samples, size), size, samples.size, onset, sample_rate)


def _transformed(samples: Array, size: int) -> Complex:
    from scipy.fft import rfft

    return rfft(samples, size)


@dataclass(frozen=True, eq=False)
class Bands:
    """B bands of K bins each; band b holds bins first[b] … first[b] + K - 1."""

    first: NDArray[np.int64]  # (B,)
    window: Array  # (K,)
    of: Transform

    @property
    def rate(self) -> float:
        """Samples per second of a band's signal."""
        return self.window.size * self.of.spacing

    @cached_property
    def times(self) -> Array:
        """Seconds (K,) since the onset of a band's samples."""
        return np.arange(self.window.size) / self.rate - self.of.onset / self.of.sample_rate

    @property
    def lowest(self) -> Array:
        """Hertz (B,) of the first bins."""
        return self.first.astype(np.float64) * self.of.spacing

    @property
    def highest(self) -> Array:
        """Hertz (B,) of the last bins."""
        return self.lowest + (self.rate - self.of.spacing)

    def signals(self, transform: Transform | None = None) -> Complex:
        """(B, K): the bands of a transform, analytic: a cosine of amplitude a has magnitude a."""
        spectrum = (transform or self.of).spectrum
        bins = self.first[:, None] + np.arange(self.window.size)
        return self._back(2.0 * spectrum[bins] * self.window)

    def _back(self, spectrum: Complex) -> Complex:
        from scipy.fft import ifft

        return ifft(spectrum, axis=-1, overwrite_x=True) * (self.window.size / self.of.size)

    def take(self, rows: NDArray[np.int64]) -> Bands:
        return Bands(self.first[rows], self.window, self.of)


def bands_around(centres: ArrayLike, half_width: float, of: Transform) -> Bands:
    """Bands of half_width hertz either side of centres (B,), moved inward where they would leave the spectrum."""
    from scipy.fft import next_fast_len

    count = min(next_fast_len(max(8, round(2.0 * half_width / of.spacing))), of.size // 2 + 1)
    first = np.round(np.asarray(centres, dtype=np.float64) / of.spacing).astype(np.int64) - count // 2
    return Bands(np.clip(first, 0, of.size // 2 + 1 - count), _raised_cosine(count), of)


def _raised_cosine(count: int) -> Array:
    """Ones (count,) with edges that fall by half a cosine."""
    distance = np.abs(np.arange(count) - count // 2) / (count / 2.0)
    return 0.5 + 0.5 * np.cos(np.pi * np.clip((distance - 1.0 + EDGE) / EDGE, 0.0, 1.0))


class Exponentials:
    """exp(p (t - start)) from the start of a note to the end of its recording, in bands, and its derivative by p."""

    def __init__(self, bands: Bands, onset: Onset) -> None:
        of = bands.of
        begin = of.onset + onset.start * of.sample_rate
        first = min(max(math.ceil(begin - 1e-9), 0), of.samples - 1)
        self._rate = of.sample_rate
        self._late = (
            first - begin
        ) / of.sample_rate  # seconds from the start to the first sample that sounds
        self._length = of.samples - first
        self._attack = onset.attack
        self._bands = bands
        bins = bands.first[:, None, None] + np.arange(bands.window.size)  # (B, 1, K)
        self._turn = _turns(-bins, of.size)
        self._turn_end = _turns(-bins * self._length, of.size)
        self._place = _turns(-bins * first, of.size) * bands.window

    def __call__(self, poles: Complex) -> tuple[Complex, Complex]:
        """Signals and derivatives (B, P, K) of poles (B, P), 1/s: -damping + 2πi frequency."""
        value, derivative = self._step(poles)
        if self._attack > 0.0:
            fast, of_fast = self._step(poles - 1.0 / self._attack)
            value, derivative = value - fast, derivative - of_fast
        return self._bands._back(value), self._bands._back(derivative)

    def _step(self, poles: Complex) -> tuple[Complex, Complex]:
        """Spectra (B, P, K) with a step at the start, times the window."""
        late = np.exp(poles * self._late)[..., None] * self._place
        z = np.exp(poles / self._rate)[..., None] * self._turn
        end = np.exp(poles * (self._length / self._rate))[..., None] * self._turn_end
        inverse = 1.0 / (1.0 - z)
        value = (1.0 - end) * inverse
        z *= value
        end *= self._length
        z -= end
        z *= inverse
        z /= self._rate
        z += self._late * value
        return value * late, z * late

    def rows(self, rows: NDArray[np.int64]) -> Exponentials:
        """The same for some of the bands."""
        part = object.__new__(Exponentials)
        part.__dict__.update(self.__dict__)
        part._bands = self._bands.take(rows)
        part._turn, part._turn_end, part._place = self._turn[rows], self._turn_end[rows], self._place[rows]
        return part


def _turns(numerator: NDArray[np.int64], denominator: int) -> Complex:
    """exp(2πi numerator / denominator), whole turns taken off exactly."""
    return np.exp(2j * np.pi * (numerator % denominator) / denominator)
