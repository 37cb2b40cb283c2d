"""MIDI files: the staged ones, files built byte by byte with one fault each, and bytes that are no file."""

from __future__ import annotations

import struct
from pathlib import Path

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsynth.errors import InputError
from rtsynth.io import midi_files
from rtsynth.io.midi_files import MidiPiece, read_midi
from rtsynth.io.midi_repair import BrokenError, repair
from rtsynth.messages import Kind
from tests.data import shared, shared_files

SCALE = [60, 62, 64, 65, 67, 69, 71, 72]
NOTE = bytes.fromhex("00 90 3C 64 60 80 3C 40")  # a beat of C at 96 ticks a beat
END = bytes.fromhex("00 FF 2F 00")


def header(kind: int = 0, tracks: int = 1, division: int = 96) -> bytes:
    return b"MThd" + struct.pack(">LHHH", 6, kind, tracks, division & 0xFFFF)


def chunk(body: bytes, name: bytes = b"MTrk", length: int | None = None) -> bytes:
    return name + struct.pack(">L", len(body) if length is None else length) + body


def piece_of(tmp_path: Path, data: bytes) -> MidiPiece:
    path = tmp_path / "x.mid"
    path.write_bytes(data)
    return read_midi(path)


def notes(piece: MidiPiece) -> list[int]:
    return piece.messages["number"][piece.messages["kind"] == Kind.NOTE_ON].tolist()


# ---- the staged files ----


@pytest.mark.parametrize("path", shared_files("midi/piano", "*.mid"), ids=lambda path: path.stem)
def test_piano_pieces_agree_with_mido_event_by_event(path: Path) -> None:
    piece = read_midi(path)
    time = 0.0
    wanted = []
    for event in mido.MidiFile(path):
        time += event.time
        if event.type in ("note_on", "note_off"):
            wanted.append((time, event.note, event.type == "note_on" and event.velocity > 0))
    is_note = np.isin(piece.messages["kind"], (Kind.NOTE_ON, Kind.NOTE_OFF))
    rows = piece.messages[is_note]
    np.testing.assert_allclose(piece.times[is_note], [time for time, _, _ in wanted], atol=1e-9)
    assert rows["number"].tolist() == [note for _, note, _ in wanted]
    assert (rows["kind"] == Kind.NOTE_ON).tolist() == [on for _, _, on in wanted]
    assert piece.warnings == ()
    assert piece.n_notes == sum(on for _, _, on in wanted)


@pytest.mark.parametrize("path", shared_files("midi/odd", "*.mid"), ids=lambda path: path.stem)
def test_odd_files_all_play(path: Path) -> None:
    piece = read_midi(path)
    messages = piece.at_rate(48000)
    assert (np.diff(messages["time"]) >= 0).all()
    assert (messages["time"] >= 0).all()
    assert np.isfinite(piece.times).all()
    assert piece.seconds >= piece.times.max(initial=0.0)


@pytest.mark.parametrize(
    ("name", "warned"),
    [
        ("c-major-scale", ""),
        ("corrupt-file-extra-byte", ""),
        ("illegal-message-f1-xx", "F1"),
        ("illegal-message-f4", "F4"),
        ("illegal-message-f6", "F6"),
        ("illegal-message-f8", "F8"),
        ("illegal-message-fe", "FE"),
        ("non-midi-track", "Junk"),
        ("running-status-metaevent", ""),
        ("vlq-2-byte", ""),
        ("vlq-3-byte", ""),
    ],
)
def test_you_must_hear_a_c_major_scale(name: str, warned: str) -> None:
    """What each file says of itself; mido refuses two of them."""
    piece = read_midi(shared(f"midi/odd/jazzsoft_{name}.mid"))
    assert notes(piece) == SCALE
    assert any(warned in warning for warning in piece.warnings) == bool(warned)


def test_the_staged_files_need_the_repair() -> None:
    """The planted fault is mido alone."""
    with pytest.raises(OSError, match="undefined status byte"):
        mido.MidiFile(shared("midi/odd/jazzsoft_illegal-message-f4.mid"))


