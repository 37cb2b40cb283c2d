"""Every kernel of the library by example: what the tests of kernels and of state space run over."""

from __future__ import annotations

import warnings

import numpy as np

from rtsynth.kernels import (
    ClippedWeights,
    Cosine,
    DampedCosines,
    DrivenRotations,
    Exponential,
    Gain,
    GainedRows,
    GaussianCosine,
    HarmonicSeries,
    Kernel,
    Matern32,
    Matern52,
    Mixture,
    PeriodicExponential,
    PiecewiseLinear,
    Regime,
    SineEighth,
    two_regime,
)
from rtsynth.kernels.value import Array

ROWS = DampedCosines(
    np.array([440.0, 0.0, 1234.5, 60.0, 999.0]),
    np.array([3.0, 10.0, 200.0, 0.0, 5.0]),
    np.array([0.5, 0.1, 1.0, 7.0, 0.0]),
    np.array([2.0, 0.1, 1.0, 0.3, 1.0]),
)
SETTLED = DampedCosines.settled(
    np.array([440.0, 0.0, 880.0]), np.array([3.0, 50.0, 20.0]), np.array([1.0, 0.2, 0.5])
)
GRID = PiecewiseLinear(
    np.array([0.0, 0.004, 0.02]), np.array([[0.0] * 5, [1.0, 2.0, 0.5, 1.0, 3.0], [0.1] * 5])
)


def swell(t: Array) -> Array:
    """A gain that is nowhere differentiable by accident: smooth, signed, zero at 0 s."""
    return np.sin(200.0 * t) * (1.0 + t)


def quick(t: Array) -> Array:
    """A crossover within the few milliseconds the tests look at."""
    return 0.5 * (1.0 + np.tanh((t - 0.01) / 0.003))


def examples() -> dict[str, Kernel]:
    """Kernels that are covariance functions and have a state space."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ClippedWeights)
        seed = two_regime()
    return {
        "exponential": Exponential(0.01, 1.5),
        "matern32": Matern32(0.01, 2.0),
        "matern52": Matern52(0.003, 0.7),
        "cosine": Cosine(100.0, 2.0),
        "constant": Cosine(0.0),
        "periodic exponential": PeriodicExponential(2.0, 200.0),
        "harmonic series": HarmonicSeries(np.array([0.1, 0.5, 0.0, 0.2]), 100.0),
        "rows": ROWS,
        "settled rows": SETTLED,
        "ringing rows": DampedCosines.ringing(
            np.array([440.0, 500.0]), np.array([9.0, 90.0]), np.array([1.0, 2.0])
        ),
        "sum": Matern32(0.01) + Cosine(50.0) + Exponential(0.002),
        "scale": 3.0 * Matern52(0.01),
        "exponential cosine": Exponential(0.01) * Cosine(300.0),
        "matern32 cosine": Matern32(0.01) * Cosine(300.0),
        "matern52 matern32": Matern52(0.01) * Matern32(0.02),
        "exponential matern52": Exponential(0.01) * Matern52(0.004),
        "cosine cosine": Cosine(300.0) * Cosine(50.0),
        "exponential periodic": Exponential(0.05) * PeriodicExponential(3.0, 150.0),
        "product of sums": (Matern32(0.01) + 0.5 * Cosine(100.0)) * (Exponential(0.01) + 2.0 * Cosine(70.0)),
        "rows cosine": ROWS * Cosine(200.0),
        "driven rotations": DrivenRotations(
            np.array([200 + 900j, 30.0, 90 - 3000j]), np.array([9j, 2.0, 3 + 4j])
        ),
        "gaussian by one pair": GaussianCosine(0.004, 300.0, 2.0).approximated("one pair"),
        "gaussian by two pairs": GaussianCosine(0.004, 300.0).approximated(),
        "gain": Gain(Matern32(0.01), swell),
        "gain product": Gain(Exponential(0.1), swell) * Cosine(44.0),
        "gained rows": GainedRows(ROWS, GRID),
        "mixture": Mixture(
            HarmonicSeries(np.array([0.1, 0.7, 0.2]), 200.0),
            HarmonicSeries(np.array([0.3, 0.7]), 200.0),
            0.1,
            quick,
        ),
        "two regimes": seed,
    }


KERNELS = examples()

# Terms of the seed's kernel: symmetric functions, but no covariance functions by themselves.
INDEFINITE = {
    "sine eighth": SineEighth(264.0),
    "regime": Regime(2.0, 0.25, 264.0),
    "faithful mixture": two_regime(faithful=True),
}

T = np.concatenate([np.arange(60) / 4000.0, [0.0155, 0.02, 0.0303]])
