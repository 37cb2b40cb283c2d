"""How near a fitted instrument is to its recordings: the metrics, on what the compiled voices really play."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.fitting.instrument import Fitted
from rtsynth.instrument.fitting.metrics import measure
from rtsynth.instrument.fitting.recording import Recording
from rtsynth.instrument.instrument import Instrument
from rtsynth.instrument.preset import Preset, Recorded
from rtsynth.instrument.stroke import Stroke
from rtsynth.messages import MESSAGE, Kind, message

Array = NDArray[np.float64]

DRAWS = 8
BLOCK = 1024


@dataclass(frozen=True)
class Score:
    """A recording's metrics (metrics.py), in decibels."""

    name: str
    key: float
    modes: int
    env: float
    one: float
    att: float
    valley: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {field: getattr(self, field) for field in self.__dataclass_fields__}

    def as_row(self) -> tuple[str, ...]:
        """For a table."""
        figures = (f"{value:.2f}" for value in (self.env, self.one, self.att, self.valley))
        return (self.name, f"{self.key:.2f}", str(self.modes), *figures)


def evaluate(preset: Preset, fitted: Fitted, draws: int = DRAWS) -> list[Score]:
    """A score for every recording, from `draws` takes each."""
    scores = []
    for recording, stroke in zip(fitted.recordings, fitted.strokes, strict=True):
        played = play(preset, stroke, recording, range(1, draws + 1))
        figures = measure(recording.samples, played, recording.sample_rate, recording.onset)
        scores.append(
            Score(
                name=recording.name,
                key=stroke.key,
                modes=stroke.frequency.size or stroke.line_frequency.size,
                env=figures.env,
                one=figures.one,
                att=figures.att,
                valley=figures.valley,
            )
        )
    return scores


def play(preset: Preset, stroke: Stroke, recording: Recording, seeds: Sequence[int]) -> Array:
    """What the instrument plays in a recording's place, a take a seed: (S, N), at the recording's level and pitch."""
    as_recorded = msgspec.structs.replace(preset, layers=tuple(map(_as_recorded, preset.layers)))
    frames = recording.samples.size
    start = message(Kind.NOTE_ON, number=round(stroke.key), value=stroke.velocity)
    level = np.sqrt(0.5) * 10.0 ** (
        -preset.gain_db / 20.0
    )  # mid of an equal-power centre, before the preset's gain
    out = np.zeros((len(seeds), frames))
    for take, seed in enumerate(seeds):
        instrument = Instrument(as_recorded, seed)
        instrument.prepare(recording.sample_rate)
        left, right = np.zeros((2, frames - recording.onset), np.float32)
        due = start
        for at in range(0, left.size, BLOCK):
            instrument.run(due, left[at : at + BLOCK], right[at : at + BLOCK])
            due = np.empty(0, MESSAGE)
        out[take, recording.onset :] = level * (left.astype(float) + right)
    return out


def _as_recorded(layer: Any) -> Any:
    """At the recording's own pitch, and to its end: a loop is for those who hold a key for longer."""
    if not isinstance(layer, Recorded):
        return layer
    strokes = tuple(replace(stroke, loop=None) for stroke in layer.strokes)
    return msgspec.structs.replace(layer, in_tune=False, strokes=strokes)
