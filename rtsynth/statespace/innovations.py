"""The steady-state innovations form of a sum of stationary rotations: one noise drives all of them.

A sum of K independent rotations, y = sum_k w_k Re x_k, x' = λ x + noise of its own, has the same law as

    y = sum_k w_k Re x_k + e,    x' = λ x + gain e,    e ~ N(0, S) independent over time,

the innovations representation (Anderson and Moore, Optimal Filtering, 1979, chapter 9; Sayed and Kailath, A
survey of spectral factorization methods, 2001). Run forwards it draws, with one Gaussian a sample; run on a
given y it listens, and gives e back. The gain is that of the discrete Riccati equation without measurement
noise, found in double precision as the spectral factor of the covariance (`spectral_factor`); no regularising
noise is added. What is no sum of independent rotations, such as several of them on one noise, goes through
`innovations_of`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rtsynth.kernels.value import Array, Value, non_negative
from rtsynth.statespace.factor import lower_factor
from rtsynth.statespace.spectral_factor import Complex, spectral_factor


@dataclass(frozen=True, eq=False)
class Innovations(Value):
    """K rotations and their one noise; x_k is complex, in the coordinates of the independent rotation k."""

    poles: Complex  # λ (K,), |λ| < 1
    weight: Array  # w (K,): output weights
    gain: Complex  # (K,): what one unit of e adds to x' = λ x
    noise_variance: float  # S
    # L (2K, 2K), lower: with (Re x, Im x) ~ N(0, L L') at sample 0, y is stationary from there.
    start_factor: Array

    @property
    def rows(self) -> int:
        return self.poles.size

    def start(self, normals: ArrayLike) -> Complex:
        """The state x (K,) of sample 0 from standard normal variates (2K,)."""
        x = self.start_factor @ np.asarray(normals, dtype=np.float64)
        return x[: self.rows] + 1j * x[self.rows :]


def innovations(poles: ArrayLike, variance: ArrayLike, weight: ArrayLike | None = None) -> Innovations:
    """The innovations form of K rotations: poles complex, stationary variance of Re x, output weight (or 1).

    All are (K,). ValueError where a pole is not inside the unit circle (an undamped rotation has no
    innovations: its past tells its future), where there is no power, or where no gain has the covariance to
    1e-9 within double precision.
    """
    lam = np.array(poles, dtype=np.complex128, ndmin=1)
    v = non_negative(np.atleast_1d(np.asarray(variance, dtype=np.float64)), "variance of rotations")
    w = np.ones(lam.size) if weight is None else np.array(weight, dtype=np.float64, ndmin=1)
    _check(lam, v, w)
    return settled_form(lam, w, v * w)


def settled_form(poles: Complex, weight: Array, with_output: Complex | Array) -> Innovations:
    """The form that starts settled, of the covariance Re sum_k weight_k with_output_k λ_k^lag; all (K,).

    with_output is E x_k y of the process to be drawn. ValueError as of `spectral_factor`.
    """
    k0 = float(weight @ np.real(with_output))
    gain, S = spectral_factor(poles, weight, np.asarray(with_output, dtype=np.complex128), k0)
    return Innovations(poles, weight, gain, S, lower_factor(state_covariance(poles, gain, S)))


def _check(lam: Complex, variance: Array, weight: Array) -> None:
    if not lam.size == variance.size == weight.size or lam.ndim != 1:
        raise ValueError(f"innovations: {lam.size} poles, {variance.size} variances, {weight.size} weights")
    if not (np.abs(lam) < 1.0).all():
        k = int(np.argmax(~(np.abs(lam) < 1.0)))
        raise ValueError(f"innovations: pole {k} has |λ| = {abs(lam[k]):.17g}; every rotation must be damped")
    if not np.isfinite(weight).all() or not (variance * weight**2).any():
        raise ValueError("innovations: wants finite weights and some power; draw silence without it")


def state_moments(poles: Complex, gain: Complex, noise_variance: float) -> tuple[Complex, Complex]:
    """E x x^H and E x x^T, each (K, K), of x' = λ x + gain e in its stationary state: geometric sums."""
    lam, b = np.asarray(poles), np.asarray(gain)
    hermitian = noise_variance * np.outer(b, b.conj()) / (1.0 - np.outer(lam, lam.conj()))
    symmetric = noise_variance * np.outer(b, b) / (1.0 - np.outer(lam, lam))
    return hermitian, symmetric


def state_covariance(poles: Complex, gain: Complex, noise_variance: float) -> Array:
    """Covariance (2K, 2K) of (Re x, Im x) in the stationary state, from the gain and nothing else.

    The stationary covariance of the rotations less P is the same matrix on paper, but it is right for any P
    and so hides a wrong gain.
    """
    C, D = state_moments(poles, gain, noise_variance)
    cross = (D - C).imag
    return 0.5 * np.block([[(C + D).real, cross], [cross.T, (C - D).real]])


def covariance_from_gain(form: Innovations, lags: ArrayLike) -> Array:
    """Autocovariance of y at lags (N,) in whole samples -> (N,), recomputed from poles, gain and noise alone.

    The closed form of the law that the recursion really draws from: what a gain is to be tested by.
    """
    lam, b, S, w = form.poles, form.gain, form.noise_variance, form.weight
    C, D = state_moments(lam, b, S)
    with_output = 0.5 * (C + D) @ w  # E x Re(w x), (K,)
    lag = np.abs(np.asarray(lags, dtype=np.int64))
    later = (lam ** (lag[:, None] - 1)) @ (w * (lam * with_output + b * S))
    now = float(w @ with_output.real) + S
    return np.where(lag == 0, now, later.real)


def spectral_density(form: Innovations, cycles: ArrayLike) -> Array:
    """Two-sided density of y at (F,) cycles a sample -> (F,), per cycle a sample: S |transfer from e|²."""
    z = np.exp(2j * np.pi * np.asarray(cycles, dtype=np.float64))[:, None]
    half = 0.5 * form.weight
    rotating = half * form.gain / (z - form.poles) + half * form.gain.conj() / (z - form.poles.conj())
    return form.noise_variance * np.abs(1.0 + rotating.sum(axis=1)) ** 2


def synthesise(form: Innovations, e: ArrayLike, start: ArrayLike | None = None) -> Array:
    """y (N,) from innovations e (N,) ~ N(0, S) and the state x (K,) of sample 0 (zero where not given)."""
    x, noise = _start(form, start), np.asarray(e, dtype=np.float64)
    y = np.empty(noise.size)
    for n in range(noise.size):
        y[n] = form.weight @ x.real + noise[n]
        x = form.poles * x + form.gain * noise[n]
    return y


def listen(form: Innovations, y: ArrayLike, start: ArrayLike | None = None) -> tuple[Array, Complex]:
    """Innovations e (N,) of a heard y (N,), and the state x (K,) after it, from which y can be continued.

    With the true state of sample 0 this undoes `synthesise`; from zero it forgets its ignorance at the rate
    of the zeros of the form.
    """
    x, heard = _start(form, start), np.asarray(y, dtype=np.float64)
    e = np.empty(heard.size)
    for n in range(heard.size):
        e[n] = heard[n] - form.weight @ x.real
        x = form.poles * x + form.gain * e[n]
    return e, x


def _start(form: Innovations, start: ArrayLike | None) -> Complex:
    if start is None:
        return np.zeros(form.rows, dtype=np.complex128)
    return np.array(start, dtype=np.complex128)
