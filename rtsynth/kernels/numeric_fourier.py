"""The Fourier transform of an even covariance by quadrature: Gauss and Legendre's rule on panels of the lags."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rtsynth.kernels.value import Array

Covariance = Callable[[Array], Array]
NODES = 16  # a panel
MOST_PANELS = 2**16
CHUNK = 2**22  # products at once
DECAYED = 1e-11  # of the variance: what is left of it where a quadrature ends
CORNERS = 30  # panels that halve towards lag 0, where covariances have kinks
LAGS = np.geomspace(1e-9, 1e4, 1400)  # s: where a covariance of which nothing is known is looked at


def scales_of(covariance: Covariance) -> tuple[float, float]:
    """The lags (s) at which a covariance first leaves its variance by 5 %, and from which it is below DECAYED."""
    k = covariance(LAGS)
    variance = float(covariance(np.zeros(1))[0])
    moved = np.flatnonzero(np.abs(k - variance) > 0.05 * variance)
    alive = np.flatnonzero(~(np.abs(k) <= DECAYED * variance))
    if not moved.size or alive[-1] == LAGS.size - 1:
        raise ValueError("it does not decay within 10000 s: no spectral density can be had by quadrature")
    return float(LAGS[moved[0]]), float(LAGS[alive[-1] + 1])


def panels(longest: float, width: float, kinks: Sequence[float] = ()) -> tuple[Array, Array]:
    """Nodes (N,) and weights (N,) on lags 0 .. longest, s, in panels of at most `width`, none across a kink."""
    count = math.ceil(longest / width)
    if count > MOST_PANELS:
        raise ValueError(f"a quadrature to {longest:.3g} s in steps of {width:.3g} s is out of reach")
    regular = np.linspace(0.0, longest, count + 1)
    corner = regular[1] * 0.5 ** np.arange(CORNERS, 0, -1)
    ends = np.unique(np.concatenate([[0.0], corner, regular[1:], [kink for kink in kinks if kink < longest]]))
    node, weight = np.polynomial.legendre.leggauss(NODES)
    half = 0.5 * np.diff(ends)[:, None]
    return (ends[:-1, None] + half * (1.0 + node)).ravel(), (half * weight).ravel()


def cosine_transform(lags: Array, weighted: Array, f: Array) -> Array:
    """2 sum_n weighted_n cos(2 pi f lags_n): (N,), (N,), (F,) -> (F,)."""
    S, step = np.empty(f.size), max(1, CHUNK // lags.size)
    for at in range(0, f.size, step):
        S[at : at + step] = 2.0 * np.cos(math.tau * np.outer(f[at : at + step], lags)) @ weighted
    return S


def windowed(
    covariance: Covariance, f: Array, window: float, highest: float, kinks: Sequence[float] = ()
) -> Array:
    """The transform of covariance(lag) e^(-lag²/2 window²) at f (F,), Hz; neither goes above `highest`, Hz."""
    lags, weights = panels(8.0 * window, min(1.0 / highest, window), kinks)
    return cosine_transform(lags, weights * covariance(lags) * np.exp(-0.5 * (lags / window) ** 2), f)


@dataclass(frozen=True)
class Quadrature:
    """A spectral density by quadrature, two-sided, per hertz."""

    lags: Array  # (N,)
    weighted: Array  # (N,)
    highest: float  # Hz: beyond it nothing is told
    rounding: float  # of any value

    @classmethod
    def of(cls, covariance: Covariance, name: str) -> Quadrature:
        """ValueError where the covariance has no scale that can be seen, or decays too slowly beside it."""
        try:
            shortest, longest = scales_of(covariance)
            lags, weights = panels(longest, 0.25 * shortest)
        except ValueError as cause:
            raise ValueError(f"{name}: there is no rule for its transform, and {cause}") from cause
        weighted = weights * covariance(lags)
        return cls(lags, weighted, 4.0 / shortest, 1e-9 * float(np.abs(weighted).sum()))

    def __call__(self, f: Array) -> Array:
        beyond = np.abs(f) > self.highest
        if beyond.any():
            raise ValueError(
                f"the density by quadrature ends at {self.highest:.4g} Hz, got {np.abs(f).max():.4g} Hz"
            )
        return cosine_transform(self.lags, self.weighted, f)
