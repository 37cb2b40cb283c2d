"""What the events say, once their times are chosen: the targets and ramps that follow the tracks best.

Between two events a state lies on a straight line between two targets, then on the second, so for given ramps all
targets together are one weighted least-squares problem with a tridiagonal matrix. Ramps are chosen event by event for
given targets, and the two steps are repeated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from rtsynth.codec.analysis import Tracks
from rtsynth.codec.event import EVENT, LN_F0, RAMP, SHAPE, SHARES, Events, Kind
from rtsynth.codec.times import Times, loudness_weights

Array = NDArray[np.float64]

RAMPS = 8  # of an event, 1 step … all of the gap
LEAST_VOICE = 1e-3  # what an error of the pitch counts where there is no voice
ROUNDS = 3


def fit_targets(tracks: Tracks, times: Times, before: NDArray[np.void] | None = None) -> Events:
    """Retargets (K,) at times (K,), the first 0, that follow the tracks (T,).

    `before`: the event whose target is where the voice is at step 0. Without one the first has a ramp of one step: it
    says where the voice is.
    """
    rows, weights = _rows(tracks), _weights(tracks)
    start = None if before is None else _goal(before)
    gaps = np.append(np.diff(times), len(tracks) - times[-1])
    ramps = np.maximum(gaps.astype(np.float64), 1.0)
    for _ in range(ROUNDS - 1):
        goals = _goals(rows, weights, times, ramps, start)
        ramps = _ramps(rows, weights, times, gaps, goals, start)
    if start is None:
        ramps[0] = 1.0
    return _events(times, ramps, _goals(rows, weights, times, ramps, start))


def _goal(event: NDArray[np.void]) -> Array:
    """(30,) as a row of `_rows`."""
    vector = event["vector"].astype(np.float64)
    return np.concatenate([vector[SHAPE] + float(event["gain"]), vector[SHARES], [vector[LN_F0]]])


def _rows(tracks: Tracks) -> Array:
    """(T, 30): envelope, logits, ln f0."""
    return np.concatenate([tracks.envelope, tracks.logits, tracks.ln_f0[:, None]], axis=1)


def _weights(tracks: Tracks) -> Array:
    """(T, 30): what a squared error of each row counts."""
    loud = loudness_weights(tracks)[:, None] ** 2
    voiced = 1.0 / (1.0 + np.exp(tracks.logits[:, :1]))
    pitch = loud * np.maximum(voiced**2, LEAST_VOICE)
    return np.concatenate([np.repeat(loud, 29, axis=1), pitch], axis=1)


def progress(times: Times, ramps: Array, steps: int) -> tuple[NDArray[np.int64], Array]:
    """Of steps 0, 1, …: which event (T,) is under way, and how far its ramp is, 0…1 (T,)."""
    which = np.searchsorted(times, np.arange(steps), "right") - 1
    return which, np.minimum((np.arange(steps) - times[which]) / ramps[which], 1.0)


def _goals(rows: Array, weights: Array, times: Times, ramps: Array, start: Array | None) -> Array:
    """Targets (K, D) of the least weighted squares of rows (T, D); without a `start` (D,) the first holds from 0."""
    which, done = progress(times, ramps, len(rows))
    first = which == 0
    if start is None:
        done = np.where(first, 1.0, done)
    new, old = done[:, None], 1.0 - done[:, None]
    left = rows if start is None else rows - np.where(first[:, None], old * start, 0.0)
    before, going_on = np.maximum(which - 1, 0), np.where(first[:, None], 0.0, old)
    diagonal, beside, right = (np.zeros((times.size, rows.shape[1])) for _ in range(3))
    np.add.at(diagonal, which, weights * new**2)
    np.add.at(diagonal, before, weights * going_on**2)
    np.add.at(beside, which, weights * new * going_on)  # between event k - 1 and k
    np.add.at(right, which, weights * new * left)
    np.add.at(right, before, weights * going_on * left)
    diagonal += 1e-9 * diagonal.max(axis=0) + 1e-30
    if times.size == 1:
        return right / diagonal
    columns = [
        solveh_banded(np.stack([b, d]), r) for b, d, r in zip(beside.T, diagonal.T, right.T, strict=True)
    ]
    return np.stack(columns, axis=1)


def _ramps(
    rows: Array, weights: Array, times: Times, gaps: Times, goals: Array, start: Array | None
) -> Array:
    """Of RAMPS choices each event's best (K,), for targets (K, D) as they are."""
    scale = weights / np.maximum(rows.var(axis=0), 1e-6)
    errors = np.empty((RAMPS, times.size))
    choices = 1.0 + (np.maximum(gaps, 1) - 1.0) * np.linspace(0.0, 1.0, RAMPS)[:, None]  # (8, K)
    origins = np.concatenate([goals[:1] if start is None else start[None], goals[:-1]])
    for index, ramps in enumerate(choices):
        which, done = progress(times, ramps, len(rows))
        state = origins[which] + done[:, None] * (goals[which] - origins[which])
        errors[index] = np.bincount(which, (scale * (state - rows) ** 2).sum(axis=1), times.size)
    return np.take_along_axis(choices, errors.argmin(axis=0)[None], 0)[0]


def _events(times: Times, ramps: Array, goals: Array) -> Events:
    out = np.zeros(times.size, EVENT)
    gain = goals[:, :24].mean(axis=1)
    vector = out["vector"]
    out["time"], out["kind"], out["gain"] = times, Kind.RETARGET, gain
    vector[:, RAMP], vector[:, LN_F0] = ramps, goals[:, 29]
    vector[:, SHAPE], vector[:, SHARES] = goals[:, :24] - gain[:, None], goals[:, 24:29]
    return out
