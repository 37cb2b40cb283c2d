"""Aftertouch, modulation and timbre, and where a preset sends them: variance, vibrato, brightness, level."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest

from rtsynth.instrument import load
from rtsynth.instrument.preset import Controllers, Modes, Partials, Preset
from rtsynth.sampler.noise import SEGMENT
from tests.instrument.playing import (
    LEVEL,
    RATE,
    RESET_CONTROLLERS,
    SUSTAIN,
    TIMBRE,
    VARIANCE,
    Array,
    Player,
    amplitude,
    amplitudes,
    frequency_of_key,
    in_db,
    sharpest_corner,
    steady,
)
from tests.instrument.recorded import preset_of, stroke

NOTHING = {"modulation": "none", "channel_pressure": "none", "key_pressure": "none", "timbre": "none"}


def routed(preset: Preset | None = None, **controllers: Any) -> Preset:
    return msgspec.structs.replace(preset or steady(), controllers=Controllers(**controllers))


# ---- vibrato ----


def vibrato(depths: Array, hz: float, key: int = 60) -> Array:
    """The note of `steady` whose vibrato goes so many semitones to either side in its segments (S,): the slow way."""
    seconds = np.arange(depths.size) * SEGMENT / RATE
    ratio = 2.0 ** (depths * np.sin(2.0 * np.pi * hz * seconds) / 12.0)
    turns = np.concatenate([[0.0], np.cumsum(np.repeat(ratio, SEGMENT))[:-1]]) * frequency_of_key(key) / RATE
    plain = Player(steady())
    plain.on(key)
    first = plain.play(1)[0, 0] / LEVEL
    phase = [sign * np.arccos(min(1.0, first)) for sign in (1.0, -1.0)]
    sounds = [LEVEL * np.cos(2.0 * np.pi * turns + p) for p in phase]
    second = plain.play(1)[0, 0]
    return min(sounds, key=lambda sound: abs(sound[1] - second))


def approached(goal: float, segments: int) -> Array:
    """Twelve hundredths of the way with each segment."""
    return goal * (1.0 - 0.88 ** np.arange(1, segments + 1))


@pytest.mark.parametrize("hz", [5.5, 7.0])
def test_channel_pressure_is_vibrato(hz: float) -> None:
    """50 cents to either side, from the note's start on, up first."""
    player = Player(routed(vibrato_hz=hz))
    player.press(127)
    player.on(60)
    sound = player.play(300 * SEGMENT)[0]
    np.testing.assert_allclose(sound, vibrato(np.full(300, 0.5), hz), atol=2e-4 * LEVEL)


def test_it_comes_and_goes_smoothly() -> None:
    player = Player(steady())
    player.on(60)
    first = player.play(50 * SEGMENT)[0]
    player.press(64)
    rest = player.play(200 * SEGMENT)[0]
    depths = np.concatenate([np.zeros(50), approached(0.5 * 64 / 127, 200)])
    np.testing.assert_allclose(np.concatenate([first, rest]), vibrato(depths, 5.5), atol=1e-3 * LEVEL)


@pytest.mark.parametrize(("msb", "lsb"), [(1, 0), (0, 16), (2, 127)])
def test_registered_parameter_5_is_how_far(msb: int, lsb: int) -> None:
    player = Player(steady())
    player.enter(5, msb, lsb)
    player.press(127)
    player.on(60)
    sound = player.play(100 * SEGMENT)[0]
    np.testing.assert_allclose(sound, vibrato(np.full(100, msb + lsb / 128), 5.5), atol=1e-3 * LEVEL)


def test_key_pressure_is_for_its_key() -> None:
    both, pressed, plain = Player(steady()), Player(steady()), Player(steady())
    for player in (both, pressed):
        player.press(127, key=60)
        player.on(60)
    for player in (both, plain):
        player.on(72)
    np.testing.assert_array_equal(both.play(3200), pressed.play(3200) + plain.play(3200))


def test_pressures_add_up() -> None:
    sounds = []
    for channel, key in ((64, 63), (127, None), (0, 127)):
        player = Player(steady())
        player.press(channel)
        if key is not None:
            player.press(key, key=60)
        player.on(60)
        sounds.append(player.play(3200))
    np.testing.assert_array_equal(sounds[0], sounds[1])
    np.testing.assert_array_equal(sounds[0], sounds[2])


def test_reset_all_controllers_takes_both_pressures_away() -> None:
    player, plain = Player(steady()), Player(steady())
    player.press(127)
    player.press(127, key=60)
    player.control(RESET_CONTROLLERS, 0)
    for each in (player, plain):
        each.on(60)
    np.testing.assert_array_equal(player.play(3200), plain.play(3200))


# ---- brightness ----


def octaves_db(player: Player, frames: int = 2400) -> Array:
    """Levels of partials 1, 2, 4 and 8 of key 48."""
    found = amplitudes(player.play(frames)[0], [frequency_of_key(48) * k for k in range(1, 9)])
    return np.array([in_db(found[k - 1] / LEVEL) for k in (1, 2, 4, 8)])


