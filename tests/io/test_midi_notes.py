"""Notes of a piece: begin, end, key; in seconds and in beats."""

from __future__ import annotations

from pathlib import Path

import mido
import pytest

from rtsynth.io.midi_files import read_midi
from rtsynth.io.midi_notes import sounding


def write(path: Path, *events: mido.Message | mido.MetaMessage) -> Path:
    """One track, 480 ticks a beat."""
    mido.MidiFile(tracks=[mido.MidiTrack(events)]).save(path)
    return path


def on(key: int, time: int = 0, channel: int = 0) -> mido.Message:
    return mido.Message("note_on", note=key, velocity=64, time=time, channel=channel)


def off(key: int, time: int = 0, channel: int = 0) -> mido.Message:
    return mido.Message("note_off", note=key, time=time, channel=channel)


def test_notes_overlap_repeat_and_are_left_held(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.mid",
        on(60),
        on(64, 480),
        on(60, 480),
        off(64, 480),
        off(60, 0),
        on(67, 480),
        off(1, 480),
    )
    assert sounding(read_midi(path)).tolist() == [[0, 1, 60], [0.5, 1.5, 64], [1, 1.5, 60], [2, 2.5, 67]]


def test_drums_are_no_keys_and_channels_are_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mid", on(60, channel=9), on(60), on(60, 480, 1), off(60, 480), off(60, 480, 1))
    assert sounding(read_midi(path)).tolist() == [[0, 1, 60], [0.5, 1.5, 60]]


def test_beats_do_not_depend_on_the_tempo(tmp_path: Path) -> None:
    """The tempo changes in the middle of the second note."""
    tempo = [mido.MetaMessage("set_tempo", tempo=t, time=time) for t, time in ((400_000, 0), (900_000, 240))]
    path = write(tmp_path / "a.mid", tempo[0], on(60), off(60, 480), on(62), tempo[1], off(62, 240))
    assert sounding(read_midi(path, beats=True)).tolist() == [[0, 1, 60], [1, 2, 62]]
    assert sounding(read_midi(path))[:, :2].ravel() == pytest.approx([0, 0.4, 0.4, 1.05])


def test_beats_without_a_tempo(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mid", on(60, 480), off(60, 960))
    assert sounding(read_midi(path, beats=True)).tolist() == [[1, 3, 60]]
    assert sounding(read_midi(path)).tolist() == [[0.5, 1.5, 60]]


def test_a_file_without_notes(tmp_path: Path) -> None:
    assert sounding(read_midi(write(tmp_path / "a.mid", off(60, 480)))).shape == (0, 3)
