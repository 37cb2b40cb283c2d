"""MPE: zones, what a member's hand does to its own note and a manager's to all of its zone's. Channels count from 0."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsynth.instrument.preset import Envelope
from rtsynth.messages import Kind
from rtsynth.sampler.noise import SEGMENT
from tests.instrument.playing import (
    EXPRESSION,
    LEVEL,
    NOTES_OFF,
    PAN,
    RATE,
    RESET_CONTROLLERS,
    SOFT,
    SOSTENUTO,
    SOUND_OFF,
    SUSTAIN,
    TIMBRE,
    VOLUME,
    Player,
    amplitude,
    amplitudes,
    cents_from,
    frequency_of_key,
    sounding,
    steady,
)

LOWER, UPPER = 0, 15  # managers
ZONE = 6  # the registered parameter that makes one
SECOND = round(RATE)


def zone(members: int = 5, manager: int = LOWER, player: Player | None = None) -> Player:
    player = player or Player(steady(Envelope(attack_ms=0.0, release_ms=100.0)))
    player.enter(ZONE, members, channel=manager)
    return player


def bent(player: Player, channel: int, key: int = 60) -> float:
    """Semitones that a new note of a channel is away from its key; nothing else may sound."""
    player.on(key, channel=channel)
    player.play(64)
    sound = player.play(4800)[0].astype(float)
    peak = int(np.abs(np.fft.rfft(sound, 1 << 15)).argmax()) * RATE / (1 << 15)
    nearest = 12.0 * math.log2(peak / frequency_of_key(key))
    cents = cents_from(sound, peak)
    player.control(SOUND_OFF, 0, channel)
    player.play(9 * SEGMENT)
    return round(nearest + cents / 100.0, 3)


# ---- which channels ----


@pytest.mark.parametrize(("manager", "members"), [(LOWER, [1, 2, 3]), (UPPER, [14, 13, 12])])
def test_members_bend_by_48_and_their_manager_by_2(manager: int, members: list[int]) -> None:
    player = zone(3, manager)
    for channel in range(16):
        player.bend(0.25, channel)
    for channel in range(16):
        want = 12.5 if channel in members else 0.5  # 0.25 of 48, and of the manager's 2
        assert bent(player, channel) == pytest.approx(want, abs=2e-3)


def test_the_later_zone_takes_channels_from_the_other() -> None:
    player = zone(10, LOWER)
    zone(8, UPPER, player)  # channels 7 to 14; the lower one keeps 1 to 6
    for channel in range(16):
        player.bend(0.5, channel)
    assert bent(player, 6) == pytest.approx(25.0, abs=2e-3)
    assert bent(player, 7) == pytest.approx(25.0, abs=2e-3)
    player.bend(0.0, LOWER)
    assert bent(player, 6) == pytest.approx(24.0, abs=2e-3)
    assert bent(player, 7) == pytest.approx(25.0, abs=2e-3)


@pytest.mark.parametrize("members", [15, 16, 127])
def test_one_zone_may_have_all_channels(members: int) -> None:
    player = zone(3, UPPER)
    zone(members, LOWER, player)
    player.bend(0.5, UPPER)
    player.bend(0.5, LOWER)
    assert bent(player, UPPER) == pytest.approx(25.0, abs=2e-3)  # a member like the others
    assert bent(player, LOWER) == pytest.approx(1.0, abs=2e-3)


def test_no_members_is_no_zone() -> None:
    player = zone()
    zone(0, LOWER, player)
    for channel in (0, 1):
        player.bend(0.5, channel)
        assert bent(player, channel) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize("channel", [1, 7, 14])
def test_no_other_channel_makes_a_zone(channel: int) -> None:
    player = zone(3, channel)
    player.bend(0.5, 2)
    assert bent(player, 2) == pytest.approx(1.0, abs=2e-3)


def test_a_new_zone_lets_notes_go_and_starts_afresh() -> None:
    player = Player(steady(Envelope(attack_ms=0.0, release_ms=100.0)))
    for channel in (0, 1, 9):
        player.on(48 + channel, channel=channel)
        player.control(SUSTAIN, 127, channel)
        player.bend(1.0, channel)
    player.play(960)
    zone(3, LOWER, player)
    player.play(SECOND)
    assert player.active == 1  # channel 9 is in no zone
    player.control(SOUND_OFF, 0, channel=9)
    player.play(9 * SEGMENT)
    assert bent(player, 1) == 0.0


def test_a_reset_takes_zones_away() -> None:
    player = zone()
    player.send(Kind.RESET)
    player.bend(0.5, 1)
    assert bent(player, 1) == pytest.approx(1.0, abs=2e-3)


# ---- ranges ----


def test_the_range_of_one_member_is_that_of_all() -> None:
    player = zone(3)
    player.bend_range(24, 0, channel=2)
    for channel in (1, 2, 3):
        player.bend(0.5, channel)
        assert bent(player, channel) == pytest.approx(12.0, abs=2e-3)
    player.bend(0.5, LOWER)
    assert bent(player, LOWER) == pytest.approx(1.0, abs=2e-3)
    player.bend_range(12, 0, channel=LOWER)
    assert bent(player, 1) == pytest.approx(12.0 + 6.0, abs=2e-3)


def test_bend_follows_tuning() -> None:
    """The wheel's semitones are added to what the key is tuned to, on the member's own channel."""
    player = zone()
    player.tune(60, 64.5, channel=1)
    player.bend(0.125, 1)
    assert bent(player, 1) == pytest.approx(4.5 + 6.0, abs=2e-3)
    assert bent(player, 2) == 0.0


# ---- the hand of a member, and of the manager ----


def test_pressure_and_timbre_are_a_members_own_and_its_managers_are_added() -> None:
    sounds = []
    for manager, member in ((64, 63), (127, None), (0, 127)):
        player = zone(5, LOWER, Player(steady(count=4)))
        player.press(manager, LOWER)
        if member is not None:
            player.press(member, 1)
        player.control(TIMBRE, 96, LOWER)
        player.on(60, channel=1)
        sounds.append(player.play(3200))
    np.testing.assert_array_equal(sounds[0], sounds[1])
    np.testing.assert_array_equal(sounds[0], sounds[2])
    alone, other = (zone(5, LOWER, Player(steady(count=4))) for _ in range(2))
    alone.press(127, 2)
    alone.control(TIMBRE, 127, 2)
    for player in (alone, other):
        player.on(60, channel=1)
    np.testing.assert_array_equal(alone.play(3200), other.play(3200))


def test_levels_multiply_and_places_add() -> None:
    player = zone()
    player.control(VOLUME, 50, LOWER)
    player.control(EXPRESSION, 64, 1)
    player.control(PAN, 127, LOWER)
    player.on(60, channel=1)
    left, right = player.play(4800)
    assert amplitude(left, frequency_of_key(60)) < 1e-6
    want = LEVEL * math.sqrt(2.0) * (0.5 * 64 / 127) ** 2
    assert amplitude(right, frequency_of_key(60)) == pytest.approx(want, rel=1e-3)


def test_a_note_that_is_let_go_no_longer_follows_its_member() -> None:
    """The next note of the channel may have its own wheel; the manager's still moves both."""
    player = zone()
    player.control(SUSTAIN, 127, LOWER)
    player.bend(0.25, 1)
    player.on(48, channel=1)
    player.play(960)
    player.off(48, channel=1)
    player.play(960)
    player.bend(-0.25, 1)
    player.on(67, channel=1)
    player.bend(0.5, LOWER)
    player.play(64)
    found = amplitudes(player.play(9600)[0], [frequency_of_key(key) for key in (61, 56, 37)])
    np.testing.assert_allclose(found, [LEVEL, LEVEL, 0.0], atol=0.02 * LEVEL)


