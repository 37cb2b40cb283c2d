"""Stationary kernels as sums of damped cosines: exactly where they are that, else fitted, with the error stated.

A fit is a process of a few rotations driven by one white noise (`DrivenRotations`), so that it is a covariance
function whatever its error: poles by ESPRIT on samples of the covariance (Roy and Kailath, 1989), gains from the
spectral factor of what they give, both then polished by least squares and towards the least maximum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.kernels.algebra import Kernel, Lines, Stationary, Terms
from rtsynth.kernels.envelope import DrivenRotations, one_pair, taylor, two_pairs
from rtsynth.kernels.spectral_mixture import DampedCosines
from rtsynth.kernels.value import Array, check_positive

Complex = NDArray[np.complex128]
Covariance = Callable[[Array], Array]
UNHEARD = 1e-2  # of the tolerance: a line of less weight is left out
MOST_POLES = 14  # of a fit; two states each and carrier, but for real ones
BEYOND = 1.3  # times the lag by which a covariance has decayed: how far it is fitted
HOPELESS = 30.0  # times the tolerance: a start that is further off, and not the nearest yet, is not polished
SAMPLES = 300  # of the covariance that is fitted
FURTHEST = 200.0  # times its scale: a covariance that has not decayed by then is not fitted
GAUSSIANS = ((one_pair, 0.0277), (two_pairs, 0.00045), (lambda lengthscale: taylor(10, lengthscale), 0.00021))


@dataclass(frozen=True, eq=False)
class ExponentialSum(Stationary):
    """k(lag) = Re sum_j coefficient_j |lag|^power_j e^(-rate_j |lag|): `Terms` as a kernel; all (J,).

    Whether it is a covariance function is not looked at here; its state space refuses it where it is none.
    """

    coefficient: Complex
    power: NDArray[np.int64]
    rate: Complex  # 1/s, real part >= 0

    def __post_init__(self) -> None:
        for name, values in zip(("coefficient", "power", "rate"), Terms.of(*self._fields()), strict=True):
            array = values.copy()
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if not (self.rate.real >= 0.0).all() or (self.power < 0).any():
            raise ValueError("exponential sum: wants real parts of rates >= 0 and powers >= 0")

    def _fields(self) -> tuple[Complex, NDArray[np.int64], Complex]:
        return self.coefficient, self.power, self.rate

    def at(self, lag: Array) -> Array:
        x = np.abs(np.asarray(lag, dtype=np.float64))
        k = np.zeros_like(x)
        for c, m, rate in zip(*self._fields(), strict=True):
            k += (c * x**m * np.exp(-rate * x)).real
        return k

    def terms(self) -> Terms:
        return Terms(*self._fields())


@dataclass(frozen=True, eq=False)
class Approximation(Stationary):
    """A kernel that has a state space, in place of another: no covariance is further off than error k(0)."""

    kernel: Kernel
    error: float  # max |dk| / k(0); 0 where it is exact

    def at(self, lag: Array) -> Array:
        x = np.asarray(lag, dtype=np.float64)
        return self.kernel.covariance(x.ravel(), np.zeros(1))[:, 0].reshape(x.shape)

    def terms(self) -> Terms:
        return self.kernel.terms()


class Carried(NamedTuple):
    """An envelope, 1 at lag 0, times lines: one summand of a covariance."""

    envelope: Covariance
    lines: Lines
    gaussian: float  # lengthscale l of an envelope e^(-(lag / l)²), else 0


def approximate(
    covariance: Covariance,
    summands: list[Carried] | None,
    exact: Terms | None,
    scale: float,
    tolerance: float,
    name: str,
) -> Approximation:
    """A kernel of rotations within tolerance k(0) of a covariance that has mostly decayed at the lag `scale`.

    summands and exact: what it is a sum of, where that is known. ValueError, with what was reached, where the tolerance
    is out of reach.
    """
    check_positive(tolerance, "tolerance")
    variance = float(covariance(np.zeros(1))[0])
    if summands is None:
        summands = [
            Carried(lambda lag: covariance(lag) / variance, Lines(np.zeros(1), np.array([variance])), 0.0)
        ]
        exact = None
    kernels: list[Kernel] = [] if exact is None else [ExponentialSum(*exact)]
    try:
        kernels += [_carried(summand, scale, tolerance) for summand in summands]
    except ValueError as cause:
        raise ValueError(f"{name}: {cause}") from cause
    found = Approximation(sum(kernels[1:], start=kernels[0]), 0.0)
    lags = _test_lags(scale)
    error = float(np.abs(found.at(lags) - covariance(lags)).max()) / variance
    if error > tolerance:
        raise ValueError(
            f"{name}: the nearest sum of damped cosines has an error of {error:.2g} of its variance"
        )
    return Approximation(found.kernel, error)


def _carried(summand: Carried, scale: float, tolerance: float) -> Kernel:
    frequency, weight = summand.lines
    kept = weight > UNHEARD * tolerance * weight.sum()
    frequency, weight = frequency[kept], weight[kept] * (weight.sum() / weight[kept].sum())
    if summand.gaussian:
        for form, error in GAUSSIANS:
            if error <= tolerance:
                return form(summand.gaussian) * DampedCosines.settled(
                    frequency, np.zeros(weight.size), weight
                )
    fitted = fit_rotations(summand.envelope, scale, tolerance)
    if weight.size == 1 and frequency[0] == 0.0:
        return float(weight[0]) * fitted
    return fitted * DampedCosines.settled(frequency, np.zeros(weight.size), weight)


def fit_rotations(envelope: Covariance, scale: float, tolerance: float) -> DrivenRotations:
    """The process of fewest rotations whose covariance is within `tolerance` of an envelope, 1 at lag 0.

    ValueError, with the least error found, where MOST_POLES do not do.
    """
    lags = np.linspace(0.0, BEYOND * _reach(envelope, scale, tolerance), SAMPLES)
    wanted, test = envelope(lags), _test_lags(max(scale, lags[-1] / 8.0))
    least, nearest, of_test = np.inf, np.inf, envelope(test)
    for start in _starts(wanted, lags[1]):
        off = float(np.abs(start.at(lags) - wanted).max())
        if off > max(HOPELESS * tolerance, nearest):
            continue
        nearest = min(nearest, off)
        fitted = _polished(start, lags, wanted)
        error = float(np.abs(fitted.at(test) - of_test).max())
        least = min(least, error)
        if error <= tolerance:
            return fitted
    raise ValueError(
        f"the nearest sum of damped cosines found has an error of {least:.3g} of its variance, not {tolerance:.3g}"
    )


def _reach(envelope: Covariance, scale: float, tolerance: float) -> float:
    lags = scale * np.geomspace(1e-3, FURTHEST, 2000)
    alive = np.flatnonzero(~(np.abs(envelope(lags)) < 0.3 * tolerance))
    return float(lags[min(alive[-1] + 1, lags.size - 1)]) if alive.size else float(lags[0])


def _test_lags(scale: float) -> Array:
    return np.concatenate(
        [[0.0], scale * np.geomspace(1e-6, 1e-2, 200), scale * np.linspace(0.01, 40.0, 16000)]
    )


def _starts(k: Array, step: float) -> Iterator[DrivenRotations]:
    """Processes of 1, 2, … poles near covariances k (N,) at lags 0, step, 2 step, …"""
    rows = k.size // 2
    hankel = np.lib.stride_tricks.sliding_window_view(k, rows)
    vectors = np.linalg.svd(hankel, full_matrices=False)[0]
    for count in range(1, MOST_POLES + 1):
        U = vectors[:, :count]
        lam = np.linalg.eigvals(np.linalg.lstsq(U[:-1], U[1:], rcond=None)[0]).astype(np.complex128)
        poles = -np.log(np.where(lam == 0.0, 1e-300, lam)) / step
        poles = np.abs(poles.real) + 1j * poles.imag
        kept = poles[(poles.imag >= -1e-9 * np.abs(poles)) & (poles.real > 0.0) & (np.abs(lam) > 1e-12)]
        kept = np.where(np.abs(kept.imag) < 1e-9 * np.abs(kept), kept.real + 0j, kept)
        if kept.size and (count == 1 or kept.size):
            yield _factored(kept, _weights(kept, k, step))


def _weights(poles: Complex, k: Array, step: float) -> Complex:
    """c (K,) of the least squares fit Re sum_k c_k e^(-pole_k lag)."""
    powers = np.exp(-np.multiply.outer(step * np.arange(k.size), poles))
    c = np.linalg.lstsq(np.hstack([powers.real, -powers.imag]), k, rcond=None)[0]
    return c[: poles.size] + 1j * c[poles.size :]


def _factored(poles: Complex, weights: Complex) -> DrivenRotations:
    """The process of these poles whose density is near that of Re sum weight_k e^(-pole_k lag), negative or not."""
    size = float(np.abs(poles).max())
    p, real = poles / size, poles.imag == 0.0
    both = np.concatenate([p, p[~real].conj()])
    c = np.concatenate([np.where(real, weights.real, 0.5 * weights), 0.5 * weights[~real].conj()])
    # Density sum_j 2 c_j p_j / (p_j² - s²) over all of them: its numerator in u = s².
    numerator = np.zeros(both.size, dtype=np.complex128)
    for j in range(both.size):
        numerator += 2.0 * c[j] * both[j] * np.poly(np.delete(both, j) ** 2) * (-1.0) ** (both.size - 1)
    zeros = _half_plane(np.roots(np.trim_zeros(numerator.real, "f")).astype(np.complex128))
    at_pole = np.array([np.prod(zeros - pole) for pole in p])
    others = np.array([np.prod(np.delete(both, j) - both[j]) for j in range(p.size)])
    gains = at_pole / others * np.where(real, 1.0, 2.0)
    power = float(DrivenRotations(p * size, gains).weights().sum().real)
    if not power > 0.0:  # poles so near each other that nothing is left
        return DrivenRotations(p * size, np.full(p.size, np.sqrt(size)))
    return DrivenRotations(p * size, gains * np.sqrt(max(float(weights.sum().real), 1e-12) / power))


def _half_plane(u: Complex) -> Complex:
    """Zeros s of the factor, from zeros u = s² of the density; negative between two, it is made to touch zero."""
    crossing = np.sort(-u[(np.abs(u.imag) < 1e-9 * np.abs(u)) & (u.real < 0.0)].real)
    crossing = crossing[: crossing.size // 2 * 2]
    touching = np.sqrt(0.5 * (crossing[0::2] + crossing[1::2]))
    rest = np.sqrt(u[(np.abs(u.imag) >= 1e-9 * np.abs(u)) | (u.real > 0.0)])
    return np.concatenate([rest, 1j * touching, -1j * touching])


def _polished(start: DrivenRotations, lags: Array, wanted: Array) -> DrivenRotations:
    """The process nearest to the covariances wanted (N,) by least squares, then by fourth powers."""
    from scipy.optimize import least_squares

    K, size = start.poles.size, float(np.abs(start.poles).max())

    def process(v: Array) -> DrivenRotations:
        poles = np.exp(np.clip(v[:K], -40.0, 40.0)) + 1j * v[K : 2 * K]
        return DrivenRotations(poles * size, (v[2 * K : 3 * K] + 1j * v[3 * K :]) * np.sqrt(size))

    poles, gains = start.poles / size, start.gains / np.sqrt(size)
    v = np.concatenate([np.log(poles.real), poles.imag, gains.real, gains.imag])
    v = least_squares(lambda v: process(v).at(lags) - wanted, v, x_scale="jac", max_nfev=200).x
    worst = float(np.abs(process(v).at(lags) - wanted).max())

    def powered(v: Array) -> Array:
        error = (process(v).at(lags) - wanted) / worst
        return error * np.abs(error)

    if worst > 1e-14:
        v = least_squares(powered, v, x_scale="jac", max_nfev=100).x
    return process(v)
