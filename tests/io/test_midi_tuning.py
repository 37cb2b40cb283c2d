"""The MIDI tuning standard: every message of it, byte for byte as the specification writes it."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from rtsynth.io.midi_tuning import TuningDecoder
from rtsynth.messages import Kind

NAME = b"just intonation "


def three(pitch: float) -> bytes:
    """A pitch as the standard writes it; exact where it is a multiple of 1/16384 semitone."""
    fraction = round((pitch - math.floor(pitch)) * 16384)
    return bytes((math.floor(pitch), fraction >> 7, fraction & 0x7F))


def bulk(pitches, program=0, bank=None):
    head = bytes((0x01, program)) if bank is None else bytes((0x04, bank, program))
    return b"\xf0\x7e\x00\x08" + head + NAME + b"".join(map(three, pitches)) + b"\x00\xf7"


def told(rows):
    """{(channel, key): (pitch, followed by held notes)}."""
    assert all(row["kind"] == Kind.TUNE for row in rows)
    return {
        (int(row["channel"][0]), int(row["number"][0])): (float(row["value"][0]), int(row["option"][0]))
        for row in rows
    }


def test_a_bulk_dump_of_the_chosen_program_tunes_every_channel():
    decoder = TuningDecoder()
    pitches = np.arange(128) + 0.25
    pitches[127] = 127 - 0.5
    found = told(decoder.feed(bulk(pitches)))
    assert len(found) == 16 * 128
    assert found[9, 60] == (60.25, 0)
    assert found[0, 127] == (126.5, 0)
    assert decoder.feed(bulk(pitches)) == []  # again: nothing is new


def test_a_program_that_is_not_chosen_waits_for_rpn_3():
    decoder = TuningDecoder()
    assert decoder.feed(bulk(np.arange(128) + 0.5, program=5)) == []
    for raw in (b"\xb2\x65\x00", b"\xb2\x64\x03", b"\xb2\x06\x05"):
        rows = decoder.feed(raw)
    found = told(rows)
    assert {channel for channel, _ in found} == {2}
    assert found[2, 69] == (69.5, 0)
    assert (
        decoder.feed(b"\xb2\x61\x00")[0]["value"] == 0.0
    )  # data decrement: program 4, which nobody has sent


def test_banks_are_chosen_by_rpn_4_and_kept_apart():
    decoder = TuningDecoder()
    decoder.feed(bulk(np.arange(128) + 0.5, program=1, bank=3))
    assert decoder.feed(b"\xb0\x65\x00") + decoder.feed(b"\xb0\x64\x04") + decoder.feed(b"\xb0\x06\x03") == []
    decoder.feed(b"\xb0\x64\x03")
    assert told(decoder.feed(b"\xb0\x06\x01"))[0, 60] == (60.5, 0)


@pytest.mark.parametrize("ended", [b"\xb0\x65\x7f", b"\xb0\x62\x00", b"\xb0\x79\x00"])
def test_data_entry_means_nothing_after_another_parameter_or_none(ended):
    decoder = TuningDecoder()
    decoder.feed(bulk(np.arange(128) + 0.5, program=5))
    for raw in (b"\xb0\x65\x00", b"\xb0\x64\x03", ended):
        decoder.feed(raw)
    assert decoder.feed(b"\xb0\x06\x05") == []


def test_single_notes_in_real_time_are_followed_by_held_ones():
    decoder = TuningDecoder()
    raw = b"\xf0\x7f\x7f\x08\x02\x00\x02" + b"\x3c" + three(60.5) + b"\x45" + b"\x7f\x7f\x7f" + b"\xf7"
    found = told(decoder.feed(raw))
    assert found == {(channel, 60): (60.5, 1) for channel in range(16)}  # 7F 7F 7F: no change


@pytest.mark.parametrize(("universal", "held"), [(0x7E, 0), (0x7F, 1)])
def test_single_notes_of_a_bank(universal, held):
    decoder = TuningDecoder()
    raw = bytes((0xF0, universal, 0, 8, 7, 0, 0, 1, 61)) + three(61.25) + b"\xf7"
    assert told(decoder.feed(raw))[3, 61] == (61.25, held)


def test_an_octave_of_cents_tunes_the_channels_of_the_mask():
    decoder = TuningDecoder()
    cents = bytes((64, 54, 64, 84, *[64] * 7, 0))
    found = told(decoder.feed(b"\xf0\x7f\x00\x08\x08\x02\x01\x41" + cents + b"\xf7"))
    assert {channel for channel, _ in found} == {0, 6, 7, 15}
    assert found[0, 61] == (pytest.approx(60.9), 1)
    assert found[15, 75] == (pytest.approx(75.2), 1)
    assert found[7, 71] == (pytest.approx(70.36), 1)
    assert (0, 60) not in found  # as it was


def test_an_octave_of_fine_cents():
    decoder = TuningDecoder()
    raw = b"\xf0\x7e\x00\x08\x09\x03\x7f\x7f" + b"\x00\x00" + b"\x7f\x7f" + b"\x40\x00" * 10 + b"\xf7"
    found = told(decoder.feed(raw))
    assert found[4, 60] == (59.0, 0)
    assert found[4, 61] == (pytest.approx(62.0, abs=2e-4), 0)


@pytest.mark.parametrize(
    ("kind", "data"), [(5, bytes((44, *[64] * 11))), (6, b"\x30\x00" + b"\x40\x00" * 11)]
)
def test_an_octave_can_be_a_stored_program(kind, data):
    decoder = TuningDecoder()
    found = told(decoder.feed(bytes((0xF0, 0x7E, 0, 8, kind, 0, 0)) + NAME + data + b"\x00\xf7"))
    assert found[0, 48][0] == pytest.approx(48 - (0.2 if kind == 5 else 0.25))


def test_a_base_tuning_is_told_at_the_start_and_stands_for_unknown_programs():
    base = np.arange(128) + 0.1
    base[3] = np.nan
    decoder = TuningDecoder(base)
    found = told(decoder.start())
    assert len(found) == 16 * 128
    assert math.isnan(found[5, 3][0])
    assert decoder.start() == []
    assert TuningDecoder().start() == []


def test_what_is_no_tuning_says_nothing():
    decoder = TuningDecoder()
    for raw in (
        b"\x90\x3c\x40",
        b"\xf0\x7e\x00\x09\x01\xf7",
        b"\xfe",
        b"",
        b"\xb0\x07\x64",
        b"\xf0\x7e\x00\x08\x00\x00\xf7",
    ):
        assert decoder.feed(raw) == []


def test_damaged_dumps_are_dropped_whole():
    """Every cut of every message, and a thousand with other bytes: keys and channels stay in range, nothing raised."""
    rng = random.Random(1)
    whole = [
        bulk(np.arange(128) + 0.25),
        bulk(np.arange(128) + 0.5, bank=0),
        b"\xf0\x7f\x7f\x08\x02\x00\x02\x3c" + three(60.5) + b"\x45" + three(69.5) + b"\xf7",
        b"\xf0\x7f\x00\x08\x08\x02\x01\x41" + bytes(12) + b"\xf7",
    ]
    for raw in whole:
        for cut in range(len(raw) - 2):
            assert TuningDecoder().feed(raw[:cut] + b"\xf7") == []
    decoder = TuningDecoder()
    for _ in range(1000):
        raw = bytearray(rng.choice(whole))
        for _ in range(rng.randint(1, 4)):
            raw[rng.randrange(1, len(raw) - 1)] = rng.randrange(128)
        for row in decoder.feed(bytes(raw)):
            assert 0 <= row["channel"][0] < 16
            assert 0 <= row["number"][0] < 128
            assert -1 <= row["value"][0] < 129
