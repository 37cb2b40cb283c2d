"""Reset, repeatability, and what no message or state may do: poison the mix, hang a note, or reach another voice."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import rtsynth
from rtsynth.instrument import Instrument, load
from rtsynth.instrument.preset import Envelope, Polyphony
from rtsynth.messages import MESSAGE, Kind
from rtsynth.sampler.noise import SEGMENT
from tests.instrument.playing import (
    LEVEL,
    NOTES_OFF,
    SOSTENUTO,
    SOUND_OFF,
    SUSTAIN,
    Player,
    amplitude,
    frequency_of_key,
    in_db,
    steady,
)


def test_reset_silences_at_once_and_forgets_all() -> None:
    player = Player(steady())
    player.control(7, 20)
    player.control(10, 0)
    player.control(SUSTAIN, 127)
    player.bend_range(12)
    player.bend(1.0)
    player.on(60)
    player.play(100)
    player.send(Kind.RESET)
    assert (player.play(960) == 0).all()
    assert player.active == 0
    fresh = Player(steady())
    for each in (player, fresh):
        each.on(60)
        each.off(60)
    np.testing.assert_array_equal(player.play(9600), fresh.play(9600))


@pytest.mark.parametrize("name", rtsynth.presets())
def test_after_reset_the_same_seed_plays_the_same_take(name: str) -> None:
    def take(player: Player) -> bytes:
        player.on(60, 0.9)
        player.on(64, 0.5)
        first = player.play(700)
        player.off(60)
        return np.concatenate([first, player.play(2000)], axis=1).tobytes()

    player = Player(load(name))
    first = take(player)
    assert take(player) != first  # the next notes of the same take: drawn anew
    player.instrument.reset()
    assert take(player) == first
    assert take(Player(load(name), seed=1)) == first
    assert take(Player(load(name), seed=2)) != first
    assert player.counts["notes"] == 2


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf, 1e30])
@pytest.mark.parametrize("name", ["glass", "piano-modelled", "bowed", "wind"])
def test_a_voice_that_is_not_finite_is_silenced_alone(name: str, poison: float) -> None:
    """One state of one voice is spoilt: it is stopped and counted, and the others do not hear of it."""
    player, other = Player(load(name)), Player(load(name))
    for each in (player, other):
        each.on(60)
        each.on(67)
        each.play(1000)
    player.instrument.bank.state.x[0, 0, 0] = poison
    mute(other, 0)
    drawn = SEGMENT - 1000 % SEGMENT  # what is left of the segment, with both voices
    player.play(drawn)
    other.play(drawn)
    sound = player.play(4800)
    assert np.abs(sound).max() > 1e-3
    np.testing.assert_array_equal(sound, other.play(4800))
    assert (player.counts["bad_voices"], player.active) == (1, 1)
    assert other.counts["bad_voices"] == 0


def mute(player: Player, slot: int) -> None:
    """A voice goes on, unheard."""
    player.instrument.bank.state.base[slot] = 0.0
    player.instrument.bank.state.gains[slot] = 0.0
    player.instrument.bank.state.course[slot] = 0.0


def test_no_frames_at_all() -> None:
    player = Player(steady())
    player.on(60)
    assert player.play(0).size == 0
    player.play(0)
    once = Player(steady())
    once.on(60)
    assert player.play(64).tobytes() == once.play(64).tobytes()


def garbage() -> list[tuple[Any, ...]]:
    """(time, value, number, kind, channel, source, reserved) that no keyboard sends."""
    values = [math.nan, math.inf, -math.inf, -5.0, 1e30]
    numbers = [-32768, -1, 128, 200, 32767]
    notes = [
        (0, value, number, kind, 0, 0, 0) for value in values for number in numbers for kind in (0, 1, 2)
    ]
    hands = [(0, math.nan, 60, kind, 0, 0, 0) for kind in (3, 5, 6)]
    controls = [(0, math.nan, number, 2, 0, 0, 0) for number in range(120)]
    keys = [(0, 60.0, number, kind, 0, 0, 1) for number in numbers for kind in (6, 8)]
    tunings = [(0, value, 60, 8, 0, 0, 1) for value in (math.inf, -math.inf)]
    kinds = [(0, 1.0, 60, kind, 0, 0, 0) for kind in (4, 9, 16, 99, 255)]
    return [*notes, *hands, *controls, *keys, *tunings, *kinds]


def test_garbage_is_harmless() -> None:
    player, clean = Player(steady()), Player(steady())
    for each in (player, clean):
        each.on(60)
        each.play(960)
    rows = np.array(garbage(), MESSAGE)
    out = np.zeros((2, 960), np.float32)
    player.instrument.run(rows, out[0], out[1])
    np.testing.assert_array_equal(out, clean.play(960))
    for each in (player, clean):
        each.on(67)
        each.off(60)
    np.testing.assert_array_equal(player.play(9600), clean.play(9600))
    assert player.counts == clean.counts


@pytest.mark.parametrize("seed", range(3))
def test_whatever_was_played_and_turned_ends_with_pedals_up_and_all_notes_off(seed: int) -> None:
    """Every kind of message and every controller, 100 of them in each of 100 short blocks, on all channels."""
    player = Player(steady(Envelope(attack_ms=0.0, release_ms=50.0), Polyphony(voices=16, per_key=2)))
    rng = np.random.default_rng(seed)
    kinds = [
        Kind.NOTE_ON,
        Kind.NOTE_OFF,
        Kind.CONTROL,
        Kind.BEND,
        Kind.CHANNEL_PRESSURE,
        Kind.KEY_PRESSURE,
        Kind.TUNE,
    ]
    for _ in range(100):
        rows = np.zeros(100, MESSAGE)
        rows["kind"] = rng.choice(kinds, rows.size)
        rows["channel"] = rng.integers(0, 16, rows.size)
        controllers = rng.choice(
            [0, 1, 6, 7, 10, 11, 38, 64, 66, 67, 74, 96, 100, 101, *range(120, 128)], rows.size
        )
        control = rows["kind"] == Kind.CONTROL
        rows["number"] = np.where(control, controllers, rng.integers(0, 128, rows.size))
        small = (rows["kind"] <= Kind.NOTE_ON) | (rows["kind"] == Kind.BEND)
        values = rng.integers(0, 8 if rng.random() < 0.5 else 128, rows.size)  # small ones choose parameters
        rows["value"] = np.where(small, values / 127.0, values)
        rows["option"] = rng.integers(0, 2, rows.size)
        out = np.zeros((2, int(rng.integers(1, 300))), np.float32)
        player.instrument.run(rows, out[0], out[1])
        assert np.isfinite(out).all()
        assert player.active <= 16 + 16
    for channel in range(16):
        for controller in (NOTES_OFF, SUSTAIN, SOSTENUTO):
            player.control(controller, 0, channel)
    player.play(24000)
    assert player.active == 0
    assert (player.play(64) == 0).all()
    assert player.counts["bad_voices"] == 0
    assert player.counts["notes"] > 100


def test_absurd_values_are_the_nearest_sensible_ones() -> None:
    player = Player(steady())
    player.bend(1e30)
    player.control(7, 1e30)
    player.on(60, 1e30)
    player.play(960)
    level = amplitude(player.play(9600)[0], frequency_of_key(62))
    assert in_db(level / LEVEL) == pytest.approx(40.0 * math.log10(1.27), abs=0.01)


def test_a_channel_beyond_the_last_wraps() -> None:
    player = Player(steady())
    player.on(60, channel=255)
    player.play(64)
    player.control(SOUND_OFF, 0, channel=15)
    player.play(512)
    assert player.active == 0


@pytest.mark.parametrize("name", rtsynth.presets())
def test_any_key_at_any_velocity_is_finite_and_leaves_the_limiter_little_to_do(name: str) -> None:
    """A note at full velocity may pass full scale by the luck of its draw, by less than 2 dB."""
    player = Player(load(name), sample_rate=16000.0)
    for key in range(128):
        for velocity in (1.0 / 127.0, 1.0):
            player.on(key, velocity)
            sound = player.play(256)
            assert np.abs(sound).max() < 10.0 ** (2.0 / 20.0)  # false for what is not a number too
            player.off(key)
            player.control(SOUND_OFF, 0)
            player.play(512)
    assert player.active == 0
    assert player.counts["notes"] == 256
    assert player.counts["bad_voices"] == 0


def test_the_loop_wants_to_be_prepared() -> None:
    with pytest.raises(RuntimeError, match="prepare"):
        _ = Instrument(steady()).loop
