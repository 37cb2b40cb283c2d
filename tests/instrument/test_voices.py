"""Notes: where they start, how loud they are, and how they end. Pedals and controllers: see test_controllers."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest

import rtsynth
from rtsynth.engine import render
from rtsynth.instrument import Instrument, load
from rtsynth.instrument.preset import Envelope
from rtsynth.messages import Kind, message
from rtsynth.sampler.noise import SEGMENT
from tests.instrument.playing import (
    LEVEL,
    RATE,
    Player,
    amplitude,
    frequency_of_key,
    in_db,
    sharpest_corner,
    sounding,
    steady,
)

# ---- starts ----


@pytest.mark.parametrize("at", [0, 1, 63, 64, 137, 1000])
def test_a_note_starts_at_its_very_sample(at: int) -> None:
    """137 is inside a block of 64, and inside a segment."""
    on = message(Kind.NOTE_ON, at, number=60, value=1.0)
    sound = render(Instrument(steady()), on, at + 64, sample_rate=RATE, block=64)
    assert (sound[:at] == 0).all()
    assert sound[at, 0] != 0
    alone = render(Instrument(steady()), message(Kind.NOTE_ON, number=60, value=1.0), 64, sample_rate=RATE)
    assert sound[at:].tobytes() == alone.tobytes()


def test_two_notes_at_one_sample_are_the_sum_of_both() -> None:
    both, first, second = Player(steady()), Player(steady()), Player(steady())
    for player, keys in ((both, (60, 67)), (first, (60,)), (second, (67,))):
        for key in keys:
            player.on(key)
    np.testing.assert_array_equal(both.play(320), first.play(320) + second.play(320))


@pytest.mark.parametrize("velocity", [1.0, 0.5, 1.0 / 127.0])
def test_velocity_is_linear_in_decibels_over_its_range(velocity: float) -> None:
    player = Player(steady())
    player.on(60, velocity)
    level = amplitude(player.play(9600)[0], frequency_of_key(60))
    assert in_db(level / LEVEL) == pytest.approx(-36.0 * (1.0 - velocity), abs=0.01)


def test_velocity_0_is_a_note_off() -> None:
    player = Player(steady())
    player.on(60, 0.0)
    assert (player.play(64) == 0).all()
    assert player.counts["notes"] == 0
    player.on(60)
    player.play(64)
    player.on(60, 0.0)
    player.play(48000)
    assert player.active == 0


@pytest.mark.parametrize("attack_ms", [0.0, 2.0, 40.0])
def test_the_attack_is_a_squared_sine(attack_ms: float) -> None:
    player = Player(steady(Envelope(attack_ms=attack_ms)))
    player.on(60)
    sound, alone = player.play(4800)[0], Player(steady())
    alone.on(60)
    full = alone.play(4800)[0]
    grid = np.arange(0, 4800, SEGMENT)
    rise = (
        np.sin(0.5 * np.pi * np.minimum(grid / (attack_ms * 48.0), 1.0)) ** 2 if attack_ms else np.ones(150)
    )
    np.testing.assert_allclose(sound[grid], rise * full[grid], atol=1e-6)
    assert sharpest_corner(sound) < 0.01 * LEVEL


# ---- ends ----


def test_every_off_ends_one_on() -> None:
    player = Player(steady())
    for _ in range(2):
        player.on(60)
        player.play(100)
    player.off(60)
    player.play(48000)
    assert player.active == 1
    player.off(60)
    player.play(48000)
    assert player.active == 0
    assert (player.play(64) == 0).all()


def test_the_older_of_two_strikes_ends_first() -> None:
    player = Player(steady())
    player.on(60, 1.0)
    player.play(100)
    player.on(60, 0.5)
    player.off(60)
    player.play(48000)
    level = amplitude(player.play(4800)[0], frequency_of_key(60))
    assert in_db(level / LEVEL) == pytest.approx(-18.0, abs=0.01)


def test_an_off_for_a_key_that_is_not_down_ends_nothing() -> None:
    player = Player(steady())
    player.on(60)
    for key, channel in ((61, 0), (60, 1), (-1, 0), (200, 0), (60 + 128, 0)):
        player.off(key, channel)
    player.play(48000)
    assert amplitude(player.play(4800)[0], frequency_of_key(60)) == pytest.approx(LEVEL, rel=1e-4)


@pytest.mark.parametrize(
    ("key", "release_ms", "slope"), [(60, 50.0, 0.0), (60, 400.0, 0.0), (84, 200.0, -0.5)]
)
def test_release_is_the_time_to_60_decibels_down(key: int, release_ms: float, slope: float) -> None:
    player = Player(steady(Envelope(attack_ms=0.0, release_ms=release_ms, release_slope=slope)))
    player.on(key)
    player.play(960)
    player.off(key)
    player.play(SEGMENT)
    frames = round(RATE * release_ms * 1e-3 * 2.0 ** (slope * (key - 60) / 12.0))
    window = frames // 20
    start = amplitude(player.play(window)[0], frequency_of_key(key))
    player.play(frames - window)
    end = amplitude(player.play(window)[0], frequency_of_key(key))
    assert in_db(end / start) == pytest.approx(-60.0, rel=0.02)


def test_keys_without_a_damper_ring_on() -> None:
    player = Player(steady(Envelope(attack_ms=0.0, release_ms=50.0, undamped_above=72)))
    player.on(71)
    player.on(72)
    player.play(64)
    player.off(71)
    player.off(72)
    player.play(48000)
    assert sounding(player, [71, 72]) == [72]
    assert amplitude(player.play(4800)[0], frequency_of_key(72)) == pytest.approx(LEVEL, rel=1e-4)


@pytest.mark.parametrize("name", rtsynth.presets())
@pytest.mark.parametrize("key", [21, 60, 100])
def test_voices_are_freed_within_the_tail(name: str, key: int) -> None:
    """At 8 kHz, to be quick; every voice ends, and by the time its instrument says."""
    player = Player(load(name), sample_rate=8000.0)
    player.on(key)
    player.play(1017)
    assert player.active == 1
    player.off(key)
    tail = player.instrument.tail
    assert tail > 0
    player.play(tail)
    silent = player.play(64)
    assert player.active == 0
    assert (silent == 0).all()


@pytest.mark.parametrize("name", ["bell", "piano-modelled"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_tail_holds_without_dampers_too(name: str, seed: int) -> None:
    """The slowest key, rung by whatever was drawn."""
    preset = load(name)
    preset = msgspec.structs.replace(preset, envelope=Envelope(undamped_above=0))
    player = Player(preset, seed, sample_rate=8000.0)
    tail = player.instrument.tail
    player.on(0)
    player.off(0)
    player.play(tail // 2)
    assert player.active == 1
    player.play(tail - tail // 2 + 1)
    assert player.active == 0


def test_a_tail_without_bound_is_said() -> None:
    assert Player(steady(Envelope(undamped_above=100))).instrument.tail == -1
    slowest = 2.0 * 0.4  # seconds: a key let go as gently as can be
    assert Player(steady(Envelope(release_ms=200.0))).instrument.tail == round(slowest * RATE) + 2 * SEGMENT


def test_a_note_that_has_died_away_under_the_finger_is_freed() -> None:
    player = Player(steady(t60=0.05))
    player.on(60)
    player.play(960)
    assert player.active == 1
    player.play(9600)
    assert player.active == 0
    player.off(60)
    assert (player.play(64) == 0).all()


def test_a_note_of_a_plucked_preset_dies_at_its_t60() -> None:
    player = Player(steady(t60=0.5))
    player.on(60)
    levels = []
    for _ in range(3):
        levels.append(amplitude(player.play(1200)[0], frequency_of_key(60)))
        player.play(12000 - 1200)
    assert [in_db(b / a) for a, b in pairwise(levels)] == pytest.approx([-30.0, -30.0], abs=0.1)
