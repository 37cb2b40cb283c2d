"""Notes as a standard MIDI file of type 0."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from rtsynth.errors import InputError, UsageError
from rtsynth.target import check_target

TICKS = 480  # a beat
TEMPO = 500_000  # microseconds a beat: a tick is 1.04 ms
SUFFIXES = (".mid", ".midi")
Timed = tuple[float, float, int, int, int]  # begin and end in seconds, key, velocity 1…127, channel 0…15


def check_midi_target(path: Path, force: bool) -> None:
    """Can it be written here? Raises UsageError or InputError."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: a MIDI file ends in .mid. Try {path.with_suffix('.mid')}")
    check_target(path, force)


def write_midi(path: str | Path, notes: Iterable[Timed], force: bool = False) -> None:
    """Write notes, whole or not at all. Raises as `check_midi_target` does."""
    import mido

    path = Path(path)
    check_midi_target(path, force)
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=TEMPO)])
    now = 0
    for tick, message in _in_order(notes):
        track.append(message.copy(time=tick - now))
        now = tick
    part = path.with_name(f".{path.name}.part")
    try:
        mido.MidiFile(type=0, ticks_per_beat=TICKS, tracks=[track]).save(part)
        os.replace(part, path)
    except OSError as problem:
        part.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {problem.strerror}. Choose another place") from problem


def _in_order(notes: Iterable[Timed]) -> list:
    """(tick, message), ends before beginnings of the same tick."""
    import mido

    listed = []
    for begin, end, key, velocity, channel in notes:
        first, last = _tick(begin), max(_tick(end), _tick(begin) + 1)
        on = mido.Message("note_on", note=key, velocity=velocity, channel=channel)
        off = mido.Message("note_off", note=key, channel=channel)
        listed += [(first, 1, on), (last, 0, off)]
    return [(tick, message) for tick, _, message in sorted(listed, key=lambda row: row[:2])]


def _tick(seconds: float) -> int:
    return round(seconds * 1e6 / TEMPO * TICKS)
