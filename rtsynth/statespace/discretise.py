"""From continuous to sampled time, exactly: x' = A x + w, w ~ N(0, Q), with A = expm(F / rate).

Sarkka and Solin, Applied Stochastic Differential Equations, 2019, section 6.2. Nothing is approximated, so
any frequency may be sampled at any rate: what lies above half the rate aliases, as the sampled process does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rtsynth.kernels.nonstationary import evaluate
from rtsynth.kernels.value import Array, Curve, Value, check_positive


@dataclass(frozen=True, eq=False)
class DiscreteBlock(Value):
    """One independent part: x_0 ~ N(0, P0), x' = A x + w, w ~ N(0, Q), seen through H and its gains."""

    A: Array  # (n, n)
    Q: Array  # (n, n)
    P0: Array  # (n, n)
    H: Array  # (n,)
    gains: tuple[Curve, ...] = ()  # each: times (N,) s -> (N,); their product multiplies H

    def output(self, t: Array) -> Array:
        """Output weights at times t (N,) s -> (N, n)."""
        gain = np.ones(t.size)
        for curve in self.gains:
            gain = gain * evaluate(curve, t)
        return np.multiply.outer(gain, self.H)


@dataclass(frozen=True, eq=False)
class Discrete(Value):
    """A sampled state-space model: independent blocks whose outputs add; sample n is at n / sample_rate s."""

    blocks: tuple[DiscreteBlock, ...]
    sample_rate: float

    @property
    def states(self) -> int:
        """J, over all blocks."""
        return sum(block.H.size for block in self.blocks)

    def times(self, count: int) -> Array:
        """Seconds of samples 0 .. count - 1, (count,)."""
        return np.arange(count) / self.sample_rate

    def transition(self) -> Array:
        """A (J, J), dense: for references and tests."""
        return block_diagonal(block.A for block in self.blocks)

    def noise_covariance(self) -> Array:
        """Q (J, J), dense."""
        return block_diagonal(block.Q for block in self.blocks)

    def start_covariance(self) -> Array:
        """P0 (J, J), dense."""
        return block_diagonal(block.P0 for block in self.blocks)

    def output(self, count: int) -> Array:
        """Output weights of samples 0 .. count - 1 -> (count, J)."""
        t = self.times(count)
        return np.concatenate([np.zeros((count, 0)), *(block.output(t) for block in self.blocks)], axis=1)


def rotation_step(
    damping: float, frequency: float, settled_variance: float, rate: float
) -> tuple[Array, Array]:
    """A (2, 2) and Q (2, 2) of one damped rotation at a sample rate (Hz), in closed form.

    Q = settled_variance (1 - |λ|²) I2, by expm1: P - A P A' would cancel to nothing at slow decays.
    """
    check_positive(rate, "sample rate")
    angle = math.tau * math.fmod(frequency / rate, 1.0)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return math.exp(-damping / rate) * turn, settled_variance * -math.expm1(-2.0 * damping / rate) * np.eye(2)


def linear_step(F: Array, Pinf: Array, rate: float) -> tuple[Array, Array]:
    """A (n, n) and Q (n, n) of dx = F x dt + dw whose stationary covariance is Pinf, at a sample rate (Hz).

    Q is the integral of expm(F s) D expm(F s)', D = -(F Pinf + Pinf F'), over one sample, by Van Loan's block
    exponential (Computing integrals involving the matrix exponential, 1978) over a step no longer than 1 /
    |F|, and by doubling that step. It stays a covariance where Pinf - A Pinf A' would cancel: a Matern
    process sampled fast.
    """
    from scipy.linalg import expm

    check_positive(rate, "sample rate")
    n, D = F.shape[0], -(F @ Pinf + Pinf @ F.T)
    doublings = max(0, math.ceil(math.log2(max(float(np.linalg.norm(F, 2)) / rate, 1.0))))
    E = expm(np.block([[-F, D], [np.zeros((n, n)), F.T]]) / (rate * 2**doublings))
    A = E[n:, n:].T
    Q = A @ E[:n, n:]
    for _ in range(doublings):
        Q = Q + A @ Q @ A.T
        A = A @ A
    return expm(F / rate), 0.5 * (Q + Q.T)


def block_diagonal(blocks: Iterator[Array]) -> Array:
    """Square blocks (n_i, n_i) along the diagonal of one matrix (sum n_i, sum n_i)."""
    parts = list(blocks)
    size = sum(part.shape[0] for part in parts)
    whole, at = np.zeros((size, size)), 0
    for part in parts:
        whole[at : at + part.shape[0], at : at + part.shape[0]] = part
        at += part.shape[0]
    return whole
