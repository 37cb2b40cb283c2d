"""Kernels (covariance functions of time) and what can be done with every one of them: add, scale, multiply.

Sums and products of covariance functions are covariance functions (Rasmussen and Williams, Gaussian Processes
for Machine Learning, 2006, section 4.2.4). Time is in seconds, frequency in hertz, variance is the square of
a linear amplitude; everything is float64.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.kernels.value import Array, Value, check_non_negative


class Terms(NamedTuple):
    """A stationary kernel as an exponential polynomial, k(lag) = Re sum_j coefficient_j |lag|^power_j
    e^(-rate_j |lag|).

    All of shape (J,). A term with Re(rate) = 0 is a spectral line. The form is closed under sums and
    products, which is what gives every product of kernels an exact spectral density.
    """

    coefficient: NDArray[np.complex128]
    power: NDArray[np.int64]
    rate: NDArray[np.complex128]  # 1/s

    @classmethod
    def of(cls, coefficient: ArrayLike, power: ArrayLike, rate: ArrayLike) -> Terms:
        c, m, s = np.broadcast_arrays(np.atleast_1d(coefficient), power, rate)
        return cls(c.astype(np.complex128), m.astype(np.int64), s.astype(np.complex128))


class Lines(NamedTuple):
    """The part of a kernel that never decays, sum_l weight_l cos(2 pi frequency_l lag); both (L,)."""

    frequency: Array
    weight: Array

    @classmethod
    def merged(cls, frequency: Array, weight: Array) -> Lines:
        """By rising frequency, those of equal frequency added up, those without weight left out."""
        frequency, index = np.unique(frequency[weight != 0.0], return_inverse=True)
        total = np.zeros(frequency.size)
        np.add.at(total, index, weight[weight != 0.0])
        return cls(frequency, total)


class Kernel(Value, ABC):
    """A covariance function of time. Subclasses are frozen dataclasses; kernels add and multiply."""

    __array_ufunc__ = None  # so that a NumPy number times a kernel is asked of the kernel

    @property
    @abstractmethod
    def stationary(self) -> bool:
        """True where the covariance depends on the lag t - t' alone."""

    @abstractmethod
    def covariance(self, t1: ArrayLike, t2: ArrayLike) -> Array:
        """Covariance between times t1 (N,) s and t2 (M,) s -> (N, M)."""

    @abstractmethod
    def variance(self, t: ArrayLike) -> Array:
        """Variance at times t (N,) s -> (N,): the diagonal of `covariance(t, t)`."""

    def terms(self) -> Terms:
        """The kernel as an exponential polynomial of the lag; ValueError where it is not stationary."""
        raise ValueError(f"{self} is not stationary: it has no spectral density and no lines")

    def lines(self) -> Lines:
        """The lines of the spectrum, by rising frequency; shape (0,) where the spectrum is continuous."""
        coefficient, _, rate = self.terms()
        line = rate.real == 0.0
        return Lines.merged(np.abs(rate[line].imag) / math.tau, coefficient[line].real)

    def spectral_density(self, f: ArrayLike) -> Array:
        """Two-sided spectral density per hertz at frequencies f (F,) -> (F,); it integrates to the variance.

        ValueError where the kernel is not stationary, or has lines, where a density is infinite: see `lines`.
        """
        lines = self.lines()
        if lines.frequency.size:
            some = ", ".join(f"{frequency:g}" for frequency in lines.frequency[:4])
            some += " ..." if lines.frequency.size > 4 else ""
            raise ValueError(
                f"{self} has spectral lines ({some} Hz), where a density is infinite:"
                " ask lines() for their frequencies and weights"
            )
        return self.continuous_density(np.atleast_1d(np.asarray(f, dtype=np.float64)))

    def continuous_density(self, f: Array) -> Array:
        """Density at f (F,) -> (F,) of the terms that decay, not of the lines; right to 1e-15 of its peak."""
        terms = self.terms()
        coefficient, power, rate = (part[terms.rate.real > 0.0] for part in terms)
        factorial = np.array([math.factorial(m) for m in power], dtype=np.float64)
        omega = math.tau * f[:, None]
        half = (coefficient * factorial) / (rate + 1j * omega) ** (power + 1)
        mirrored = (coefficient * factorial) / (rate - 1j * omega) ** (power + 1)
        return np.maximum((half + mirrored).real.sum(axis=1), 0.0)

    def __add__(self, other: Kernel) -> Kernel:
        return Sum(self, other) if isinstance(other, Kernel) else NotImplemented

    def __mul__(self, other: Kernel | float) -> Kernel:
        if isinstance(other, Kernel):
            return Product(self, other)
        return Scale(self, float(other)) if isinstance(other, Real) else NotImplemented

    __rmul__ = __mul__


