"""Standard MIDI files as messages in seconds: mido reads them, after `midi_repair` has put right what can be.

Source: Standard MIDI Files 1.0 (RP-001); types 0, 1 and 2, metrical and SMPTE time.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError
from rtsynth.io.midi_bytes import ALL_NOTES_OFF, ALL_SOUND_OFF, SUSTAIN, decode, release_all
from rtsynth.io.midi_repair import BrokenError, repair
from rtsynth.messages import MESSAGE, Kind, Messages

if TYPE_CHECKING:
    import mido

LONGEST = 24 * 3600.0
LARGEST = 64 * 2**20  # bytes
DEFAULT_TEMPO = 500_000  # microseconds a beat
DROP_FRAME = 30000 / 1001  # frames per second; files say 29


@dataclass(frozen=True)
class MidiPiece:
    """What a MIDI file says to play.

    times: (N,) seconds, ascending. messages: (N,) MESSAGE, `time` 0. seconds: to the end of the last track.
    The piece leaves nothing ringing: notes and pedals still held at the end are released there.
    """

    title: str
    times: NDArray[np.float64]
    messages: Messages
    seconds: float
    warnings: tuple[str, ...] = ()

    @property
    def n_notes(self) -> int:
        """How many notes begin."""
        return int(np.count_nonzero(self.messages["kind"] == Kind.NOTE_ON))

    def at_rate(self, sample_rate: float) -> Messages:
        """(N,) MESSAGE with `time` in samples, ascending: every message at the nearest sample."""
        timed = self.messages.copy()
        timed["time"] = np.rint(self.times * sample_rate).astype(np.int64)
        return timed


def read_midi(path: str | Path, beats: bool = False) -> MidiPiece:
    """The piece in the file at `path`; raises InputError, in one line, where it cannot be read or played.

    beats: times in beats instead of seconds, whatever the tempo; where the file counts in SMPTE frames, in seconds.
    """
    path = Path(path)
    try:
        clean, warnings = repair(_read_bytes(path))
        import mido

        file = mido.MidiFile(file=io.BytesIO(clean))
        if beats:
            _steady(file)
        events = _events(file)
    except (BrokenError, ValueError, OSError, EOFError, IndexError) as problem:
        raise InputError(f"cannot read the MIDI file {path}: {problem}") from problem
    end = max((time for time, _ in events), default=0.0)
    if end > LONGEST:
        raise InputError(
            f"{path} lasts {end / 3600:.0f} hours; the longest piece played is {LONGEST / 3600:.0f} hours"
        )
    timed = _messages(events)
    times, messages = _as_arrays(timed + _releases(timed, end))
    if len(messages) == 0 and warnings:
        raise InputError(f"cannot read the MIDI file {path}: {warnings[0]}")
    return MidiPiece(_title(file) or path.stem, times, messages, end, tuple(warnings))


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, not a MIDI file")
        size = path.stat().st_size
        if size > LARGEST:
            raise InputError(
                f"{path} has {size / 2**20:.0f} MiB; the largest MIDI file read has {LARGEST // 2**20} MiB"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"no MIDI file at {path}") from None
    except OSError as problem:
        raise InputError(f"cannot read {path}: {problem.strerror}") from problem


_Timed = list[tuple[float, "mido.Message"]]


def _messages(events: _Timed) -> list[tuple[float, Messages]]:
    """(time in seconds, message (1,)) in order; messages of one time keep the file's order."""
    found = ((time, decode(bytes(event.bytes()))) for time, event in events if not event.is_meta)
    return [(time, row) for time, row in found if row is not None]


def _events(file: mido.MidiFile) -> _Timed:
    """Every event with its time in seconds; the independent tracks of type 2 one after the other."""
    import mido

    if file.type != 2:
        return _in_seconds(mido.merge_tracks(file.tracks), file.ticks_per_beat)
    events: _Timed = []
    for track in file.tracks:
        offset = events[-1][0] if events else 0.0
        events += [(offset + time, event) for time, event in _in_seconds(track, file.ticks_per_beat)]
    return events


def _steady(file: mido.MidiFile) -> None:
    """One beat a second throughout: then seconds are beats."""
    import mido

    beat = 1_000_000  # microseconds
    for track in file.tracks:
        held = [event.copy(tempo=beat) if event.type == "set_tempo" else event for event in track]
        track[:] = [mido.MetaMessage("set_tempo", tempo=beat), *held]


def _in_seconds(track: mido.MidiTrack, division: int) -> _Timed:
    """Events of one track with their times in seconds; `division` is mido's signed header word."""
    events: _Timed = []
    tempo = DEFAULT_TEMPO
    tick = anchor_tick = 0
    anchor = 0.0  # seconds at anchor_tick, the last change of tempo: times counted from there cannot drift
    for event in track:
        tick += event.time
        time = anchor + (tick - anchor_tick) * _seconds_per_tick(division, tempo)
        events.append((time, event))
        if event.type == "set_tempo":
            anchor, anchor_tick, tempo = time, tick, event.tempo
    return events


def _seconds_per_tick(division: int, tempo: int) -> float:
    """Ticks are fractions of a beat, or (negative upper byte) of an SMPTE frame, which no tempo changes."""
    if division > 0:
        return tempo * 1e-6 / division
    frames_per_second, ticks_per_frame = -(division >> 8), division & 0xFF
    rate = DROP_FRAME if frames_per_second == 29 else frames_per_second
    return 1.0 / (rate * ticks_per_frame)


def _releases(timed: list[tuple[float, Messages]], end: float) -> list[tuple[float, Messages]]:
    """Releases at the piece's end for channels that hold a note or a pedal there, as every player sends."""
    held: dict[int, set[int]] = {}
    for _, row in timed:
        _follow(held.setdefault(int(row["channel"][0]), set()), row[0])
    return [(end, row) for channel, what in held.items() if what for row in release_all(channel)]


_PEDAL = 128  # stands among the held notes for the sustain pedal


def _follow(held: set[int], row: np.void) -> None:
    kind, number, value = row["kind"], int(row["number"]), float(row["value"])
    if kind == Kind.RESET or (kind == Kind.CONTROL and number in (ALL_SOUND_OFF, ALL_NOTES_OFF)):
        held.intersection_update({_PEDAL} if kind == Kind.CONTROL else ())
    elif kind == Kind.NOTE_ON:
        held.add(number)
    elif kind == Kind.NOTE_OFF:
        held.discard(number)
    elif kind == Kind.CONTROL and number == SUSTAIN:
        held.add(_PEDAL) if value > 0 else held.discard(_PEDAL)


def _as_arrays(timed: list[tuple[float, Messages]]) -> tuple[NDArray[np.float64], Messages]:
    if not timed:
        return np.empty(0), np.empty(0, MESSAGE)
    return np.array([time for time, _ in timed]), np.concatenate([row for _, row in timed])


def _title(file: mido.MidiFile) -> str:
    """The first track's name; mido reads names as Latin-1, newer files write UTF-8."""
    name = next((track.name for track in file.tracks if track.name.strip("\0 ")), "")
    try:
        return name.encode("latin-1").decode("utf-8").strip("\0 ")
    except UnicodeDecodeError:
        return name.strip("\0 ")
