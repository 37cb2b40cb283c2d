"""When events happen: the best piecewise straight line through a sound's features, one price for every piece.

A dynamic programme over all cuts: the cost of a piece is the squared error of its own straight line, by running sums,
and a price; prices are searched until the pieces are as many as wanted. (Bellman, On the approximation of curves by
line segments using dynamic programming, 1961.) `features` says what the error is measured in: a loud vowel's glide
counts and a pause's flutter does not, and voicing flips and octave slips are smoothed, for each costs three events
otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, median_filter

from rtsynth.codec.analysis import Tracks
from rtsynth.codec.event import CONTROL

Array = NDArray[np.float64]
Times = NDArray[np.int64]

SHORTEST, LONGEST = 6, 60  # control steps between events: 24 ms, 240 ms
SHORTEST_DENSE = 4  # the same where more than DENSE events a second are wanted
DENSE = 35.0
LOUDNESS_RANGE, LOUDNESS_SLOPE, LEAST_WEIGHT = 6.5, 5.0, 0.3  # ln amplitude below the loudest step
PITCH_SCALE, ENVELOPE_SCALE, NOISE_SCALE = 8.0, 0.35, 0.35
PITCH_SMOOTHING, ENVELOPE_SMOOTHING, NOISE_SMOOTHING = 0.010, 0.004, 0.006  # seconds, one sigma
FLIP = 7  # steps: a change of voicing shorter than half of it is a slip
PRICES = 24  # tried at once
ROUNDS = 3
HIGHEST_PRICE, LOWEST_PRICE = 1e4, 1e-4


def choose_times(rows: Array, pieces: int, shortest: int = SHORTEST) -> Times:
    """Starts of pieces (K,) of rows (T, D), 0 the first; K is `pieces` or as near below as the limits let it.

    A piece lasts `shortest` to LONGEST steps; fewer rows than that are one piece.
    """
    if len(rows) <= shortest:
        return np.zeros(1, np.int64)
    costs = piece_costs(rows, shortest)
    high, low = HIGHEST_PRICE, LOWEST_PRICE
    for _ in range(ROUNDS):
        prices = np.geomspace(high, low, PRICES)
        counts = _counts(cuts(costs, prices, shortest))
        enough = int(np.searchsorted(counts, pieces, "right")) - 1  # the counts rise as the prices fall
        high, low = prices[max(enough, 0)], prices[min(enough + 1, PRICES - 1)]
    return _path(cuts(costs, np.array([high]), shortest)[:, 0])


def piece_costs(rows: Array, shortest: int = SHORTEST) -> Array:
    """Squared errors (T + 1, L): of the best straight line through rows (T, D) of the piece that ends before row t.

    Column l: shortest + l rows long; infinite where there are not as many rows before t.
    """
    count, lengths = len(rows), np.arange(shortest, LONGEST + 1)
    centred = rows - rows.mean(axis=0)
    time = np.arange(count)[:, None]
    sums = [_running(part) for part in (centred, time * centred)]
    squares = _running((centred**2).sum(axis=1, keepdims=True))[:, 0]
    costs = np.full((count + 1, lengths.size), np.inf)
    for column, n in enumerate(lengths[lengths <= count]):
        total, moment = (s[n:] - s[:-n] for s in sums)
        middle = np.arange(count - n + 1)[:, None] + 0.5 * (n - 1)
        rise = ((moment - middle * total) ** 2).sum(axis=1) / (n * (n * n - 1.0) / 12.0)
        level = (total**2).sum(axis=1) / n
        costs[n:, column] = np.maximum(squares[n:] - squares[:-n] - level - rise, 0.0)
    return costs


def _running(rows: Array) -> Array:
    """Sums (T + 1, D) of the rows before each."""
    return np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])


def cuts(costs: Array, prices: Array, shortest: int = SHORTEST) -> NDArray[np.int16]:
    """Lengths (T + 1, P) of the last piece of the cheapest cutting of the rows before t, at each price; 0: none."""
    count = len(costs) - 1
    best = np.full((count + 1, prices.size), np.inf)
    best[0] = 0.0
    chosen = np.zeros((count + 1, prices.size), np.int16)
    every = np.arange(prices.size)
    for t in range(shortest, count + 1):
        reach = min(LONGEST, t) - shortest + 1
        options = best[t - shortest - np.arange(reach)] + costs[t, :reach, None]
        length = options.argmin(axis=0)
        best[t] = options[length, every] + prices
        chosen[t] = length + shortest
    return chosen


def _counts(chosen: NDArray[np.int16]) -> NDArray[np.int64]:
    """How many pieces (P,) each price's cutting has."""
    return np.array([_path(column).size for column in chosen.T])


def _path(chosen: NDArray[np.int16]) -> Times:
    """Starts of the pieces, from the last length back."""
    starts, at = [], len(chosen) - 1
    while at > 0:
        at -= int(chosen[at])
        starts.append(at)
    return np.array(starts[::-1], np.int64)


def loudness_weights(tracks: Tracks) -> Array:
    """(T,) LEAST_WEIGHT…1: what an error counts at each step."""
    loudness = tracks.envelope.max(axis=1)
    down = loudness - loudness.max(initial=-np.inf)
    return np.clip((down + LOUDNESS_RANGE) / LOUDNESS_SLOPE, LEAST_WEIGHT, 1.0)


def features(tracks: Tracks) -> Array:
    """(T, 30): pitch, envelope, noise, each in units of what an ear minds, smoothed as far as it does not."""
    share = 1.0 / (1.0 + np.exp(-tracks.logits))
    voiced = 1.0 - share[:, :1]
    pitch = (tracks.ln_f0 - np.median(tracks.ln_f0))[:, None]
    steady = median_filter(share, (FLIP, 1), mode="nearest")
    parts = [
        PITCH_SCALE * _smooth(pitch * voiced, PITCH_SMOOTHING),
        ENVELOPE_SCALE * _smooth(tracks.envelope, ENVELOPE_SMOOTHING),
        NOISE_SCALE * _smooth(steady, NOISE_SMOOTHING),
    ]
    return loudness_weights(tracks)[:, None] * np.concatenate(parts, axis=1)


def _smooth(rows: Array, seconds: float) -> Array:
    return gaussian_filter1d(rows, seconds / CONTROL, axis=0, mode="nearest")


def shortest_gap(events_per_second: float) -> int:
    """Control steps that two events of a voice are apart at least."""
    return SHORTEST if events_per_second <= DENSE else SHORTEST_DENSE
