"""Sums of damped exponentials through the signals of many bands at once, by variable projection.

The amplitudes are linear and solved for; what is searched, by Levenberg and Marquardt's steps, are the logarithm of the
damping and the frequency of every mode. Golub, Pereyra, The differentiation of pseudo-inverses and nonlinear least
squares problems whose variables separate, 1973; the Jacobian without its second term: Kaufman, 1975. Bands are
independent, so all of them take each step together, as one batch of small matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.fitting.poles import bound
from rtsynth.instrument.fitting.recording import Array
from rtsynth.instrument.fitting.subband import Bands, Complex, Exponentials

FARTHEST = 8.0  # hertz that a frequency may move from its first guess
LONGEST_STEP = 1.0  # in log damping
FIRST_MU, EASIER, HARDER = (
    1e-2,
    0.2,
    6.0,
)  # Marquardt's damping of the step, and what success and failure do to it


class Fit(NamedTuple):
    """P modes in each of B bands."""

    poles: Complex  # (B, P), 1/s
    amplitude: Complex  # (B, P)
    cost: Array  # (B,): weighted squared residual


class Point(NamedTuple):
    """The problem at given poles."""

    amplitude: Complex  # (B, P)
    residual: Complex  # (B, K) weighted
    cost: Array  # (B,)
    slopes: Complex  # (B, K, P): derivative of the model by each pole, amplitudes following
    basis: Complex  # (B, K, P): orthonormal columns that span the modes

    def rows(self, rows: NDArray[np.int64]) -> Point:
        """The same for some of the bands."""
        amplitude, residual, cost, slopes, basis = self
        return Point(amplitude[rows], residual[rows], cost[rows], slopes[rows], basis[rows])


@dataclass(frozen=True, eq=False)
class Problem:
    """Signals (B, K) of bands, the weights (B, K) of their samples, and exponentials that begin alike."""

    bands: Bands
    signals: Complex
    weight: Array
    exponentials: Exponentials
    damping: tuple[float, float]  # 1/s: least and most

    def rows(self, rows: NDArray[np.int64]) -> Problem:
        """The same for some of the bands."""
        return Problem(
            self.bands.take(rows),
            self.signals[rows],
            self.weight[rows],
            self.exponentials.rows(rows),
            self.damping,
        )

    @property
    def power(self) -> Array:
        """Weighted squared signals (B,)."""
        return np.sum(np.abs(self.signals * self.weight) ** 2, axis=1)

    @property
    def peak(self) -> Array:
        """Largest magnitude (B,) of the signals where they count at all."""
        return np.max(np.abs(self.signals), axis=1, where=self.weight > 0.0, initial=0.0)

    def at(self, poles: Complex) -> Point:
        """The best amplitudes for poles (B, P), and where from there."""
        value, derivative = self.exponentials(poles)
        value *= self.weight[:, None, :]
        derivative *= self.weight[:, None, :]
        basis, triangle = np.linalg.qr(value.transpose(0, 2, 1))
        target = self.signals * self.weight
        share = _times(_adjoint(basis), target)
        residual = target - _times(basis, share)
        amplitude = _times(np.linalg.inv(_regular(triangle)), share)
        slopes = (derivative * amplitude[:, :, None]).transpose(0, 2, 1)
        slopes = slopes - basis @ (_adjoint(basis) @ slopes)
        return Point(amplitude, residual, np.sum(np.abs(residual) ** 2, axis=1), slopes, basis)


def refine(problem: Problem, poles: Complex, steps: int = 12, tolerance: float = 1e-3) -> Fit:
    """The nearest minimum to poles (B, P), P >= 1; a band rests once a step gains less than `tolerance` of its cost."""
    start = poles
    poles = poles.copy()
    point = problem.at(poles)
    amplitude, cost = point.amplitude.copy(), point.cost.copy()
    mu = np.full(cost.size, FIRST_MU)
    active = np.arange(cost.size)
    part = problem
    for _ in range(steps):
        trial = _bounded(poles[active] + _step(poles[active], point, mu[active]), start[active], part)
        tried = part.at(trial)
        better = tried.cost < cost[active]
        gain = np.where(better, (cost[active] - tried.cost) / (cost[active] + 1e-300), 0.0)
        won = active[better]
        poles[won], amplitude[won], cost[won] = trial[better], tried.amplitude[better], tried.cost[better]
        mu[active] *= np.where(better, EASIER, HARDER)
        point = _merged(point, tried, better)
        going = ((gain > tolerance) | ~better) & (mu[active] < 1e4)
        if not going.all():
            keep = np.flatnonzero(going)
            if keep.size == 0:
                break
            active, part, point = active[keep], part.rows(keep), point.rows(keep)
    return Fit(poles, amplitude, cost)


def _step(poles: Complex, point: Point, mu: Array) -> Complex:
    """The change of poles (B, P) that would minimise the linearised cost, shortened by mu (B,)."""
    B, P = poles.shape
    by = np.concatenate(
        [poles.real, np.full((B, P), 2j * np.pi)], axis=1
    )  # d pole / d (log damping, frequency)
    gram = np.tile(_adjoint(point.slopes) @ point.slopes, (1, 2, 2))
    matrix = (by.conj()[:, :, None] * by[:, None, :] * gram).real
    gradient = (by.conj() * np.tile(_times(_adjoint(point.slopes), point.residual), (1, 2))).real
    diagonal = np.arange(2 * P)
    scale = matrix[:, diagonal, diagonal]
    matrix[:, diagonal, diagonal] += mu[:, None] * scale + 1e-12 * scale.max(axis=1, keepdims=True) + 1e-300
    change = np.linalg.solve(matrix, gradient[..., None])[..., 0]
    longer = np.clip(change[:, :P], -LONGEST_STEP, LONGEST_STEP)
    return poles.real * np.expm1(longer) + 2j * np.pi * change[:, P:]


def _bounded(poles: Complex, start: Complex, problem: Problem) -> Complex:
    reach = 2.0 * np.pi * FARTHEST
    return bound(
        poles.real + 1j * np.clip(poles.imag, start.imag - reach, start.imag + reach),
        problem.bands,
        problem.damping,
    )


def _merged(old: Point, new: Point, take_new: NDArray[np.bool_]) -> Point:
    if take_new.all():
        return new
    rows = np.flatnonzero(take_new)
    for before, field in zip(old, new, strict=True):
        before[rows] = field[rows]
    return old


def best_addition(problem: Problem, basis: Complex, residual: Complex, pool: Complex) -> Complex:
    """Of each band's pool (B, C) the pole (B,) that would lower the cost most, all amplitudes following.

    basis (B, K, P) spans the modes there are, residual (B, K) is what they leave.
    """
    value = problem.exponentials(pool)[0] * problem.weight[:, None, :]
    new = np.sum(np.abs(value) ** 2, axis=2)
    if basis.shape[2]:
        new = new - np.sum(np.abs(value.conj() @ basis) ** 2, axis=2)
    floor = 1e-6 * np.sum(np.abs(value) ** 2, axis=2)  # what is all but a copy of the modes there are
    gain = np.abs(np.einsum("bck,bk->bc", value.conj(), residual)) ** 2 / np.maximum(new, floor + 1e-300)
    return np.take_along_axis(pool, np.argmax(gain, axis=1)[:, None], axis=1)[:, 0]


def _adjoint(matrix: Complex) -> Complex:
    return matrix.conj().transpose(0, 2, 1)


def _times(matrix: NDArray[Any], vector: NDArray[Any]) -> Complex:
    return (matrix @ vector[..., None])[..., 0]


def _regular(triangle: Complex) -> Complex:
    """The same (B, P, P) without zeros on the diagonal: of two equal modes one gets next to nothing."""
    diagonal = np.arange(triangle.shape[1])
    value = triangle[:, diagonal, diagonal]
    least = 1e-10 * np.abs(value).max(axis=1, keepdims=True) + 1e-300
    out = triangle.copy()
    out[:, diagonal, diagonal] = np.where(np.abs(value) < least, least, value)
    return out
