"""Does the loop draw from the law the preset states? The whole compiled path, asked one unit Gaussian at a time.

A voice is an affine map of its Gaussians: y = mean + L z. So L's columns are the responses to unit Gaussians, L Lᵀ is
the covariance of what is played, and both are compared with `Preset.kernel` and `Preset.mean`, which share no code with
the loop. Deterministic: no false alarms. The blocks cross the voice's segments at odd places. z holds what the note
draws and what its key draws once and for all, its take; the variance knob decides how much of each is heard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.instrument import Instrument
from rtsynth.instrument.preset import Preset
from rtsynth.instrument.stated import Channel, HeldNote
from rtsynth.messages import MESSAGE, Kind, message
from rtsynth.sampler.noise import SEGMENT
from rtsynth.sampler.table import ALL_ZERO, DRAW, LAW, TAKE, Shape

BLOCKS = (50, 33, 47, 30)  # samples: three joins between blocks, none on the grid
LIMITS = {np.float64: 1e-12, np.float32: 5e-5}  # of the largest variance, or amplitude for the mean
BOTTOM, MIDDLE, TOP = 21, 60, 108  # the keys of a piano
HALF_WAY = 64  # of the variance knob, 0…127: draws and takes are heard alike
KNOB = 1  # the controller
MANY = 12_000  # Gaussians of a note, each of which is a rendering: beyond, the first two blocks have to do


@dataclass(frozen=True)
class Finding:
    """One figure against its limit."""

    name: str
    figure: float
    limit: float

    @property
    def ok(self) -> bool:
        return self.figure <= self.limit  # False for NaN too


class Responses:
    """Mean (n,) and factor L (n, count) of one held note, left and right, through the compiled path.

    `knob` 0…127: the variance knob was turned there before the note; None: it was never touched.
    """

    def __init__(
        self,
        instrument: Instrument,
        note: int,
        velocity: float,
        blocks: tuple[int, ...],
        knob: float | None = None,
    ) -> None:
        self._instrument, self._blocks = instrument, blocks
        turned = [] if knob is None else [message(Kind.CONTROL, number=KNOB, value=knob)]
        self._start = np.concatenate([*turned, message(Kind.NOTE_ON, number=note, value=velocity)])
        self.mean = self._played(ALL_ZERO)
        numbers = gaussians(instrument, note, -(-sum(blocks) // SEGMENT), knob)
        self.factor = np.empty((2, sum(blocks), numbers.size))
        for column, number in enumerate(numbers.tolist()):
            self.factor[:, :, column] = self._played(number) - self.mean
        instrument.probe(DRAW)
        instrument.reset()

    def _played(self, probe: int) -> NDArray[np.float64]:
        self._instrument.reset()
        self._instrument.probe(probe)
        out = np.zeros((2, sum(self._blocks)), self._instrument.bank.real)
        at, due = 0, self._start
        for block in self._blocks:
            self._instrument.run(due, out[0, at : at + block], out[1, at : at + block])
            at, due = at + block, np.empty(0, MESSAGE)
        return out.astype(np.float64)

    def of(self, channel: Channel) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and factor of a channel."""
        if channel == "mid":
            return self.mean.mean(axis=0), self.factor.mean(axis=0)
        side = 0 if channel == "left" else 1
        return self.mean[side], self.factor[side]


def gaussians(instrument: Instrument, note: int, segments: int, knob: float | None) -> NDArray[np.int64]:
    """Numbers of all Gaussians that a note may hear in its first segments: of rows that sound, from either source."""
    shape, law = instrument.bank.shape, dict(zip(LAW, instrument.bank.tables.law[note], strict=True))
    own = np.ones(shape.rows) if shape.innovations else law["variance"]
    variance = own if knob is None else np.full(shape.rows, knob / 127.0)
    # In the innovations form all rows share the noise, and those that are silent are in its filter.
    heard = shape.innovations | (law["left"] != 0) | (law["right"] != 0)
    new = np.flatnonzero(heard & (variance > 0))
    taken = np.flatnonzero(heard & (variance < 1) & (shape.innovations | (law["noise"] != 0)))
    return np.concatenate([_of_rows(shape, new, segments), TAKE + _of_rows(shape, taken, segments)])


