"""`state_space`: the recursion that has exactly the law of a kernel; one function a kernel.

It is a function of its own, not a method, so that kernels know nothing of state space.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from rtsynth.kernels.algebra import Kernel, Product, Scale, Sum
from rtsynth.kernels.approximation import Approximation, ExponentialSum
from rtsynth.kernels.envelope import DrivenRotations, GaussianCosine
from rtsynth.kernels.nonstationary import FaithfulMixture, Gain, GainedRows, Mixture, evaluate
from rtsynth.kernels.periodic import HarmonicSeries, Periodic
from rtsynth.kernels.spectral_mixture import DampedCosines
from rtsynth.kernels.stationary import Cosine, Exponential, Matern, Matern32, Matern52
from rtsynth.kernels.symbolic import Symbolic
from rtsynth.kernels.value import Array, Curve, Value
from rtsynth.statespace.model import LinearBlock, Rotation, StateSpace
from rtsynth.statespace.rational import rational_state_space


@singledispatch
def state_space(kernel: Kernel) -> StateSpace:
    """The state-space model of a kernel; ValueError, with the cause, where it has none."""
    raise ValueError(f"{kernel} has no state space; it can be drawn densely, by statespace.draw")


@state_space.register
def _(kernel: Sum) -> StateSpace:
    return state_space(kernel.first) + state_space(kernel.second)


@state_space.register
def _(kernel: Scale) -> StateSpace:
    return state_space(kernel.kernel).scaled(kernel.factor)


@state_space.register
def _(kernel: Product) -> StateSpace:
    first, second = state_space(kernel.first), state_space(kernel.second)
    try:
        return first * second
    except ValueError as cause:
        raise ValueError(
            f"no state space for the product of {kernel.first} and {kernel.second}: {cause}"
        ) from cause


@state_space.register
def _(kernel: Exponential) -> StateSpace:
    """A rotation that stands still: a row as any other, of which the imaginary part is never seen."""
    variance = kernel.amplitude**2
    return StateSpace((Rotation(kernel.rate, 0.0, variance, variance),))


@state_space.register
def _(kernel: Matern32) -> StateSpace:
    return _matern(kernel, [[1.0, 0.0], [0.0, 1.0]])


@state_space.register
def _(kernel: Matern52) -> StateSpace:
    return _matern(kernel, [[1.0, 0.0, -1 / 3], [0.0, 1 / 3, 0.0], [-1 / 3, 0.0, 1.0]])


def _matern(kernel: Matern, moments: list[list[float]]) -> StateSpace:
    """The path and its derivatives, of covariance `moments` (n, n) for unit amplitude, n = nu + 1/2.

    Derivatives are by rate * time, so that all states are of the order of the path: the companion form of
    (s + 1)^n, rate times as fast.
    """
    n = len(moments)
    F = np.diag(np.ones(n - 1), 1)
    F[-1] = [-math.comb(n, i) for i in range(n)]
    Pinf = kernel.amplitude**2 * np.array(moments)
    return StateSpace((LinearBlock(kernel.rate * F, np.eye(n)[0], Pinf, Pinf),))


@state_space.register
def _(kernel: Cosine) -> StateSpace:
    return _lines([kernel.frequency], [kernel.amplitude**2])


@state_space.register
def _(kernel: HarmonicSeries) -> StateSpace:
    return _lines(kernel.frequencies, kernel.weights)


@state_space.register
def _(kernel: Periodic) -> StateSpace:
    """All harmonics of the closed form above rounding; `kernel.series(count)` makes a shorter one."""
    weights = kernel.harmonics(kernel.enough)
    if (weights < 0.0).any():
        k = int(np.argmin(weights))
        raise ValueError(f"{kernel} is no covariance function: a_{k} = {weights[k]:.4g}; see clip_weights")
    return _lines(kernel.frequency * np.arange(weights.size), weights)


@state_space.register
def _(kernel: DampedCosines) -> StateSpace:
    fields = kernel.damping, kernel.frequency, kernel.start_variance, kernel.settled_variance
    return StateSpace(tuple(Rotation(*row) for row in zip(*(f.tolist() for f in fields), strict=True)))


@state_space.register
def _(kernel: DrivenRotations) -> StateSpace:
    """One block (Re x, Im x): its rotations are apart, but their noise is one, so their covariances are not."""
    real, imag = np.diag(kernel.poles.real), np.diag(kernel.poles.imag)
    hermitian, symmetric = kernel.moments()
    cross = (symmetric - hermitian).imag
    Pinf = np.block([[(hermitian + symmetric).real, cross], [cross.T, (hermitian - symmetric).real]]) / 2.0
    H = np.repeat([1.0, 0.0], kernel.poles.size)
    return StateSpace((LinearBlock(np.block([[-real, imag], [-imag, -real]]), H, Pinf, Pinf),))


@state_space.register
def _(kernel: GaussianCosine) -> StateSpace:
    raise ValueError(f"{kernel} has no state space; its approximated() has")


@state_space.register
def _(kernel: ExponentialSum) -> StateSpace:
    try:
        return rational_state_space(kernel.terms())
    except ValueError as cause:
        raise ValueError(f"no state space for {kernel}: {cause}") from cause


@state_space.register
def _(kernel: Approximation) -> StateSpace:
    return state_space(kernel.kernel)


@state_space.register
def _(kernel: Symbolic, tolerance: float = 1e-3) -> StateSpace:
    """Exact where it is a sum of damped cosines; else of its approximated(tolerance), which states its error."""
    return state_space(kernel.approximated(tolerance))


@state_space.register
def _(kernel: Gain) -> StateSpace:
    return state_space(kernel.kernel).gained(kernel.gain)


@state_space.register
def _(kernel: GainedRows) -> StateSpace:
    rows = state_space(kernel.rows).blocks
    gained = (StateSpace((row,)).gained(RowGain(kernel.gains, k, len(rows))) for k, row in enumerate(rows))
    return StateSpace(tuple(block for model in gained for block in model.blocks))


@state_space.register
def _(kernel: Mixture) -> StateSpace:
    return state_space(kernel.gained_rows())


@state_space.register
def _(kernel: FaithfulMixture) -> StateSpace:
    raise ValueError("a FaithfulMixture is no covariance function, so it has no state space; a Mixture has")


@dataclass(frozen=True, eq=False)
class RowGain(Value):
    """Column `row` of a gain curve of (N,) s -> (N, rows)."""

    gains: Curve
    row: int
    rows: int

    def __call__(self, t: Array) -> Array:
        return evaluate(self.gains, t, self.rows)[:, self.row]


def _lines(frequencies: Iterable[float], weights: Iterable[float]) -> StateSpace:
    """One undamped rotation a line that has any weight."""
    lines = [(float(f), float(a)) for f, a in zip(frequencies, weights, strict=True) if a > 0.0]
    return StateSpace(tuple(Rotation(0.0, f, a, a) for f, a in lines))
