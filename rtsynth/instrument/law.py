"""Does the loop draw from the law the preset states? The whole compiled path, asked one unit Gaussian at a time.

A voice is an affine map of its Gaussians: y = mean + L z. So L's columns are the responses to unit Gaussians, L Lᵀ is
the covariance of what is played, and both are compared with `Preset.kernel` and `Preset.mean`, which share no code with
the loop. Deterministic: no false alarms. The blocks cross the voice's segments at odd places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.instrument import Instrument
from rtsynth.instrument.preset import Preset
from rtsynth.instrument.rows import Channel
from rtsynth.messages import MESSAGE, Kind, message
from rtsynth.sampler.noise import SEGMENT
from rtsynth.sampler.table import ALL_ZERO, DRAW

BLOCKS = (50, 33, 47, 30)  # samples: three joins between blocks, none on the grid
LIMITS = {np.float64: 1e-12, np.float32: 5e-5}  # of the largest variance, or amplitude for the mean
BOTTOM, MIDDLE, TOP = 21, 60, 108  # the keys of a piano


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
    """Mean (n,) and factor L (n, count) of one held note, left and right, through the compiled path."""

    def __init__(self, instrument: Instrument, note: int, velocity: float, blocks: tuple[int, ...]) -> None:
        self._instrument, self._blocks = instrument, blocks
        self._start = message(Kind.NOTE_ON, number=note, value=velocity)
        self.mean = self._played(ALL_ZERO)
        shape = instrument.bank.shape
        segments = -(-sum(blocks) // SEGMENT)
        a_segment = SEGMENT if shape.innovations else 2 * SEGMENT * (shape.rows - shape.noisy_from)
        count = 2 * shape.rows + segments * a_segment
        self.factor = np.empty((2, sum(blocks), count))
        for index in range(count):
            self.factor[:, :, index] = self._played(index) - self.mean
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
    """The figures of a preset: covariance and mean, worst over both channels and their mean, for every key."""
    velocity = float(np.float32(velocity))  # what a message carries
    findings = []
    for real in precisions:
        instrument = Instrument(preset, alias=alias)
        instrument.prepare(sample_rate, real=real)
        for note in notes:
            responses = Responses(instrument, note, velocity, blocks)
            covariance, mean = worst_errors(preset, responses, note, velocity, sample_rate, alias)
            name = f"{np.dtype(real).name} key {note}"
            findings.append(Finding(f"covariance, {name}", covariance, LIMITS[real]))
            findings.append(Finding(f"mean, {name}", mean, LIMITS[real]))
    return findings


def worst_errors(
    preset: Preset, responses: Responses, note: int, velocity: float, sample_rate: float, alias: bool
) -> tuple[float, float]:
    """Largest error of the covariance, over the largest variance, and of the mean, over the largest amplitude."""
    t = np.arange(responses.mean.shape[1]) / sample_rate
    covariance_errors, mean_errors = [], []
    channels: tuple[Channel, ...] = ("left", "right", "mid")
    for channel in channels:
        stated = preset.kernel(
            note, velocity, sample_rate=sample_rate, channel=channel, alias=alias
        ).covariance(t, t)
        stated_mean = preset.mean(note, velocity, sample_rate=sample_rate, channel=channel, alias=alias)(t)
        mean, factor = responses.of(channel)
        scale = np.diag(stated).max() + np.square(stated_mean).max()
        covariance_errors.append(np.abs(factor @ factor.T - stated).max() / scale)
        mean_errors.append(np.abs(mean - stated_mean).max() / np.sqrt(scale))
    return float(max(covariance_errors)), float(max(mean_errors))
