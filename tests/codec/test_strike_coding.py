"""Strikes in 273 bits: what comes back is what `quantise` said, near what went in; other bits are refused or played."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.codec.coding import name_for
from rtsynth.codec.event import (
    ABSENT,
    BURST,
    DAMPED_AFTER,
    DAMPED_T60,
    EVENT,
    MODES,
    Events,
    Kind,
    check_events,
)
from rtsynth.codec.strike_coding import DB, StrikeQuantiser

QUANTISER, DAMPED = StrikeQuantiser(), StrikeQuantiser(damped=True)


def random_strikes(rng: np.random.Generator, count: int) -> Events:
    """All within what the scales reach, some modes and bursts absent, some gaps longer than a code."""
    out = np.zeros(count, EVENT)
    out["time"], out["kind"] = np.cumsum(rng.choice([1, 7, 63, 64, 126, 400], count)) - 1, Kind.STRIKE
    out["gain"] = rng.uniform(-8.0, -1.0, count)
    modes = np.stack(
        [
            rng.uniform(np.log(30.0), np.log(16000.0), (count, 8)),
            rng.uniform(np.log(0.01), np.log(30.0), (count, 8)),
            rng.uniform(-55.0 * DB, 0.0, (count, 8)),
        ],
        axis=-1,
    )
    modes[rng.random((count, 8)) < 0.2] = 0.0, 0.0, ABSENT
    out["vector"][:, MODES] = modes.reshape(count, -1)
    burst = rng.uniform(
        [-60.0 * DB, np.log(20.0), np.log(15.0), np.log(0.01), 0.0],
        [20.0 * DB, 9.7, 8.7, 3.3, 100.0],
        (count, 5),
    )
    burst[rng.random(count) < 0.2] = ABSENT, 0.0, 0.0, 0.0, 0.0
    out["vector"][:, BURST] = burst
    return out


def test_bits_give_back_what_quantise_said() -> None:
    events = random_strikes(np.random.default_rng(1), 200)
    level = float(events["gain"].max())
    count, bits = QUANTISER.encode(events, level)
    wanted = QUANTISER.quantise(events, level)
    np.testing.assert_array_equal(QUANTISER.decode(count, bits, level), wanted)
    # As a file pads them to whole bytes.
    padded = np.unpackbits(np.packbits(bits))
    np.testing.assert_array_equal(QUANTISER.decode(count, padded, level), wanted)
    assert len(bits) == 200 * QUANTISER.bits + 6 * (
        200 + int(((np.diff(events["time"], prepend=-1) - 1) // 63).sum())
    )


def with_dampers(count: int, seed: int = 7) -> Events:
    """Every third without."""
    rng = np.random.default_rng(seed)
    events = random_strikes(rng, count)
    events["vector"][:, DAMPED_AFTER] = np.where(np.arange(count) % 3, rng.uniform(0.004, 30.0, count), 0.0)
    events["vector"][:, DAMPED_T60] = rng.uniform(np.log(0.01), np.log(10.0), count)
    events["vector"][::3, DAMPED_T60] = 0.0
    return events


def test_dampers_come_back_and_those_without_have_none() -> None:
    events = with_dampers(300)
    level = float(events["gain"].max())
    count, bits = DAMPED.encode(events, level)
    wanted = DAMPED.quantise(events, level)
    np.testing.assert_array_equal(DAMPED.decode(count, bits, level), wanted)
    check_events(wanted)
    given, back = (e["vector"][:, [DAMPED_AFTER, DAMPED_T60]].astype(float) for e in (events, wanted))
    assert not back[::3].any()
    assert np.abs(given - back)[:, 0].max() <= 1.01 * 0.002
    assert np.abs(given - back)[:, 1].max() <= 1.01 * 0.5 * np.log(1000.0) / 31
    without = QUANTISER.quantise(events, level)
    without["vector"][:, DAMPED_AFTER : DAMPED_T60 + 1] = back
    np.testing.assert_array_equal(without, wanted)  # the other fields are the same


def test_a_damper_that_falls_at_once_is_not_none() -> None:
    event = with_dampers(2)[1:]
    event["vector"][0, [DAMPED_AFTER, DAMPED_T60]] = 1e-4, -30.0
    assert DAMPED.quantise(event, 0.0)["vector"][0, DAMPED_AFTER] == np.float32(0.004)


def test_only_damped_strikes_need_the_coding_with_dampers() -> None:
    events = with_dampers(4)
    assert StrikeQuantiser.of(events).name == name_for(events, "file-59") == "damped"
    assert StrikeQuantiser.of(events[:1]).name == name_for(events[:1], "file-59") == "strike"
    assert name_for(events, "float") == "float"
    assert (QUANTISER.bits, DAMPED.bits) == (273, 291)


def test_files_of_before_there_were_dampers_are_still_read() -> None:
    """The first bytes of such a file's chunk name the tables: they must not change."""
    assert QUANTISER.fingerprint.hex() == "06787733"
    assert DAMPED.fingerprint != QUANTISER.fingerprint


