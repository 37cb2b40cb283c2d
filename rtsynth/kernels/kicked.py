"""Block noise as a kernel: damped cosines that get their noise in kicks, and ring in between.

Row k of `DampedCosines`, but for its noise, which comes at the points j T of a grid and holds the variance there at
settled_variance. Between two kicks a row does nothing but ring, so its law is periodic in time (cyclostationary; W. A.
Gardner et al., "Cyclostationarity: half a century of research", 2006). With the lag l = t - t' and the last point of
the grid before both, g = T floor(min(t, t') / T):

    k(t, t') = cos(2 pi frequency l) [settled_variance e^(-damping (t + t' - 2 g))
               + (start_variance - settled_variance) e^(-damping (t + t'))],  t, t' >= 0

The variance falls by e^(-2 damping T) between two kicks. Averaged over samples, all that depends on g is the row of
`DampedCosines` over `crest`: so a row times sqrt(crest) has, averaged over time, exactly that row's autocovariance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.kernels.algebra import Kernel, times
from rtsynth.kernels.value import Array, check_positive, non_negative

SAMPLES = 32  # between two kicks
NEAR = 1e-9  # of the time between two kicks: a time so little before a kick is the kick's


@dataclass(frozen=True, eq=False)
class KickedCosines(Kernel):
    """K independent rows; fields but the last are (K,), as of `DampedCosines`; `interval` is T, in seconds."""

    frequency: Array
    damping: Array  # 1/s
    settled_variance: Array  # at every kick
    start_variance: Array
    interval: float

    def __post_init__(self) -> None:
        for name in ("frequency", "damping", "settled_variance", "start_variance"):
            object.__setattr__(self, name, non_negative(getattr(self, name), name))
        check_positive(self.interval, "interval")
        sizes = {getattr(self, name).size for name in ("damping", "settled_variance", "start_variance")}
        if sizes != {self.rows}:
            raise ValueError(f"kicked rows: {self.rows} frequencies, but fields of length {sorted(sizes)}")

    @property
    def rows(self) -> int:
        return self.frequency.size

    @property
    def stationary(self) -> bool:
        """Only lines are."""
        return bool((self.damping == 0.0).all())

    def variance(self, t: ArrayLike) -> Array:
        return self.row_variance(t).sum(axis=1)

    def row_variance(self, t: ArrayLike) -> Array:
        """Variance of each row at times t (N,) s -> (N, K)."""
        t = self._since_start(t)
        since_kick = np.multiply.outer(t - self._last_kick(t), -2.0 * self.damping)
        since_start = np.multiply.outer(t, -2.0 * self.damping)
        return self.settled_variance * np.exp(since_kick) + self._excess * np.exp(since_start)

    def covariance(self, t1: ArrayLike, t2: ArrayLike) -> Array:
        t1, t2 = times(t1), times(t2)
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

        `turned` (N, K), (M, K) s: how long row k has turned at its own frequency by then; by default the time itself.
        """
        t1, t2 = self._since_start(t1), self._since_start(t2)
        both = np.add.outer(t1, t2)
        since_kick = both - 2.0 * np.minimum.outer(self._last_kick(t1), self._last_kick(t2))
        covariance = np.zeros(both.shape)
        for k in range(self.rows):
            turns = (t1, t2) if turned1 is None or turned2 is None else (turned1[:, k], turned2[:, k])
            line = np.cos(math.tau * self.frequency[k] * np.subtract.outer(*turns))
            power = self.settled_variance[k] * np.exp(-self.damping[k] * since_kick)
            power += self._excess[k] * np.exp(-self.damping[k] * both)
            covariance += np.multiply.outer(weight1[:, k], weight2[:, k]) * line * power
        return covariance

    @property
    def _excess(self) -> Array:
        return self.start_variance - self.settled_variance

    def _last_kick(self, t: Array) -> Array:
        return self.interval * np.floor(t / self.interval + NEAR)

    def _since_start(self, t: ArrayLike) -> Array:
        t = times(t)
        if t.size and t.min() < 0.0:
            raise ValueError(f"kicked rows start at time 0 s: there is no covariance at {t.min():g} s")
        return t


def crest(damping: ArrayLike, interval: float, samples: int = SAMPLES) -> NDArray[np.float64]:
    """Variance at a kick over its average from there to the next one, over `samples` samples: (K,) 1/s, s -> (K,)."""
    decay = np.asarray(damping, float) * (interval / samples)
    safe = np.where(decay > 0.0, decay, 1.0)
    ratio = samples * np.expm1(-2.0 * safe) / np.expm1(-2.0 * samples * safe)
    return np.where(decay > 0.0, ratio, 1.0)


def ripple_db(damping: ArrayLike, interval: float) -> NDArray[np.float64]:
    """How far the variance goes above and below its average, decibels: damping (K,) 1/s, interval s -> (K,)."""
    return 10.0 / math.log(10.0) * np.asarray(damping, float) * interval