class Stationary(Kernel):
    """A kernel of the lag alone; a subclass states `at` and `terms`."""

    @property
    def stationary(self) -> bool:
        return True

    @abstractmethod
    def at(self, lag: Array) -> Array:
        """Covariance at lags of any shape, s -> the same shape."""

    def covariance(self, t1: ArrayLike, t2: ArrayLike) -> Array:
        return self.at(np.subtract.outer(times(t1), times(t2)))

    def variance(self, t: ArrayLike) -> Array:
        return np.full(times(t).size, self.at(np.zeros(1))[0])


@dataclass(frozen=True, eq=False)
class Sum(Kernel):
    """first(t, t') + second(t, t'): the law of the sum of two independent processes."""

    first: Kernel
    second: Kernel

    @property
    def stationary(self) -> bool:
        return self.first.stationary and self.second.stationary

    def covariance(self, t1: ArrayLike, t2: ArrayLike) -> Array:
        return self.first.covariance(t1, t2) + self.second.covariance(t1, t2)

    def variance(self, t: ArrayLike) -> Array:
        return self.first.variance(t) + self.second.variance(t)

    def terms(self) -> Terms:
        first, second = self.first.terms(), self.second.terms()
        return Terms.of(*(np.concatenate(parts) for parts in zip(first, second, strict=True)))

    def lines(self) -> Lines:
        both = zip(self.first.lines(), self.second.lines(), strict=True)
        return Lines.merged(*(np.concatenate(parts) for parts in both))

    def continuous_density(self, f: Array) -> Array:
        return self.first.continuous_density(f) + self.second.continuous_density(f)


@dataclass(frozen=True, eq=False)
class Scale(Kernel):
    """factor * kernel(t, t'), factor >= 0: a variance, not an amplitude."""

    kernel: Kernel
    factor: float

    def __post_init__(self) -> None:
        check_non_negative(self.factor, "factor of a kernel")

    @property
    def stationary(self) -> bool:
        return self.kernel.stationary

    def covariance(self, t1: ArrayLike, t2: ArrayLike) -> Array:
        return self.factor * self.kernel.covariance(t1, t2)

    def variance(self, t: ArrayLike) -> Array:
        return self.factor * self.kernel.variance(t)

    def terms(self) -> Terms:
        terms = self.kernel.terms()
        return terms._replace(coefficient=self.factor * terms.coefficient)

    def lines(self) -> Lines:
        frequency, weight = self.kernel.lines()
        return Lines.merged(frequency, self.factor * weight)

    def continuous_density(self, f: Array) -> Array:
        return self.factor * self.kernel.continuous_density(f)


@dataclass(frozen=True, eq=False)
class Product(Kernel):
    """first(t, t') * second(t, t'); in state space it closes only where `statespace.state_space` says so."""

    first: Kernel
    second: Kernel

    @property
    def stationary(self) -> bool:
        return self.first.stationary and self.second.stationary

    def covariance(self, t1: ArrayLike, t2: ArrayLike) -> Array:
        return self.first.covariance(t1, t2) * self.second.covariance(t1, t2)

    def variance(self, t: ArrayLike) -> Array:
        return self.first.variance(t) * self.second.variance(t)

    def terms(self) -> Terms:
        """Every pair of terms, by Re(a) Re(b) = Re(a b + a conj(b)) / 2."""
        first, second = self.first.terms(), self.second.terms()
        coefficients = [
            np.multiply.outer(first.coefficient, c) / 2 for c in _with_conjugate(second.coefficient)
        ]
        rates = [np.add.outer(first.rate, s) for s in _with_conjugate(second.rate)]
        powers = np.add.outer(first.power, second.power)
        return Terms(np.ravel(coefficients), np.ravel([powers, powers]), np.ravel(rates))


def _with_conjugate(values: NDArray[np.complex128]) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    return values, values.conj()


def times(t: ArrayLike) -> Array:
    """Times as float64 (N,), s; ValueError where they are of another shape or not finite."""
    array = np.atleast_1d(np.asarray(t, dtype=np.float64))
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError(f"times: want finite seconds of shape (N,), got shape {array.shape}")
    return array