def test_the_silence_at_the_end_of_a_track_counts() -> None:
    piece = read_midi(shared("midi/odd/jazzsoft_track-length.mid"))
    assert piece.seconds == pytest.approx(1.5)
    assert piece.times[-1] == pytest.approx(0.5)


# ---- one property at a time ----


def test_times_follow_the_tempo_map(tmp_path: Path) -> None:
    """Two beats at 120 a minute, then, from another track, at 60; the second note starts at the change."""
    tempi = bytes.fromhex("00 FF 51 03 07 A1 20 60 FF 51 03 0F 42 40") + END
    piece = piece_of(tmp_path, header(1, 2) + chunk(tempi) + chunk(NOTE + NOTE + END))
    np.testing.assert_allclose(piece.times, [0, 0.5, 0.5, 1.5])
    assert piece.at_rate(1000)["time"].tolist() == [0, 500, 500, 1500]


def test_times_do_not_drift() -> None:
    """One tick of 1/480 beat at a tempo that no binary fraction holds, a hundred thousand times over."""
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=123_457, time=0)])
    track += [mido.Message("note_on", time=1) for _ in range(100_000)]
    last = midi_files._in_seconds(track, 480)[-1][0]
    assert last == pytest.approx(100_000 * 123_457e-6 / 480, rel=1e-15)


@pytest.mark.parametrize(("code", "rate"), [(24, 24.0), (25, 25.0), (29, 30000 / 1001), (30, 30.0)])
def test_smpte_time_knows_no_tempo(tmp_path: Path, code: int, rate: float) -> None:
    division = (256 - code) << 8 | 40
    tempo = bytes.fromhex("00 FF 51 03 0F 42 40")
    piece = piece_of(tmp_path, header(division=division) + chunk(tempo + NOTE + END))
    assert piece.times[1] == pytest.approx(96 / (40 * rate))


def test_type_2_plays_its_tracks_one_after_the_other(tmp_path: Path) -> None:
    piece = piece_of(tmp_path, header(2, 2) + chunk(NOTE + END) + chunk(NOTE + END))
    np.testing.assert_allclose(piece.times, [0, 0.5, 0.5, 1.0])


def test_tracks_of_type_1_play_together(tmp_path: Path) -> None:
    piece = piece_of(tmp_path, header(1, 2) + chunk(NOTE + END) + chunk(NOTE + END))
    np.testing.assert_allclose(piece.times, [0, 0, 0.5, 0.5])


def test_what_is_held_at_the_end_is_released_there(tmp_path: Path) -> None:
    held = bytes.fromhex("00 93 3C 64 00 B5 40 7F 00 90 40 64 60 80 40 40 60 FF 2F 00")
    piece = piece_of(tmp_path, header() + chunk(held))
    releases = piece.messages[piece.times == 1.0]
    assert releases["channel"].tolist() == [3, 3, 5, 5]  # channel 0 holds nothing
    assert releases["number"].tolist() == [123, 64, 123, 64]


def test_nothing_is_added_where_nothing_is_held(tmp_path: Path) -> None:
    assert len(piece_of(tmp_path, header() + chunk(NOTE + END)).messages) == 2


def test_a_reset_counts_as_a_release() -> None:
    piece = read_midi(shared("midi/odd/jazzsoft_sysex-7e-09-01-gm1-enable.mid"))
    assert piece.messages["kind"].tolist() == [Kind.RESET]


def test_the_title_is_the_first_tracks_name_or_the_files(tmp_path: Path) -> None:
    name = "Étude".encode()
    titled = b"\x00\xff\x03" + bytes([len(name)]) + name
    assert piece_of(tmp_path, header() + chunk(titled + NOTE + END)).title == "Étude"
    assert piece_of(tmp_path, header() + chunk(NOTE + END)).title == "x"


def test_an_empty_piece_is_a_piece(tmp_path: Path) -> None:
    piece = piece_of(tmp_path, header() + chunk(END))
    assert (len(piece.messages), piece.n_notes, piece.seconds) == (0, 0, 0.0)


# ---- what is put right ----


