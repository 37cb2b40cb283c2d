"""The innovations form of a whole model: rotations that share a noise, and others that do not, on one noise.

A spectral mixture of Gaussian envelopes is a sum of processes each of which is several rotations on one noise
(`DrivenRotations` times a carrier). Its joint law needs one Gaussian a sample, as that of independent rotations
does. Every block is diagonalised; its poles, and how much of the covariance each of them is, are all that the
spectral factor wants, and all that is left of the model: rows of the bank.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rtsynth.kernels.algebra import Kernel
from rtsynth.statespace.discretise import Discrete, DiscreteBlock
from rtsynth.statespace.from_kernel import state_space
from rtsynth.statespace.innovations import Innovations, settled_form
from rtsynth.statespace.spectral_factor import Complex

MOST_SKEWED = 1e6  # condition of the eigenvectors of a block; equal poles, as of a Matern kernel, give 1e8
UNDAMPED = 1.0 - 1e-12  # |λ| from here on is 1, to within the rounding of eigenvalues
UNSEEN = 1e-14  # of the largest pole of a block: the share of the covariance that is rounding
SETTLED = 1e-8  # of the start covariance: what it may differ from the one the noise holds


class _Modes(NamedTuple):
    """A block through its M poles, of each complex pair the one above the real axis: y = sum Re x_k."""

    poles: Complex  # (M,)
    with_output: Complex  # (M,): E x_k y


def innovations_of(model: Discrete | Kernel, sample_rate: float | None = None) -> Innovations:
    """The innovations form of a stationary model: a kernel at a sample rate (Hz), or what it was discretised to.

    Every output weight is 1. ValueError, with the cause, where the model is not stationary or not damped, has a
    pole more than once in one block (a Matern kernel: it is no sum of rotations), has no state space, or is so
    smooth at this rate that double precision cannot hold its gain (Taylor envelopes of order 4 and up with
    nothing rougher beside them). The covariance is within 1e-9 k(0) of the model's.
    """
    discrete = _discretised(model, sample_rate)
    modes = [_modes(block, i) for i, block in enumerate(discrete.blocks)]
    if not any(part.with_output.any() for part in modes):
        raise ValueError("innovations: wants a model with some power; draw silence without it")
    poles, with_output = (
        np.concatenate([getattr(part, name) for part in modes]) for name in ("poles", "with_output")
    )
    form = settled_form(poles, np.ones(poles.size), with_output)
    _check_forgets(form)
    return form


def _discretised(model: Discrete | Kernel, sample_rate: float | None) -> Discrete:
    if isinstance(model, Discrete):
        if sample_rate not in (None, model.sample_rate):
            raise ValueError(
                f"innovations: the model is for {model.sample_rate:g} Hz, not {sample_rate:g} Hz"
            )
        return model
    if sample_rate is None:
        raise ValueError("innovations: a kernel wants a sample rate")
    return state_space(model).discretise(sample_rate)


def _modes(block: DiscreteBlock, index: int) -> _Modes:
    """ValueError where the block is no stationary sum of damped rotations; `index` names it."""
    if block.gains:
        raise ValueError(f"innovations: block {index} has a gain that varies with time")
    lam, right = np.linalg.eig(block.A)
    if not (np.abs(lam) < UNDAMPED).all():
        raise ValueError(f"innovations: block {index} is not damped: |λ| = {np.abs(lam).max():.17g}")
    _check_settled(block, index)
    if not np.linalg.cond(right) < MOST_SKEWED:
        raise ValueError(
            f"innovations: block {index} has a pole more than once, as a Matern kernel has: no sum of rotations"
        )
    kept = lam.imag >= 0.0
    pairs = np.where(lam.imag > 0.0, 2.0, 1.0)[kept]  # Re of twice the upper one is the sum of both
    with_output = (pairs * (block.H @ right)[kept]) * np.linalg.solve(right, block.P0 @ block.H)[kept]
    seen = np.abs(with_output) > UNSEEN * np.abs(with_output).max()
    return _Modes(lam[kept][seen].astype(np.complex128), with_output[seen].astype(np.complex128))


def _check_settled(block: DiscreteBlock, index: int) -> None:
    """The covariance that the noise holds is the sum of A^n Q A'^n, by doubling: nothing cancels."""
    A, held, most = block.A, block.Q, float(np.abs(block.P0).max())
    while np.abs(A).max() ** 2 > 1e-17:
        held = held + A @ held @ A.T
        A = A @ A
    if not np.abs(held - block.P0).max() <= SETTLED * most:
        raise ValueError(f"innovations: block {index} does not start settled: the model is not stationary")


def _check_forgets(form: Innovations) -> None:
    """Listening forgets its start: ValueError where a zero of the form is not inside the unit circle."""
    lam, b = form.poles, form.gain
    closed_real = np.diag(lam.real) - np.outer(b.real, form.weight)
    closed_imag = np.diag(lam.imag) - np.outer(b.imag, form.weight)
    closed = np.block([[closed_real, -np.diag(lam.imag)], [closed_imag, np.diag(lam.real)]])
    largest = float(np.abs(np.linalg.eigvals(closed)).max())
    if not largest < 1.0:
        raise ValueError(
            f"innovations: the form has a zero at |z| = {largest:.17g} and cannot be listened with"
        )
