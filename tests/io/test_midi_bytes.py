"""The byte parser against what a sender meant, and against mido where it can follow; the meanings."""

from __future__ import annotations

from itertools import pairwise

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsynth.io import midi_bytes
from rtsynth.io.midi_bytes import ByteParser, bend_value, decode, message_length, release_all
from rtsynth.messages import Kind

CHANNEL_STATUS = st.integers(0x80, 0xEF)
DATA = st.integers(0, 127)
REAL_TIME = st.sampled_from([0xF8, 0xFA, 0xFB, 0xFC, 0xFE, 0xFF])


@st.composite
def whole_messages(draw: st.DrawFn) -> bytes:
    """One well-formed message that is not real time."""
    status = draw(st.one_of(CHANNEL_STATUS, st.sampled_from([0xF0, 0xF1, 0xF2, 0xF3, 0xF6])))
    if status == 0xF0:
        return bytes([0xF0, *draw(st.lists(DATA, max_size=20)), 0xF7])
    return bytes([status, *draw(st.lists(DATA, min_size=(n := message_length(status) - 1), max_size=n))])


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """A stream as senders with running status make it, real-time bytes anywhere; and the messages in it."""
    completes: list[tuple[int, bytes]] = []  # a byte, and the message whole with it, or nothing yet
    running = 0
    for message, may_elide in draw(st.lists(st.tuples(whole_messages(), st.booleans()), max_size=30)):
        sent = message[1:] if may_elide and message[0] == running else message
        completes += [(byte, b"") for byte in sent[:-1]] + [(sent[-1], message)]
        running = message[0] if message[0] < 0xF0 else 0
    clocks = REAL_TIME.filter(lambda byte: byte != 0xFF)
    for place, byte in draw(st.lists(st.tuples(st.integers(0, 200), clocks), max_size=10)):
        completes.insert(place % (len(completes) + 1), (byte, bytes([byte])))
    return bytes(byte for byte, _ in completes), [message for _, message in completes if message]


def parsed(stream: bytes, cuts: list[int], parser: ByteParser | None = None) -> list[bytes]:
    """What the parser makes of `stream`, cut into pieces at `cuts`."""
    parser = parser or ByteParser()
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    pieces = [stream[a:b] for a, b in pairwise(places)]
    return [message for piece in pieces for message in parser.feed(piece)]


@settings(deadline=None)
@given(streams(), st.lists(st.integers(0, 10**6), max_size=5))
def test_no_well_formed_message_is_lost(stream: tuple[bytes, list[bytes]], cuts: list[int]) -> None:
    assert parsed(stream[0], cuts) == stream[1]


@settings(deadline=None)
@given(st.binary(max_size=400), st.lists(st.integers(0, 10**6), max_size=5))
def test_any_bytes_give_only_whole_messages_and_no_exception(stream: bytes, cuts: list[int]) -> None:
    messages = parsed(stream, cuts)
    assert messages == parsed(stream, [])
    for message in messages:
        is_sysex = message[0] == 0xF0 and message[-1] == 0xF7
        assert is_sysex or len(message) == message_length(message[0])
        assert all(byte < 0x80 for byte in message[1 : -1 if is_sysex else None])
        row = decode(message)
        assert row is None or row.shape == (1,)


@settings(deadline=None)
@given(st.lists(st.one_of(whole_messages(), REAL_TIME.map(lambda byte: bytes([byte]))), max_size=30))
def test_agrees_with_mido_where_every_message_has_its_status(messages: list[bytes]) -> None:
    theirs = mido.Parser()
    theirs.feed(b"".join(messages))
    assert parsed(b"".join(messages), []) == [bytes(message.bytes()) for message in theirs]


RUNNING = bytes.fromhex("90 3C 64 3E 64 F8 40 00")


def test_running_status_over_a_clock_byte() -> None:
    expected = [b"\x90\x3c\x64", b"\x90\x3e\x64", b"\xf8", b"\x90\x40\x00"]
    assert ByteParser().feed(RUNNING) == expected


