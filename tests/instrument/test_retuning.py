"""Keys that tuning messages move: the string they play, how far it is bent, and what else moves or does not."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from rtsynth.instrument import load
from rtsynth.instrument.preset import Envelope, Polyphony, Preset, Tuning
from rtsynth.messages import Kind
from tests.instrument.playing import (
    LEVEL,
    RATE,
    RESET_CONTROLLERS,
    SOUND_OFF,
    Player,
    amplitude,
    cents_from,
    frequency_of_key,
    in_db,
    sounding,
    steady,
)
from tests.instrument.recorded import preset_of, stroke


def plucked() -> Preset:
    """Every key has a decay and an inharmonicity of its own."""
    return steady(count=4, t60=2.0, t60_slope=-1.0, inharmonicity=1e-3, inharmonicity_slope=1.0, variance=0.5)


def preset(name: str) -> Preset:
    if name == "recorded":
        return preset_of(stroke(55.0), stroke(70.0, 5, 2, 3, 1), variance=0.3)
    return plucked() if name == "plucked" else load(name)


def pitch_of(player: Player, key: int, wanted: float) -> float:
    """Cents that a key sounds above a fractional MIDI note."""
    player.on(key)
    player.play(64)
    found = cents_from(player.play(12000)[0], frequency_of_key(wanted))
    player.control(SOUND_OFF, 0)
    player.play(512)
    return found


# ---- strings ----


@pytest.mark.parametrize("name", ["plucked", "bowed", "wind", "recorded"])
def test_a_tuned_key_is_the_nearest_string_bent_to_its_pitch(name: str) -> None:
    """To the bit: as if that string's own key were played with the wheel out. So its law is that of `Preset.kernel`."""
    tuned, wheeled = Player(preset(name)), Player(preset(name))
    wheeled.bend(0.125)  # of 2 semitones
    tuned.tune(60, 67.25)
    tuned.on(60)
    wheeled.on(67)
    first = tuned.play(3000)
    np.testing.assert_array_equal(first, wheeled.play(3000))
    assert np.abs(first).max() > 1e-3
    tuned.off(60)
    wheeled.off(67)
    np.testing.assert_array_equal(tuned.play(3000), wheeled.play(3000))


def test_a_key_that_is_tuned_to_its_own_pitch_is_as_if_it_never_was() -> None:
    tuned, plain = Player(plucked()), Player(plucked())
    for key in range(128):
        tuned.tune(key, key)
    for player in (tuned, plain):
        player.on(60)
    np.testing.assert_array_equal(tuned.play(3000), plain.play(3000))


@pytest.mark.parametrize("a4", [440.0, 415.3, 444.114])
@pytest.mark.parametrize("pitch", [33.0, 60.4999, 60.5001, 69.0, 100.123])
def test_pitches_are_absolute_whatever_the_presets_own_tuning(a4: float, pitch: float) -> None:
    player = Player(msgspec.structs.replace(steady(), tuning=Tuning(a4=a4)))
    player.tune(60, pitch)
    assert abs(pitch_of(player, 60, float(np.float32(pitch)))) < 0.01


def test_the_nearest_string_is_the_one_that_sounds_nearest() -> None:
    """At A4 = 415.3 Hz it is string 70 that stands at 440 Hz."""
    low = msgspec.structs.replace(plucked(), tuning=Tuning(a4=415.3))
    tuned, wheeled = Player(low), Player(low)
    tuned.tune(50, 69.0)
    wheeled.bend_range(1)
    wheeled.bend(-1.0 - 12.0 * math.log2(415.3 / 440.0))
    tuned.on(50)
    wheeled.on(70)
    np.testing.assert_allclose(tuned.play(3000), wheeled.play(3000), atol=1e-5)


def test_the_damper_is_that_of_the_string() -> None:
    """Which has none from key 72 on."""
    player = Player(steady(Envelope(attack_ms=0.0, release_ms=50.0, undamped_above=72)))
    player.tune(60, 84.0)
    player.tune(84, 60.0)
    for key in (60, 84):
        player.on(key)
    player.play(960)
    for key in (60, 84):
        player.off(key)
    player.play(24000)
    assert sounding(player, [60, 84]) == [84]


@pytest.mark.parametrize("pitch", [-60.0, -1e30, 0.3, 127.4])
def test_far_away_the_last_string_is_bent(pitch: float) -> None:
    player = Player(steady())
    player.tune(60, pitch)
    if pitch == 127.4:
        assert abs(pitch_of(player, 60, float(np.float32(pitch)))) < 0.01
    player.on(60)
    assert np.abs(player.play(9600)).max() < 1.01 * LEVEL


