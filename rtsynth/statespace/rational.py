"""The state space of an exponential polynomial, exactly: its rational spectral density, factorised.

k(lag) = Re sum_j c_j |lag|^m_j e^(-rate_j |lag|) has the density B(s) B(-s) / (A(s) A(-s)) at s = 2 pi i f, with the
zeros of B in the left half plane: one white noise through B / A (Anderson and Moore, Optimal Filtering, 1979, chapter
9). Poles that come more than once, or near each other, cost digits, so this is done with as many as it takes (mpmath),
and given in the coordinates in which the covariance of the state is the identity: nothing is ill-conditioned there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rtsynth.kernels.algebra import Terms
from rtsynth.kernels.value import Array
from rtsynth.statespace.model import Block, LinearBlock, Rotation, StateSpace

EQUAL = 1e-12  # of its size: rates nearer than this are one
EXACT = 1e-10  # of the variance: what the covariance of the result may be off
ROUNDED = 1e-13  # of the largest coefficient of the density's numerator
NOT_REAL = 1e-9  # relative: a sine in a place where only a cosine can be


class _Pole(NamedTuple):
    """All terms of one rate, its imaginary part >= 0: Re sum_m coefficient_m |lag|^m e^(-rate |lag|)."""

    rate: complex
    coefficients: tuple[complex, ...]


def rational_state_space(terms: Terms) -> StateSpace:
    """Blocks whose covariances add up to that of the terms; ValueError where it is no covariance function."""
    poles = _merged(terms)
    lines = [_line(pole) for pole in poles if pole.rate.real == 0.0]
    damped = [pole for pole in poles if pole.rate.real > 0.0]
    alone = [(pole, _alone(pole)) for pole in damped]
    blocks: list[Block] = [block for _, block in alone if block]
    together = [pole for pole, block in alone if block is None]
    if together:
        shared = _joint(together)
        if shared is None:  # it takes all of them to be a covariance function
            blocks, shared = [], _joint(damped)
        if shared is None:
            raise ValueError("the spectral density is negative somewhere: this is no covariance function")
        blocks.append(shared)
    model = StateSpace((*lines, *blocks))
    _check(model, terms)
    return model


def _merged(terms: Terms) -> list[_Pole]:
    poles: list[tuple[complex, dict[int, complex]]] = []
    for c, m, rate in zip(*(part.tolist() for part in terms), strict=True):
        c, rate = (c, rate) if rate.imag >= 0.0 else (c.conjugate(), rate.conjugate())
        found = next((p for p in poles if abs(p[0] - rate) <= EQUAL * abs(rate)), None)
        if found is None:
            poles.append(found := (rate, {}))
        found[1][m] = found[1].get(m, 0.0) + c
    most = max((abs(c) for _, known in poles for m, c in known.items() if m == 0), default=0.0)
    kept = []
    for rate, known in poles:
        coefficients = [known.get(m, 0.0) for m in range(max(known) + 1)]
        coefficients = [
            complex(c.real, 0.0) if rate.imag == 0.0 else complex(c) for c in map(complex, coefficients)
        ]
        if any(abs(c) * abs(rate) ** -m > 1e-16 * most for m, c in enumerate(coefficients)):
            kept.append(_Pole(rate, tuple(coefficients)))
    return kept


def _line(pole: _Pole) -> Rotation:
    (weight,) = pole.coefficients if len(pole.coefficients) == 1 else (math.nan,)
    if not (weight.real >= 0.0 and abs(weight.imag) <= NOT_REAL * abs(weight)):
        raise ValueError(
            f"the line at {pole.rate.imag / math.tau:g} Hz has the weight {weight}: no covariance function"
        )
    return Rotation(0.0, pole.rate.imag / math.tau, weight.real, weight.real)


def _alone(pole: _Pole) -> Block | None:
    """A block for one pole; None where its share is no covariance function by itself."""
    c = pole.coefficients[0]
    if len(pole.coefficients) == 1 and c.real >= 0.0 and abs(c.imag) <= EQUAL * abs(c):
        return Rotation(pole.rate.real, pole.rate.imag / math.tau, c.real, c.real)
    return _joint([pole])


def _joint(poles: Sequence[_Pole]) -> LinearBlock | None:
    import mpmath

    order = sum(len(pole.coefficients) * (2 if pole.rate.imag else 1) for pole in poles)
    with mpmath.workdps(40 + 10 * order):
        size = max(abs(pole.rate) for pole in poles)
        factor = _factorised(poles, size)
        if factor is None:
            return None
        F, H = _balanced(*factor)
    identity = np.eye(len(H))
    return LinearBlock(size * F, H, identity, identity)


def _factorised(poles: Sequence[_Pole], size: float) -> tuple[list[Any], list[Any]] | None:
    """Coefficients of A (n + 1,), from s^n down, and of B (n,), with rates in units of `size`."""
    from mpmath import factorial, mp, mpc, polyroots, re, sqrt

    rates: list[tuple[Any, list[Any]]] = []  # every pole, with its coefficients
    for pole in poles:
        rate = mpc(pole.rate) / mp.mpf(size)
        share = 1 if pole.rate.imag == 0.0 else mp.mpf(1) / 2
        c = [share * mpc(value) / mp.mpf(size) ** m for m, value in enumerate(pole.coefficients)]
        rates.append((rate, c))
        if pole.rate.imag:
            rates.append((rate.conjugate(), [value.conjugate() for value in c]))
    roots = [-rate for rate, c in rates for _ in c]
    A = _monic(roots)
    numerator = [mpc(0)] * (2 * len(roots))
    for rate, c in rates:
        for m, value in enumerate(c):
            left = list(roots)
            for _ in range(m + 1):
                left.remove(-rate)
            # c m! / (s + rate)^(m + 1), over A(s) A(-s); its mirror image is the other half.
            half = _times(_monic(left), [a * (-1) ** (len(A) - 1 - i) for i, a in enumerate(A)])
            for i, a in enumerate(reversed(half)):
                numerator[i] += value * factorial(m) * a * (1 + (-1) ** i)
    even = [re(a) for a in numerator[0::2]][::-1]
    largest = max(abs(a) for a in even)
    while even and abs(even[0]) <= ROUNDED * largest:  # far zeros that rounding of the terms made
        even.pop(0)
    if not even or even[0] * (-1) ** (len(even) - 1) < 0:
        return None
    zeros = []
    for u in polyroots(even, maxsteps=500, extraprec=2 * mp.prec, error=False) if len(even) > 1 else []:
        z = sqrt(u)
        zeros.append(z if re(z) >= 0 else -z)
    if _crosses(zeros):
        return None
    B = [sqrt(abs(even[0])) * re(b) for b in _monic([-z for z in zeros])]
    return [re(a) for a in A], [mp.mpf(0)] * (len(roots) - len(B)) + B


def _crosses(zeros: Sequence[Any]) -> bool:
    """Whether the density changes its sign at some frequency: a zero on the imaginary axis, an odd number of times."""
    on_axis = sorted(
        float(abs(z.imag)) for z in map(complex, zeros) if abs(z.real) <= 1e-9 * abs(z) and z != 0
    )
    return len(on_axis) % 2 == 1 or any(
        abs(a - b) > 1e-7 * b for a, b in zip(on_axis[0::2], on_axis[1::2], strict=True)
    )


def _balanced(A: list[Any], B: list[Any]) -> tuple[Array, Array]:
    """F (n, n) and H (n,) of B / A driven by unit white noise, in coordinates of covariance I."""
    from mpmath import cholesky, lu_solve, matrix, mp

    n = len(A) - 1
    a = A[:0:-1]  # a_0 ... a_(n - 1)

    # Covariances of the derivatives of the noise through 1 / A: (-1)^((i - j) / 2) sigma_((i + j) / 2), i + j even.
    def sign(i: int, j: int) -> int:
        return 0 if (i + j) % 2 else (-1) ** ((i - j) // 2)

    system, right = matrix(n, n), matrix(n, 1)
    for j in range(n):
        for i in range(n):
            if sign(i, j):
                system[j, (i + j) // 2] -= a[i] * sign(i, j)
        if j + 1 < n and sign(n - 1, j + 1):
            system[j, (n + j) // 2] += sign(n - 1, j + 1)
    right[n - 1] = -mp.mpf(1) / 2
    sigma = lu_solve(system, right)
    P = matrix(n, n)
    for i in range(n):
        for j in range(n):
            if sign(i, j):
                P[i, j] = sign(i, j) * sigma[(i + j) // 2]
    L = cholesky(P)
    F = matrix(n, n)
    for i in range(n):
        F[n - 1, i] = -a[i]
        if i + 1 < n:
            F[i, i + 1] = 1
    turned, output = L**-1 * F * L, matrix([B[::-1]]) * L
    return np.array(turned.tolist(), dtype=np.float64), np.array(output.tolist(), dtype=np.float64)[0]


def _monic(roots: Sequence[Any]) -> list[Any]:
    from mpmath import mpc

    polynomial = [mpc(1)]
    for root in roots:
        polynomial = _times(polynomial, [mpc(1), -root])
    return polynomial


def _times(first: list[Any], second: list[Any]) -> list[Any]:
    product = [0] * (len(first) + len(second) - 1)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            product[i + j] += a * b
    return product


def _check(model: StateSpace, terms: Terms) -> None:
    """ValueError unless the covariance of the model is that of the terms, within EXACT."""
    from scipy.linalg import expm

    slowest = min((rate for rate in np.abs(terms.rate) if rate > 0.0), default=1.0)
    lags = np.array([0.0, 0.01, 0.1, 0.5, 1.0, 3.0]) / slowest
    stated = [
        float((terms.coefficient * lag**terms.power * np.exp(-terms.rate * lag)).real.sum()) for lag in lags
    ]
    for lag, k in zip(lags, stated, strict=True):
        reached = sum(float(b.H @ expm(b.F * lag) @ b.P0 @ b.H) for b in model.blocks)
        if not abs(reached - k) <= EXACT * stated[0]:
            raise ValueError(
                f"its state space has the covariance {reached:.12g} at lag {lag:.3g} s, not {k:.12g}"
            )
