"""The spectral factor of a covariance in the coordinates of its poles: Newton's method on the law itself.

x' = λ x + gain e, y = sum_k weight_k Re x_k + e, e ~ N(0, S), is to have the covariance

    k(lag) = Re sum_k weight_k wanted_k λ_k^lag, which it has where E x_(n+1) y_n = λ wanted and E y² = k(0).

These equations are quadratic in gain sqrt(S) and sqrt(S), and Newton's method for them is that of Wilson
(Factorization of the covariance generating function of a pure moving average process, 1969) in other coordinates:
from no gain at all it converges, to the one factor that can be inverted. What is left of the equations is the
error of the covariance. So the law is right to rounding also where S is 1e-10 of the variance, as for smooth
envelopes sampled fast, and where lines cluster; there the Riccati equation, which holds S as a difference of
covariances, gives the gain to a few digits or not at all.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.kernels.value import Array

Complex = NDArray[np.complex128]

MAX_STEPS = 60  # steps first halve what is wrong with a slow zero, then square it; 20 to 45 are taken
TOLERANCE = 1e-9  # largest error of the covariance at any lag, of that at lag 0


class Factor(NamedTuple):
    """What drives the poles, and the variance of the one noise that does."""

    gain: Complex  # (K,)
    noise_variance: float  # S


class _Equations(NamedTuple):
    """K + 1 equations, of which the last is real; the unknowns are β = gain sqrt(S) (K,) and s = sqrt(S)."""

    poles: Complex  # λ (K,)
    weight: Array  # (K,)
    target: Complex  # (K + 1,): λ wanted, and k(0)
    straight: Complex  # (K, K): with it and the next one, h = straight β + conjugate conj(β)
    conjugate: Complex  # (K, K)

    def residual(self, beta: Complex, s: float) -> Complex:
        """What is missing from E x_(n+1) y_n = β (λ h + s), and from E y² = sum weight Re(β h) + s²."""
        h = self.straight @ beta + self.conjugate @ beta.conj()
        reached = beta * (self.poles * h + s)
        return self.target - np.append(reached, self.weight @ (beta * h).real + s * s)

    def error(self, residual: Complex) -> float:
        """No lag of the covariance is further off: at lag n + 1 it is Re sum weight residual λ^n."""
        return float(np.abs(self.weight) @ np.abs(residual[:-1]) + abs(residual[-1]))

    def step(self, beta: Complex, s: float, residual: Complex) -> tuple[Complex, float]:
        """The change of (β, s) that would make the residual zero, were the equations linear."""
        K, turned = self.poles.size, (beta * self.poles)[:, None]
        h = self.straight @ beta + self.conjugate @ beta.conj()
        of_change, of_conjugate = np.zeros((2, K + 1, K + 1), dtype=np.complex128)
        of_change[:K, :K] = np.diag(self.poles * h + s) + turned * self.straight
        of_conjugate[:K, :K] = turned * self.conjugate
        of_change[:K, K] = beta
        weighted = self.weight * beta
        of_change[K, :K] = self.weight * h + weighted @ self.straight + (weighted @ self.conjugate).conj()
        of_change[K, K] = 2.0 * s
        change = _solve_real_last(of_change, of_conjugate, residual)
        return change[:K], float(change[K].real)


def spectral_factor(poles: Complex, weight: Array, wanted: Complex, k0: float) -> Factor:
    """The factor of k(lag) = Re sum_k weight_k wanted_k λ_k^lag where lag > 0, k(0) = k0 > 0.

    All arrays are (K,), |λ| < 1. ValueError where no gain within double precision comes nearer to the covariance
    than TOLERANCE: it is none, or it is too smooth.
    """
    equations = _Equations(
        poles,
        weight,
        np.append(poles * wanted, k0),
        0.5 * weight / (1.0 - np.outer(poles, poles)),
        0.5 * weight / (1.0 - np.outer(poles, poles.conj())),
    )
    beta, s = np.zeros(poles.size, dtype=np.complex128), math.sqrt(k0)
    best, least = (beta, s), math.inf
    for _ in range(MAX_STEPS):
        residual = equations.residual(beta, s)
        error = equations.error(residual)
        if error < least:
            best, least = (beta, s), error
        elif least <= TOLERANCE * k0 or not math.isfinite(error):
            break
        change, change_s = equations.step(beta, s, residual)
        beta, s = beta + change, s + change_s
    beta, s = best
    if not (least <= TOLERANCE * k0 and s > 0.0):
        raise ValueError(
            f"innovations: the nearest gain misses the covariance by {least / k0:.1e} of its variance;"
            " where it is too smooth for this sample rate, add rows or noise, or sample it slower"
        )
    return Factor(np.where(wanted == 0.0, 0.0, beta / s), s * s)


def _solve_real_last(of_change: Complex, of_conjugate: Complex, right: Complex) -> Complex:
    """d (K + 1,) of of_change d + of_conjugate conj(d) = right, the last unknown and equation being real."""
    plus, minus = of_change + of_conjugate, of_change - of_conjugate
    matrix = np.block([[plus.real, -minus.imag], [plus.imag, minus.real]])[:-1, :-1]
    d = np.linalg.solve(matrix, np.concatenate([right.real, right.imag])[:-1])
    return d[: right.size] + 1j * np.append(d[right.size :], 0.0)
