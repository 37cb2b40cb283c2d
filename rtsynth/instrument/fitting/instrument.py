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
from rtsynth.instrument.fitting.room import without_room
from rtsynth.instrument.fitting.velocity import by_key, merge, spread_tilts, velocities_by_level
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
    scatter: float = 0.0,
    room: bool = True,
    progress: Callable[[float], None] = lambda share: None,
) -> Fitted:
    """Fit notes of one instrument, at any keys and velocities; `keys` and `velocities` are heard where not given.

    A single recording keeps free noise gains every 20 ms. Of several, the noise is parametric (a floor and two decays
    a band), and keys between them are predicted where all are struck. `scatter`, 0…1, is how much of what no law
    predicts of a key's partials is drawn: 0 is the best guess, 1 as uneven as recorded keys. Without `room`, struck
    notes lose the noise of the room they were recorded in.

    Raises InputError, UsageError.
    """
    for name, given in (("keys", keys), ("velocities", velocities)):
        if given is not None and len(given) != len(recordings):
            raise UsageError(
                f"--{name}: {len(given)} values for {len(recordings)} recordings: one each, in order"
            )
    many = len(recordings)
    strokes, pitches = [], []
    for index, recording in enumerate(recordings):

        def part(share: float, index: int = index) -> None:
            progress((index + share) / many)

        stroke, pitch = _fit_at(recording, None if keys is None else keys[index], bands, many > 1, part)
        strokes.append(stroke)
        pitches.append(pitch)
    strokes = _with_velocities(recordings, strokes, velocities)
    heard_at = {stroke.key: pitch for stroke, pitch in zip(strokes, pitches, strict=True)}
    merged = [merge(group) for group in by_key(strokes)]
    instrument = _over_the_keyboard(
        spread_tilts(merged), [heard_at[stroke.key] for stroke in merged], scatter
    )
    played = instrument if room else map(without_room, instrument)
    return Fitted(tuple(recordings), tuple(strokes), tuple(played))


def _fit_at(
    recording: Recording, key: float | None, bands: int, parametric: bool, progress: Callable[[float], None]
) -> tuple[Stroke, Pitch]:
    """A note fitted; a sound without a series of partials has the key it is given, and no tuning of its own."""
    pitch = fundamental(recording)
    in_series = pitch.harmonic
    if key is not None and in_series:
        pitch = fundamental(recording, key)
    stroke = fit_note(
        recording, bands=bands, parametric=parametric, key=key if in_series else None, progress=progress
    )
    return (stroke if in_series or key is None else replace(stroke, key=float(key))), pitch


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


def _over_the_keyboard(strokes: Sequence[Stroke], pitches: Sequence[Pitch], scatter: float) -> list[Stroke]:
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
    return sorted(
        [*strokes, *(keyboard.predict(key, scatter) for key in between)], key=lambda stroke: stroke.key
    )
