"""Sustained lines of notes made of known ones: pitch, levels, and the loop of a held note."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.instrument.fitting.lines import Lines, fit_lines, line_knots, loop_of
from rtsynth.instrument.fitting.note import as_recorded, stroke_of_lines
from rtsynth.instrument.stroke import Stroke, sound

RATE = 22050.0
SECONDS = 1.5
F0 = 330.0


def played(cents: np.ndarray, levels: np.ndarray, times: np.ndarray) -> Stroke:
    """Lines k F0 of levels (T, L), all moving by cents (T,)."""
    k = np.arange(1.0, levels.shape[1] + 1.0)
    return Stroke(key=64.0, line_frequency=k * F0, line_phase=k, times=times, line_gain=levels, cents=cents)


def vibrato() -> tuple[Stroke, np.ndarray]:
    times = np.arange(0.0, SECONDS + 0.02, 0.02)
    cents = 40.0 * np.sin(2 * np.pi * 5.5 * times)
    level = np.minimum(times / 0.06, 1.0) * (1.0 + 0.2 * np.sin(2 * np.pi * 2.0 * times))
    stroke = played(cents, level[:, None] / np.arange(1.0, 11.0), times)
    return stroke, sound(stroke, np.arange(round(SECONDS * RATE)) / RATE)


def test_a_note_with_vibrato_is_found_again() -> None:
    truth, x = vibrato()
    lines = fit_lines(x, RATE, 1.01 * F0)  # 17 cents off
    assert lines.frequency.size == 30
    steady = (lines.times > 0.1) & (lines.times < 1.4)
    wanted = np.interp(lines.times, truth.times, truth.cents)
    pitch = 1200.0 * np.log2(lines.frequency[0] / F0) + lines.cents
    assert np.abs(pitch - wanted)[steady].max() < 3.0
    level = np.interp(lines.times, truth.times, truth.line_gain[:, 0])
    for k in range(8):
        error_db = 20.0 * np.log10(lines.gain[steady, k] * (k + 1) / level[steady])
        assert np.abs(error_db).max() < 0.5
    assert lines.gain[steady, 10:].max() < 1e-3
    model = as_recorded(stroke_of_lines(lines), RATE, x.size)
    late = slice(round(0.1 * RATE), round(1.4 * RATE))
    assert 20.0 * np.log10(x[late].std() / (x - model)[late].std()) > 30.0


def test_without_the_pitch_curve_it_is_not() -> None:
    """The planted fault: the same levels on a flat pitch."""
    _, x = vibrato()
    lines = fit_lines(x, RATE, F0)
    flat = Lines(lines.frequency, lines.phase, lines.times, lines.gain, np.zeros(lines.times.size))
    model = as_recorded(stroke_of_lines(flat), RATE, x.size)
    assert 20.0 * np.log10(x.std() / (x - model).std()) < 6.0


def test_noise_does_not_move_the_pitch() -> None:
    truth, x = vibrato()
    noisy = x + 0.03 * x.std() * np.random.default_rng(0).standard_normal(x.size)
    lines = fit_lines(noisy, RATE, F0)
    steady = (lines.times > 0.1) & (lines.times < 1.4)
    pitch = 1200.0 * np.log2(lines.frequency[0] / F0) + lines.cents
    assert np.abs(pitch - np.interp(lines.times, truth.times, truth.cents))[steady].max() < 6.0


@pytest.mark.parametrize("seconds", [0.1, 0.4])
def test_short_notes_are_fitted(seconds: float) -> None:
    _, x = vibrato()
    lines = fit_lines(x[: round(seconds * RATE)], RATE, F0)
    assert np.isfinite(lines.gain).all()
    assert lines.times[-1] >= seconds - 1e-9


def curves(level_db: np.ndarray, times: np.ndarray, cents: np.ndarray | None = None) -> Lines:
    still = np.zeros(times.size) if cents is None else cents
    return Lines(np.array([F0]), np.zeros(1), times, 10.0 ** (level_db[:, None] / 20.0), still)


def test_the_loop_is_in_the_sustain() -> None:
    """Attack to 0.2 s, sustain to 1.5 s, release: neither the attack nor the release is in the loop."""
    times = line_knots(2.0)
    level = np.interp(times, [0.0, 0.2, 1.5, 2.0], [-40.0, 0.0, -2.0, -50.0])
    loop = loop_of(curves(level, times))
    assert loop is not None
    assert 0.15 < loop[0] < 0.5
    assert 1.2 < loop[1] < 1.6


def test_the_loop_turns_where_the_vibrato_does() -> None:
    times = line_knots(2.0)
    cents = 30.0 * np.sin(2 * np.pi * 5.0 * times)
    loop = loop_of(curves(np.zeros(times.size), times, cents))
    assert loop is not None
    steepest = 30.0 * 2 * np.pi * 5.0
    for end in loop:
        assert (
            abs(np.interp(end, times, np.gradient(cents, times))) < 0.35 * steepest
        )  # knots are 20 ms apart


def test_a_decaying_note_still_gets_a_loop_and_a_short_one_none() -> None:
    times = line_knots(1.0)
    loop = loop_of(curves(-60.0 * times, times))
    assert loop is not None
    assert loop[1] - loop[0] >= 0.3
    short = line_knots(0.3)
    assert loop_of(curves(np.zeros(short.size), short)) is None
