"""Notes as MIDI files, read again by the reader of pieces."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtsynth.errors import InputError, UsageError
from rtsynth.io.midi_files import read_midi
from rtsynth.io.midi_writing import write_midi
from rtsynth.messages import Kind


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.mid"
    write_midi(path, [(0.5, 1.0, 64, 100, 1), (0.0, 0.5, 60, 127, 0), (1.0, 1.0, 64, 1, 0)])
    piece = read_midi(path)
    assert piece.n_notes == 3
    on = piece.messages["kind"] == Kind.NOTE_ON
    assert piece.times[on] == pytest.approx([0.0, 0.5, 1.0], abs=1e-3)
    assert piece.messages["number"][on].tolist() == [60, 64, 64]
    assert piece.messages["value"][on] == pytest.approx([1.0, 100 / 127, 1 / 127], abs=1e-3)
    assert piece.seconds == pytest.approx(1.0, abs=5e-3)


def test_a_note_ends_before_the_next_of_its_key_begins(tmp_path: Path) -> None:
    write_midi(tmp_path / "x.mid", [(0.0, 0.5, 60, 90, 0), (0.5, 1.0, 60, 90, 0)])
    kinds = read_midi(tmp_path / "x.mid").messages["kind"].tolist()
    notes = [k for k in kinds if k in (Kind.NOTE_ON, Kind.NOTE_OFF)]
    assert notes == [Kind.NOTE_ON, Kind.NOTE_OFF, Kind.NOTE_ON, Kind.NOTE_OFF]


def test_no_notes_and_nothing_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "x.mid"
    write_midi(path, [])
    with pytest.raises(UsageError, match="-f"):
        write_midi(path, [])
    write_midi(path, [(0.0, 1.0, 60, 64, 0)], force=True)
    assert read_midi(path).n_notes == 1
    with pytest.raises(UsageError, match=r"\.mid"):
        write_midi(tmp_path / "x.wav", [])
    with pytest.raises(InputError):
        write_midi(tmp_path / "no" / "x.mid", [])
