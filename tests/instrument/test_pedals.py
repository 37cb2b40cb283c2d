"""How a key is let go, and what the sostenuto and the soft pedal do. Sustain: see test_controllers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsynth.instrument import load
from rtsynth.instrument.preset import Envelope, Preset
from rtsynth.sampler.noise import SEGMENT
from tests.instrument.playing import (
    LEVEL,
    NOTES_OFF,
    RATE,
    RESET_CONTROLLERS,
    SOFT,
    SOSTENUTO,
    SOUND_OFF,
    SUSTAIN,
    Player,
    amplitude,
    amplitudes,
    frequency_of_key,
    in_db,
    sounding,
    steady,
)

SECOND = round(RATE)


# ---- release velocity ----


def fall_db(velocity: float, *, as_note_on: bool = False) -> float:
    """How far a note falls in 50 ms once it is let go with a velocity, 0…1; 15 dB is the preset's own way."""
    player = Player(steady(Envelope(attack_ms=0.0, release_ms=200.0)))
    player.on(60)
    player.play(960)
    if as_note_on:
        player.on(60, 0.0)
    else:
        player.off(60, velocity=velocity)
    player.play(SEGMENT)
    first = amplitude(player.play(480)[0], frequency_of_key(60))
    player.play(2400 - 480)
    return in_db(amplitude(player.play(480)[0], frequency_of_key(60)) / first)


@pytest.mark.parametrize("number", [0, 32, 64, 96, 127])
def test_the_damper_falls_as_fast_as_the_key_rises(number: int) -> None:
    """Half as fast at 0, twice as fast (all but) at 127."""
    assert fall_db(number / 127.0) == pytest.approx(-15.0 * 2.0 ** ((number - 64) / 64.0), rel=0.02)


def test_without_a_velocity_it_is_the_presets_own() -> None:
    """A note-on of velocity 0 stands for 64, and so do a half, which files are read with, and what is no number."""
    own = fall_db(64.0 / 127.0)
    assert fall_db(0.5) == own
    assert fall_db(math.nan) == own
    assert fall_db(0.0, as_note_on=True) == own
    assert fall_db(-3.0) == fall_db(0.0)
    assert fall_db(1e30) == fall_db(1.0)


# ---- sostenuto ----


def held(*keys: int, preset: Preset | None = None) -> Player:
    player = Player(preset or steady(Envelope(attack_ms=0.0, release_ms=100.0)))
    for key in keys:
        player.on(key)
    player.play(960)
    return player


def let_go(player: Player, *keys: int) -> None:
    for key in keys:
        player.off(key)
    player.play(SECOND)


def test_sostenuto_keeps_the_keys_that_are_down_and_no_others() -> None:
    player = held(48, 55)
    player.control(SOSTENUTO, 64)
    player.play(64)
    player.on(60)
    let_go(player, 48, 55, 60)
    assert sounding(player, [48, 55, 60]) == [48, 55]
    player.control(SOSTENUTO, 63)
    player.play(SECOND)
    assert player.active == 0


def test_a_key_that_sostenuto_holds_rings_on_when_it_is_struck_again() -> None:
    """Its damper is off the string."""
    player = held(48)
    player.control(SOSTENUTO, 127)
    let_go(player, 48)
    player.on(48)
    let_go(player, 48)
    assert player.active == 2


def test_sostenuto_does_not_catch_what_only_the_sustain_pedal_holds() -> None:
    player = held(48, 55)
    player.control(SUSTAIN, 127)
    player.off(48)
    player.play(960)
    player.control(SOSTENUTO, 127)
    let_go(player, 55)
    assert sounding(player, [48, 55]) == [48, 55]
    player.control(SUSTAIN, 0)
    player.play(SECOND)
    assert sounding(player, [48, 55]) == [55]


def test_both_pedals_may_hold_a_note() -> None:
    for first, second in ((SUSTAIN, SOSTENUTO), (SOSTENUTO, SUSTAIN)):
        player = held(48)
        for pedal in (SUSTAIN, SOSTENUTO):
            player.control(pedal, 127)
        let_go(player, 48)
        player.control(first, 0)
        player.play(SECOND)
        assert sounding(player, [48]) == [48]
        player.control(second, 0)
        player.play(SECOND)
        assert player.active == 0


def test_a_pedal_that_is_down_already_latches_nothing_new() -> None:
    player = held(48)
    player.control(SOSTENUTO, 70)
    player.on(55)
    player.play(64)
    player.control(SOSTENUTO, 127)
    let_go(player, 48, 55)
    assert sounding(player, [48, 55]) == [48]


@pytest.mark.parametrize("pedal", [SUSTAIN, SOSTENUTO])
def test_all_notes_off_obeys_pedals_and_reset_lifts_them(pedal: int) -> None:
    player = held(48)
    player.control(pedal, 127)
    player.control(NOTES_OFF, 0)
    player.play(SECOND)
    assert sounding(player, [48]) == [48]
    player.control(RESET_CONTROLLERS, 0)
    player.play(SECOND)
    assert player.active == 0


@pytest.mark.parametrize("pedal", [SUSTAIN, SOSTENUTO])
def test_all_sound_off_obeys_none(pedal: int) -> None:
    player = held(48)
    player.control(pedal, 127)
    player.control(SOUND_OFF, 0)
    player.play(9 * SEGMENT)
    assert player.active == 0


def test_sostenuto_is_its_channels_own() -> None:
    player = held(48)
    player.on(60, channel=3)
    player.play(64)
    player.control(SOSTENUTO, 127, channel=3)
    player.off(60, channel=3)
    let_go(player, 48)
    assert sounding(player, [48, 60]) == [60]


# ---- soft ----


def levels_db(soft: float, velocity: float = 1.0) -> list[float]:
    """Of partials 1, 2, 4 and 8 of a note that starts under the soft pedal."""
    player = Player(steady(count=8, tilt_db=-6.0))
    player.control(SOFT, soft)
    player.on(48, velocity)
    sound = player.play(9600)[0]
    found = amplitudes(sound, [frequency_of_key(48) * k for k in range(1, 9)])
    return [in_db(found[k - 1] / LEVEL) for k in (1, 2, 4, 8)]


@pytest.mark.parametrize("soft", [0, 50, 127])
def test_the_soft_pedal_is_softer_and_duller(soft: int) -> None:
    """All the way down by 2 dB, and by 1 dB an octave above the fundamental."""
    change = np.subtract(levels_db(soft), levels_db(0))
    np.testing.assert_allclose(change, -(2.0 + np.arange(4)) * soft / 127.0, atol=0.01)


def test_it_is_for_the_notes_that_start_under_it() -> None:
    player, other = held(48), held(48)
    player.control(SOFT, 127)
    np.testing.assert_array_equal(player.play(960), other.play(960))
    player.control(SOFT, 0)
    for each in (player, other):
        each.on(60)
    np.testing.assert_array_equal(player.play(960), other.play(960))


def test_the_innovations_form_only_gets_softer() -> None:
    """Its rows have one gain."""
    soft, loud = Player(load("wind")), Player(load("wind"))
    soft.control(SOFT, 127)
    for player in (soft, loud):
        player.on(60)
    np.testing.assert_allclose(soft.play(4800), 10.0 ** (-2.0 / 20.0) * loud.play(4800), rtol=1e-4, atol=1e-7)
