"""Registered parameters beside the range of the wheel: tuning, vibrato depth, steps. RPN 0: see test_bend."""

from __future__ import annotations

import pytest

from tests.instrument.playing import RESET_CONTROLLERS, Player, cents_from, frequency_of_key, steady

FINE, COARSE = 1, 2
INCREMENT, DECREMENT = 96, 97


def cents(player: Player, semitones: float = 0.0) -> float:
    """How far key 60 is from where it should be; by what may be played over it."""
    player.on(60)
    player.play(64)
    return cents_from(player.play(24000)[0], frequency_of_key(60 + semitones))


@pytest.mark.parametrize(("msb", "lsb"), [(0, 0), (32, 0), (64, 0), (64, 1), (127, 127)])
def test_fine_tuning_is_a_semitone_to_either_side(msb: int, lsb: int) -> None:
    player = Player(steady())
    player.enter(FINE, msb, lsb)
    assert abs(cents(player, ((msb << 7 | lsb) - 8192) / 8192)) < 0.01


@pytest.mark.parametrize("semitones", [-64, -12, -1, 0, 1, 24, 60])
def test_coarse_tuning_is_in_semitones(semitones: int) -> None:
    player = Player(steady())
    player.enter(COARSE, 64 + semitones)
    assert abs(cents(player, semitones)) < 0.01


def test_a_transposed_key_plays_the_string_it_is_transposed_to() -> None:
    """Its bits, then: the same string at its own pitch."""
    transposed, plain = (
        Player(steady(count=4, t60=3.0, t60_slope=-1.0)),
        Player(steady(count=4, t60=3.0, t60_slope=-1.0)),
    )
    transposed.enter(COARSE, 64 + 7)
    transposed.on(60)
    plain.on(67)
    assert transposed.play(4800).tobytes() == plain.play(4800).tobytes()


def test_they_add_up_with_the_wheel_and_act_on_held_notes() -> None:
    player = Player(steady())
    player.on(60)
    player.play(960)
    player.enter(COARSE, 64 + 3)
    player.enter(FINE, 96, 0)  # half a semitone
    player.bend_range(12)
    player.bend(-0.25)
    player.play(64)
    assert abs(cents_from(player.play(24000)[0], frequency_of_key(60.5))) < 0.01


def test_reset_all_controllers_leaves_them() -> None:
    player = Player(steady())
    player.enter(COARSE, 64 + 3)
    player.control(RESET_CONTROLLERS, 0)
    assert abs(cents(player, 3)) < 0.01


@pytest.mark.parametrize(
    ("parameter", "before", "steps", "semitones"),
    [
        (0, (2, 99), 1, 3.0),  # cents, a hundred to a semitone
        (0, (3, 0), -1, 2.99),
        (0, (0, 0), -1, 0.0),  # at its end
        (FINE, (64, 0), 3, 2.0 + 3 / 8192),
        (FINE, (64, 0), -1, 2.0 - 1 / 8192),
        (COARSE, (64, 0), 2, 4.0),
        (COARSE, (64, 0), -2, 0.0),
        (COARSE, (127, 0), 1, 65.0),
    ],
)
def test_increment_and_decrement(
    parameter: int, before: tuple[int, int], steps: int, semitones: float
) -> None:
    """MIDI RP-018; with the wheel all the way up, 2 semitones if nothing is said."""
    player = Player(steady())
    player.bend(1.0)
    player.registered(0, parameter)
    player.control(6, before[0])
    player.control(38, before[1])
    for _ in range(abs(steps)):
        player.control(INCREMENT if steps > 0 else DECREMENT, 77)  # its value says nothing
    assert abs(cents(player, semitones)) < 0.01


def test_a_step_without_a_parameter_is_none() -> None:
    player = Player(steady())
    player.bend(1.0)
    player.registered(127, 127)
    player.control(INCREMENT, 0)
    assert abs(cents(player, 2.0)) < 0.01