@pytest.mark.parametrize("quantiser", [QUANTISER, DAMPED])
def test_quantising_again_changes_nothing(quantiser: StrikeQuantiser) -> None:
    events = with_dampers(200, 2)
    level = float(events["gain"].max())
    once = quantiser.quantise(events, level)
    np.testing.assert_array_equal(quantiser.quantise(once, level), once)


def test_every_number_is_within_half_a_step() -> None:
    events = random_strikes(np.random.default_rng(3), 500)
    back = QUANTISER.quantise(events, float(events["gain"].max()))
    modes, decoded = (e["vector"][:, MODES].reshape(-1, 8, 3).astype(float) for e in (events, back))
    there = modes[..., 2] > ABSENT
    np.testing.assert_array_equal(decoded[..., 2] > ABSENT, there)
    loud, decoded_loud = (m[..., 2] + e["gain"][:, None] for m, e in ((modes, events), (decoded, back)))
    error = np.abs(decoded - modes)[there]
    assert error[:, 0].max() < 1.02 * 0.5 * np.log(22000 / 16) / (2**17 - 1)
    assert error[:, 1].max() < 1.02 * 0.5 * np.log(60 / 0.002) / 127
    inside = there & (modes[..., 2] < -1.0 * DB)  # above, the gain's own step may not fit
    assert np.abs(loud - decoded_loud)[inside].max() < 1.02 * 0.5 * DB
    burst, decoded_burst = (e["vector"][:, BURST].astype(float) for e in (events, back))
    sounds = burst[:, 0] > ABSENT
    np.testing.assert_array_equal(decoded_burst[:, 0] > ABSENT, sounds)
    assert (
        np.abs(np.diff([burst[sounds, 2], decoded_burst[sounds, 2]], axis=0)).max()
        < 0.5 * np.log(800) / 31 * 1.02
    )
    assert np.abs(burst - decoded_burst)[sounds, 4].max() <= 25.0  # between 50 and 100 ms


def test_what_a_scale_does_not_reach_goes_to_its_end() -> None:
    event = random_strikes(np.random.default_rng(4), 1)
    event["gain"] = -40.0
    event["vector"][0, MODES] = np.tile([11.0, 9.0, 3.0], 8)
    check_events(QUANTISER.quantise(event, 0.0))
    event["vector"][0, MODES] = np.tile([-11.0, -30.0, -29.0], 8)
    quiet = check_events(QUANTISER.quantise(event, -40.0))
    assert (quiet["vector"][0, 2:24:3] == ABSENT).all()


@pytest.mark.parametrize("quantiser", [QUANTISER, DAMPED])
def test_any_bits_are_refused_or_played(quantiser: StrikeQuantiser) -> None:
    """2000 strings of bits, most of a length that fits: ValueError, or events that a decoder takes."""
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(2000):
        count = int(rng.integers(0, 4))
        length = count * (quantiser.bits + 6) + int(rng.choice([0, 0, 0, 6, -1, -40, 300]))
        bits = rng.integers(0, 2, max(length, 0)).astype(np.uint8)
        try:
            events = quantiser.decode(count, bits, 0.0)
        except ValueError:
            refused += 1
            continue
        assert len(check_events(events)) == count
    assert 200 < refused < 1800


def test_bits_too_many_or_too_few_are_refused() -> None:
    events = random_strikes(np.random.default_rng(6), 3)
    count, bits = QUANTISER.encode(events, 0.0)
    for wrong in (np.append(bits, np.ones(16, np.uint8)), bits[:-1], bits[6:], bits[: 2 * QUANTISER.bits]):
        with pytest.raises(ValueError, match=r"times|shorter"):
            QUANTISER.decode(count, wrong, 0.0)


def test_nothing_is_no_bits() -> None:
    count, bits = QUANTISER.encode(np.zeros(0, EVENT), 0.0)
    assert (count, bits.size) == (0, 0)
    assert len(QUANTISER.decode(0, bits, 0.0)) == 0
    with pytest.raises(ValueError, match="shorter"):
        QUANTISER.decode(1, bits, 0.0)
