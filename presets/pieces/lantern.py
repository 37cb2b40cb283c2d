"""Writes lantern.mid, the bundled piece: sixteen bars of 6/8 for a GP piano, with pedal. Run it to write it anew."""

from __future__ import annotations

import math
from pathlib import Path

import mido

TICKS = 480  # a quarter note
BAR = 3 * TICKS
TEMPO = 60_000_000 // 66  # microseconds a quarter note

# One chord a bar: bass, then the notes the left hand breaks.
CHORDS = [
    (38, (45, 50, 54)),  # D
    (42, (49, 54, 57)),  # F#m
    (43, (50, 55, 59)),  # G
    (45, (52, 57, 61)),  # A
    (47, (50, 54, 59)),  # Bm
    (43, (50, 55, 58)),  # Gm
    (38, (45, 50, 54)),
    (45, (49, 52, 55)),  # A7
]

# Melody: (eighths from the bar's start, length in eighths, key), a bar each.
MELODY = [
    [(0, 3, 78), (3, 2, 76), (5, 1, 74)],
    [(0, 4, 73), (4, 2, 69)],
    [(0, 2, 71), (2, 1, 74), (3, 3, 79)],
    [(0, 5, 76)],
    [(0, 2, 78), (2, 1, 81), (3, 2, 83), (5, 1, 81)],
    [(0, 3, 82), (3, 3, 79)],
    [(0, 2, 78), (2, 2, 76), (4, 2, 74)],
    [(0, 6, 73)],
    [(0, 3, 86), (3, 2, 85), (5, 1, 81)],
    [(0, 4, 81), (4, 2, 78)],
    [(0, 2, 79), (2, 1, 83), (3, 3, 88)],
    [(0, 4, 85), (4, 2, 81)],
    [(0, 2, 83), (2, 1, 86), (3, 2, 90), (5, 1, 86)],
    [(0, 3, 87), (3, 3, 82)],
    [(0, 2, 81), (2, 2, 78), (4, 2, 76)],
    [(0, 6, 74)],
]


def notes() -> list[tuple[int, int, int, int]]:
    """(tick, duration in ticks, key, velocity), in any order."""
    eighth = TICKS // 2
    found = []
    for bar, tune in enumerate(MELODY):
        start = bar * BAR
        swell = math.sin(math.pi * (bar + 0.5) / len(MELODY))
        bass, broken = CHORDS[bar % len(CHORDS)]
        found.append((start, BAR, bass, round(50 + 26 * swell)))
        pattern = (broken[0], broken[1], broken[2], broken[1] + 12, broken[2], broken[1])
        for i, key in enumerate(pattern):
            loud = 34 + 20 * swell + (5 if i == 3 else 0)
            found.append((start + i * eighth + (12 * i) % 17, eighth + 40, key, round(loud)))
        for at, length, key in tune:
            rise = 8 if at == 0 else 0
            found.append((start + at * eighth, length * eighth, key, round(60 + 34 * swell + rise)))
    end = len(MELODY) * BAR
    for i, key in enumerate((26, 38, 50, 57, 62, 66, 74)):  # the last chord, rolled
        found.append((end + 60 * i, 2 * BAR - 60 * i, key, 62 - 3 * i))
    return found


def write(path: Path) -> None:
    """Write the piece: one track, pedal changed a little after every bar line."""
    events: list[tuple[int, int, mido.Message]] = []
    for tick, duration, key, velocity in notes():
        events.append((tick, 1, mido.Message("note_on", note=key, velocity=velocity)))
        events.append((tick + duration, 0, mido.Message("note_off", note=key, velocity=64)))
    for bar in range(len(MELODY) + 1):
        events.append((bar * BAR, 2, mido.Message("control_change", control=64, value=0)))
        events.append((bar * BAR + 90, 2, mido.Message("control_change", control=64, value=127)))
    events.append(((len(MELODY) + 3) * BAR, 2, mido.Message("control_change", control=64, value=0)))
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("track_name", name="Lantern"))
    track.append(mido.MetaMessage("set_tempo", tempo=TEMPO))
    track.append(mido.MetaMessage("time_signature", numerator=6, denominator=8))
    now = 0
    for tick, _, event in sorted(events, key=lambda e: (e[0], e[1])):
        track.append(event.copy(time=tick - now))
        now = tick
    piece = mido.MidiFile(type=0, ticks_per_beat=TICKS)
    piece.tracks.append(track)
    piece.save(path)


if __name__ == "__main__":
    write(Path(__file__).with_suffix(".mid"))
