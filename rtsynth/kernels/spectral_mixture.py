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

from rtsynth.kernels.algebra import Kernel, Terms, times
from rtsynth.kernels.value import Array, non_negative


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

    def weighted_covariance(self, t1: Array, t2: Array, weight1: Array, weight2: Array) -> Array:
        """sum_k weight1_k(t) weight2_k(t') k_k(t, t'): t1 (N,), t2 (M,) s, weights (N, K), (M, K)."""
        t1, t2 = self._since_start(t1), self._since_start(t2)
        # e^(-damping |l|) e^(-2 damping min(t, t')) = e^(-damping (t + t')): what differs from a settled row
        # at the start rings down as an outer product.
        excess = self.start_variance - self.settled_variance
        rung = np.flatnonzero(excess)
        ring1 = weight1[:, rung] * self._ringing(t1, rung) * excess[rung]
        ring2 = weight2[:, rung] * self._ringing(t2, rung)
        covariance = ring1.real @ ring2.real.T + ring1.imag @ ring2.imag.T
        lag = np.subtract.outer(t1, t2)
        for k in np.flatnonzero(self.settled_variance):
            line = np.exp(-self.damping[k] * np.abs(lag)) * np.cos(math.tau * self.frequency[k] * lag)
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

    def _ringing(self, t: Array, rows: NDArray[np.intp]) -> NDArray[np.complex128]:
        """e^((-damping + 2 pi i frequency) t) at t (N,) s, of some rows (R,) -> (N, R)."""
        return np.exp(np.multiply.outer(t, -self.damping[rows] + 1j * math.tau * self.frequency[rows]))

    def _since_start(self, t: ArrayLike) -> Array:
        t = times(t)
        if not self.stationary and t.size and t.min() < 0.0:
            raise ValueError(
                f"rows that are struck start at time 0 s: there is no covariance at {t.min():g} s"
            )
        return t

    def _fields(self) -> tuple[Array, Array, Array, Array]:
        return self.frequency, self.damping, self.settled_variance, self.start_variance
