"""The Gaussian envelope of a spectral mixture, and what stands for it where time runs: rotations on one noise.

k(lag) = e^(-(lag / lengthscale)²) cos(2 pi frequency lag) is one component of a spectral mixture (Wilson and
Adams, Gaussian process kernels for pattern discovery and extrapolation, 2013). It has no state space. These
envelopes have; max |error| is of the envelope at unit variance, states are real ones with a carrier:

    exponential   2   .158     one pair   4   .0276    taylor4    8   .022
    matern32      4   .068     two pairs  8   .00044   taylor6   12   .0043
    matern52      6   .044     taylor2    4   .134     taylor8   16   .0009    taylor10   20   .0002

The Matern forms have the lengthscale of least error, not that of equal curvature. The pairs are the minimax
fits among all processes of as many rotations driven by one white noise, which are covariance functions by
construction; the nearest free sum of damped cosines is none (its density goes negative). Taylor forms expand 1 /
density (Hartikainen and Sarkka, 2010), and are rescaled to unit variance; as their poles crowd, their
recursions lose digits: the law is right to 1e-11 (taylor6), 1e-10 (taylor8) and 1e-8 (taylor10).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.kernels.algebra import Kernel, Lines, Stationary, Terms
from rtsynth.kernels.stationary import Cosine, Exponential, Matern32, Matern52
from rtsynth.kernels.value import Array, check_non_negative, check_positive

Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class GaussianCosine(Stationary):
    """amplitude² e^(-(lag / lengthscale)²) cos(2 pi frequency lag): a Gaussian line pair.

    Its lines have the standard deviation 1 / (sqrt(2) pi lengthscale), Hz. The lengthscale is sqrt(2) times
    that of the squared exponential kernel of Rasmussen and Williams.
    """

    lengthscale: float  # s
    frequency: float
    amplitude: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self.lengthscale, "lengthscale")
        check_non_negative(self.frequency, "frequency")
        check_non_negative(self.amplitude, "amplitude")

    def at(self, lag: Array) -> Array:
        carrier = np.cos(math.tau * self.frequency * lag)
        return self.amplitude**2 * np.exp(-((lag / self.lengthscale) ** 2)) * carrier

    def terms(self) -> Terms:
        raise ValueError(f"{self} is no finite sum of damped cosines; approximated() is")

    def lines(self) -> Lines:
        return Lines(np.zeros(0), np.zeros(0))

    def continuous_density(self, f: Array) -> Array:
        peak = 0.5 * self.amplitude**2 * self.lengthscale * math.sqrt(math.pi)
        width = math.pi * self.lengthscale
        near, far = (np.exp(-((width * (f - p)) ** 2)) for p in (self.frequency, -self.frequency))
        return peak * (near + far)

    def approximated(self, form: str = "two pairs") -> Kernel:
        """A kernel with a state space in place of this one: an envelope of FORMS times the carrier.

        ValueError where there is no such form.
        """
        if form not in FORMS:
            raise ValueError(f"no form {form!r} of a Gaussian envelope: there are {', '.join(FORMS)}")
        return FORMS[form](self.lengthscale) * Cosine(self.frequency, self.amplitude)


@dataclass(frozen=True, eq=False)
class DrivenRotations(Stationary):
    """K damped rotations on one and the same white noise: dx_k = -pole_k x_k dt + gain_k dw, y = sum Re x_k.

    Stationary, with E dw² = dt. A covariance function for all gains (K,) and poles (K,) with real part > 0,
    both complex: the density is the square of one transfer function.
    """

    poles: Complex  # 1/s
    gains: Complex  # s^(-1/2)

    def __post_init__(self) -> None:
        for name in ("poles", "gains"):
            array = np.array(getattr(self, name), dtype=np.complex128) + 0.0
            if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
                raise ValueError(f"{name}: want finite numbers of shape (K,), got shape {array.shape}")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if self.poles.shape != self.gains.shape:
            raise ValueError(f"driven rotations: {self.poles.size} poles, {self.gains.size} gains")
        if not (self.poles.real > 0.0).all():
            raise ValueError("driven rotations: every pole wants a real part > 0, or nothing is stationary")

    def moments(self) -> tuple[Complex, Complex]:
        """E x x^H and E x x^T, each (K, K)."""
        p, b = self.poles, self.gains
        hermitian = np.outer(b, b.conj()) / np.add.outer(p, p.conj())
        return hermitian, np.outer(b, b) / np.add.outer(p, p)

    def weights(self) -> Complex:
        """E x_k y (K,), of which k(lag) = Re sum_k weight_k e^(-pole_k |lag|)."""
        hermitian, symmetric = self.moments()
        return 0.5 * (hermitian + symmetric).sum(axis=1)

    def at(self, lag: Array) -> Array:
        return (np.exp(-np.multiply.outer(np.abs(lag), self.poles)) @ self.weights()).real

    def terms(self) -> Terms:
        return Terms.of(self.weights(), 0, self.poles)

    def continuous_density(self, f: Array) -> Array:
        """The square of the transfer function, which is never negative, whatever the rounding."""
        s = 1j * math.tau * f[:, None]
        half = self.gains / (s + self.poles) + self.gains.conj() / (s + self.poles.conj())
        return np.abs(0.5 * half.sum(axis=1)) ** 2

    @classmethod
    def envelope(cls, poles: ArrayLike, gains: ArrayLike, lengthscale: float) -> DrivenRotations:
        """Poles and gains of unit lengthscale, stretched to `lengthscale` (s) and scaled to variance 1."""
        check_positive(lengthscale, "lengthscale")
        unit = cls(np.asarray(poles), np.asarray(gains))
        scale = math.sqrt(lengthscale * float(unit.weights().sum().real))
        return cls(unit.poles / lengthscale, unit.gains / scale)


def one_pair(lengthscale: float) -> DrivenRotations:
    """e^(-(lag / lengthscale)²) by one pair of poles, to .0276: a damped oscillator driven by noise."""
    return DrivenRotations.envelope([1.33943087 + 1.16259494j], [1j], lengthscale)


def two_pairs(lengthscale: float) -> DrivenRotations:
    """e^(-(lag / lengthscale)²) by two pairs of poles, to .00044."""
    poles = [2.09259605 + 2.85015452j, 2.21531176 + 0.8944679j]
    return DrivenRotations.envelope(poles, [-0.7416650 + 4.2699964j, 0.7416650 - 15.7500706j], lengthscale)


def taylor(order: int, lengthscale: float) -> DrivenRotations:
    """The all-pole envelope whose inverse density is that of e^(-(lag / lengthscale)²) to omega^(2 order).

    `order` is even and > 0; it is the number of poles. ValueError where it is odd: a pole would be real.
    """
    if order < 2 or order % 2:
        raise ValueError(f"taylor: wants an even order > 0, got {order}")
    # With unit lengthscale the density is e^(-omega²/4) up to scale, and omega² = -s².
    roots = np.roots([1.0 / math.factorial(k) for k in range(order, -1, -1)])
    poles = 2.0 * np.sqrt(-roots)  # the roots s = -pole, Re(pole) > 0, of one half of the factorised density
    residues = 1.0 / np.prod(poles - poles[:, None] + np.eye(order), axis=1)
    upper = poles.imag > 0.0
    return DrivenRotations.envelope(poles[upper], residues[upper], lengthscale)


FORMS: dict[str, Callable[[float], Kernel]] = {
    "exponential": lambda lengthscale: Exponential(lengthscale / 0.909),
    "matern32": lambda lengthscale: Matern32(math.sqrt(3.0) * lengthscale / 2.135),
    "matern52": lambda lengthscale: Matern52(math.sqrt(5.0) * lengthscale / 2.922),
    "one pair": one_pair,
    "two pairs": two_pairs,
    "taylor2": lambda lengthscale: taylor(2, lengthscale),
    "taylor4": lambda lengthscale: taylor(4, lengthscale),
    "taylor6": lambda lengthscale: taylor(6, lengthscale),
    "taylor8": lambda lengthscale: taylor(8, lengthscale),
    "taylor10": lambda lengthscale: taylor(10, lengthscale),
}