@pytest.mark.parametrize("pitch", [140.0, 1e30])
def test_above_nyquist_nothing_is_heard(pitch: float) -> None:
    player = Player(steady())
    player.tune(60, pitch)
    player.on(60)
    assert np.abs(player.play(9600)).max() == 0.0


# ---- keys ----


def test_a_key_without_a_pitch_does_not_sound() -> None:
    player = Player(steady())
    player.tune(60, math.nan)
    player.on(60)
    player.on(62)
    assert sounding(player, [60, 62]) == [62]
    assert player.counts["notes"] == 1
    player.off(60)
    player.tune(60, 60.0)
    player.on(60)
    assert sounding(player, [60, 62]) == [60, 62]


def test_keys_of_one_string_are_keys_of_their_own() -> None:
    """They are let go one by one, and each may ring as often as one may."""
    player = Player(steady(Envelope(attack_ms=0.0, release_ms=50.0), Polyphony(voices=32, per_key=1)))
    player.tune(60, 64.0)
    player.tune(61, 64.25)
    for key in (60, 61):
        player.on(key)
    player.play(960)
    assert player.counts["steals"] == 0
    player.off(60)
    player.play(24000)
    assert player.active == 1
    assert abs(cents_from(player.play(12000)[0], frequency_of_key(64.25))) < 0.01


@pytest.mark.parametrize("held", [False, True])
def test_held_notes_follow_where_they_are_asked_to(held: bool) -> None:
    player = Player(steady())
    player.on(60)
    player.play(960)
    player.tune(60, 62.5, held=held)
    player.play(64)
    now = 62.5 if held else 60.0
    assert abs(cents_from(player.play(12000)[0], frequency_of_key(now))) < 0.01
    player.control(SOUND_OFF, 0)
    player.play(512)
    assert abs(pitch_of(player, 60, 62.5)) < 0.01


def test_a_held_note_keeps_its_string() -> None:
    """As it would under the wheel."""
    tuned, wheeled = Player(plucked()), Player(plucked())
    wheeled.bend_range(24)
    for player in (tuned, wheeled):
        player.on(60)
        player.play(960)
    tuned.tune(60, 66.0, held=True)
    wheeled.bend(0.25)
    np.testing.assert_array_equal(tuned.play(3000), wheeled.play(3000))


def test_a_held_note_whose_key_is_silenced_sounds_on_until_it_is_let_go() -> None:
    player = Player(steady(Envelope(attack_ms=0.0, release_ms=50.0)))
    player.on(60)
    player.play(960)
    player.tune(60, math.nan, held=True)
    player.play(960)
    assert sounding(player, [60]) == [60]
    player.off(60)
    player.play(24000)
    assert player.active == 0


def test_the_wheel_bends_what_is_tuned() -> None:
    player = Player(steady())
    player.bend(0.5)
    player.tune(60, 63.3)
    assert abs(pitch_of(player, 60, float(np.float32(63.3)) + 1.0)) < 0.01


def test_only_its_own_channel_is_tuned() -> None:
    player = Player(steady())
    player.tune(60, 63.0, channel=1)
    assert abs(pitch_of(player, 60, 60.0)) < 0.01


def test_tuning_outlives_resets_but_not_a_new_take() -> None:
    player = Player(steady())
    player.tune(60, 63.0)
    player.control(RESET_CONTROLLERS, 0)
    player.send(Kind.RESET)
    assert abs(pitch_of(player, 60, 63.0)) < 0.01
    player.instrument.reset()
    assert abs(pitch_of(player, 60, 60.0)) < 0.01


def test_fitted_decay_belongs_to_the_pitch_that_sounds() -> None:
    """Two octaves up, a quarter of the time; the key's own string would take four times as long."""
    player = Player(steady(t60=2.0, t60_slope=-1.0))
    player.tune(48, 72.0)
    player.on(48)
    player.play(960)
    first = amplitude(player.play(960)[0], frequency_of_key(72))
    player.play(round(0.1 * RATE) - 960)
    fall = in_db(amplitude(player.play(960)[0], frequency_of_key(72)) / first)
    assert fall == pytest.approx(-60.0 * 0.1 / (2.0 / 2.0), abs=0.05)
