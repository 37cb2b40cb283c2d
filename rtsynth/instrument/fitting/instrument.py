"""From recordings to an instrument: every note fitted, velocities merged, the keys between them predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rtsynth.errors import UsageError
from rtsynth.instrument.fitting.keyboard import LEAST_KEYS, Keyboard
from rtsynth.instrument.fitting.note import fit_note
from rtsynth.instrument.fitting.pitch import Pitch, fundamental
from rtsynth.instrument.fitting.recording import Recording
from rtsynth.instrument.fitting.velocity import by_key, merge, velocities_by_level
from rtsynth.instrument.stroke import Stroke

BOTTOM, TOP = 21, 108  # keys of a piano: those between recorded ones are predicted
NEAR = 1.5  # semitones: keys this near a recorded one take its stroke, transposed


@dataclass(frozen=True)
class Fitted:
    """What was fitted: a stroke a recording, in their order, and the strokes of the instrument, keys upwards."""

    recordings: tuple[Recording, ...]
    strokes: tuple[Stroke, ...]
    instrument: tuple[Stroke, ...]


def fit_instrument(
    recordings: Sequence[Recording],
    *,
    keys: Sequence[float] | None = None,
    velocities: Sequence[float] | None = None,
    bands: int = 24,
    progress: Callable[[float], None] = lambda share: None,
) -> Fitted:
    """Fit notes of one instrument, at any keys and velocities; `keys` and `velocities` are heard where not given.

    A single recording keeps free noise gains every 20 ms. Of several, the noise is parametric (a floor and two decays
    a band), and keys between them are predicted where all are struck. Raises InputError, UsageError.
    """
    for name, given in (("keys", keys), ("velocities", velocities)):
        if given is not None and len(given) != len(recordings):
            raise UsageError(
                f"--{name}: {len(given)} values for {len(recordings)} recordings: one each, in order"
            )
    many = len(recordings)
    strokes = []
    for index, recording in enumerate(recordings):

        def part(share: float, index: int = index) -> None:
            progress((index + share) / many)

        key = None if keys is None else float(keys[index])
        strokes.append(fit_note(recording, bands=bands, parametric=many > 1, key=key, progress=part))
    strokes = _with_velocities(recordings, strokes, velocities)
    merged = [merge(group) for group in by_key(strokes)]
    heard_at = {stroke.key: fundamental(r, stroke.key) for r, stroke in zip(recordings, strokes, strict=True)}
    pitches = [heard_at[stroke.key] for stroke in merged]
    return Fitted(tuple(recordings), tuple(strokes), tuple(_over_the_keyboard(merged, pitches)))


def _with_velocities(
    recordings: Sequence[Recording], strokes: Sequence[Stroke], velocities: Sequence[float] | None
) -> list[Stroke]:
    if velocities is not None:
        if not all(0.0 < v <= 1.0 for v in velocities):
            raise UsageError("--velocities: above 0 and at most 1")
        return [replace(s, velocity=float(v)) for s, v in zip(strokes, velocities, strict=True)]
    level_db = {id(s): 10.0 * np.log10(_power(r)) for r, s in zip(recordings, strokes, strict=True)}
    found: dict[int, float] = {}
    for group in by_key(strokes):
        heard = velocities_by_level(np.array([level_db[id(stroke)] for stroke in group]))
        found |= {id(stroke): float(v) for stroke, v in zip(group, heard, strict=True)}
    return [replace(stroke, velocity=found[id(stroke)]) for stroke in strokes]


def _power(recording: Recording) -> float:
    """Mean square of the first half second."""
    early = recording.samples[recording.onset : recording.onset + round(0.5 * recording.sample_rate)]
    return float(np.mean(early**2)) + 1e-20


def _over_the_keyboard(strokes: Sequence[Stroke], pitches: Sequence[Pitch]) -> list[Stroke]:
    """Recorded strokes, and predicted ones between them where they are struck and of several keys."""
    recorded = np.array([stroke.key for stroke in strokes])
    struck = all(stroke.frequency.size for stroke in strokes)
    harmonic = all(pitch.harmonic for pitch in pitches)
    if not (struck and harmonic) or len(strokes) < LEAST_KEYS:
        return list(strokes)
    keyboard = Keyboard(strokes, pitches)
    between = [
        key
        for key in range(max(BOTTOM, round(recorded.min())), min(TOP, round(recorded.max())) + 1)
        if np.abs(recorded - key).min() > NEAR
    ]
    return sorted([*strokes, *(keyboard.predict(key) for key in between)], key=lambda stroke: stroke.key)
