"""Codes in a file: what is kept of them, what they take, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.codec.code_coding import RANGES, CodeQuantiser, gap_codes
from rtsynth.codec.coding import coding
from rtsynth.codec.event import Events, Kind
from rtsynth.codec.info import described, summary
from rtsynth.codec.storage import EventFile, pack, unpack
from rtsynth.errors import InputError
from tests.codec.made import coded


def slow(events: Events, level: float) -> Events:
    """One number after the other, as docs/codec.md says it."""
    out = events.copy()
    for event in out:
        event["gain"] = level - 0.1 * min(max(round((level - float(event["gain"])) / 0.1), 0), 63)
        for place in range(32):
            column = events["vector"][:, place]
            low, high = float(np.float16(column.min())), float(np.float16(column.max()))
            steps = np.linspace(low, high, 16)
            event["vector"][place] = steps[np.abs(steps - float(event["vector"][place])).argmin()]
    return out


def test_what_is_read_is_what_the_specification_says() -> None:
    events = coded(60)
    file = unpack(pack(EventFile(events, 16000, 10**6, "article"), "file-59"))
    level = np.ceil(8 * events["gain"].max()) / 8
    meant = slow(events, level)
    assert file.codings == {(Kind.CODE, 0): "code-4"}
    assert np.array_equal(file.events["time"], events["time"])
    np.testing.assert_allclose(file.events["gain"], meant["gain"], atol=1e-6)
    np.testing.assert_allclose(file.events["vector"], meant["vector"], rtol=1e-6, atol=1e-6)
    assert np.array_equal(file.events["vector"][:, 0], np.zeros(60))


def test_the_size_is_the_one_that_is_promised() -> None:
    """128 bytes of ranges, 140 bits an event, and 6 more for every 63 steps of nothing."""
    events = coded(50, longest_gap=63)
    assert unpack(pack(EventFile(events, 16000, 10**6), "file-59")).payload == 128 + -(-50 * 140 // 8)
    events["time"][25:] += 10 * 63
    file = unpack(pack(EventFile(events, 16000, 10**6), "file-59"))
    assert file.payload == 128 + -(-(50 * 140 + 10 * 6) // 8)
    told = summary(file, 1000)
    assert (told["kinds"]["code"], told["codings"]) == (50, ["code-4"])
    assert told["bits_per_event"] == pytest.approx(8 * file.payload / 50)
    assert [row["kind"] for row in described(file)] == ["code"] * 50


def test_float_keeps_every_number() -> None:
    events = coded(7)
    found = unpack(pack(EventFile(events, 16000, 10**6), "float"))
    assert found.codings == {(Kind.CODE, 0): "float"}
    assert np.array_equal(found.events["vector"], events["vector"])


def test_gaps_may_be_none_and_are_counted_from_the_start() -> None:
    assert gap_codes(np.array([0, 0, 3])).tolist() == [0, 0, 3]
    assert gap_codes(np.array([62, 125, 125])).tolist() == [62, 63, 0, 0]
    assert gap_codes(np.array([200])).tolist() == [63, 63, 63, 11]
    assert gap_codes(np.zeros(0, np.int64)).tolist() == []


def test_bits_that_hold_no_such_events_are_refused() -> None:
    bits = coding("code-4").encode(coded(4), 0.0)[1]
    infinite = bits.copy()
    infinite[:16] = np.unpackbits(np.frombuffer(np.float16(np.inf).tobytes(), np.uint8))
    passing = np.concatenate([bits[:RANGES], np.ones(bits.size - RANGES, np.uint8)])
    for count, changed, why in [
        (5, bits, "shorter"),
        (4, bits[:-1], "do not fit"),
        (3, bits, "do not fit"),
        (4, passing, "do not fit"),
        (4, infinite, "no numbers"),
        (0, bits[:9], "shorter"),
    ]:
        with pytest.raises(ValueError, match=why):
            CodeQuantiser().decode(count, changed, 0.0)


def test_numbers_that_are_too_large_are_one_line() -> None:
    events = coded(3)
    events["vector"][1, 4] = 1e5
    with pytest.raises(InputError, match="--coding float"):
        pack(EventFile(events, 16000, 10**6), "file-59")
    assert len(unpack(pack(EventFile(events, 16000, 10**6), "float")).events) == 3
