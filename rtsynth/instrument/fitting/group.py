"""Bands of one width and the modes fitted in them: one at a time, as long as another one pays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.fitting.poles import pool
from rtsynth.instrument.fitting.recording import Array
from rtsynth.instrument.fitting.subband import Bands, Complex, Exponentials, Onset
from rtsynth.instrument.fitting.varpro import Fit, Point, Problem, best_addition, refine

PAYS = 0.12  # of the weighted residual: what another mode has to take off
ENOUGH = 1e-5  # of the weighted signal: a residual that needs no other mode
CANCELLING = 8.0  # times the peak of its band: an amplitude that only another one could undo
SMOOTHED = 0.05  # seconds: of the envelope that samples are weighted with
WEIGHT_EXPONENT = 0.7  # 0: only the loud beginning counts; 1: every moment alike, and the attack suffers
FLOOR_DB = -72.0  # of the loudest band: nothing below it is fitted, as nothing below it is heard
QUIET_QUANTILE = 0.05  # of the envelope: what a band never falls below is taken for its noise
FADED_WEIGHT = 0.3  # of samples after the band has faded: noise, but no mode may ring on there
LEAST_FITTED = 0.3  # seconds of every band that are fitted whatever is in them


class Kind(NamedTuple):
    """What the modes of a group may be."""

    most: int  # modes in a band
    damping: tuple[float, float] = (0.05, 150.0)  # 1/s: least and most
    even: bool = False  # all samples weigh the same


class Group:
    """Up to kind.most modes in each of B bands; band b has the first count[b] of its row."""

    def __init__(self, bands: Bands, kind: Kind) -> None:
        self.bands, self.kind = bands, kind
        B = bands.first.size
        self.poles: Complex = np.zeros((B, kind.most), dtype=np.complex128)  # 1/s
        self.amplitude: Complex = np.zeros((B, kind.most), dtype=np.complex128)
        self.count: NDArray[np.int64] = np.zeros(B, dtype=np.int64)

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which of (B, most) there are: `poles[used]` are the modes (M,) in their order."""
        return np.arange(self.kind.most) < self.count[:, None]

    def by_count(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Each number of modes P >= 1 that bands have, and those bands."""
        for P in range(1, self.kind.most + 1):
            rows = np.flatnonzero(self.count == P)
            if rows.size:
                yield P, rows

    def values(self, onset: Onset) -> Complex:
        """The modes of each band, in that band (B, K)."""
        out = np.zeros((self.count.size, self.bands.window.size), dtype=np.complex128)
        for P, rows in self.by_count():
            ring, _ = Exponentials(self.bands.take(rows), onset)(self.poles[rows, :P])
            out[rows] = np.einsum("bp,bpk->bk", self.amplitude[rows, :P], ring)
        return out

    def problem(self, signals: Complex, onset: Onset, loudest: float) -> Problem:
        """The problem of these bands for signals (B, K); `loudest`: the peak of the loudest band of the note."""
        weight = np.ones(signals.shape) if self.kind.even else weights(self.bands, signals, loudest)
        return Problem(self.bands, signals, weight, Exponentials(self.bands, onset), self.kind.damping)

    def improve(self, problem: Problem, steps: int, tolerance: float) -> Array:
        """Refine the modes there are; their cost (B,)."""
        cost = problem.power
        for P, rows in self.by_count():
            part, old = problem.rows(rows), self.poles[rows, :P]
            fit = refine(part, old, steps, tolerance)
            sane = _sane(fit, part)[:, None]
            self.poles[rows, :P] = np.where(sane, fit.poles, old)
            self.amplitude[rows, :P] = np.where(sane, fit.amplitude, self.amplitude[rows, :P])
            cost[rows] = fit.cost
        return cost

    def grow(
        self, problem: Problem, most: int, cost: Array, least: float, steps: int, tolerance: float
    ) -> None:
        """Add modes up to `most` a band, as long as each lowers the cost (B,) by a share of PAYS.

        None in bands whose peak is below `least`.
        """
        candidates = pool(problem.bands, problem.signals, problem.damping)
        enough = ENOUGH * problem.power
        growing = problem.peak > least
        for P in range(1, most + 1):
            rows = np.flatnonzero((self.count == P - 1) & growing & (cost > enough))
            if rows.size == 0:
                continue
            part, old = problem.rows(rows), self.poles[rows, : P - 1]
            point = part.at(old) if P > 1 else _nothing(part)
            added = best_addition(part, point.basis, point.residual, candidates[rows])
            fit = refine(part, np.concatenate([old, added[:, None]], axis=1), steps, tolerance)
            pays = _sane(fit, part) & (fit.cost < (1.0 - PAYS) * cost[rows])
            won = rows[pays]
            self.poles[won, :P], self.amplitude[won, :P] = fit.poles[pays], fit.amplitude[pays]
            cost[won], self.count[won] = fit.cost[pays], P
            growing[rows[~pays]] = False

    def keep(self, chosen: NDArray[np.bool_]) -> None:
        """Leave out all modes but `chosen` (B, most) of those used."""
        order = np.argsort(~chosen, axis=1, kind="stable")
        self.poles = np.take_along_axis(self.poles, order, axis=1)
        self.amplitude = np.take_along_axis(self.amplitude, order, axis=1)
        self.count = np.count_nonzero(chosen, axis=1)

    def begin_later(self, seconds: float) -> None:
        """Let the same modes begin `seconds` later, and go on as they did."""
        self.amplitude *= np.exp(self.poles * seconds)


def _sane(fit: Fit, problem: Problem) -> NDArray[np.bool_]:
    """Whether the modes of each band (B,) are what is heard, not the difference of some that are far louder."""
    return np.abs(fit.amplitude).max(axis=1) < CANCELLING * problem.peak


def _nothing(problem: Problem) -> Point:
    """The problem before its first mode."""
    B, K = problem.signals.shape
    none = np.zeros((B, 0), dtype=np.complex128)
    thin = np.zeros((B, K, 0), dtype=np.complex128)
    return Point(none, problem.signals * problem.weight, problem.power, thin, thin)


def weights(bands: Bands, signals: Complex, loudest: float) -> Array:
    """Weights (B, K): 1 / (envelope + floor)^0.7, less after the envelope's last crossing of the floor.

    The first crossing may be a beat.
    """
    from scipy.ndimage import uniform_filter1d

    size = max(1, round(SMOOTHED * bands.rate)) | 1
    envelope = np.sqrt(np.maximum(uniform_filter1d(np.abs(signals) ** 2, size, axis=1), 0.0))
    quiet = np.quantile(envelope, QUIET_QUANTILE, axis=1)
    floor = np.maximum(10.0 ** (FLOOR_DB / 20.0) * loudest, quiet)[:, None] + 1e-300
    heard = (envelope > 1.5 * floor) & (bands.times > 0.0) | (
        np.abs(bands.times - LEAST_FITTED / 2) < LEAST_FITTED / 2
    )
    after = np.cumsum(heard[:, ::-1], axis=1)[:, ::-1] == 0

    return np.where(after, FADED_WEIGHT, 1.0) * (envelope + floor) ** -WEIGHT_EXPONENT
