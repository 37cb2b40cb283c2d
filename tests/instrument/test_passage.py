"""The law of a passage against the loop, one unit Gaussian at a time: dampers, pedals, steals, the wheel; and sums."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from rtsynth.instrument import Instrument, load
from rtsynth.instrument.law import gaussians
from rtsynth.instrument.passage import NEVER, VARIANCE, law, strikes
from rtsynth.instrument.preset import Curve, Polyphony, Preset
from rtsynth.messages import MESSAGE, Kind, Messages, message
from rtsynth.sampler.noise import SEGMENT
from rtsynth.sampler.table import ALL_ZERO, DRAW
from tests.instrument.playing import RATE, SUSTAIN, Array, steady
from tests.instrument.test_law import changed

KEY, VELOCITY, FRAMES = 60, 0.75, 190
EXACT = 1e-12  # of the largest variance


def on(time: int = 0, key: int = KEY) -> Messages:
    return message(Kind.NOTE_ON, time, number=key, value=VELOCITY)


def off(time: int, key: int = KEY) -> Messages:
    return message(Kind.NOTE_OFF, time, number=key, value=0.5)


def pedal(time: int, value: float) -> Messages:
    return message(Kind.CONTROL, time, number=SUSTAIN, value=value)


def wheel(time: int, value: float) -> Messages:
    return message(Kind.BEND, time, value=value)


def passage(*messages: Messages) -> Messages:
    return np.concatenate(messages)


def played(instrument: Instrument, messages: Messages, probe: int, frames: int = FRAMES) -> Array:
    """The left channel, (frames,), with the Gaussians of a probe; blocks end where messages are due."""
    instrument.reset()
    instrument.probe(probe)
    out = np.zeros((2, frames), instrument.bank.real)
    edges = np.unique([0, *messages["time"], frames])
    for start, end in itertools.pairwise(edges):
        due = messages[messages["time"] == start] if start < frames else np.empty(0, MESSAGE)
        instrument.run(due, out[0, start:end], out[1, start:end])
    return out[0].astype(float)


def prepared(preset: Preset) -> Instrument:
    instrument = Instrument(preset)
    instrument.prepare(RATE, real=np.float64)
    return instrument


def responses(instrument: Instrument, messages: Messages) -> tuple[Array, Array]:
    """Mean (FRAMES,), and the covariance that the first note's Gaussians give."""
    first = messages[messages["kind"] == Kind.NOTE_ON][0]
    knob = messages["value"][(messages["kind"] == Kind.CONTROL) & (messages["number"] == VARIANCE)]
    numbers = gaussians(instrument, int(first["number"]), -(-FRAMES // SEGMENT), next(map(float, knob), None))
    mean = played(instrument, messages, ALL_ZERO)
    columns = [played(instrument, messages, number) - mean for number in numbers.tolist()]
    instrument.probe(DRAW)
    factor = np.stack(columns, axis=1)
    return mean, factor @ factor.T


def errors(preset: Preset, messages: Messages, stated: Preset | None = None) -> tuple[float, float]:
    """Of mean and covariance, over the largest amplitude and variance."""
    mean, covariance = responses(prepared(preset), messages)
    at = np.arange(FRAMES)
    want_mean, want = law(stated or preset, messages, at, sample_rate=RATE, channel="left")
    scale = np.diag(want).max() + np.square(want_mean).max()
    return (
        float(np.abs(mean - want_mean).max() / np.sqrt(scale)),
        float(np.abs(covariance - want).max() / scale),
    )


MOVING = Curve(times=(0.0, 0.001, 0.004), values=(0.2, 1.0, 0.1))
ONE_NOTE = {
    "held": passage(on()),
    "released": passage(on(), off(37)),
    "variance half way": passage(message(Kind.CONTROL, number=VARIANCE, value=64.0), on()),
    "caught by the pedal": passage(on(), off(37), pedal(100, 127.0), pedal(161, 0.0)),
    "half-pedalled": passage(on(), pedal(5, 60.0), off(64), pedal(150, 80.0)),
    "bent": passage(on(), wheel(33, 1.0), wheel(70, -0.25), wheel(128, 0.0)),
    "bent from the start, released": passage(wheel(0, 0.5), on(), off(90), wheel(130, -1.0)),
}


@pytest.mark.parametrize(
    ("name", "script"),
    [*(("bell", script) for script in ONE_NOTE), ("glass", "half-pedalled"), ("glass", "bent")],
)
def test_one_note_to_rounding(name: str, script: str) -> None:
    """With a release of 5 ms and a level that moves meanwhile."""
    preset = changed(load(name), envelope__release_ms=5.0, envelope__level=MOVING)
    assert max(errors(preset, ONE_NOTE[script])) < EXACT


def test_the_innovations_form_released() -> None:
    assert max(errors(changed(load("wind"), envelope__release_ms=5.0), ONE_NOTE["released"])) < EXACT


def test_rows_that_pass_nyquist_under_the_wheel() -> None:
    """Key 60 of the piano has partials up to and beyond 24 kHz."""
    preset = changed(load("piano-modelled"), layers__body=None, layers__tilt_db=0.0, layers__loss=0.0)
    script = passage(on(), wheel(40, 1.0), wheel(101, -1.0))
    assert max(errors(preset, script)) < EXACT


def test_several_notes_add_up() -> None:
    """Mean of three notes, one of them released, and the first one's share of the covariance."""
    preset = load("glass")
    preset = changed(preset, envelope__release_ms=5.0, polyphony=Polyphony(voices=8, per_key=2))
    script = passage(on(), on(40, 67), on(77), off(90, 67))
    mean, covariance = responses(prepared(preset), script)
    at = np.arange(FRAMES)
    want_mean, want = law(preset, script, at, sample_rate=RATE, channel="left")
    _, first = law(preset, script[:1], at, sample_rate=RATE, channel="left")
    assert np.abs(mean - want_mean).max() < EXACT
    assert np.abs(covariance - first).max() < EXACT
    shifted, second = law(preset, script[1:3:2], at, sample_rate=RATE, channel="left")
    assert (shifted[:40] == 0.0).all()
    assert np.abs(want - first - second).max() > 1e-3 * want.max()  # the third one's


@pytest.mark.parametrize(
    ("polyphony", "second"),
    [
        (Polyphony(voices=8, per_key=1), KEY),
        (Polyphony(voices=1, per_key=1), KEY + 7),
        (Polyphony(voices=8, per_key=2), KEY),
    ],
    ids=["its key allows one", "the instrument allows one", "room for both"],
)
def test_a_note_that_is_stolen_fades_in_eight_segments(polyphony: Polyphony, second: int) -> None:
    preset = changed(load("bell"), polyphony=polyphony)
    script = passage(on(), on(33, second))
    (first, _) = strikes(preset, script, 400, RATE)
    stolen = polyphony.per_key == 1
    assert first.stolen == (33 if stolen else NEVER)
    np.testing.assert_allclose(first.fade[2:11], np.linspace(1.0, 0.0, 9) if stolen else 1.0, atol=1e-15)
    frames = 400
    mean = played(prepared(preset), script, ALL_ZERO, frames)
    want, _ = law(preset, script, np.arange(frames), sample_rate=RATE, channel="left")
    assert np.abs(mean - want).max() < EXACT


def test_the_longest_released_is_stolen_before_the_oldest_held() -> None:
    preset = changed(load("bell"), polyphony=Polyphony(voices=2))
    script = passage(on(), on(10, 64), off(20, 64), on(33, 67))
    first, second, _ = strikes(preset, script, FRAMES, RATE)
    assert (first.stolen, second.stolen) == (NEVER, 33)


def test_on_on_off_releases_the_older() -> None:
    preset = load("bell")
    first, second = strikes(preset, passage(on(), on(10), off(20)), FRAMES, RATE)
    assert (first.released, second.released) == (20, NEVER)


def test_keys_without_dampers_are_not_released() -> None:
    preset = changed(load("piano-modelled"), envelope__undamped_above=60)
    (strike,) = strikes(preset, passage(on(), off(10)), FRAMES, RATE)
    assert (strike.fade == 1.0).all()


def test_a_switch_pedal_holds_from_64_on() -> None:
    for value, damped in ((63.0, True), (64.0, False)):
        (strike,) = strikes(load("glass"), passage(on(), pedal(1, value), off(10)), FRAMES, RATE)
        assert (strike.fade[-1] < 1.0) == damped


@pytest.mark.parametrize(
    ("fault", "at_least"),
    [
        ({"envelope__release_ms": 5.01}, 1e-5),
        ({"envelope__pedal": "switch"}, 1e-3),
        ({"tuning__a4": 440.01}, 1e-7),
        ({"envelope__attack_ms": 0.81}, 1e-4),
    ],
    ids=["release", "pedal", "pitch", "attack"],
)
def test_a_passage_a_little_off_is_found(fault: dict[str, Any], at_least: float) -> None:
    preset = changed(load("bell"), envelope__release_ms=5.0)
    script = passage(on(), pedal(5, 60.0), off(37), wheel(101, 0.5))
    assert max(errors(preset, script)) < EXACT
    assert max(errors(preset, script, changed(preset, **fault))) > at_least


def test_a_wheel_a_segment_late_is_found() -> None:
    late = passage(on(), wheel(33 + SEGMENT, 1.0))
    mean, _ = law(steady(), late, np.arange(FRAMES), sample_rate=RATE, channel="left")
    heard = played(prepared(steady()), passage(on(), wheel(33, 1.0)), ALL_ZERO)
    assert np.abs(mean - heard).max() > 1e-3
