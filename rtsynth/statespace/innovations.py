"""The steady-state innovations form of a sum of stationary rotations: one noise drives all of them.

A sum of K independent rotations, y = sum_k w_k Re x_k, x' = λ x + noise of its own, has the same law as

    y = sum_k w_k Re x_k + e,    x' = λ x + gain e,    e ~ N(0, S) independent over time,

the innovations representation (Anderson and Moore, Optimal Filtering, 1979, chapter 9; Sayed and Kailath, A
survey of spectral factorization methods, 2001). Run forwards it draws, with one Gaussian a sample; run on a
given y it listens, and gives e back. The gain comes from the discrete algebraic Riccati equation without
measurement noise, solved by structure-preserving doubling (Chu, Fan, Lin and Wang, 2004) in double precision;
no regularising noise is added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.kernels.value import Array, Value, non_negative
from rtsynth.statespace.factor import lower_factor

Complex = NDArray[np.complex128]

MAX_DOUBLINGS = 60  # reaches a memory of 2^60 samples


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
    innovations: its past tells its future), where there is no power, or where the Riccati equation has no
    solution within double precision.
    """
    lam = np.array(poles, dtype=np.complex128, ndmin=1)
    v = non_negative(np.atleast_1d(np.asarray(variance, dtype=np.float64)), "variance of rotations")
    w = np.ones(lam.size) if weight is None else np.array(weight, dtype=np.float64, ndmin=1)
    _check(lam, v, w)
    q = v * (1.0 - np.abs(lam)) * (1.0 + np.abs(lam))  # 1 - |λ| is exact, 1 - |λ|² would not be
    A, Q, H = _real_form(lam, q, w)
    P = _newton_step(A, Q, H, Q + _doubling(A, Q, H))
    S = float(H @ P @ H)
    real_gain = A @ (P @ H) / S
    gain = real_gain[: lam.size] + 1j * real_gain[lam.size :]
    factor = lower_factor(state_covariance(lam, gain, S))
    return Innovations(lam, w, gain, S, factor)


def _check(lam: Complex, variance: Array, weight: Array) -> None:
    if not lam.size == variance.size == weight.size or lam.ndim != 1:
        raise ValueError(f"innovations: {lam.size} poles, {variance.size} variances, {weight.size} weights")
    if not (np.abs(lam) < 1.0).all():
        k = int(np.argmax(~(np.abs(lam) < 1.0)))
        raise ValueError(f"innovations: pole {k} has |λ| = {abs(lam[k]):.17g}; every rotation must be damped")
    if not np.isfinite(weight).all() or not (variance * weight**2).any():
        raise ValueError("innovations: wants finite weights and some power; draw silence without it")


def _real_form(lam: Complex, q: Array, weight: Array) -> tuple[Array, Array, Array]:
    """A (2K, 2K), Q (2K, 2K), H (2K,) with the state ordered (Re x_1 .. Re x_K, Im x_1 .. Im x_K)."""
    real, imag = np.diag(lam.real), np.diag(lam.imag)
    A = np.block([[real, -imag], [imag, real]])
    return A, np.diag(np.tile(q, 2)), np.concatenate([weight, np.zeros(lam.size)])


def _doubling(A: Array, Q: Array, H: Array) -> Array:
    """X (J, J) such that P = Q + X is the covariance of the state predicted from all past y = H x.

    In X the Riccati equation of measurement noise 0 becomes one with noise R = H Q H' > 0, which can be
    doubled: X = F X (I + G X)^-1 F' + N with F = A - A Q H' H / R, G = H' H / R and N = A (Q - Q H' H Q / R)
    A'. Step i of the iteration is step 2^i of the Riccati recursion.
    """
    QH = Q @ H
    R = float(H @ QH)
    F = (A - np.outer(A @ QH, H) / R).T
    G = np.outer(H, H) / R
    X = A @ (Q - np.outer(QH, QH) / R) @ A.T
    identity = np.eye(H.size)
    for _ in range(MAX_DOUBLINGS):
        solved = np.linalg.solve(identity + G @ X, np.hstack([F, G]))
        step, spread = solved[:, : H.size], solved[:, H.size :]
        change = F.T @ X @ step
        X = X + change
        X = 0.5 * (X + X.T)
        if np.abs(change).max() <= 1e-16 * np.abs(X).max():
            return X
        G = G + F @ spread @ F.T
        G = 0.5 * (G + G.T)
        F = F @ step
    raise ValueError("innovations: the Riccati equation did not converge; are there rotations with |λ| = 1?")


def _newton_step(A: Array, Q: Array, H: Array, P: Array) -> Array:
    """One step of Kleinman's iteration from P (J, J): the prediction covariance under the gain of P.

    It squares what relative error the doubling leaves, which for clusters of lines a fraction of a hertz
    apart is 1e-9 of the covariance and here becomes 1e-12. The Lyapunov equation is a sum of covariances, so
    nothing cancels.
    """
    closed = A - np.outer(A @ (P @ H), H) / float(H @ P @ H)
    total = Q
    for _ in range(MAX_DOUBLINGS):
        change = closed @ total @ closed.T
        total = total + change
        if np.abs(change).max() <= 1e-17 * np.abs(total).max():
            return 0.5 * (total + total.T)
        closed = closed @ closed
    raise ValueError("innovations: the gain does not forget the past within double precision")


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
