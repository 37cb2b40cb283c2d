"""Damped cosines: the rows of the bank as a kernel, from a struck resonance to a stationary spectral mixture.

Row k is the damped rotation dx = (-damping + 2 pi i frequency) x dt + dw with x(0) ~ N(0, start_variance I2),
seen through Re x, where w keeps a process that has forgotten its start at settled_variance. With the lag l =
t - t':

    k(t, t') = e^(-damping |l|) cos(2 pi frequency l)
               [settled_variance + (start_variance - settled_variance) e^(-2 damping min(t, t'))],  t, t' >= 0

settled 0: ringing, as of a struck string. start = settled: stationary, a Lorentzian line pair (Wilson and
Adams, 2013, with Lorentzians for Gaussians; Foreman-Mackey et al., celerite, 2017). damping 0: a line, and
settled_variance has no say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.kernels.algebra import Kernel, Stationary, Terms, times
from rtsynth.kernels.value import Array, check_positive, non_negative


@dataclass(frozen=True, eq=False)
class DampedCosines(Kernel):
    """K independent rows; every field is (K,), given as any sequence and kept as a read-only array."""

    frequency: Array
    damping: Array  # 1/s
    settled_variance: Array
    start_variance: Array

    def __post_init__(self) -> None:
        for name in ("frequency", "damping", "settled_variance", "start_variance"):
            object.__setattr__(self, name, non_negative(getattr(self, name), name))
        sizes = {getattr(self, name).size for name in ("damping", "settled_variance", "start_variance")}
        if sizes != {self.rows}:
            raise ValueError(
                f"rows of damped cosines: {self.rows} frequencies, but fields of length {sorted(sizes)}"
            )

    @classmethod
    def settled(cls, frequency: ArrayLike, damping: ArrayLike, variance: ArrayLike) -> DampedCosines:
        """Rows (K,) that are stationary from time 0: start_variance = settled_variance = variance."""
        return cls(*map(np.asarray, (frequency, damping, variance, variance)))

    @classmethod
    def ringing(cls, frequency: ArrayLike, damping: ArrayLike, variance: ArrayLike) -> DampedCosines:
        """Rows (K,) struck once at time 0 with start_variance = variance, and no noise after."""
        return cls(*map(np.asarray, (frequency, damping, np.zeros(np.shape(variance)), variance)))

    @property
    def rows(self) -> int:
        return self.frequency.size

    @property
    def stationary_rows(self) -> NDArray[np.bool_]:
        """(K,): which rows depend on the lag alone."""
        return (self.damping == 0.0) | (self.start_variance == self.settled_variance)

    @property
    def stationary(self) -> bool:
        return bool(self.stationary_rows.all())

    def row(self, k: int) -> DampedCosines:
        """Row k alone."""
        return DampedCosines(*(field[k : k + 1] for field in self._fields()))

    def variance(self, t: ArrayLike) -> Array:
        return self.row_variance(t).sum(axis=1)

    def row_variance(self, t: ArrayLike) -> Array:
        """Variance of each row at times t (N,) s -> (N, K)."""
        t = self._since_start(t)
        fade = np.exp(-2.0 * np.multiply.outer(t, np.where(self.stationary_rows, 0.0, self.damping)))
        return self.settled_variance + (self.start_variance - self.settled_variance) * fade

    def covariance(self, t1: ArrayLike, t2: ArrayLike) -> Array:
        t1, t2 = self._since_start(t1), self._since_start(t2)
        return self.weighted_covariance(t1, t2, np.ones((t1.size, self.rows)), np.ones((t2.size, self.rows)))

    def weighted_covariance(
        self,
        t1: Array,
        t2: Array,
        weight1: Array,
        weight2: Array,
        turned1: Array | None = None,
        turned2: Array | None = None,
    ) -> Array:
        """sum_k weight1_k(t) weight2_k(t') k_k(t, t'): t1 (N,), t2 (M,) s, weights (N, K), (M, K).

        `turned` (N, K), (M, K) s: how long row k has turned at its own frequency by then, where its pitch was bent on
        the way; by default the time itself. A bend turns the rotation and leaves its decay and its noise alone.
        """
        t1, t2 = self._since_start(t1), self._since_start(t2)
        # e^(-damping |l|) e^(-2 damping min(t, t')) = e^(-damping (t + t')): what differs from a settled row
        # at the start rings down as an outer product.
        excess = self.start_variance - self.settled_variance
        rung = np.flatnonzero(excess)
        ring1 = weight1[:, rung] * self._ringing(t1, rung, turned1) * excess[rung]
        ring2 = weight2[:, rung] * self._ringing(t2, rung, turned2)
        covariance = ring1.real @ ring2.real.T + ring1.imag @ ring2.imag.T
        lag = np.subtract.outer(t1, t2)
        for k in np.flatnonzero(self.settled_variance):
            turn = (
                lag if turned1 is None or turned2 is None else np.subtract.outer(turned1[:, k], turned2[:, k])
            )
            line = np.exp(-self.damping[k] * np.abs(lag)) * np.cos(math.tau * self.frequency[k] * turn)
            covariance += self.settled_variance[k] * np.multiply.outer(weight1[:, k], weight2[:, k]) * line
        return covariance

    def terms(self) -> Terms:
        if not self.stationary:
            k = int(np.flatnonzero(~self.stationary_rows)[0])
            raise ValueError(
                f"row {k} starts at variance {self.start_variance[k]:g}"
                f" and settles at {self.settled_variance[k]:g}: it is not stationary"
                " and has no spectral density"
            )
        return Terms.of(self.start_variance, 0, self.damping + 1j * math.tau * self.frequency)

    def _ringing(self, t: Array, rows: NDArray[np.intp], turned: Array | None) -> NDArray[np.complex128]:
        """e^(-damping t + 2 pi i frequency turned) at t (N,) s, of some rows (R,) -> (N, R)."""
        if turned is None:
            return np.exp(np.multiply.outer(t, -self.damping[rows] + 1j * math.tau * self.frequency[rows]))
        decay = np.multiply.outer(t, -self.damping[rows])
        return np.exp(decay + 1j * math.tau * self.frequency[rows] * turned[:, rows])

    def _since_start(self, t: ArrayLike) -> Array:
        t = times(t)
        if not self.stationary and t.size and t.min() < 0.0:
            raise ValueError(
                f"rows that are struck start at time 0 s: there is no covariance at {t.min():g} s"
            )
        return t

    def _fields(self) -> tuple[Array, Array, Array, Array]:
        return self.frequency, self.damping, self.settled_variance, self.start_variance


@dataclass(frozen=True, eq=False)
class TwoPoleBands(Stationary):
    """K independent bands of noise, each of unit variance: two poles side by side, driven by one noise.

    Butterworth's band at the sample rate r: rotations x1, x2 with poles e^((-g + i (w +- g)) / r), g = 2 pi width /
    sqrt 2, w = 2 pi centre, driven by one complex white noise and by minus it, seen through Re(x1 + x2). That is 1 /
    ((z - p1)(z - p2)): flat on top, half the power at centre +- width, -12 dB an octave beyond. `centre` and `width`
    are (K,) hertz. The law of the recursion, at lags of whole samples; between them it is carried on smoothly.
    """

    centre: Array
    width: Array
    sample_rate: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre", non_negative(self.centre, "centre"))
        object.__setattr__(self, "width", non_negative(self.width, "width"))
        check_positive(self.sample_rate, "sample_rate")
        if self.width.size != self.centre.size or (self.width == 0.0).any():
            raise ValueError(f"bands: want {self.centre.size} widths > 0, got {self.width}")

    @property
    def rows(self) -> int:
        return self.centre.size

    def band_terms(self, k: int) -> Terms:
        """Band k alone: k(lag) = Re sum_j c_j e^(-s_j |lag|), j = 1, 2."""
        edge = math.tau * self.width[k] / math.sqrt(2.0)
        rate = edge - 1j * (math.tau * self.centre[k] + np.array([edge, -edge]))
        # E[x_i conj(x_j)] = b_i b_j / (1 - p_i conj(p_j)) with b = 1, -1; a lag later x_i has turned by p_i.
        both = -np.expm1(-np.add.outer(rate, rate.conj()) / self.sample_rate)
        moments = np.array([[1.0, -1.0], [-1.0, 1.0]]) / both
        coefficient = moments.sum(axis=1)
        return Terms.of(coefficient / coefficient.sum().real, 0, rate)

    def terms(self) -> Terms:
        return Terms.of(
            *(np.concatenate(part) for part in zip(*map(self.band_terms, range(self.rows)), strict=True))
        )

    def at(self, lag: Array) -> Array:
        return sum((self._band_at(k, lag) for k in range(self.rows)), np.zeros(np.shape(lag)))

    def _band_at(self, k: int, lag: Array) -> Array:
        coefficient, _, rate = self.band_terms(k)
        turned: Array = np.tensordot(coefficient, np.exp(-np.multiply.outer(rate, np.abs(lag))), 1).real
        return turned

    def row_variance(self, t: ArrayLike) -> Array:
        """Variance of each band at times t (N,) s -> (N, K): 1."""
        return np.ones((times(t).size, self.rows))

    def weighted_covariance(self, t1: Array, t2: Array, weight1: Array, weight2: Array) -> Array:
        """sum_k weight1_k(t) weight2_k(t') k_k(t - t'): t1 (N,), t2 (M,) s, weights (N, K), (M, K)."""
        lag = np.subtract.outer(times(t1), times(t2))
        bands = (
            np.multiply.outer(weight1[:, k], weight2[:, k]) * self._band_at(k, lag) for k in range(self.rows)
        )
        return sum(bands, np.zeros(lag.shape))