def test_the_check_sees_a_parser_without_running_status() -> None:
    """mido's own parser is the planted fault: it loses two of the three notes."""
    theirs = mido.Parser()
    theirs.feed(RUNNING)
    assert [bytes(message.bytes()) for message in theirs] == [b"\x90\x3c\x64", b"\xf8"]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ("40 41 90 40 41", ["90 40 41"]),  # data before any status
        ("90 40 F4 41 42", []),  # an undefined status ends the message and running status
        ("90 40 41 F5 42 43 90 01 02", ["90 40 41", "90 01 02"]),
        ("90 F9 40 FD 41", ["90 40 41"]),  # undefined real-time bytes change nothing
        ("F0 01 02 90 40 41", ["90 40 41"]),  # an interrupted system exclusive is dropped
        ("F0 01 F8 02 F7", ["F8", "F0 01 02 F7"]),  # a clock inside one
        ("F0 01 F0 02 F7", ["F0 02 F7"]),
        ("F7 90 40 41", ["90 40 41"]),  # a stray end
        ("90 40 41 F6 42 43", ["90 40 41", "F6"]),  # system common clears running status
        ("90 40 41 F0 F7 42 43", ["90 40 41", "F0 F7"]),
        ("90 40 FF 41 42 43", ["FF", "90 40 41"]),  # system reset clears it for what follows
        ("90 40", []),  # unfinished
    ],
)
def test_what_senders_do_wrong(stream: str, expected: list[str]) -> None:
    assert ByteParser().feed(bytes.fromhex(stream)) == [bytes.fromhex(text) for text in expected]


def test_an_endless_system_exclusive_fills_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(midi_bytes, "LONGEST_SYSEX", 100)
    parser = ByteParser()
    assert parser.feed(b"\xf0" + bytes(100_000)) == []
    assert len(parser._partial) <= 101
    assert parser.feed(b"\xf7\x90\x01\x02") == [b"\x90\x01\x02"]


@pytest.mark.parametrize(
    ("raw", "kind", "channel", "number", "value"),
    [
        ("90 3C 64", Kind.NOTE_ON, 0, 60, 100 / 127),
        ("9F 3C 7F", Kind.NOTE_ON, 15, 60, 1.0),
        ("93 3C 00", Kind.NOTE_OFF, 3, 60, 64 / 127),  # velocity 0
        ("83 3C 20", Kind.NOTE_OFF, 3, 60, 32 / 127),
        ("A1 3C 05", Kind.KEY_PRESSURE, 1, 60, 5),
        ("B2 40 41", Kind.CONTROL, 2, 64, 65),
        ("C2 07", Kind.PROGRAM, 2, 0, 7),
        ("D2 07", Kind.CHANNEL_PRESSURE, 2, 0, 7),
        ("E0 00 40", Kind.BEND, 0, 0, 0.0),
        ("E0 00 00", Kind.BEND, 0, 0, -1.0),
        ("E0 7F 7F", Kind.BEND, 0, 0, 1.0),
        ("FF", Kind.RESET, 0, 0, 0),
        ("F0 7E 7F 09 01 F7", Kind.RESET, 0, 0, 0),  # general MIDI on, for all devices
        ("F0 7E 10 09 03 F7", Kind.RESET, 0, 0, 0),  # general MIDI 2 on, for one
        ("F0 41 10 42 12 40 00 7F 00 41 F7", Kind.RESET, 0, 0, 0),
    ],
)
def test_what_a_message_means(raw: str, kind: Kind, channel: int, number: int, value: float) -> None:
    row = decode(bytes.fromhex(raw))
    assert row is not None
    assert (row["kind"][0], row["channel"][0], row["number"][0]) == (kind, channel, number)
    assert row["value"][0] == np.float32(value)
    assert row["source"][0] == -1


@pytest.mark.parametrize(
    "raw",
    ["", "40", "90 3C", "90 3C 80", "C0 80", "90 3C 40 40", "F8", "FE", "F2 01 02", "F0 7E 7F 09 02 F7"],
)
def test_what_says_nothing_to_a_source(raw: str) -> None:
    assert decode(bytes.fromhex(raw)) is None


def test_the_wheel_rises_in_every_step_and_reaches_both_ends() -> None:
    values = np.array([bend_value(number) for number in range(16384)])
    assert (np.diff(values) > 0).all()
    assert (values[0], values[8192], values[-1]) == (-1.0, 0.0, 1.0)


def test_release_all_is_all_notes_off_then_pedal_up() -> None:
    rows = np.concatenate(release_all(5))
    assert rows["number"].tolist() == [123, 64]
    assert rows["channel"].tolist() == [5, 5]
    assert (rows["kind"] == Kind.CONTROL).all()
    assert (rows["value"] == 0).all()
