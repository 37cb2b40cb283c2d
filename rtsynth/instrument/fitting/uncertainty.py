"""How sure the modes of a band are: standard deviations from the Jacobian and the residual of their fit.

The covariance of a weighted least-squares estimate whose noise has another variance at each sample, which the squared
residual stands for (White, A heteroskedasticity-consistent covariance matrix estimator, 1980). With noise that is
white within the band it is the Cramér-Rao bound's, as far as the weights allow. Where the residual is what exponentials
cannot describe, as in the attack of a loud partial, the deviations are a lower bound: the samples of such a misfit are
not independent.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtsynth.instrument.fitting.recording import Array
from rtsynth.instrument.fitting.subband import Complex
from rtsynth.instrument.fitting.varpro import Problem

DECIBELS = 20.0 / np.log(10.0)  # per unit of relative amplitude
LARGEST_DB = 99.0  # an amplitude that could as well be zero


class Deviations(NamedTuple):
    """Standard deviations (B, P)."""

    frequency: Array  # hertz
    damping: Array  # 1/s
    level_db: Array


def deviations(problem: Problem, poles: Complex, amplitude: Complex) -> Deviations:
    """Of poles (B, P) and amplitudes (B, P) that minimise a problem."""
    P = poles.shape[1]
    value, derivative = problem.exponentials(poles)
    residual = problem.signals - np.einsum("bp,bpk->bk", amplitude, value)
    moved = amplitude[:, :, None] * derivative
    # In the direction of the amplitude and across it, per unit of its magnitude.
    along = amplitude[:, :, None] * value
    jacobian = np.concatenate([2j * np.pi * moved, -moved, along, 1j * along], axis=1)  # (B, 4 P, K)
    covariance = _covariance(jacobian, problem.weight, residual)
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    std = np.sqrt(np.maximum(variance, 0.0))
    level_db = np.minimum(DECIBELS * std[:, 2 * P : 3 * P], LARGEST_DB)
    return Deviations(std[:, :P], std[:, P : 2 * P], level_db)


def _covariance(jacobian: Complex, weight: Array, residual: Complex) -> Array:
    """(B, D, D) of parameters with Jacobian (B, D, K), weights (B, K) and complex residual (B, K)."""
    weighted = jacobian * weight[:, None, :]
    scale = np.sqrt(np.sum(np.abs(weighted) ** 2, axis=2, keepdims=True)) + 1e-300
    weighted /= scale
    bread = (weighted @ weighted.conj().transpose(0, 2, 1)).real
    inverse = np.linalg.pinv(bread, rcond=1e-13, hermitian=True)
    # Real and imaginary parts of circular noise have half its variance each.
    spread = weighted * (weight * np.abs(residual) / np.sqrt(2.0))[:, None, :]
    meat = (spread @ spread.conj().transpose(0, 2, 1)).real
    used = np.count_nonzero(weight, axis=1) * 2.0
    freedom = np.maximum(used - jacobian.shape[1], 1.0) / np.maximum(used, 1.0)
    covariance = inverse @ meat @ inverse / freedom[:, None, None]
    return covariance / (scale * scale.transpose(0, 2, 1))
