"""Stationary kernels of one lengthscale or one frequency: exponential, Matern-3/2 and -5/2, cosine.

Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, section 4.2.1; densities are two-sided,
per hertz. Amplitudes are linear: the variance is their square.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from rtsynth.kernels.algebra import Stationary, Terms
from rtsynth.kernels.value import Array, check_non_negative, check_positive


@dataclass(frozen=True, eq=False)
class Matern(Stationary):
    """What the Matern kernels of half-integer smoothness nu share; paths have nu - 1/2 derivatives."""

    lengthscale: float  # s
    amplitude: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self.lengthscale, "lengthscale")
        check_non_negative(self.amplitude, "amplitude")

    @property
    @abstractmethod
    def nu(self) -> float:
        """Smoothness: 1/2, 3/2, 5/2."""

    @property
    def rate(self) -> float:
        """sqrt(2 nu) / lengthscale, 1/s: the one pole of the spectral density, of multiplicity nu + 1/2."""
        return math.sqrt(2.0 * self.nu) / self.lengthscale

    @abstractmethod
    def polynomial(self) -> Array:
        """Coefficients c (nu + 1/2,) of k(lag) = amplitude^2 sum_m c_m (rate |lag|)^m e^(-rate |lag|)."""

    def at(self, lag: Array) -> Array:
        x = self.rate * np.abs(lag)
        polynomial = sum(c * x**m for m, c in enumerate(self.polynomial()))
        return self.amplitude**2 * polynomial * np.exp(-x)

    def terms(self) -> Terms:
        c = self.polynomial()
        power = np.arange(c.size)
        return Terms.of(self.amplitude**2 * c * self.rate**power, power, self.rate)

    def continuous_density(self, f: Array) -> Array:
        """The textbook form: unlike the sum of terms, it keeps its relative precision above the corner."""
        nu = self.nu
        peak = 2.0 * math.sqrt(math.pi) * math.gamma(nu + 0.5) / (math.gamma(nu) * self.rate)
        return self.amplitude**2 * peak / (1.0 + (math.tau * f / self.rate) ** 2) ** (nu + 0.5)


class Exponential(Matern):
    """amplitude^2 e^(-|lag| / lengthscale): the Ornstein-Uhlenbeck process, Matern-1/2."""

    @property
    def nu(self) -> float:
        return 0.5

    def polynomial(self) -> Array:
        return np.array([1.0])


class Matern32(Matern):
    """amplitude^2 (1 + x) e^(-x), x = sqrt(3) |lag| / lengthscale: once differentiable."""

    @property
    def nu(self) -> float:
        return 1.5

    def polynomial(self) -> Array:
        return np.array([1.0, 1.0])


class Matern52(Matern):
    """amplitude^2 (1 + x + x^2/3) e^(-x), x = sqrt(5) |lag| / lengthscale: twice differentiable."""

    @property
    def nu(self) -> float:
        return 2.5

    def polynomial(self) -> Array:
        return np.array([1.0, 1.0, 1.0 / 3.0])


@dataclass(frozen=True, eq=False)
class Cosine(Stationary):
    """amplitude^2 cos(2 pi frequency lag): a sinusoid of random amplitude and phase; at 0 Hz, a constant."""

    frequency: float
    amplitude: float = 1.0

    def __post_init__(self) -> None:
        check_non_negative(self.frequency, "frequency")
        check_non_negative(self.amplitude, "amplitude")

    def at(self, lag: Array) -> Array:
        return self.amplitude**2 * np.cos(math.tau * self.frequency * lag)

    def terms(self) -> Terms:
        return Terms.of(self.amplitude**2, 0, 1j * math.tau * self.frequency)
