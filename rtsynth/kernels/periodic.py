"""Periodic kernels and their exact harmonic series, sum_k a_k cos(2 pi k frequency lag), k = 0 .. K.

The weights of e^(-p sin^2) are modified Bessel functions (Jacobi-Anger: Abramowitz and Stegun 9.6.34; Solin
and Sarkka, Explicit link between periodic covariance functions and state space models, 2014); those of sin^8
are binomial.
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rtsynth.kernels.algebra import Stationary, Terms
from rtsynth.kernels.value import Array, check_non_negative, check_positive, non_negative, read_only


class ClippedWeights(UserWarning):
    """Harmonics of negative weight belong to no covariance function: set to 0, and the rest rescaled."""


def clip_weights(weights: ArrayLike) -> Array:
    """Weights (K+1,) >= 0 of the same sum, those below 0 clipped; warns `ClippedWeights` of any.

    ValueError where the sum is not above zero: rescaling cannot keep it.
    """
    weights = read_only(weights, "harmonic weights")
    negative = np.flatnonzero(weights < 0.0)
    if not negative.size:
        return weights
    clipped = np.maximum(weights, 0.0)
    if weights.sum() <= 1e-12 * clipped.sum():
        raise ValueError(
            f"harmonic weights that sum to {weights.sum():g} are no variance: nothing to rescale to"
        )
    named = ", ".join(f"a_{k} = {weights[k]:.4g}" for k in negative)
    warnings.warn(
        ClippedWeights(f"negative harmonic weights set to 0, the rest rescaled: {named}"), stacklevel=2
    )
    return clipped * (weights.sum() / clipped.sum())


@dataclass(frozen=True, eq=False)
class HarmonicSeries(Stationary):
    """sum_k weights_k cos(2 pi k frequency lag), weights (K+1,) >= 0 from the constant up."""

    weights: Array
    frequency: float

    def __post_init__(self) -> None:
        check_positive(self.frequency, "frequency")
        object.__setattr__(self, "weights", non_negative(self.weights, "harmonic weights"))

    @property
    def frequencies(self) -> Array:
        """(K+1,): 0, frequency, 2 frequency, ..."""
        return self.frequency * np.arange(self.weights.size, dtype=np.float64)

    def at(self, lag: Array) -> Array:
        phase = math.tau * self.frequency * lag
        covariance = np.zeros_like(phase)
        for k in np.flatnonzero(self.weights):
            covariance += self.weights[k] * np.cos(k * phase)
        return covariance

    def terms(self) -> Terms:
        return Terms.of(self.weights, 0, 1j * math.tau * self.frequencies)


class Periodic(Stationary):
    """What the closed-form periodic kernels share: a frequency, and harmonics that can be counted off."""

    frequency: float

    @abstractmethod
    def harmonics(self, count: int) -> Array:
        """Weights a_0 .. a_count, shape (count + 1,), of the exact series; they may be negative."""

    @property
    @abstractmethod
    def enough(self) -> int:
        """The harmonic beyond which no weight reaches the rounding of the sum."""

    def series(self, count: int) -> HarmonicSeries:
        """Harmonics 0 .. count as a kernel; weights that would be negative are clipped, with a warning."""
        return HarmonicSeries(clip_weights(self.harmonics(count)), self.frequency)

    def terms(self) -> Terms:
        weights = self.harmonics(self.enough)
        return Terms.of(weights, 0, 1j * math.tau * self.frequency * np.arange(weights.size))


@dataclass(frozen=True, eq=False)
class PeriodicExponential(Periodic):
    """e^(-p sin^2(pi frequency lag)), p >= 0: MacKay's periodic kernel with p = 2 / lengthscale^2."""

    p: float
    frequency: float

    def __post_init__(self) -> None:
        check_non_negative(self.p, "p")
        check_positive(self.frequency, "frequency")

    def at(self, lag: Array) -> Array:
        return np.exp(-self.p * np.sin(math.pi * self.frequency * lag) ** 2)

    def harmonics(self, count: int) -> Array:
        """a_0 = e^(-p/2) I_0(p/2), a_k = 2 e^(-p/2) I_k(p/2)."""
        from scipy.special import ive

        weights = 2.0 * ive(np.arange(_count(count) + 1), self.p / 2.0)
        weights[0] /= 2.0
        return weights

    @property
    def enough(self) -> int:
        # e^-x I_k(x) < 1e-17: (x/2)^k / k! for small x = p/2, a Gaussian in k of variance x for large.
        return 16 + math.ceil(9.0 * math.sqrt(self.p / 2.0))


@dataclass(frozen=True, eq=False)
class SineEighth(Periodic):
    """sin^8(pi frequency lag): zero at lag 0, so no covariance function alone, but a term of one."""

    frequency: float

    def __post_init__(self) -> None:
        check_positive(self.frequency, "frequency")

    def at(self, lag: Array) -> Array:
        return np.sin(math.pi * self.frequency * lag) ** 8

    def harmonics(self, count: int) -> Array:
        """sin^8 x = (35 - 56 cos 2x + 28 cos 4x - 8 cos 6x + cos 8x) / 128."""
        exact = np.array([35.0, -56.0, 28.0, -8.0, 1.0]) / 128.0
        weights = np.zeros(max(_count(count), 4) + 1)
        weights[:5] = exact
        return weights[: count + 1]

    @property
    def enough(self) -> int:
        return 4


def _count(count: int) -> int:
    if count < 0:
        raise ValueError(f"harmonics: wants a count >= 0, got {count}")
    return count
