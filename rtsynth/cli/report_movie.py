"""The decomposition, step by step: what of the original's spectrogram the sum of the first k events leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.cli.report_events import Part
from rtsynth.codec.event import mel, mel_hertz

Array = NDArray[np.float64]

STEPS = 96  # pictures after the first, at most
ROWS, COLUMNS = 96, 480  # cells of a picture, at most
LOWEST, HIGHEST = 60.0, 10000.0  # hertz
WINDOW = 0.032  # seconds
FLOOR_DB = -60.0  # against the original's loudest cell


class Movie(NamedTuple):
    """Pictures of levels, 0…255 for -60…0 dB of the original's loudest cell; row 0 is the lowest frequency."""

    frames: NDArray[np.uint8]  # (K + 1, ROWS, C): the original, then what is left after each step
    counts: NDArray[np.int64]  # (K + 1,): events in the sum
    residual_db: Array  # (K + 1,): energy of what is left, against the original's
    decoded: NDArray[np.uint8]  # (ROWS, C): the sum of all
    hertz: Array  # (ROWS,)
    rising: int  # steps that left more than the one before


class Analysis:
    """Magnitudes (ROWS, C) of a sound in bands of mel; only columns that changed are computed anew."""

    def __init__(self, count: int, rate: float) -> None:
        self.size = 1 << max(6, round(np.log2(WINDOW * rate)))
        self.hop = max(self.size // 4, -(-count // COLUMNS))
        self.columns = max(1, -(-count // self.hop))
        self.hertz = mel_hertz(np.linspace(mel(LOWEST), mel(min(HIGHEST, 0.5 * rate)), ROWS))
        self._window = np.hanning(self.size + 1)[:-1]
        self._bands = _bands(self.hertz, self.size, rate)

    def magnitudes(self, sound: Array, first: int = 0, last: int | None = None) -> Array:
        """Columns first…last-1 of a sound (N,)."""
        at = np.arange(last - first if last is not None else self.columns - first) * self.hop
        begin = first * self.hop - self.size // 2
        piece = sound[max(0, begin) : begin + int(at[-1]) + self.size]
        before = max(0, -begin)
        padded = np.pad(piece, (before, int(at[-1]) + self.size - before - piece.size))
        frames = padded[at[:, None] + np.arange(self.size)] * self._window
        return np.sqrt(self._bands @ (np.abs(np.fft.rfft(frames)) ** 2).T)

    def touched(self, part: Part) -> tuple[int, int]:
        """The columns that hear a part: first, last + 1."""
        half = self.size // 2
        first = max(0, -(-(part.start - half + 1) // self.hop))
        last = min(self.columns, (part.start + part.samples.size + half - 1) // self.hop + 1)
        return first, max(first, last)


def _bands(hertz: Array, size: int, rate: float) -> Array:
    """(ROWS, size // 2 + 1): triangles over frequency that never fall between two bins."""
    bins = np.arange(size // 2 + 1) * rate / size
    width = np.maximum(np.gradient(hertz), rate / size)
    return np.maximum(0.0, 1.0 - np.abs(bins - hertz[:, None]) / width[:, None])


def movie(original: Array, shares: Sequence[Part], rate: float) -> Movie:
    """The decomposition of `original` (N,), the loudest events first.

    What is left is the difference of two magnitudes, the original's and that of the sum of the events so far: two
    events that cancel each other take nothing away.
    """
    analysis = Analysis(original.size, rate)
    goal = analysis.magnitudes(original)
    order = np.argsort([-part.energy for part in shares], kind="stable")
    groups = np.array_split(order, min(STEPS, order.size)) if order.size else []
    total, heard = np.zeros(original.size), np.zeros_like(goal)
    loudest = float(goal.max(initial=0.0)) or 1.0
    frames, left = [_levels(goal, loudest)], [_energy(goal)]
    for group in groups:
        for index in group.tolist():
            part = shares[index]
            total[part.start : part.start + part.samples.size] += part.samples
        for first, last in _joined([analysis.touched(shares[index]) for index in group.tolist()]):
            heard[:, first:last] = analysis.magnitudes(total, first, last)
        frames.append(_levels(goal - heard, loudest))
        left.append(_energy(goal - heard))
    relative = 10.0 * np.log10(np.maximum(left, 1e-12) / max(left[0], 1e-12))
    return Movie(
        frames=np.array(frames),
        counts=np.cumsum([0, *(group.size for group in groups)]),
        residual_db=relative,
        decoded=_levels(heard, loudest),
        hertz=analysis.hertz,
        rising=int((np.diff(left) > 0.0).sum()),
    )


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans that overlap as one, so that no column is computed twice in a step."""
    out: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if first == last:
            continue
        if out and first <= out[-1][1]:
            out[-1] = (out[-1][0], max(last, out[-1][1]))
        else:
            out.append((first, last))
    return out


def _levels(magnitudes: Array, loudest: float) -> NDArray[np.uint8]:
    decibels = 20.0 * np.log10(np.maximum(np.abs(magnitudes) / loudest, 10.0 ** (FLOOR_DB / 20.0)))
    return np.round(255.0 * (1.0 - decibels / FLOOR_DB)).clip(0, 255).astype(np.uint8)


def _energy(magnitudes: Array) -> float:
    return float((magnitudes**2).sum())
