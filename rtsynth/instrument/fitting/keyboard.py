"""The law of a keyboard: strokes of a few keys predict the strokes of the others, and say how surely.

What is predicted is what keys have in common: the stretch of the tuning, the inharmonicity, and the level of a partial
over (frequency, key) at a few instants, by Gaussian-process regression (Rasmussen and Williams 2006, ch. 2): a smooth
trend, a part that neighbours share, and a scatter of its own for every partial of every key, which nothing predicts
(7.6 to 9.8 dB on one piano: strike point, bridge, microphone). The scatter is stated in `level_std_db` and may be
drawn, always alike for one key and partial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize, nnls

from rtsynth.errors import InputError
from rtsynth.instrument.fitting.pitch import Pitch, series
from rtsynth.instrument.stroke import Stroke

Array = NDArray[np.float64]

INSTANTS = np.array([0.008, 0.03, 0.1, 0.3, 1.0, 2.0, 4.0])  # seconds at which levels are compared
WHILE = np.linspace(0.7, 1.4, 16)  # around an instant, as shares of it
RATES = np.geomspace(
    0.05, 60.0, 24
)  # 1/s, of what a predicted partial is made; faster ones would start too loud
SLOWEST, FASTEST = 0.3, 600.0  # dB a second: falls beyond are taken for these
FAINT_DB = -80.0  # below the loudest partial: not predicted
HIGHEST = 16000.0  # hertz
LEAST_KEYS = 2  # strokes of different keys that a law needs
FALLEN_DB = -70.0  # since the first instant: a partial that far down is gone, wherever it goes from there
MOST_PARTIALS = 200
NEAR = 0.25  # of f0: how far from a partial its modes may be
LEAST_INHARMONICITY = 1e-7


@dataclass(frozen=True)
class _Levels:
    """Partials of one stroke: hertz (P,), dB at the instants (P, I)."""

    frequency: Array
    level_db: Array


def _levels(stroke: Stroke, pitch: Pitch) -> _Levels:
    k = np.arange(1, MOST_PARTIALS + 1)
    expected = pitch.partial_frequency(k)
    nearest = np.abs(stroke.frequency[:, None] - expected).argmin(axis=1)
    stray = np.abs(stroke.frequency - expected[nearest]) > NEAR * pitch.f0
    # Modes of one partial beat, and may nearly cancel at first: they are added as waves, and looked at over a while.
    moments = np.multiply.outer(INSTANTS, WHILE)  # (I, W)
    waves = np.exp(np.multiply.outer(-stroke.damping + 2j * np.pi * stroke.frequency, moments))
    waves *= stroke.amplitude[:, None, None]
    heard = [i for i in range(k.size) if ((nearest == i) & ~stray).any()]
    sums = [waves[(nearest == i) & ~stray].sum(axis=0) for i in heard]
    return _Levels(expected[heard], _detrended_mean_db(np.abs(sums) ** 2))


def _detrended_mean_db(power: Array) -> Array:
    """Mean power (P, I, W) over a while, in dB at the instant (P, I), the decay within the while taken out."""
    power_db = 10.0 * np.log10(np.maximum(power, 1e-30))
    share = WHILE - 1.0
    spread = share - share.mean()
    slope = power_db @ spread / (spread @ spread)
    level = power_db.mean(axis=2) - slope * share.mean()
    around = power_db - level[:, :, None] - slope[:, :, None] * share
    return level + 10.0 * np.log10(np.mean(10.0 ** (around / 10.0), axis=2))


# --- regression -------------------------------------------------------------------------------------------------------


class _Regression:
    """y (N,) over x (N, 2) = (octaves of frequency, octaves of key): trend, shared part, scatter.

    Trend: cubic in frequency, linear in key, with their product, under a wide prior. Shared part: Gaussian covariance.
    Lengths, deviation and scatter maximise the likelihood.
    """

    def __init__(self, x: Array, y: Array) -> None:
        self._centre, self._x = x.mean(axis=0), x
        self._mean, self._y = y.mean(), y - y.mean()
        start = np.log([0.5, 1.0, 4.0, 8.0])
        bounds = np.log([(0.14, 3.0), (0.5, 4.0), (0.5, 20.0), (2.0, 20.0)])
        best = minimize(
            self._negative_log_likelihood, start, bounds=bounds, method="L-BFGS-B", options={"maxiter": 40}
        )
        self._log = best.x
        self._factor = cho_factor(
            self._covariance(x, x, self._log) + np.exp(2.0 * self._log[3]) * np.eye(y.size)
        )
        self._weights = cho_solve(self._factor, self._y)

    @property
    def scatter(self) -> float:
        """Standard deviation that nothing predicts."""
        return float(np.exp(self._log[3]))

    def _features(self, x: Array) -> Array:
        f, key = (x - self._centre).T
        # A square of the key would have to be read off a few keys and runs away beyond them: prediction got worse.
        columns = np.stack([np.ones_like(f), f, f**2, f**3, key, f * key], axis=1)
        return columns * np.array([20.0, 10.0, 4.0, 2.0, 6.0, 3.0])  # dB: how large each may well be

    def _covariance(self, a: Array, b: Array, log: Array) -> Array:
        distance = (((a[:, None] - b[None]) / np.exp(log[:2])) ** 2).sum(axis=2)
        return np.exp(2.0 * log[2] - 0.5 * distance) + self._features(a) @ self._features(b).T

    def _negative_log_likelihood(self, log: Array) -> float:
        covariance = self._covariance(self._x, self._x, log) + np.exp(2.0 * log[3]) * np.eye(self._y.size)
        factor = cho_factor(covariance)
        return float(0.5 * self._y @ cho_solve(factor, self._y) + np.log(np.diag(factor[0])).sum())

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and standard deviation, the scatter included, (N,) each."""
        cross = self._covariance(x, self._x, self._log)
        prior = np.diag(self._covariance(x, x, self._log))
        explained = (cross * cho_solve(self._factor, cross.T).T).sum(axis=1)
        variance = np.maximum(prior - explained, 0.0) + self.scatter**2
        return self._mean + cross @ self._weights, np.sqrt(variance)