def _of_rows(shape: Shape, rows: NDArray[np.intp], segments: int) -> NDArray[np.int64]:
    """Numbers of these rows' Gaussians: of their start, re then im, and of their noise, segment by segment."""
    noise = np.arange(segments * SEGMENT if rows.size else 0)
    if not shape.innovations:
        noise = _of_noise(shape, rows, segments)
    return np.concatenate([rows, shape.rows + rows, 2 * shape.rows + noise])


def _of_noise(shape: Shape, rows: NDArray[np.intp], segments: int) -> NDArray[np.intp]:
    """Places among a voice's noise that these rows hear: in every segment (64, singles), (64, pairs), (2, kicked)."""
    pairs = (shape.rows - shape.paired_from) // 2
    groups = (
        (shape.noisy_from, shape.paired_from - shape.noisy_from, 2 * SEGMENT),
        (shape.paired_from, pairs, 2 * SEGMENT),
        (shape.kicked_from, shape.ringing_from - shape.kicked_from, 2),
    )
    drawn, heard = 0, []
    for first, count, times in groups:
        mine = rows[(rows >= first) & (rows < first + count)] - first
        heard.append(drawn + np.add.outer(np.arange(times) * count, mine).ravel())
        drawn += times * count
    return np.add.outer(np.arange(segments) * drawn, np.concatenate(heard)).ravel()


def check(
    preset: Preset,
    *,
    sample_rate: float = 48000.0,
    notes: tuple[int, ...] = (BOTTOM, MIDDLE, TOP),
    velocity: float = 0.8,
    precisions: tuple[Any, ...] = (np.float64, np.float32),
    blocks: tuple[int, ...] = BLOCKS,
    alias: bool = False,
) -> list[Finding]:
    """The figures of a preset: covariance and mean, worst over both channels and their mean, for every key.

    The middle one once more with the variance knob half way, over the first two blocks and in the first precision: what
    it adds, a key's take, goes through the same loops.
    """
    velocity = float(np.float32(velocity))  # what a message carries
    findings = []
    for real in precisions:
        middle = notes[len(notes) // 2]
        instrument = Instrument(preset, alias=alias)
        instrument.prepare(sample_rate, real=real)
        many = gaussians(instrument, middle, -(-sum(blocks) // SEGMENT), None).size > MANY
        length = blocks[:2] if many else blocks
        plan: list[tuple[int, tuple[int, ...], float | None]] = [(note, length, None) for note in notes]
        if real is precisions[0]:
            plan.append((middle, blocks[:2], HALF_WAY))
        for note, of, knob in plan:
            responses = Responses(instrument, note, velocity, of, knob)
            covariance, mean = worst_errors(preset, responses, note, velocity, sample_rate, alias, knob)
            name = f"{np.dtype(real).name} key {note}" + ("" if knob is None else ", variance knob half way")
            findings.append(Finding(f"covariance, {name}", covariance, LIMITS[real]))
            findings.append(Finding(f"mean, {name}", mean, LIMITS[real]))
    return findings


def worst_errors(
    preset: Preset,
    responses: Responses,
    note: int,
    velocity: float,
    sample_rate: float,
    alias: bool,
    knob: float | None = None,
) -> tuple[float, float]:
    """Largest error of the covariance, over the largest variance, and of the mean, over the largest amplitude."""
    t = np.arange(responses.mean.shape[1]) / sample_rate
    held = HeldNote(preset, note, velocity, sample_rate, alias, None if knob is None else knob / 127.0)
    covariance_errors, mean_errors = [], []
    channels: tuple[Channel, ...] = ("left", "right", "mid")
    for channel in channels:
        stated, stated_mean = held.kernel(channel).covariance(t, t), held.mean(channel)(t)
        mean, factor = responses.of(channel)
        scale = (
            np.diag(stated).max() + np.square(stated_mean).max() or 1.0
        )  # 0: a note hard on the other side
        covariance_errors.append(np.abs(factor @ factor.T - stated).max() / scale)
        mean_errors.append(np.abs(mean - stated_mean).max() / np.sqrt(scale))
    return float(max(covariance_errors)), float(max(mean_errors))
