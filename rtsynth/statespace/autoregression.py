"""Autoregressions: stationary Gaussian processes whose every pole is a damped cosine, fitted to pieces of sound.

Least squares over forward and backward predictions (the modified covariance method: Marple, Digital Spectral
Analysis, 1987, chapter 8) with a floor of white noise. What comes of it need not be stable; `stationary` gives the
stable process of the same spectrum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.kernels.value import Array, Value, check_non_negative, read_only
from rtsynth.statespace.discretise import Discrete, DiscreteBlock

FLOOR = 1e-9  # of the power: white noise assumed in every recording, -90 dB
CIRCLE = 2**18  # samples, of the transform by which covariances are computed


@dataclass(frozen=True, eq=False)
class AutoRegression(Value):
    """x_n = e_n - sum_k whitening_k x_(n - k), k = 1 .. p, with e white, of variance `innovation_variance`."""

    whitening: Array  # (p + 1,), the first of them 1: e = whitening * x
    innovation_variance: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "whitening", read_only(self.whitening, "whitening"))
        check_non_negative(self.innovation_variance, "innovation_variance")
        if self.whitening[0] != 1.0:
            raise ValueError(f"whitening: wants 1 in front, got {self.whitening[0]:g}")

    @property
    def order(self) -> int:
        return self.whitening.size - 1

    def covariance(self, lags: int) -> Array:
        """Covariances (lags,) at lags 0 .. lags - 1 samples, as of a circle of CIRCLE samples."""
        from scipy.fft import irfft, rfft

        density = self.innovation_variance / np.abs(rfft(self.whitening, CIRCLE)) ** 2
        return np.asarray(irfft(density, CIRCLE)[:lags], dtype=np.float64)

    def stationary(self) -> AutoRegression:
        """The process of the same spectrum, all of whose poles are inside the unit circle."""
        from scipy.linalg import solve_toeplitz

        if self.order == 0 or self.innovation_variance == 0.0:
            return self
        k = self.covariance(self.order + 1)
        whitening = np.append(1.0, solve_toeplitz(k[:-1], -k[1:]))
        return AutoRegression(whitening, max(float(whitening @ k), 0.0))

    def discretise(self, sample_rate: float) -> Discrete:
        """One block of p states, the last p samples: what the filters and smoothers of this room take."""
        from scipy.linalg import toeplitz

        p = self.order
        A = np.eye(p, k=-1)
        A[0] = -self.whitening[1:]
        Q = np.zeros((p, p))
        Q[0, 0] = self.innovation_variance
        block = DiscreteBlock(A, Q, toeplitz(self.covariance(p)), np.eye(p)[0])
        return Discrete((block,), sample_rate)


def fit_autoregressions(pieces: Sequence[ArrayLike], orders: Sequence[int]) -> list[AutoRegression]:
    """One process an order, all from one matrix of products, fitted to pieces (N_i,) of one stationary sound.

    ValueError where no piece is longer than the highest order. Silence gives silence.
    """
    highest = max(orders)
    long = [x for x in (np.asarray(piece, dtype=np.float64) for piece in pieces) if x.size > highest]
    if not long:
        raise ValueError(f"an autoregression of order {highest} wants a piece longer than that")
    rows = sum(2 * (x.size - highest) for x in long)
    R: Array = np.sum([_products(x, highest) for x in long], axis=0) / rows
    if R[0, 0] <= 0.0:
        return [AutoRegression(np.eye(order + 1)[0], 0.0) for order in orders]
    R[np.diag_indices(highest + 1)] += FLOOR * R.diagonal().mean()
    # The leading blocks of one Cholesky factor solve all lower orders.
    L = np.linalg.cholesky(R[1:, 1:])
    return [_solved(R, L, order) for order in orders]


def _products(x: Array, p: int) -> Array:
    """sum over n of x_(n - i) x_(n - j), i, j = 0 .. p, and the same of x run backwards: (p + 1, p + 1)."""
    n = x.size
    M = np.empty((p + 1, p + 1))
    M[0] = M[:, 0] = np.correlate(x[:n], x[p:], "valid")[::-1]
    for i in range(1, p + 1):  # each diagonal slides: one product comes in, one goes out
        M[i, 1:] = M[i - 1, :-1] + x[p - i] * x[p - 1 :: -1][:p] - x[n - i] * x[n - 1 : n - p - 1 : -1]
    return M + M[::-1, ::-1]


def _solved(R: NDArray[Any], L: NDArray[Any], order: int) -> AutoRegression:
    from scipy.linalg import cho_solve

    a = np.ones(1)
    if order:
        a = np.append(a, cho_solve((L[:order, :order], True), -R[1 : order + 1, 0]))
    return AutoRegression(a, max(float(R[0, : order + 1] @ a), 0.0))


class Conditional(NamedTuple):
    """The Gaussian law of M samples not heard, given those heard."""

    mean: Array  # (M,)
    factor: Array  # (b + 1, M): lower banded Cholesky factor of the precision, for innovations of variance 1
    deviation: float  # of the innovations

    def paths(self, normals: ArrayLike) -> Array:
        """Deviations from the mean, (M,) or (M, D), of standard normal variates of the same shape."""
        from scipy.linalg.lapack import dtbtrs

        z = np.asarray(normals, dtype=np.float64)
        solved, _ = dtbtrs(self.factor, z.reshape(len(z), -1), uplo="L", trans="T")
        return self.deviation * np.asarray(solved).reshape(z.shape)

    def variance(self, probes: int, rng: np.random.Generator) -> Array:
        """Variances (M,), each estimated from `probes` draws: to a share sqrt(2 / probes) of itself."""
        return np.asarray(np.mean(self.paths(rng.standard_normal((self.mean.size, probes))) ** 2, axis=1))


def condition(model: AutoRegression, y: ArrayLike) -> Conditional:
    """The law of the NaN in y (N,), given the rest of it: exact for a stationary model of order p.

    `statespace.fill` and `draw_fill` give the same, but hold (N, p, p); the precision of an autoregression is banded:
    O(M p²) time, M (p + 1) numbers. ValueError where one of the first p samples is NaN: run y backwards, which has the
    same law.
    """
    from scipy.linalg import cho_solve_banded

    y, a, p = np.asarray(y, dtype=np.float64), model.whitening, model.order
    gap = np.flatnonzero(np.isnan(y))
    if y.ndim != 1 or (gap.size and gap[0] < p):
        raise ValueError(f"condition: the first {p} samples of y must be heard, got shape {y.shape}")
    if not gap.size:
        return Conditional(np.zeros(0), np.zeros((1, 0)), 0.0)
    surprise = np.convolve(np.where(np.isnan(y), 0.0, y), a)[p : y.size]
    right = -np.correlate(np.append(surprise, np.zeros(p)), a, "valid")[gap - p]
    factor = _banded_factor(_precision(a, gap, y.size))
    mean = np.asarray(cho_solve_banded((factor, True), right))
    return Conditional(mean, factor, math.sqrt(model.innovation_variance))


def _precision(a: Array, gap: NDArray[np.intp], count: int) -> Array:
    """Diagonals (b + 1, M) of sum over n < count of a_(n - i) a_(n - j), i and j in the gap: lower banded."""
    p, M = a.size - 1, gap.size
    sums = np.zeros((p + 1, p + 1))  # d, k: a_0 a_d + ... + a_k a_(k + d)
    for d in range(p + 1):
        sums[d, : p - d + 1] = np.cumsum(a[: p - d + 1] * a[d:])
    diagonals = np.zeros((min(p, M - 1) + 1, M))
    for m, diagonal in enumerate(diagonals):
        later = gap[m:]
        apart = later - gap[: M - m]
        related = apart <= p
        last = np.minimum(p - apart, count - 1 - later)[related]
        diagonal[: M - m][related] = sums[apart[related], last]
    return diagonals


def _banded_factor(diagonals: Array) -> Array:
    """Of a matrix that is positive definite but for rounding, which smooth sounds make the larger part."""
    from scipy.linalg import cholesky_banded

    for share in (0.0, 1e-14, 1e-12, 1e-10):
        try:
            return np.asarray(
                cholesky_banded(diagonals + share * diagonals[0, 0] * _first(diagonals), lower=True)
            )
        except np.linalg.LinAlgError:
            continue
    raise ValueError("condition: the samples heard leave no law for the others in double precision")


def _first(diagonals: Array) -> Array:
    only = np.zeros((len(diagonals), 1))
    only[0] = 1.0
    return only


def proceed(model: AutoRegression, past: ArrayLike, drive: ArrayLike) -> Array:
    """What follows a past (at least p,) where the innovations are `drive` (M,) -> (M,)."""
    from scipy.signal import lfilter, lfiltic

    drive = np.asarray(drive, dtype=np.float64)
    if model.order == 0 or not drive.size:
        return drive
    start = lfiltic([1.0], model.whitening, np.asarray(past, dtype=np.float64)[::-1][: model.order])
    return np.asarray(lfilter([1.0], model.whitening, drive, zi=start)[0])