@pytest.mark.parametrize(
    ("data", "warning"),
    [
        (header() + chunk(NOTE + END, length=500), "length in its header is wrong"),
        (header() + chunk(NOTE + NOTE + END, length=5), "length in its header is wrong"),
        (header() + chunk(NOTE), ""),  # no end of track
        (header() + chunk(b"", b"XFIH") + chunk(NOTE + END), "'XFIH' was skipped"),
        (header() + chunk(NOTE + END) + b"\0\1\2", ""),
        (header() + chunk(NOTE + END) + bytes(20), "no chunk"),
        (header(0, 7) + chunk(NOTE + END), "announces 7 tracks"),
        (header() + chunk(NOTE + b"\0\x40\x41" + END), ""),  # running status
        (header() + chunk(NOTE + b"\0\x90\x40\xc1"), "C1 above 7F"),
        (header() + chunk(NOTE + b"\0\x90\x40"), "ends inside an event"),
        (header() + chunk(NOTE + b"\xff\xff\xff\xff\xff"), "longer than four bytes"),
        (header() + chunk(b"\0\xff\x51\x02\x01\x02" + NOTE + END), ""),  # a tempo of two bytes
        (header() + chunk(b"\0\xf0\x03\x01\x02\x03\0\xf7\x02\x04\xf7" + NOTE + END), ""),  # a divided sysex
        (b"RIFF" + bytes(4) + b"RMIDdata" + bytes(4) + header() + chunk(NOTE + END), ""),
    ],
)
def test_what_a_player_forgives(tmp_path: Path, data: bytes, warning: str) -> None:
    piece = piece_of(tmp_path, data)
    assert notes(piece)[0] == 60
    assert piece.times[1] == pytest.approx(0.5)
    assert any(warning in text for text in piece.warnings) if warning else not piece.warnings


def test_the_delay_of_a_dropped_event_is_kept(tmp_path: Path) -> None:
    stray = bytes.fromhex("60 F4 60 90 3C 64 00 FF 2F 00")
    assert piece_of(tmp_path, header() + chunk(stray)).times[0] == pytest.approx(1.0)


def test_repair_leaves_a_sound_file_as_it_is() -> None:
    data = header() + chunk(NOTE + END)
    assert repair(data) == (data, [])


# ---- what is refused, in one line ----


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"RIFF....WAVE" * 20, "not a MIDI file"),
        (b"MThd\0\0\0", "ends inside its header"),
        (header(5) + chunk(END), "format 5"),
        (header(division=0) + chunk(END), "0 ticks per beat"),
        (header(), "no tracks"),
        (header() + chunk(b"\0\x40\x41"), "data byte without a status"),  # nothing playable, and broken
    ],
)
def test_what_cannot_be_played(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        piece_of(tmp_path, data)
    assert str(tmp_path / "x.mid") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 5


def test_a_piece_of_years_is_refused(tmp_path: Path) -> None:
    slow = bytes.fromhex("00 FF 51 03 FF FF FF FF FF FF 7F 90 3C 64") + END
    with pytest.raises(InputError, match="hours"):
        piece_of(tmp_path, header(division=1) + chunk(slow))


def test_missing_files_folders_and_giants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no MIDI file at"):
        read_midi(tmp_path / "nosuch.mid")
    with pytest.raises(InputError, match="is a folder"):
        read_midi(tmp_path)
    monkeypatch.setattr(midi_files, "LARGEST", 10)
    with pytest.raises(InputError, match="MiB"):
        piece_of(tmp_path, header() + chunk(END))


@settings(deadline=None)
@given(st.binary(max_size=300), st.booleans(), st.integers(0, 2**16 - 1))
def test_any_bytes_are_played_or_refused(body: bytes, in_track: bool, division: int) -> None:
    data = header(1, 1, division) + chunk(body) if in_track else body
    try:
        clean, _ = repair(data)
    except BrokenError:
        return
    file = mido.MidiFile(file=midi_files.io.BytesIO(clean))
    times = [time for time, _ in midi_files._events(file)]
    assert times == sorted(times)
