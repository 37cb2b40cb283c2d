"""Kernels whose law changes over time: gains, one gain a row, the passage between two harmonic series.

g(t) k(t, t') g(t') is a covariance function for every function g (Rasmussen and Williams, 2006, section
4.2.4). A passage from a kernel b to a kernel a with crossover m(t) can be stated in two ways, which agree on
the diagonal:

    faithful   sqrt(m m') a(t, t') + (1 - sqrt(m m')) b(t, t'): the dense reference, indefinite in general
               wherever a harmonic of a is weaker than that of b
    mixture    one process a harmonic, of amplitude sqrt((1 - m) b_k + m a_k): a covariance function always,
               and one damped rotation a harmonic in state space
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rtsynth.kernels.algebra import Kernel, times
from rtsynth.kernels.kicked import KickedCosines
from rtsynth.kernels.periodic import HarmonicSeries
from rtsynth.kernels.spectral_mixture import DampedCosines, TwoPoleBands
from rtsynth.kernels.value import Array, Curve, Value, read_only


@dataclass(frozen=True, eq=False)
class PiecewiseLinear(Value):
    """A curve in straight lines between points, held at its first and last value outside them.

    `times` (P,) s rise strictly; `values` are (P,), or (P, K) for one curve a row. Calling it with (N,) s
    gives (N,) or (N, K).
    """

    times: Array
    values: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", read_only(self.times, "times of a curve"))
        object.__setattr__(self, "values", read_only(self.values, "values of a curve", (1, 2)))
        if self.values.shape[0] != self.times.size:
            raise ValueError(f"curve: {self.times.size} times for {self.values.shape[0]} values")
        if (np.diff(self.times) <= 0.0).any():
            raise ValueError("curve: its times must rise strictly")

    def __call__(self, t: ArrayLike) -> Array:
        t = times(t)
        if self.times.size == 1:
            return np.repeat(self.values, t.size, axis=0)
        left = np.clip(np.searchsorted(self.times, t, side="right") - 1, 0, self.times.size - 2)
        start, end = self.times[left], self.times[left + 1]
        along = np.clip((t - start) / (end - start), 0.0, 1.0)
        along = along if self.values.ndim == 1 else along[:, None]
        return (1.0 - along) * self.values[left] + along * self.values[left + 1]


@dataclass(frozen=True, eq=False)
class Gain(Kernel):
    """gain(t) kernel(t, t') gain(t'); `gain` takes times (N,) s to linear amplitudes (N,)."""

    kernel: Kernel
    gain: Curve

    @property
    def stationary(self) -> bool:
        return False

    def covariance(self, t1: ArrayLike, t2: ArrayLike) -> Array:
        return np.multiply.outer(self._at(t1), self._at(t2)) * self.kernel.covariance(t1, t2)

    def variance(self, t: ArrayLike) -> Array:
        return self._at(t) ** 2 * self.kernel.variance(t)

    def _at(self, t: ArrayLike) -> Array:
        return evaluate(self.gain, times(t))


@dataclass(frozen=True, eq=False)
class GainedRows(Kernel):
    """sum_k gains_k(t) gains_k(t') k_k(t, t') over rows k; `gains` takes times (N,) s to (N, K)."""

    rows: DampedCosines | KickedCosines
    gains: Curve

    @property
    def stationary(self) -> bool:
        return False

    def covariance(self, t1: ArrayLike, t2: ArrayLike) -> Array:
        t1, t2 = times(t1), times(t2)
        return self.rows.weighted_covariance(t1, t2, self._at(t1), self._at(t2))

    def variance(self, t: ArrayLike) -> Array:
        t = times(t)
        return (self._at(t) ** 2 * self.rows.row_variance(t)).sum(axis=1)

    def _at(self, t: Array) -> Array:
        return evaluate(self.gains, t, self.rows.rows)


@dataclass(frozen=True, eq=False)
class BentRows(Kernel):
    """Gained rows whose pitch moves: sum_k gains_k(t) gains_k(t') k_k(t, t') with the cosine of the turns made.

    `turned` takes times (N,) s to (N, K) s: the integral of row k's pitch ratio. It stands for the time in the
    rotation and not in the decay, so the variance is that of `GainedRows`.
    """

    rows: DampedCosines | KickedCosines
    gains: Curve
    turned: Curve

    @property
    def stationary(self) -> bool:
        return False

    def covariance(self, t1: ArrayLike, t2: ArrayLike) -> Array:
        t1, t2 = times(t1), times(t2)
        gains = (evaluate(self.gains, t, self.rows.rows) for t in (t1, t2))
        turned = (evaluate(self.turned, t, self.rows.rows) for t in (t1, t2))
        return self.rows.weighted_covariance(t1, t2, *gains, *turned)

    def variance(self, t: ArrayLike) -> Array:
        return GainedRows(self.rows, self.gains).variance(t)


@dataclass(frozen=True, eq=False)
class GainedBands(Kernel):
    """sum_k gains_k(t) gains_k(t') k_k(t - t') over bands k; `gains` takes times (N,) s to (N, K)."""

    bands: TwoPoleBands
    gains: Curve

    @property
    def stationary(self) -> bool:
        return False

    def covariance(self, t1: ArrayLike, t2: ArrayLike) -> Array:
        t1, t2 = times(t1), times(t2)
        return self.bands.weighted_covariance(t1, t2, self._at(t1), self._at(t2))

    def variance(self, t: ArrayLike) -> Array:
        return (self._at(times(t)) ** 2).sum(axis=1)

    def _at(self, t: Array) -> Array:
        return evaluate(self.gains, t, self.bands.rows)


@dataclass(frozen=True, eq=False)
class Mixture(Kernel):
    """From the harmonics of `before` to those of `after`, one process a harmonic, under one decay.

    Harmonic k is e^(-|lag| / decay_time) cos(2 pi k f lag) times g_k(t) g_k(t'), g_k = sqrt((1 - m) b_k + m
    a_k), where m = crossover(t) goes from 0 to 1. decay_time (s) may be infinite. Both series are of one
    frequency; the shorter one counts as 0 above its end.
    """

    before: HarmonicSeries
    after: HarmonicSeries
    decay_time: float
    crossover: Curve

    def __post_init__(self) -> None:
        if self.before.frequency != self.after.frequency:
            raise ValueError(
                f"mixture of harmonic series: wants one frequency, got {self.before.frequency:g} Hz before"
                f" and {self.after.frequency:g} Hz after"
            )
        if not self.decay_time > 0.0:
            raise ValueError(f"decay_time: wants seconds > 0, got {self.decay_time!r}")

    @property
    def stationary(self) -> bool:
        return False

    def gained_rows(self) -> GainedRows:
        """The same law as damped cosines of unit variance, harmonic k in row k."""
        count = max(self.before.weights.size, self.after.weights.size)
        frequency = self.before.frequency * np.arange(count)
        damping = np.full(count, 1.0 / self.decay_time)
        return GainedRows(DampedCosines.settled(frequency, damping, np.ones(count)), self.amplitudes)

    def amplitudes(self, t: Array) -> Array:
        """g_k at times t (N,) s -> (N, K)."""
        count = max(self.before.weights.size, self.after.weights.size)
        before, after = (np.pad(s.weights, (0, count - s.weights.size)) for s in (self.before, self.after))
        m = crossover_at(self.crossover, times(t))[:, None]
        return np.sqrt((1.0 - m) * before + m * after)

    def covariance(self, t1: ArrayLike, t2: ArrayLike) -> Array:
        return self.gained_rows().covariance(t1, t2)

    def variance(self, t: ArrayLike) -> Array:
        return self.gained_rows().variance(t)


@dataclass(frozen=True, eq=False)
class FaithfulMixture(Kernel):
    """sqrt(m m') after(t, t') + (1 - sqrt(m m')) before(t, t'), m = crossover(t): symmetric, but indefinite
    in general.

    The dense reference only: `statespace.nearest_psd` makes a covariance of it, and it has no state space.
    """

    before: Kernel
    after: Kernel
    crossover: Curve

    @property
    def stationary(self) -> bool:
        return False

    def covariance(self, t1: ArrayLike, t2: ArrayLike) -> Array:
        mixed = np.multiply.outer(self._root(t1), self._root(t2))
        return mixed * self.after.covariance(t1, t2) + (1.0 - mixed) * self.before.covariance(t1, t2)

    def variance(self, t: ArrayLike) -> Array:
        mixed = self._root(t) ** 2
        return mixed * self.after.variance(t) + (1.0 - mixed) * self.before.variance(t)

    def _root(self, t: ArrayLike) -> Array:
        return np.sqrt(crossover_at(self.crossover, times(t)))


def evaluate(curve: Callable[[Array], Array], t: Array, rows: int | None = None) -> Array:
    """A curve at times t (N,) s -> (N,), or (N, rows); ValueError for another shape or a value not finite."""
    values = np.asarray(curve(t), dtype=np.float64)
    shape = t.shape if rows is None else (t.size, rows)
    if values.shape != shape:
        raise ValueError(f"gain curve: want values of shape {shape} at {t.size} times, got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"gain curve: not finite at {t[np.argwhere(~np.isfinite(values))[0, 0]]:g} s")
    return values


def crossover_at(curve: Curve, t: Array) -> Array:
    """A crossover at times t (N,) s -> (N,); ValueError where it leaves [0, 1]."""
    m = evaluate(curve, t)
    if m.size and (m.min() < 0.0 or m.max() > 1.0):
        raise ValueError(f"crossover: wants values in [0, 1], got {m.min():g} ... {m.max():g}")
    return m
