"""Files of events: whole and back, what is refused, and ten thousand damaged ones."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rtsynth.codec import storage
from rtsynth.codec.coding import coding, from_bits, gap_codes, names, to_bits
from rtsynth.codec.event import EVENT, Events, Kind, as_events, as_list, check_events
from rtsynth.codec.quantiser import Quantiser
from rtsynth.codec.storage import EventFile, pack, read_events, unpack, write_events
from rtsynth.codec.strike_coding import StrikeQuantiser
from rtsynth.errors import InputError, UsageError
from tests.codec.made import coded, same, spoken, struck

FUZZED = 10_000


def held(events: Events) -> EventFile:
    return EventFile(events, 22050, 143325)


def ordered(events: Events) -> Events:
    return np.sort(events, order=["time", "kind", "voice"])


def mixed() -> Events:
    """Two voices that glide, three that are struck."""
    listed = as_list(spoken(12)) + as_list(spoken(9, seed=2, voice=3))
    return as_events(listed + [struck(t, seed=t, voice=v) for t, v in ((0, 0), (0, 1), (70, 0))])


def test_every_number_is_kept_by_float() -> None:
    file = held(mixed())
    found = unpack(pack(file, "float"))
    assert (found.rate, found.samples, found.scheme, found.step) == (
        22050,
        143325,
        "retarget",
        Fraction(1, 250),
    )
    assert same(ordered(found.events), ordered(file.events))
    assert (np.diff(found.events["time"]) >= 0).all()
    assert found.seconds == 6.5


@pytest.mark.parametrize("name", [n for n in names() if n != "float"])
def test_what_is_read_is_what_the_quantiser_said(name: str) -> None:
    events = spoken(200, longest_gap=100)
    found = unpack(pack(held(events), name))
    level = np.ceil(8 * events["gain"].max()) / 8
    assert same(found.events, Quantiser.load(name).quantise(events, level))
    assert found.codings == {(0, 0): name}


def test_strikes_have_a_coding_of_their_own() -> None:
    file = held(mixed())
    found = unpack(pack(file, "file-59"))
    assert len(found.events) == len(file.events)
    assert found.codings[0, 3] == "file-59"
    assert found.codings[1, 0] == "strike"
    for voice in (0, 1):
        struck_then = file.events[(file.events["kind"] == Kind.STRIKE) & (file.events["voice"] == voice)]
        level = np.ceil(8 * struck_then["gain"].max()) / 8
        struck_now = found.events[(found.events["kind"] == Kind.STRIKE) & (found.events["voice"] == voice)]
        assert same(struck_now, StrikeQuantiser().quantise(struck_then, level))


def test_the_size_is_the_one_that_is_promised() -> None:
    """59 bits an event, and 6 more for every 63 steps of nothing; 38 + 24 + 4 bytes around."""
    events = spoken(300, longest_gap=63)
    data = pack(held(events), "file-59")
    assert len(data) == -(-300 * 59 // 8) + 38 + 24 + 4
    assert unpack(data).payload == -(-300 * 59 // 8)
    events["time"][150:] += 10 * 63
    assert unpack(pack(held(events), "file-59")).payload == -(-(300 * 59 + 10 * 6) // 8)


def test_no_events_is_a_file_too() -> None:
    found = unpack(pack(held(as_events([])), "file-59"))
    assert len(found.events) == 0
    assert found.codings == {}


def test_gaps_are_counted_from_before_the_start() -> None:
    assert gap_codes(np.array([0])).tolist() == [1]
    assert gap_codes(np.array([62, 63])).tolist() == [63, 1]
    assert gap_codes(np.array([63, 200])).tolist() == [0, 1, 0, 0, 11]
    assert gap_codes(np.zeros(0, np.int64)).tolist() == []


def test_bits_and_back() -> None:
    rng = np.random.default_rng(3)
    widths = [3, 6, 1, 5]
    codes = rng.integers(0, [8, 64, 2, 32], (50, 4))
    bits = to_bits(codes, widths)
    assert bits.size == 50 * 15
    assert (from_bits(bits, widths) == codes).all()
    first = "".join(format(int(c), f"0{w}b") for c, w in zip(codes[0], widths, strict=True))
    assert "".join(map(str, bits[:15])) == first


def test_bits_that_hold_no_such_events_are_refused() -> None:
    bits = coding("file-59").encode(spoken(4), 0.0)[1]
    for count, changed, why in [
        (5, bits, "shorter"),
        (4, bits[:-1], "do not fit"),
        (3, bits, "do not fit"),
        (4, np.zeros_like(bits), "do not fit"),
        (0, bits[:9], "do not fit"),
    ]:
        with pytest.raises(ValueError, match=why):
            coding("file-59").decode(count, changed, 0.0)
    assert len(coding("file-59").decode(0, bits[:0], 0.0)) == 0


def test_files_and_what_stands_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "x.events"
    size = write_events(path, held(mixed()))
    assert size == path.stat().st_size
    assert len(read_events(path).events) == len(mixed())
    before = path.read_bytes()
    with pytest.raises(UsageError, match="-f"):
        write_events(path, held(spoken(3)))
    assert path.read_bytes() == before
    write_events(path, held(spoken(3)), force=True)
    assert len(read_events(path).events) == 3
    for wrong, error in (("x.wav", UsageError), ("no/x.events", InputError)):
        with pytest.raises(error):
            write_events(tmp_path / wrong, held(mixed()))
    bad = spoken(3)
    bad["gain"][1] = np.nan
    with pytest.raises(InputError, match="event 1"):
        write_events(tmp_path / "y.events", held(bad))
    for file in (replace(held(mixed()), rate=0), replace(held(mixed()), scheme="")):
        with pytest.raises(InputError):
            pack(file, "float")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.events"]


def sealed(data: bytes) -> bytes:
    """With the checksum put right."""
    return data[:-4] + struct.pack("<I", zlib.crc32(data[:-4]))


def changed(at: int, value: bytes) -> bytes:
    data = bytearray(pack(held(mixed()), "file-59"))
    data[at : at + len(value)] = value
    return sealed(bytes(data))


BROKEN = {
    "empty": (b"", "begins"),
    "text": (b"hello" * 99, "begins"),
    "magic alone": (storage.MAGIC, "short"),
    "cut": (pack(held(mixed()), "float")[:-9], "checksum"),
    "a bit": (pack(held(mixed()), "float")[:-1] + b"x", "checksum"),
    "another version": (changed(7, b"\2"), "version 2"),
    "step 0": (changed(12, bytes(4)), "impossible"),
    "rate 0": (changed(16, bytes(4)), "impossible"),
    "more chunks": (changed(36, b"\x09"), "within a chunk"),
    "fewer chunks": (changed(36, b"\x01"), "after its last"),
    "a kind of another coding": (changed(38, b"\1"), "no coding for"),
    "an unknown coding": (changed(42, b"file-77\0"), "no quantiser"),
    "other tables": (changed(50, b"\0\0\0\0"), "other tables"),
    "more events": (changed(54, b"\x7f"), "chunk"),
    "2^31 events": (changed(54, b"\0\0\0\x80"), "within a chunk"),
    "no printable scheme": (changed(28, b"\x01"), "printable"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_one_line(tmp_path: Path, name: str) -> None:
    data, why = BROKEN[name]
    path = tmp_path / "x.events"
    path.write_bytes(data)
    with pytest.raises(InputError, match=why) as caught:
        read_events(path)
    assert "\n" not in str(caught.value)
    assert "rtsynth codec encode" in str(caught.value)
    assert str(path) in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.events", tmp_path):
        with pytest.raises(InputError, match="cannot read"):
            read_events(path)


def test_ten_thousand_damaged_files_give_events_or_a_line() -> None:
    """Bytes changed, cut or put in, and the checksum put right, so that the damage is met by the reader itself."""
    rng = np.random.default_rng(11)
    whole = [pack(held(mixed()), "file-59"), pack(held(mixed()), "float"), pack(held(spoken(9)), "live-49")]
    whole.append(pack(held(coded(6)), "file-59"))
    refused = 0
    for trial in range(FUZZED):
        data = bytearray(whole[trial % len(whole)])
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(0, len(data) if trial % 2 else 66))  # every other time the headers
            data[at : at + int(rng.integers(0, 3))] = rng.bytes(rng.integers(0, 3))
        refused += not _reads(sealed(bytes(data)))
    assert 0.2 * FUZZED < refused < 0.95 * FUZZED  # both were met


def _reads(data: bytes) -> bool:
    """Whether it does; fails where it raises anything but what `read_events` makes a line of."""
    try:
        events = unpack(data).events
    except (ValueError, InputError) as problem:
        return "\n" in str(problem)  # counted as let through
    assert events.dtype == EVENT
    check_events(events)
    return True


def test_every_coding_has_its_name() -> None:
    for name in names():
        assert coding(name).name == name
        assert len(name) <= 8