@pytest.mark.parametrize(("value", "early"), [(1, True), (1, False), (100, False), (127, True)])
def test_timbre_is_4_decibels_an_octave_to_either_side(value: int, early: bool) -> None:
    player = Player(steady(count=8, tilt_db=-6.0))
    if early:
        player.control(TIMBRE, value)
    player.on(48)
    player.play(960)
    player.control(TIMBRE, value)
    player.play(4800)
    plain = Player(steady(count=8, tilt_db=-6.0))
    plain.on(48)
    plain.play(960 + 4800)
    want = 4.0 * (value - 64) / 63 * np.arange(4)
    np.testing.assert_allclose(octaves_db(player) - octaves_db(plain), want, atol=0.01)


@pytest.mark.parametrize("name", ["mono", "stereo", "recorded"])
def test_timbre_moves_without_a_step(name: str) -> None:
    """For rows of one course, for rows panned apart, and for lines that are moved by curves."""
    presets = {
        "mono": steady(count=4),
        "stereo": msgspec.structs.replace(load("glass"), layers=load("glass").layers[:1]),
        "recorded": preset_of(stroke(40.0, 2, 2, 0), variance=0.0),
    }
    player, still = Player(presets[name]), Player(presets[name])
    for each in (player, still):
        each.on(40)
        each.play(4800)
    player.control(TIMBRE, 127)
    moved, plain = player.play(9600), still.play(9600)
    difference = moved.astype(float) - plain
    assert np.abs(difference[:, -960:]).max() > 0.05 * np.abs(plain).max()
    assert sharpest_corner(difference) < 0.02 * np.abs(plain).max() + sharpest_corner(moved[:, -960:])


def test_timbre_takes_5_milliseconds() -> None:
    """Twelve hundredths of the way with each segment: a row an octave above the fundamental, 4 dB louder in the end."""
    octave = Modes(ratios=(2.0,), levels_db=(0.0,), t60=(math.inf,), variance=0.0)
    preset = msgspec.structs.replace(steady(), layers=(octave,))
    player, still = Player(preset), Player(preset)
    for each in (player, still):
        each.on(60)
        each.play(960)
    player.control(TIMBRE, 127)
    share = player.play(9 * SEGMENT)[0] / still.play(9 * SEGMENT)[0]
    np.testing.assert_allclose(share[::SEGMENT], 10.0 ** (0.2 * (1.0 - 0.88 ** np.arange(9))), rtol=1e-4)


def test_reset_all_controllers_leaves_timbre() -> None:
    """A sound controller, by RP-015."""
    player, other = Player(steady(count=4)), Player(steady(count=4))
    for each in (player, other):
        each.control(TIMBRE, 127)
    player.control(RESET_CONTROLLERS, 0)
    for each in (player, other):
        each.on(48)
    np.testing.assert_array_equal(player.play(960), other.play(960))


def test_a_voice_at_rest_in_the_middle_keeps_its_bits() -> None:
    player, plain = Player(load("bell")), Player(load("bell"))
    player.control(TIMBRE, 64)
    player.press(0)
    player.press(0, key=60)
    for each in (player, plain):
        each.on(60)
    np.testing.assert_array_equal(player.play(960), plain.play(960))


# ---- routes ----


def test_modulation_may_be_vibrato_and_pressure_the_variance() -> None:
    swapped = Player(routed(modulation="vibrato", channel_pressure="variance"))
    default = Player(steady())
    swapped.control(VARIANCE, 127)
    default.press(127)
    for player in (swapped, default):
        player.on(60)
    np.testing.assert_array_equal(swapped.play(3200), default.play(3200))
    drawn = Partials(count=4, t60=3.0, variance=0.5)
    pressed = Player(routed(msgspec.structs.replace(steady(), layers=(drawn,)), channel_pressure="variance"))
    turned = Player(msgspec.structs.replace(steady(), layers=(drawn,)))
    pressed.press(40)
    turned.control(VARIANCE, 40)
    for player in (pressed, turned):
        player.on(60)
    np.testing.assert_array_equal(pressed.play(3200), turned.play(3200))


@pytest.mark.parametrize("gesture", ["modulation", "channel_pressure", "key_pressure", "timbre"])
def test_every_gesture_may_be_level(gesture: str) -> None:
    """6 dB louder at the end."""
    player = Player(routed(**{**NOTHING, gesture: "level"}))
    player.on(60)
    player.play(960)
    make(player, gesture)
    player.play(9600)
    level = in_db(amplitude(player.play(4800)[0], frequency_of_key(60)) / LEVEL)
    assert level == pytest.approx(6.0, abs=0.01)


@pytest.mark.parametrize("gesture", ["modulation", "channel_pressure", "key_pressure", "timbre"])
def test_every_gesture_may_be_nothing(gesture: str) -> None:
    player, plain = Player(routed(**NOTHING)), Player(routed(**NOTHING))
    make(player, gesture)
    for each in (player, plain):
        each.on(60)
    np.testing.assert_array_equal(player.play(960), plain.play(960))


def make(player: Player, gesture: str) -> None:
    """All the way, for key 60."""
    if gesture == "modulation":
        player.control(VARIANCE, 127)
    elif gesture == "timbre":
        player.control(TIMBRE, 127)
    else:
        player.press(127, key=60 if gesture == "key_pressure" else None)


def test_a_note_under_the_pedal_still_feels_its_key() -> None:
    player, held = Player(steady()), Player(steady())
    player.control(SUSTAIN, 127)
    for each in (player, held):
        each.on(60)
        each.press(127, key=60)
        each.play(640)
    player.off(60)
    np.testing.assert_array_equal(player.play(3200), held.play(3200))