# ---- pedals and modes ----


@pytest.mark.parametrize("pedal", [SUSTAIN, SOSTENUTO])
def test_pedals_are_the_managers(pedal: int) -> None:
    for channel, held in ((LOWER, [60, 64]), (1, [])):
        player = zone()
        player.on(60, channel=1)
        player.on(64, channel=5)
        player.play(64)
        player.control(pedal, 127, channel)
        player.off(60, channel=1)
        player.off(64, channel=5)
        player.play(SECOND)
        assert sounding(player, [60, 64]) == held
        player.control(pedal, 0, channel)
        player.play(SECOND)
        assert player.active == 0


def test_the_soft_pedal_too() -> None:
    levels = []
    for channel in (LOWER, 1):
        player = zone()
        player.control(SOFT, 127, channel)
        player.on(60, channel=1)
        levels.append(amplitude(player.play(4800)[0], frequency_of_key(60)) / LEVEL)
    assert levels == pytest.approx([10.0 ** (-2.0 / 20.0), 1.0], rel=1e-3)


@pytest.mark.parametrize("controller", [SOUND_OFF, NOTES_OFF])
def test_a_mode_of_the_manager_is_for_its_zone_a_members_for_itself(controller: int) -> None:
    player = zone()
    for channel in (1, 2, 9):
        player.on(60 + channel, channel=channel)
    player.play(64)
    player.control(controller, 0, 1)
    player.play(SECOND)
    assert sounding(player, [61, 62, 69]) == [62, 69]
    player.control(controller, 0, LOWER)
    player.play(SECOND)
    assert sounding(player, [61, 62, 69]) == [69]


def test_reset_all_controllers_of_the_manager_is_for_its_zone() -> None:
    player = zone()
    for channel in (LOWER, 1, 9):
        player.bend(0.5, channel)
    player.control(RESET_CONTROLLERS, 0, LOWER)
    assert bent(player, 1) == 0.0
    assert bent(player, 9) == pytest.approx(1.0, abs=2e-3)
