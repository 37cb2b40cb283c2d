"""The wheel: the law under a moving bend, pitch to a tenth of a cent, RPN 0, and nothing above Nyquist."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from rtsynth.instrument import Instrument, load
from rtsynth.instrument.preset import Envelope, Preset
from rtsynth.instrument.rows import rows_of_key
from rtsynth.instrument.stated import HeldNote
from rtsynth.messages import Kind, Messages, message
from rtsynth.sampler.noise import SEGMENT
from rtsynth.sampler.table import ALL_ZERO, DRAW, LAW
from tests.instrument.playing import (
    LEVEL,
    RATE,
    Array,
    Player,
    amplitude,
    cents_from,
    frequency_of_key,
    in_db,
    sharpest_corner,
    steady,
)

NOTE, VELOCITY, FRAMES = 60, 0.75, 160
RANGE = 2.0  # semitones, as after power-on

# The wheel at these samples, -1…1; 0 is before the note starts, 70 takes effect with the next segment, at 96.
WHEEL = {0: 0.5, 32: 1.0, 70: -0.25, 128: 0.0}


def wheel_messages(at: int) -> Messages:
    bend = message(Kind.BEND, value=WHEEL[at])
    return np.concatenate([bend, message(Kind.NOTE_ON, number=NOTE, value=VELOCITY)]) if at == 0 else bend


def wheel_by_sample() -> Array:
    """Where the wheel stands for the voice at each sample, (FRAMES,): it looks at the start of a segment."""
    starts = np.arange(FRAMES) // SEGMENT * SEGMENT
    times = np.array(list(WHEEL))
    return np.array(list(WHEEL.values()))[np.searchsorted(times, starts, side="right") - 1]


def played(instrument: Instrument, probe: int) -> Array:
    """The left channel of a note under the moving wheel, (FRAMES,), with the Gaussians of a probe."""
    instrument.reset()
    instrument.probe(probe)
    out = np.zeros((2, FRAMES), instrument.bank.real)
    ends = [*list(WHEEL)[1:], FRAMES]
    for start, end in zip(WHEEL, ends, strict=True):
        instrument.run(wheel_messages(start), out[0, start:end], out[1, start:end])
    return out[0].astype(float)


def factor(instrument: Instrument) -> Array:
    """Responses to unit Gaussians, (FRAMES, count)."""
    shape = instrument.bank.shape
    a_segment = SEGMENT if shape.innovations else 2 * SEGMENT * (shape.rows - shape.noisy_from)
    count = 2 * shape.rows + FRAMES // SEGMENT * a_segment
    mean = played(instrument, ALL_ZERO)
    columns = [played(instrument, index) - mean for index in range(count)]
    instrument.probe(DRAW)
    return np.stack(columns, axis=1)


def stated_covariance(preset: Preset, wheel: Array) -> Array:
    """Of the left channel, (N, N), for a wheel (N,) that stands still within a sample: phases add up."""
    rows = rows_of_key(preset, NOTE, RATE)
    n = np.arange(wheel.size)
    at = HeldNote(preset, NOTE, VELOCITY, RATE).grid_gains("left")
    part = (n % SEGMENT / SEGMENT)[:, None]
    gains = (1.0 - part) * at(n // SEGMENT) + part * at(n // SEGMENT + 1)
    ratio = 2.0 ** (RANGE * wheel / 12.0)
    turns = np.concatenate([[0.0], np.cumsum(ratio)[:-1]]) / RATE  # seconds of the unbent row
    covariance = np.zeros((n.size, n.size))
    for k in range(len(rows)):
        turning = np.cos(2.0 * np.pi * rows.frequency[k] * np.subtract.outer(turns, turns))
        lag, total = np.abs(np.subtract.outer(n, n)) / RATE, np.add.outer(n, n) / RATE
        living = rows.settled[k] ** 2 * np.exp(-rows.damping[k] * lag)
        excess = (rows.variance[k] - rows.settled[k] ** 2) * np.exp(-rows.damping[k] * total)
        covariance += np.multiply.outer(gains[:, k], gains[:, k]) * turning * (living + excess)
    return covariance


def instrument_of(name: str) -> Instrument:
    instrument = Instrument(load(name))
    instrument.prepare(RATE, real=np.float64)
    return instrument


@pytest.mark.parametrize("name", ["bell", "bowed", "glass"])
def test_the_law_under_a_moving_wheel(name: str) -> None:
    instrument = instrument_of(name)
    columns = factor(instrument)
    covariance = columns @ columns.T
    stated = stated_covariance(load(name), wheel_by_sample())
    scale = np.diag(stated).max()
    assert np.abs(covariance - stated).max() < 1e-12 * scale
    # The variance is that of the note without a wheel: rows turn, and are drawn from a circle.
    unbent = stated_covariance(load(name), np.zeros(FRAMES))
    np.testing.assert_allclose(np.diag(covariance), np.diag(unbent), atol=1e-12 * scale)
    assert np.abs(covariance - unbent).max() > 1e-3 * scale


@pytest.mark.parametrize("name", ["bell", "bowed"])
def test_the_kernel_states_a_bend(name: str) -> None:
    """Against the sum written out above, whose phases add up sample by sample."""
    bend = [(at / RATE, 2.0 ** (RANGE * value / 12.0)) for at, value in WHEEL.items()]
    t = np.arange(FRAMES) / RATE
    stated = load(name).kernel(NOTE, VELOCITY, sample_rate=RATE, channel="left", bend=bend).covariance(t, t)
    want = stated_covariance(load(name), wheel_by_sample())
    assert np.abs(stated - want).max() < 1e-12 * np.diag(want).max()
    late = [(seconds + 1.0 / RATE, ratio) for seconds, ratio in bend]  # for 0, 32 and 128: a segment later
    other = load(name).kernel(NOTE, VELOCITY, sample_rate=RATE, channel="left", bend=late).covariance(t, t)
    assert np.abs(other - want).max() > 1e-3 * np.diag(want).max()


def test_a_bend_that_changes_the_decay_is_found() -> None:
    """A bent voice reads its damping from the law: spoil it there."""
    instrument = instrument_of("bell")
    instrument.bank.tables.law[NOTE, LAW.index("damping")] *= 1.01
    columns = factor(instrument)
    stated = stated_covariance(load("bell"), wheel_by_sample())
    assert np.abs(columns @ columns.T - stated).max() > 1e-6 * np.diag(stated).max()


def test_the_innovations_form_keeps_its_variance_within_a_fifth_of_a_decibel() -> None:
    columns = factor(instrument_of("wind"))
    variance = np.square(columns).sum(axis=1)
    stated = np.diag(stated_covariance(load("wind"), np.zeros(FRAMES)))
    heard = stated > 1e-6 * stated.max()
    error_db = 10.0 * np.log10(variance[heard] / stated[heard])
    assert 0.0 < np.abs(error_db).max() < 0.2


# ---- pitch ----


def bent(player: Player, value: float, key: int = 60) -> Array:
    """A second of the left channel of a note, from when the wheel has been at `value` for a while."""
    player.on(key)
    player.play(960)
    player.bend(value)
    player.play(960)
    return player.play(48000)[0]


@pytest.mark.parametrize(("semitones", "cents"), [(2, 0), (12, 0), (24, 0), (0, 50), (2, 25), (7, 99)])
@pytest.mark.parametrize("wheel", [1.0, -1.0, 0.37])
def test_pitch_within_a_tenth_of_a_cent(semitones: int, cents: int, wheel: float) -> None:
    player = Player(steady())
    player.bend_range(semitones, cents)
    wheel = float(np.float32(wheel))
    sound = bent(player, wheel)
    want = frequency_of_key(60 + wheel * (semitones + cents / 100))
    assert abs(cents_from(sound, want)) < 0.1
    assert amplitude(sound, want) == pytest.approx(LEVEL, rel=1e-4)


def test_the_measure_sees_a_tenth_of_a_cent() -> None:
    sound = bent(Player(steady()), 0.0)
    assert abs(cents_from(sound, frequency_of_key(60))) < 1e-3
    assert cents_from(sound, frequency_of_key(60 - 0.001)) == pytest.approx(0.1, abs=1e-3)


def test_the_range_is_two_semitones_until_a_file_says_otherwise() -> None:
    assert abs(cents_from(bent(Player(steady()), 1.0), frequency_of_key(62))) < 0.1


def _null(player: Player) -> None:
    player.registered(127, 127)
    player.control(6, 12)


def _half_null(player: Player) -> None:
    player.registered(0, 0)
    player.control(101, 127)
    player.control(6, 12)


def _unregistered(player: Player) -> None:
    player.registered(0, 0)
    player.control(99, 0)
    player.control(98, 0)
    player.control(6, 12)
    player.control(38, 12)


def _another_parameter(player: Player) -> None:
    player.registered(0, 5)
    player.control(6, 12)


def _nothing_chosen(player: Player) -> None:
    player.control(6, 12)


@pytest.mark.parametrize("script", [_null, _half_null, _unregistered, _another_parameter, _nothing_chosen])
def test_data_for_something_else_leaves_the_range(script: Callable[[Player], None]) -> None:
    player = Player(steady())
    script(player)
    assert abs(cents_from(bent(player, 1.0), frequency_of_key(62))) < 0.1


def test_data_for_the_range_is_taken_until_something_else_is_chosen() -> None:
    player = Player(steady())
    player.registered(0, 0)
    player.control(6, 12)
    player.control(6, 7)
    assert abs(cents_from(bent(player, 1.0), frequency_of_key(67))) < 0.1


def test_a_range_set_while_the_wheel_is_out_acts_at_once() -> None:
    player = Player(steady())
    bent(player, 1.0)
    player.bend_range(7)
    player.play(64)
    assert abs(cents_from(player.play(48000)[0], frequency_of_key(67))) < 0.1


def test_a_wheel_back_at_rest_gives_the_keys_own_pitch() -> None:
    player = Player(steady())
    bent(player, 1.0)
    player.bend(0.0)
    player.play(64)
    assert abs(cents_from(player.play(48000)[0], frequency_of_key(60))) < 0.01


def test_a_gliding_wheel_does_not_click() -> None:
    player = Player(steady())
    player.on(60)
    player.play(960)
    glide = []
    for value in np.linspace(0.0, 1.0, 200):
        player.bend(float(value))
        glide.append(player.play(37))
    smooth = LEVEL * (2.0 * np.pi * frequency_of_key(62) / RATE) ** 2
    # Within a segment the tone is a sinusoid; where the pitch moves on, its slope changes by a share of itself.
    slope = LEVEL * 2.0 * np.pi * frequency_of_key(62) / RATE
    assert sharpest_corner(np.concatenate(glide, axis=1)) < smooth + 0.01 * slope


# ---- nothing above Nyquist ----


@pytest.mark.parametrize("early", [True, False], ids=["before the note", "during the note"])
def test_a_partial_bent_above_nyquist_is_silent(early: bool) -> None:
    """Key 117 is at 7 kHz; two octaves up it would fold back to 19.8 kHz."""
    player = Player(steady())
    player.bend_range(24)
    if early:
        player.bend(1.0)
    player.on(117)
    first = player.play(SEGMENT)
    if early:
        assert (first == 0).all()
    player.bend(1.0)
    player.play(SEGMENT)
    assert (player.play(9600) == 0).all()
    player.bend(0.0)
    player.play(2 * SEGMENT)
    assert amplitude(player.play(9600)[0], frequency_of_key(117)) == pytest.approx(LEVEL, rel=1e-4)


def test_it_fades_out_over_the_last_fiftieth_of_the_rate() -> None:
    """From 0.48 of the sample rate, in a straight line to nothing at one half."""
    player = Player(steady())
    player.bend_range(24)
    for cycles in (0.479, 0.485, 0.4925, 0.4999):
        semitones = 12.0 * np.log2(cycles * RATE / frequency_of_key(117))
        player.bend(float(semitones / 24.0))
        player.on(117)
        player.play(3 * SEGMENT)
        want = LEVEL * min(1.0, (0.5 - cycles) / 0.02)
        assert amplitude(player.play(4800)[0], cycles * RATE) == pytest.approx(want, abs=0.002 * LEVEL)
        player.send(Kind.RESET)
        player.bend_range(24)


def test_what_is_bent_stays_as_loud() -> None:
    player = Player(steady(Envelope(attack_ms=0.0)))
    loud = amplitude(bent(player, 0.0), frequency_of_key(60))
    assert abs(in_db(amplitude(bent(Player(steady()), 1.0), frequency_of_key(62)) / loud)) < 1e-3


def test_only_its_own_channel_bends() -> None:
    player = Player(steady())
    player.on(60, channel=0)
    player.on(72, channel=1)
    player.bend(1.0, channel=1)
    player.play(960)
    sound = player.play(48000)[0]
    assert amplitude(sound, frequency_of_key(60)) == pytest.approx(LEVEL, rel=0.01)
    assert amplitude(sound, frequency_of_key(74)) == pytest.approx(LEVEL, rel=0.01)
    assert amplitude(sound, frequency_of_key(72)) < 0.02 * LEVEL
