"""Channel modes: one note at a time, or as many as there are; omni says nothing to an instrument of 16 channels."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.instrument.preset import Envelope
from rtsynth.messages import Kind
from rtsynth.sampler.noise import SEGMENT
from tests.instrument.playing import SUSTAIN, Player, sharpest_corner, sounding, steady

OMNI_OFF, OMNI_ON, MONO, POLY = 124, 125, 126, 127
KEYS = [48, 55, 60, 64]


def played(mode: int, *more: int) -> list[int]:
    """Which of four keys sound, struck one after the other under the pedal, in a mode."""
    player = Player(steady())
    for each in (mode, *more):
        player.control(each, 0)
    player.control(SUSTAIN, 127)
    for key in KEYS:
        player.on(key)
        player.play(960)
        player.off(key)
    return sounding(player, KEYS)


def test_in_mono_mode_the_last_note_sounds_alone_even_under_the_pedal() -> None:
    assert played(MONO) == [64]


@pytest.mark.parametrize("modes", [(POLY,), (MONO, POLY), (OMNI_ON,), (OMNI_OFF,)])
def test_in_poly_mode_all_do(modes: tuple[int, ...]) -> None:
    assert played(*modes) == KEYS


def test_omni_leaves_mono_as_it_is() -> None:
    assert played(MONO, OMNI_ON) == [64]


def test_the_note_before_fades_without_a_click() -> None:
    player = Player(steady(Envelope(attack_ms=5.0)))
    player.control(MONO, 1)
    player.on(36)
    before = player.play(960)
    player.on(43)
    after = player.play(9 * SEGMENT)
    assert sharpest_corner(np.concatenate([before, after], axis=1)) < 0.01 * np.abs(before).max()
    assert player.counts["steals"] == 0
    player.off(36)  # which has gone
    assert sounding(player, [36, 43]) == [43]


def test_mono_is_its_channels_own_until_a_reset() -> None:
    player = Player(steady())
    player.control(MONO, 0)
    for key in KEYS:
        player.on(key, channel=1)
    assert sounding(player, KEYS) == KEYS
    player.send(Kind.RESET)
    for key in KEYS:
        player.on(key)
    assert sounding(player, KEYS) == KEYS
