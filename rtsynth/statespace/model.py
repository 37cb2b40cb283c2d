"""State-space models in continuous time: independent blocks, most of them damped rotations of two states.

dx = F x dt + dw, x(0) ~ N(0, P0), y = sum over blocks of g(t) H x: the stochastic differential equation of a
kernel (Hartikainen and Sarkka, Kalman filtering and smoothing solutions to temporal Gaussian process
regression models, 2010). Blocks are kept apart, so that nothing is ever of the order of all states squared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from rtsynth.kernels.value import Array, Curve, Value, check_non_negative, read_only
from rtsynth.statespace.discretise import Discrete, DiscreteBlock, linear_step, rotation_step


@dataclass(frozen=True, eq=False)
class Rotation(Value):
    """dx = (-damping + 2 pi i frequency) x dt + dw, seen through Re x: one row of the bank.

    x(0) ~ N(0, start_variance I2), and the noise holds a process that has forgotten its start at
    settled_variance I2.
    """

    damping: float  # 1/s
    frequency: float
    start_variance: float
    settled_variance: float
    gains: tuple[Curve, ...] = ()  # each: times (N,) s -> (N,); their product is the output weight

    def __post_init__(self) -> None:
        for name in ("damping", "frequency", "start_variance", "settled_variance"):
            check_non_negative(getattr(self, name), name)

    @property
    def F(self) -> Array:  # noqa: N802
        omega = math.tau * self.frequency
        return np.array([[-self.damping, -omega], [omega, -self.damping]])

    @property
    def H(self) -> Array:  # noqa: N802
        return np.array([1.0, 0.0])

    @property
    def P0(self) -> Array:  # noqa: N802
        return self.start_variance * np.eye(2)

    @property
    def Pinf(self) -> Array:  # noqa: N802
        """What the noise holds; without damping there is no noise, and the start holds for ever."""
        return (self.settled_variance if self.damping else self.start_variance) * np.eye(2)

    def scaled(self, factor: float) -> Rotation:
        """The same with `factor` times the variance."""
        start, settled = factor * self.start_variance, factor * self.settled_variance
        return replace(self, start_variance=start, settled_variance=settled)

    def discretise(self, rate: float) -> DiscreteBlock:
        A, Q = rotation_step(self.damping, self.frequency, self.settled_variance, rate)
        return DiscreteBlock(A, Q, self.P0, self.H, self.gains)


@dataclass(frozen=True, eq=False)
class LinearBlock(Value):
    """dx = F x dt + dw, seen through H; P0 is the covariance of x(0), Pinf the one the noise holds."""

    F: Array  # (n, n), 1/s
    H: Array  # (n,)
    P0: Array  # (n, n)
    Pinf: Array  # (n, n)
    gains: tuple[Curve, ...] = ()

    def __post_init__(self) -> None:
        for name, dimensions in (("F", (2,)), ("H", (1,)), ("P0", (2,)), ("Pinf", (2,))):
            object.__setattr__(self, name, read_only(getattr(self, name), name, dimensions))
        n = self.H.size
        if not self.F.shape == self.P0.shape == self.Pinf.shape == (n, n):
            raise ValueError(
                f"linear block: F {self.F.shape}, P0 {self.P0.shape}, Pinf {self.Pinf.shape}, H ({n},)"
            )

    def scaled(self, factor: float) -> LinearBlock:
        """The same with `factor` times the variance."""
        return replace(self, P0=factor * self.P0, Pinf=factor * self.Pinf)

    def discretise(self, rate: float) -> DiscreteBlock:
        A, Q = linear_step(self.F, self.Pinf, rate)
        return DiscreteBlock(A, Q, self.P0, self.H, self.gains)


Block = Rotation | LinearBlock


@dataclass(frozen=True, eq=False)
class StateSpace(Value):
    """Independent blocks whose outputs add; made from a kernel by `state_space`."""

    blocks: tuple[Block, ...]

    def discretise(self, sample_rate: float) -> Discrete:
        """The exact recursion at a sample rate (Hz), from time 0 on."""
        return Discrete(tuple(block.discretise(sample_rate) for block in self.blocks), sample_rate)

    def __add__(self, other: StateSpace) -> StateSpace:
        """The sum of two independent processes."""
        return StateSpace(self.blocks + other.blocks)

    def __mul__(self, other: StateSpace) -> StateSpace:
        """The process whose kernel is the product of both; ValueError where it is no linear model."""
        return StateSpace(tuple(b for pair in product(self.blocks, other.blocks) for b in multiply(*pair)))

    def scaled(self, factor: float) -> StateSpace:
        """`factor` times the variance, factor >= 0."""
        return StateSpace(tuple(block.scaled(factor) for block in self.blocks))

    def gained(self, *gains: Curve) -> StateSpace:
        """Every output multiplied by each of `gains`, times (N,) s -> (N,)."""
        return StateSpace(tuple(replace(block, gains=block.gains + gains) for block in self.blocks))


def multiply(a: Block, b: Block) -> tuple[Block, ...]:
    """Blocks whose kernels add up to the product of those of a and b; ValueError where there are none."""
    if not (_stationary(a) and _stationary(b)) and _decays(a) and _decays(b):
        raise ValueError("two blocks that decay, one of them not stationary, have no product in state space")
    if isinstance(a, Rotation) and isinstance(b, Rotation):
        return _multiply_rotations(a, b)
    return (_kronecker(a, b),)


def _multiply_rotations(a: Rotation, b: Rotation) -> tuple[Rotation, ...]:
    """cos cos is half the cosine of the sum and half that of the difference; with 0 Hz the two are one."""
    frequencies = {a.frequency + b.frequency, abs(a.frequency - b.frequency)}
    start = a.P0[0, 0] * b.P0[0, 0] / len(frequencies)
    settled = a.Pinf[0, 0] * b.Pinf[0, 0] / len(frequencies)
    return tuple(
        Rotation(a.damping + b.damping, f, start, settled, a.gains + b.gains) for f in sorted(frequencies)
    )


def _kronecker(a: Block, b: Block) -> LinearBlock:
    F = np.kron(a.F, np.eye(b.H.size)) + np.kron(np.eye(a.H.size), b.F)
    H, P0, Pinf = (np.kron(getattr(a, name), getattr(b, name)) for name in ("H", "P0", "Pinf"))
    return LinearBlock(F, H, P0, Pinf, a.gains + b.gains)


def _stationary(block: Block) -> bool:
    return np.array_equal(block.P0, block.Pinf)


def _decays(block: Block) -> bool:
    return block.damping > 0.0 if isinstance(block, Rotation) else True
