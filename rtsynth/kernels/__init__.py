"""Covariance functions of time, float64: what a process is, stated densely and exactly; the slow truth."""

from rtsynth.kernels.algebra import Kernel, Lines, Product, Scale, Stationary, Sum, Terms
from rtsynth.kernels.approximation import Approximation, ExponentialSum
from rtsynth.kernels.envelope import DrivenRotations, GaussianCosine, one_pair, taylor, two_pairs
from rtsynth.kernels.kicked import KickedCosines
from rtsynth.kernels.nonstationary import (
    BentRows,
    FaithfulMixture,
    Gain,
    GainedBands,
    GainedRows,
    Mixture,
    PiecewiseLinear,
)
from rtsynth.kernels.periodic import (
    ClippedWeights,
    HarmonicSeries,
    Periodic,
    PeriodicExponential,
    SineEighth,
    clip_weights,
)
from rtsynth.kernels.spectral_mixture import DampedCosines, TwoPoleBands
from rtsynth.kernels.stationary import Cosine, Exponential, Matern, Matern32, Matern52
from rtsynth.kernels.symbolic import Symbolic
from rtsynth.kernels.two_regime import (
    SEED_FREQUENCY,
    Regime,
    seed_crossover,
    seed_gain,
    seed_weights,
    two_regime,
)

__all__ = [
    "SEED_FREQUENCY",
    "Approximation",
    "BentRows",
    "ClippedWeights",
    "Cosine",
    "DampedCosines",
    "DrivenRotations",
    "Exponential",
    "ExponentialSum",
    "FaithfulMixture",
    "Gain",
    "GainedBands",
    "GainedRows",
    "GaussianCosine",
    "HarmonicSeries",
    "Kernel",
    "KickedCosines",
    "Lines",
    "Matern",
    "Matern32",
    "Matern52",
    "Mixture",
    "Periodic",
    "PeriodicExponential",
    "PiecewiseLinear",
    "Product",
    "Regime",
    "Scale",
    "SineEighth",
    "Stationary",
    "Sum",
    "Symbolic",
    "Terms",
    "TwoPoleBands",
    "clip_weights",
    "one_pair",
    "seed_crossover",
    "seed_gain",
    "seed_weights",
    "taylor",
    "two_pairs",
    "two_regime",
]
