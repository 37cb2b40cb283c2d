"""Pedal, volume, expression, pan, and the channel modes, per channel. The wheel: see test_bend."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsynth.instrument.preset import Envelope, Polyphony, Preset
from rtsynth.messages import Kind
from rtsynth.sampler.noise import SEGMENT
from tests.instrument.playing import (
    EXPRESSION,
    LEVEL,
    NOTES_OFF,
    PAN,
    RATE,
    RESET_CONTROLLERS,
    SOUND_OFF,
    SUSTAIN,
    VOLUME,
    Array,
    Player,
    amplitude,
    amplitudes,
    cents_from,
    frequency_of_key,
    in_db,
    sharpest_corner,
    steady,
)

RELEASE_MS = 200.0  # to -60 dB: 30 dB in 0.1 s


def level(player: Player, key: int = 60, frames: int = 480) -> float:
    """Of the only note, over the next 10 ms."""
    return amplitude(player.play(frames)[0], frequency_of_key(key))


def fall_db(player: Player, seconds: float = 0.1) -> float:
    """How far the only note falls from now on; the pedal has acted by then."""
    player.play(2 * SEGMENT)
    first = level(player)
    player.play(round(seconds * RATE) - 480)
    return in_db(level(player) / first)


def released(pedal: Preset | None = None) -> Player:
    """A player whose note has just been let go."""
    player = Player(pedal or steady(Envelope(attack_ms=0.0, release_ms=RELEASE_MS)))
    player.on(60)
    player.play(960)
    player.off(60)
    return player


def switch() -> Preset:
    return steady(Envelope(attack_ms=0.0, release_ms=RELEASE_MS, pedal="switch"))


# ---- sustain pedal ----


@pytest.mark.parametrize("value", [0, 25, 63, 64, 90, 102, 127])
def test_half_a_pedal_damps_in_between(value: int) -> None:
    """Dampers begin to lift at a fifth of the way and are clear at four fifths; in between by the square."""
    player = released()
    player.control(SUSTAIN, value)
    contact = 1.0 - min(max((value / 127.0 - 0.2) / 0.6, 0.0), 1.0)
    assert fall_db(player) == pytest.approx(-30.0 * contact**2, abs=0.3)


def test_more_pedal_damps_less() -> None:
    falls = []
    for value in range(0, 128, 16):
        player = released()
        player.control(SUSTAIN, value)
        falls.append(fall_db(player))
    assert falls == sorted(falls)
    assert falls[0] == pytest.approx(-30.0, abs=0.3)
    assert falls[-1] == pytest.approx(0.0, abs=0.01)
    assert len({round(fall) for fall in falls}) > 4


@pytest.mark.parametrize(("value", "held"), [(0, False), (63, False), (64, True), (127, True)])
def test_a_switch_is_down_from_64(value: int, held: bool) -> None:
    player = released(switch())
    player.control(SUSTAIN, value)
    assert fall_db(player) == pytest.approx(0.0 if held else -30.0, abs=0.3)


@pytest.mark.parametrize("preset", [None, switch()], ids=["continuous", "switch"])
def test_the_pedal_catches_what_still_rings_and_lets_it_go(preset: Preset | None) -> None:
    player = released(preset)
    player.play(round(0.05 * RATE))
    player.control(SUSTAIN, 127)
    player.play(SEGMENT)
    caught = level(player)
    assert in_db(caught / LEVEL) == pytest.approx(-15.0, abs=1.0)
    player.play(48000)
    assert level(player) == pytest.approx(caught, rel=1e-3)
    player.control(SUSTAIN, 0)
    assert fall_db(player) == pytest.approx(-30.0, abs=0.3)
    player.play(48000)
    assert player.active == 0


def test_a_held_key_survives_the_pedal() -> None:
    player = Player(steady())
    player.control(SUSTAIN, 127)
    player.on(60)
    player.off(60)
    player.play(960)
    player.on(60)  # struck again while it rings, and held
    player.control(SUSTAIN, 0)
    player.play(48000)
    assert level(player) == pytest.approx(LEVEL, rel=1e-4)
    assert player.active == 1


def test_the_pedal_is_its_channels_own() -> None:
    player = Player(steady())
    for channel, key in ((0, 60), (1, 72)):
        player.on(key, channel=channel)
    player.control(SUSTAIN, 127, channel=1)
    player.play(64)
    for channel, key in ((0, 60), (1, 72)):
        player.off(key, channel=channel)
    player.play(48000)
    assert player.active == 1
    assert level(player, 72) == pytest.approx(LEVEL, rel=1e-4)


# ---- volume, expression, pan ----


@pytest.mark.parametrize("volume", [127, 100, 64, 1, 0])
@pytest.mark.parametrize("expression", [127, 90, 1, 0])
def test_volume_and_expression_are_40_log10(volume: int, expression: int) -> None:
    """0 dB at the defaults, 100 and 127; each also while the note sounds."""
    want = LEVEL * (volume / 100.0 * expression / 127.0) ** 2
    before, during = Player(steady()), Player(steady())
    during.on(60)
    during.play(960)
    for player in (before, during):
        player.control(VOLUME, volume)
        player.control(EXPRESSION, expression)
    before.on(60)
    assert level(before) == pytest.approx(want, rel=1e-3, abs=1e-9)
    during.play(9600)
    assert level(during) == pytest.approx(want, rel=1e-3, abs=1e-9)


def sides(player: Player) -> tuple[float, float]:
    left, right = player.play(4800)
    f = frequency_of_key(60)
    return amplitude(left, f) / LEVEL, amplitude(right, f) / LEVEL


@pytest.mark.parametrize("value", [0, 1, 20, 64, 100, 127])
def test_pan_keeps_the_power(value: int) -> None:
    before, during = Player(steady()), Player(steady())
    during.on(60)
    during.play(960)
    for player in (before, during):
        player.control(PAN, value)
    before.on(60)
    during.play(9600)
    turn = 0.25 * math.pi * (1.0 + max(-1.0, (value - 64) / 63))
    want = (math.sqrt(2.0) * math.cos(turn), math.sqrt(2.0) * math.sin(turn))
    for player in (before, during):
        found = sides(player)
        assert found == pytest.approx(want, abs=1e-4)
        assert found[0] ** 2 + found[1] ** 2 == pytest.approx(2.0, rel=1e-4)


def test_the_centre_is_0_decibels_and_the_ends_are_one_side() -> None:
    for value, want in ((64, (1.0, 1.0)), (0, (math.sqrt(2.0), 0.0)), (127, (0.0, math.sqrt(2.0)))):
        player = Player(steady())
        player.control(PAN, value)
        player.on(60)
        assert sides(player) == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize("controller", [VOLUME, EXPRESSION, PAN])
def test_a_jump_of_a_controller_makes_no_step(controller: int) -> None:
    """On the right side, which all three can silence."""
    player = Player(steady())
    player.control(controller, 100)
    player.on(36)
    before = player.play(960)
    player.control(controller, 0)
    after = player.play(4800)
    assert np.abs(before[1]).max() > 0.5 * LEVEL
    assert np.abs(after[1, -960:]).max() < 1e-4 * LEVEL
    assert sharpest_corner(np.concatenate([before, after], axis=1)) < 0.02 * LEVEL


def test_it_takes_5_milliseconds() -> None:
    """12 % of what is left with each segment, in straight lines: down to 36 % after 8 of them."""
    player, steadily = Player(steady()), Player(steady())
    for each in (player, steadily):
        each.on(60)
        each.play(960)
    player.control(VOLUME, 0)
    share = player.play(9 * SEGMENT)[0] / steadily.play(9 * SEGMENT)[0]
    np.testing.assert_allclose(share[::SEGMENT], 0.88 ** np.arange(9), rtol=1e-4)
    assert share[SEGMENT // 2] == pytest.approx(0.94, rel=1e-4)


def test_without_smoothing_a_jump_is_a_step() -> None:
    """Which the measure above would see."""
    player = Player(steady())
    player.on(36)
    before = player.play(960)
    player.send(Kind.RESET)
    after = player.play(960)
    assert sharpest_corner(np.concatenate([before, after], axis=1)) > 0.02 * LEVEL


# ---- all sound off, reset all controllers, all notes off ----


def test_all_sound_off_silences_within_256_samples_whatever_the_pedal() -> None:
    player = Player(steady())
    player.control(SUSTAIN, 127)
    for key in (36, 43, 48):
        player.on(key)
    player.off(43)
    before = player.play(960)
    player.control(SOUND_OFF, 0)
    fade = player.play(9 * SEGMENT)
    assert (player.play(960) == 0).all()
    assert player.active == 0
    assert sharpest_corner(np.concatenate([before, fade], axis=1)) < 0.05 * LEVEL
    assert player.counts["steals"] == 0
    player.on(60)
    assert level(player) == pytest.approx(LEVEL, rel=1e-4)


def test_all_notes_off_lets_go_and_the_pedal_still_holds() -> None:
    player = released()
    player.on(72)
    player.control(NOTES_OFF, 0)
    player.play(48000)
    assert player.active == 0
    player.control(SUSTAIN, 127)
    player.on(72)
    player.play(64)
    player.control(NOTES_OFF, 0)
    player.play(48000)
    assert level(player, 72) == pytest.approx(LEVEL, rel=1e-4)
    player.control(SUSTAIN, 0)
    player.play(48000)
    assert player.active == 0


@pytest.mark.parametrize("mode", [124, 125, 126, 127])
def test_the_channel_modes_let_go_too(mode: int) -> None:
    player = Player(steady())
    player.on(60)
    player.play(64)
    player.control(mode, 0)
    player.play(48000)
    assert player.active == 0


@pytest.mark.parametrize("controller", [0, 1, 2, 5, 32, 65, 66, 67, 68, 71, 91, 119, 122])
def test_other_controllers_do_nothing_to_a_held_note(controller: int) -> None:
    """Those of notes to come, of pedals that hold no key up, and of nothing here."""
    player, other = Player(steady()), Player(steady())
    for each in (player, other):
        each.on(60)
        each.play(960)
    player.control(controller, 127)
    np.testing.assert_array_equal(player.play(960), other.play(960))


def test_reset_all_controllers_leaves_volume_pan_and_range() -> None:
    player = Player(steady())
    player.bend_range(12)
    player.control(VOLUME, 50)
    player.control(PAN, 0)
    player.registered(0, 0)
    for controller, value in ((EXPRESSION, 30), (SUSTAIN, 127)):
        player.control(controller, value)
    player.bend(1.0)
    player.on(60)
    player.off(60)
    player.play(960)
    player.control(RESET_CONTROLLERS, 0)
    player.play(48000)
    assert player.active == 0  # the pedal is up
    player.control(6, 24)  # for no parameter: RPN null
    player.on(60)
    player.play(960)
    sound = player.play(48000)
    assert abs(cents_from(sound[0], frequency_of_key(60))) < 0.1
    assert amplitude(sound[0], frequency_of_key(60)) == pytest.approx(math.sqrt(2.0) * LEVEL / 4.0, rel=1e-3)
    assert np.abs(sound[1]).max() < 1e-6
    player.bend(1.0)
    player.play(960)
    assert abs(cents_from(player.play(48000)[0], frequency_of_key(72))) < 0.1


# ---- channels ----


def test_sixteen_channels_do_not_hear_of_one_another() -> None:
    """One note each, an octave apart in fours; channel 5 gets every controller there is."""
    keys = [36 + 4 * channel for channel in range(16)]
    frequencies = [frequency_of_key(key) for key in keys]
    player = Player(steady(polyphony=Polyphony(voices=16)))
    for channel, key in enumerate(keys):
        player.on(key, channel=channel)
    player.play(960)
    np.testing.assert_allclose(amplitudes(player.play(9600)[0], frequencies), LEVEL, rtol=1e-3)
    player.control(VOLUME, 50, channel=5)
    player.control(PAN, 0, channel=6)
    player.control(SOUND_OFF, 0, channel=7)
    player.control(NOTES_OFF, 0, channel=8)
    player.control(EXPRESSION, 64, channel=9)
    player.off(keys[10], channel=10)
    player.play(48000)
    want = np.ones((2, 16))
    want[:, 5] = 0.25
    want[:, 6] = math.sqrt(2.0), 0.0
    want[:, [7, 8, 10]] = 0.0
    want[:, 9] = (64.0 / 127.0) ** 2
    sound: Array = player.play(9600)
    found = np.stack([amplitudes(side, frequencies) for side in sound])
    np.testing.assert_allclose(found, LEVEL * want, atol=1e-3 * LEVEL)
    assert player.active == 13