# --- the law ----------------------------------------------------------------------------------------------------------


class Keyboard:
    """What strokes of several keys, and the pitches they were heard at, have in common.

    Raises InputError for fewer than two keys.
    """

    def __init__(self, strokes: Sequence[Stroke], pitches: Sequence[Pitch]) -> None:
        upwards = sorted(zip(strokes, pitches, strict=True), key=lambda both: both[0].key)
        self.strokes = [stroke for stroke, _ in upwards]
        self._keys = np.array([stroke.key for stroke in self.strokes])
        if np.unique(np.round(self._keys)).size < LEAST_KEYS:
            raise InputError("a law over the keyboard needs recordings of at least two keys")
        self._stretch = self._keys - np.round(self._keys)
        self._stiffness = np.log([max(pitch.inharmonicity, LEAST_INHARMONICITY) for _, pitch in upwards])
        parts = [_levels(stroke, pitch) for stroke, pitch in upwards]
        where = [
            np.stack([np.log2(part.frequency), np.full(part.frequency.size, key / 12.0)], axis=1)
            for part, key in zip(parts, self._keys, strict=True)
        ]
        x = np.concatenate(where)
        level = np.concatenate([p.level_db for p in parts])
        audible = level[:, 0] > level[:, 0].max() - 100.0
        self._first = _Regression(x[audible], level[audible, 0])
        # Falls between instants, dB a second, in decibels of their own: they cannot turn into rises.
        falls = -np.diff(level[audible], axis=1) / np.diff(INSTANTS)
        falls_db = 10.0 * np.log10(np.clip(falls, SLOWEST, FASTEST))
        self._falls = [_Regression(x[audible], fall_db) for fall_db in falls_db.T]

    def fundamental(self, key: int) -> float:
        """Hertz of an integer key's first partial, as stretched as its neighbours are."""
        stretch = np.interp(key, self._keys, self._stretch)
        return float(440.0 * 2.0 ** ((key + stretch - 69.0) / 12.0))

    def inharmonicity(self, key: int) -> float:
        """B of a key: its logarithm in straight lines over the keys, held outside them."""
        return float(np.exp(np.interp(key, self._keys, self._stiffness)))

    def predict(self, key: int, scatter: float = 0.0, seed: int = 0) -> Stroke:
        """The stroke of a key that was not recorded; `scatter` 0…1 is how much of what cannot be known is drawn."""
        b = self.inharmonicity(key)
        frequency = series(self.fundamental(key) / np.sqrt(1.0 + b), b, np.arange(1, MOST_PARTIALS + 1))
        frequency = frequency[frequency < HIGHEST]
        x = np.stack([np.log2(frequency), np.full(frequency.size, key / 12.0)], axis=1)
        first, deviation = self._first.predict(x)
        falls = 10.0 ** (np.stack([fall.predict(x)[0] for fall in self._falls], axis=1) / 10.0)
        draws = np.random.default_rng([seed, key])
        first = _uneven(first, self._first.scatter, scatter, draws)
        level_db = first[:, None] - np.concatenate(
            [np.zeros((first.size, 1)), np.cumsum(falls * np.diff(INSTANTS), axis=1)], axis=1
        )
        heard = first > first.max() + FAINT_DB
        phases = 2.0 * np.pi * draws.random(int(heard.sum()))
        partials = zip(frequency[heard], level_db[heard], phases, strict=True)
        modes = [_modes_of(*partial) for partial in partials]
        count = [m.shape[0] for m in modes]
        table = np.concatenate(modes)
        lower, upper, part = self._around(key)
        return replace(
            self._noise(key, lower, upper, part),
            key=69.0 + 12.0 * np.log2(self.fundamental(key) / 440.0),
            frequency=table[:, 0].real,
            damping=table[:, 1].real,
            amplitude=table[:, 2],
            tilt_db=self._tilt(table[:, 0].real, lower, upper, part),
            level_std_db=np.repeat(deviation[heard], count),
            frequency_std=np.zeros(0),
            damping_std=np.zeros(0),
        )

    def _around(self, key: float) -> tuple[Stroke, Stroke, float]:
        """The strokes below and above a key, and where it lies between them, 0…1."""
        upper = int(np.clip(np.searchsorted(self._keys, key), 1, self._keys.size - 1))
        low, high = self.strokes[upper - 1], self.strokes[upper]
        part = np.clip((key - low.key) / (high.key - low.key), 0.0, 1.0)
        return low, high, float(part)

    def _tilt(self, frequency: Array, lower: Stroke, upper: Stroke, part: float) -> Array:
        def of(stroke: Stroke) -> Array:
            order = np.argsort(stroke.frequency)
            return np.interp(frequency, stroke.frequency[order], stroke.tilt_db[order])

        return (1.0 - part) * of(lower) + part * of(upper)

    def _noise(self, key: int, lower: Stroke, upper: Stroke, part: float) -> Stroke:
        """A stroke with the bands of a key between two others: levels in dB, in straight lines over the key."""
        near = lower if part < 0.5 else upper
        if lower.band_centre.shape != upper.band_centre.shape or not lower.band_centre.size:
            return near
        times = np.union1d(lower.times, upper.times)

        def gain_db(stroke: Stroke) -> Array:
            gain = np.stack([np.interp(times, stroke.times, g) for g in stroke.band_gain.T], axis=1)
            return 20.0 * np.log10(np.maximum(gain, 1e-9))

        gain = 10.0 ** (((1.0 - part) * gain_db(lower) + part * gain_db(upper)) / 20.0)
        return replace(
            near,
            times=times,
            band_gain=np.where(gain > 1e-8, gain, 0.0),
            line_gain=np.zeros((times.size, 0)),
            line_frequency=np.zeros(0),
            line_phase=np.zeros(0),
            line_tilt_db=np.zeros(0),
            cents=np.zeros(times.size),
            start=(1.0 - part) * lower.start + part * upper.start,
            attack=(1.0 - part) * lower.attack + part * upper.attack,
        )


