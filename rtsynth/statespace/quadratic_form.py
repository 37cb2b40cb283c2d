"""The law of a quadratic form in Gaussians, Q = Σ_i weight_i χ²(takes)_i: its tails, to any depth.

Saddlepoint approximation: Kuonen, Saddlepoint approximations for distributions of quadratic forms in normal
variables, Biometrika 86 (1999), in the form r* of Barndorff-Nielsen, which holds in relative error far out
in the tails, where simulation cannot go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import norm

from rtsynth.kernels.value import Array

NOTHING = 1e-14  # of the largest weight: rounding of an eigenvalue that is 0
BEYOND = 1e6  # standard deviations from the mean: no tail to speak of
CENTRE = 1e-4  # closer to the mean than this, in standard deviations, r* is 0/0 and its limit is taken


class Tails(NamedTuple):
    """P(Q <= q) and P(Q >= q)."""

    lower: float
    upper: float

    @property
    def two_sided(self) -> float:
        return min(1.0, 2.0 * min(self))


def tails(weights: ArrayLike, takes: int, value: float) -> Tails:
    """Tails at `value` of Σ_i weights_i c_i, weights (m,) of any signs, c_i independent χ² with `takes` degrees.

    That is the sum over `takes` independent x ~ N(0, C) of x' A x, where the weights are the eigenvalues of
    C^½ A C^½. ValueError where every weight is 0.
    """
    weights = np.asarray(weights, dtype=np.float64)
    scale = float(np.abs(weights).max(initial=0.0))
    if not scale > 0.0:
        raise ValueError("quadratic form: wants a weight that is not 0")
    mu, q = weights[np.abs(weights) > NOTHING * scale] / scale, value / scale
    if mu.min() >= 0.0 and q <= 0.0:
        return Tails(0.0, 1.0)
    if mu.max() <= 0.0 and q >= 0.0:
        return Tails(1.0, 0.0)
    deviation = float(np.sqrt(2.0 * takes * np.square(mu).sum()))
    distance = (q - takes * float(mu.sum())) / deviation
    if abs(distance) > BEYOND:
        return Tails(0.0, 1.0) if distance < 0.0 else Tails(1.0, 0.0)
    r = _barndorff_nielsen(mu, takes, q, distance, deviation)
    return Tails(float(norm.cdf(r)), float(norm.sf(r)))


def _barndorff_nielsen(mu: Array, takes: int, q: float, distance: float, deviation: float) -> float:
    """r*, which is standard normal to third order; `distance` is that of q from the mean, in standard deviations."""
    if abs(distance) < CENTRE:
        return distance + 8.0 * takes * float((mu**3).sum()) / (6.0 * deviation**3)
    theta = _saddlepoint(mu, takes, q)
    cumulant = -0.5 * takes * np.log1p(-2.0 * theta * mu).sum()
    curvature = 2.0 * takes * np.square(mu / (1.0 - 2.0 * theta * mu)).sum()
    r = np.sign(theta) * np.sqrt(2.0 * max(theta * q - cumulant, 0.0))
    return float(r + np.log(theta * np.sqrt(curvature) / r) / r)


def _saddlepoint(mu: Array, takes: int, q: float) -> float:
    """θ where the cumulant function's slope, which rises from one pole to the other, is q."""

    def excess(theta: float) -> float:
        return float(takes * (mu / (1.0 - 2.0 * theta * mu)).sum() - q)

    near = 1.0 / np.sqrt(takes * np.square(mu).sum())  # θ one deviation from the mean, or so
    top = 0.5 / mu.max() if mu.max() > 0.0 else np.inf
    bottom = 0.5 / mu.min() if mu.min() < 0.0 else -np.inf
    return float(
        brentq(excess, _beyond(bottom, -near, excess), _beyond(top, near, excess), xtol=1e-300, rtol=1e-12)
    )


def _beyond(pole: float, near: float, excess: Callable[[float], float]) -> float:
    """A point between 0 and the pole, beyond the root if the root lies on this side."""
    point = min(near, 0.5 * pole, key=abs)
    while excess(point) * near < 0.0:
        point = min(2.0 * point, 0.5 * (point + pole), key=abs)
    return point
