"""The seed of the project: a struck string as one GP that passes from one harmonic regime to another.

"Gaussian Process Middle C" (InfProbSciX): with the lag l in periods, a regime is

    k(l) = [2 e^(-p1 sin^2 pi l) - 1 + p2 sin^8 pi l] e^(-|l| / 102)

with p = (2, 0.25) before and (5, 1.7) after, mixed by the faithful form of `nonstationary`, under a gain. All
of the published numbers are in samples at 44.1 kHz; the period is 167 of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from rtsynth.kernels.algebra import Kernel, times
from rtsynth.kernels.nonstationary import FaithfulMixture, Gain, Mixture
from rtsynth.kernels.periodic import Periodic, PeriodicExponential, SineEighth
from rtsynth.kernels.stationary import Exponential
from rtsynth.kernels.value import Array, Curve, check_non_negative, check_positive

SEED_RATE = 44100.0  # samples a second of the recording the seed was tuned on
SEED_FREQUENCY = SEED_RATE / 167.0
DECAY_PERIODS = 102.0
PUBLISHED_SAMPLES = 5000
PUBLISHED_RATE = (
    SEED_RATE * 4999.0 / 90000.0
)  # samples a second at which the published path was drawn: 2449.5 …
WRITTEN_RATE = 5000.0  # … and those its file claims: it sounds an octave and 51 cents above middle C
BEFORE = (2.0, 0.25)  # (p1, p2)
AFTER = (5.0, 1.7)


@dataclass(frozen=True, eq=False)
class Regime(Periodic):
    """2 e^(-p1 sin^2 x) - 1 + p2 sin^8 x, x = pi frequency lag: the periodic part of a regime, as published.

    Its a_0 is -1.2e-4 for p = (2, 0.25), so it is no covariance function by that much: `series` clips it.
    """

    p1: float
    p2: float
    frequency: float

    def __post_init__(self) -> None:
        check_non_negative(self.p1, "p1")
        check_non_negative(self.p2, "p2")
        check_positive(self.frequency, "frequency")

    @property
    def _parts(self) -> tuple[PeriodicExponential, SineEighth]:
        return PeriodicExponential(self.p1, self.frequency), SineEighth(self.frequency)

    def at(self, lag: Array) -> Array:
        exponential, sine = self._parts
        return 2.0 * exponential.at(lag) - 1.0 + self.p2 * sine.at(lag)

    def harmonics(self, count: int) -> Array:
        exponential, sine = self._parts
        weights = 2.0 * exponential.harmonics(count) + self.p2 * sine.harmonics(count)
        weights[0] -= 1.0
        return weights

    @property
    def enough(self) -> int:
        return max(part.enough for part in self._parts)


def seed_gain(t: ArrayLike) -> Array:
    """The seed's gain, in steps of 16 bits, at t (N,) s -> (N,): 0 at 0 s, 5327 at 72 ms, 1000 in the end."""
    n = SEED_RATE * times(t)
    return 4.0 * n * np.exp(-n / 3000.0) + 2000.0 * (_logistic(n / 1000.0) - 0.5)


def seed_crossover(t: ArrayLike) -> Array:
    """The seed's crossover at t (N,) s -> (N,): 0.1, 0.5 and 0.9 at 0.839, 0.964 and 1.088 s."""
    return _logistic(SEED_RATE * times(t) / 2500.0 - 17.0)


def seed_weights(which: Literal["before", "after"], harmonics: int = 8) -> Array:
    """The seed's harmonic weights a_0 .. a_harmonics as they are, (harmonics + 1,): a_0 before is < 0."""
    if which not in ("before", "after"):
        raise ValueError(f"seed_weights: want 'before' or 'after', got {which!r}")
    return Regime(*(BEFORE if which == "before" else AFTER), SEED_FREQUENCY).harmonics(harmonics)


def two_regime(
    frequency: float = SEED_FREQUENCY,
    harmonics: int = 8,
    faithful: bool = False,
    before: tuple[float, float] = BEFORE,
    after: tuple[float, float] = AFTER,
    decay_periods: float = DECAY_PERIODS,
    gain: Curve = seed_gain,
    crossover: Curve = seed_crossover,
) -> Kernel:
    """The seed's kernel at a frequency (Hz), gain and crossover in seconds whatever the frequency.

    faithful: exactly as published, dense only and not a covariance function everywhere (`harmonics` has no
    say). Otherwise one process a harmonic, which has a state space; it warns `ClippedWeights` where a weight
    was negative.
    """
    check_positive(decay_periods, "decay_periods")
    regimes = Regime(*before, frequency), Regime(*after, frequency)
    decay_time = decay_periods / frequency
    if faithful:
        first, second = (Exponential(decay_time) * regime for regime in regimes)
        return Gain(FaithfulMixture(first, second, crossover), gain)
    clipped_before, clipped_after = (regime.series(harmonics) for regime in regimes)
    return Gain(Mixture(clipped_before, clipped_after, decay_time, crossover), gain)


def _logistic(x: Array) -> Array:
    return 0.5 * (1.0 + np.tanh(0.5 * x))
