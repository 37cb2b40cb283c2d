"""Dampers: where a note that rings is let go, and how fast it falls from there.

A damper shows as a knee: most bands that are heard fall faster from there on than they did before, by much and for
good. Beats and modes that die sooner bend some bands, or come back. Where and how fast: the pair that brings the modes,
fitted to what rings before the knee, nearest to the energies that are heard after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.onsets import HOP, LEAD, levels_db
from rtsynth.instrument.fitting.metrics import COUNTED_DB, HELD_DB, Frames, erb_triangles
from rtsynth.instrument.fitting.recording import Array

SPAN = 16  # hops, 80 ms, over which bands fall before and after a knee
SETTLED = 10  # hops after an onset: an attack is no knee
AUDIBLE_DB = 40.0  # below the loudest band: what counts
BENT_DB, FALLEN_DB, GONE_DB = 6.0, 6.0, 4.0  # medians over bands: more than before; in SPAN; ever after
AROUND, STEP = 0.1, 0.005  # seconds about the knee in which the damper is looked for
T60 = np.geomspace(0.03, 3.0, 24)  # seconds
AFTER = 0.3  # seconds from the next onset on in which the note must not be louder than what is heard
_LN_MILLION = 6.0 * np.log(10.0)  # power falls by it in t60
_POINTS = 16  # of a frame, over which a damper's gain is averaged


@dataclass(frozen=True)
class Damper:
    """All of a strike falls by 60 dB in `t60` besides, from `after` seconds on."""

    after: float
    t60: float

    def power(self, times: Array) -> Array:
        """What power is multiplied by at times, seconds after the strike."""
        return np.exp(-_LN_MILLION / self.t60 * np.maximum(times - self.after, 0.0))


NO_DAMPER = Damper(np.inf, 1.0)


def find_knee(samples: Array, sample_rate: float) -> float | None:
    """Seconds from the start of samples (N,), a note from its onset on, at which it is let go; None: it is not."""
    level = levels_db(samples, sample_rate)[0][LEAD:]
    last = len(level) - SPAN  # the end of the samples is no knee
    ever_after = np.maximum.accumulate(level[:last][::-1], axis=0)[::-1]
    best, found = BENT_DB, None
    for k in range(SPAN + SETTLED, last - SPAN):
        heard = level[k] > level[k].max() - AUDIBLE_DB
        after, before = level[k] - level[k + SPAN], level[k - SPAN] - level[k]
        bent = np.median((after - before)[heard])
        fallen = np.median(after[heard])
        back = np.median((ever_after[k + SPAN] - level[k])[heard])
        if bent > best and fallen > FALLEN_DB and back < -GONE_DB:
            best, found = bent, k * HOP
    return found


def fit_damper(
    knee: float, begin: float, end: float, heard: Array, ringing: Array, frames: Frames, rate: float
) -> Damper:
    """The damper of a note that begins at `begin` and has its knee so many seconds later; the next one is at `end`.

    heard (N,): what is to be explained; ringing (N,): the note without its damper. Times in seconds.
    """
    triangles = erb_triangles(frames.n_fft, rate).T
    wanted, found = (frames.power(x) @ triangles for x in (heard, ringing))
    points = ((np.arange(_POINTS) + 0.5) / _POINTS - 0.5) * frames.window.size / rate
    share = np.hanning(_POINTS + 2)[1:-1] ** 2
    at = np.arange(len(wanted)) * frames.hop / rate
    near = (at > begin + knee - AROUND) & (at < end + AFTER)
    loudest = wanted.max()
    wanted, found, at = wanted[near], found[near], at[near]
    best, costs = NO_DAMPER, np.inf
    for after in np.arange(max(knee - AROUND, STEP), knee + AROUND, STEP):
        for t60 in T60:
            damper = Damper(float(after), float(t60))
            gain = damper.power(at[:, None] + points - begin) @ share / share.sum()
            cost = distance_db(found * gain[:, None], wanted, loudest, at > end)
            if cost < costs:
                best, costs = damper, cost
    return best


def distance_db(found: Array, wanted: Array, loudest: float, later: NDArray[np.bool_]) -> float:
    """Mean |dB| (F, bands) between energies where either counts; in frames `later` (F,), only what is too loud."""
    held, counted = loudest * 10.0 ** (0.1 * HELD_DB), loudest * 10.0 ** (0.1 * COUNTED_DB)
    error = 10.0 * np.log10(np.maximum(found, held) / np.maximum(wanted, held))
    error = np.where(later[:, None], np.maximum(error, 0.0), np.abs(error))
    there = (wanted > counted) | (found > counted)
    return float(error[there].mean()) if there.any() else 0.0