def _uneven(level_db: Array, deviation_db: float, share: float, draws: np.random.Generator) -> Array:
    """Levels (P,) with a share of their scatter drawn, and with the energy that so much scatter adds on average.

    Levels are predicted in decibels; the mean energy of what scatters around them by σ dB is (ln 10)/20 σ² dB higher.
    """
    scattered = level_db + share * deviation_db * draws.standard_normal(level_db.size)
    energy, before = (np.sum(10.0 ** (x / 10.0)) for x in (scattered, level_db))
    lift_db = share * np.log(10.0) / 20.0 * deviation_db**2
    return scattered + lift_db - 10.0 * np.log10(energy / before)


def _modes_of(frequency: float, level_db: Array, phase: float) -> NDArray[np.complex128]:
    """Modes (n, 3) = frequency, damping, amplitude of a partial whose level at the instants is given in dB.

    They are in phase, so that the envelope is their sum and has the levels asked for, without beats.
    """
    envelope = 10.0 ** (np.maximum(level_db, level_db[0] + FALLEN_DB) / 20.0)
    basis = np.exp(-np.outer(INSTANTS, RATES))
    share, _ = nnls(basis / envelope[:, None], np.ones(INSTANTS.size), maxiter=50 * RATES.size)
    used = np.flatnonzero(share > 0)
    turned = share[used] * np.exp(1j * phase)
    return np.stack([np.full(used.size, frequency), RATES[used], turned], axis=1).astype(complex)
