"""Block noise and the one course: presets whose rows are kicked once a segment, or share their gains' way in time."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.instrument import Instrument, load
from rtsynth.instrument.law import LIMITS, Responses, check, worst_errors
from rtsynth.instrument.preset import (
    Envelope,
    Modes,
    Noise,
    Partials,
    Periodic,
    Preset,
    Stereo,
    Velocity,
    validate,
)
from rtsynth.instrument.rows import kicked, rows_of_key
from rtsynth.instrument.tables import shape_of
from rtsynth.messages import Kind, message
from rtsynth.sampler.noise import SEGMENT
from rtsynth.sampler.table import ALL_ZERO, LAW, LOOPS
from tests.instrument.playing import RATE, VARIANCE, Array, Player
from tests.instrument.test_law import changed, errors, prepared, red

NOTE, VELOCITY = 60, 0.75
SHORT = (50, 31)  # samples

LIVING = Partials(count=5, t60=2.0, life=1.0, level_db=-20.0)
DYING = Partials(count=5, t60=2.0, life=0.4, variance=0.6, level_db=-20.0)
RINGING = Modes(ratios=(1.0, 2.7), levels_db=(-20.0, -26.0), t60=(1.0, 0.3), variance=0.3)
LINE = Partials(count=2, t60=float("inf"), variance=0.0, level_db=-26.0)
TWO_REGIMES = Periodic(before=(2.0, 0.25), after=(6.0, 0.1), life=1.0, level_db=-20.0)
WIND = Noise(life=1.0, bands=3, poles=2, level_db=-20.0)


def preset(*layers: Any, form: str = "block", **fields: Any) -> Preset:
    named: Any = {"schema": 1, "name": "forms", "title": "Forms", "form": form, "layers": layers}
    return Preset(**named, **fields)


STEREO = Stereo(keys=0.5, width=0.6)
DRUM = preset(LIVING, RINGING, LINE, WIND, stereo=STEREO, velocity=Velocity(brightness_db=3.0))


# ---- block noise ----


@pytest.mark.parametrize(
    "stated",
    [
        preset(LIVING),
        preset(DYING, RINGING, stereo=Stereo(keys=1.0)),
        preset(DYING, stereo=STEREO),
        DRUM,
        preset(TWO_REGIMES, envelope=Envelope(crossover="seed")),
    ],
)
def test_the_law(stated: Preset) -> None:
    """Alone, beside rows that ring, lines and bands; in mono, panned and wide; through a cross-over."""
    findings = check(stated, notes=(NOTE,), blocks=(*SHORT, 47))
    assert red(findings) == []
    assert [finding.limit for finding in findings] == [1e-12] * 4 + [5e-5] * 2


@pytest.mark.parametrize("knob", [0, 100, 127])
def test_the_law_under_the_variance_knob(knob: int) -> None:
    stated = preset(DYING, RINGING)
    instrument = prepared(stated)
    responses = Responses(instrument, NOTE, VELOCITY, SHORT, knob)
    assert max(worst_errors(stated, responses, NOTE, VELOCITY, RATE, False, knob)) < LIMITS[np.float64]


def test_a_kick_a_little_off_is_found_and_so_is_another_form() -> None:
    stated = preset(LIVING)
    instrument = prepared(stated)
    instrument.bank.tables.law[NOTE, LAW.index("noise")] *= 1.001
    assert errors(instrument, stated)[0] > 1e-7
    assert errors(prepared(changed(stated, form="independent")), stated)[0] > 1e-7


@pytest.mark.parametrize("lag", [0, 1, 17, 32, 33, 90])
def test_on_average_over_a_segment_it_is_the_independent_form(lag: int) -> None:
    """The stated kernels, at 1e-12 of the variance, long after the attack."""
    t = (np.arange(SEGMENT) + 100 * SEGMENT) / RATE
    average = []
    for form in ("block", "independent"):
        kernel = preset(LIVING, form=form, stereo=STEREO).kernel(NOTE, channel="left")
        average.append(np.mean([kernel.covariance(s, s + lag / RATE)[0, 0] for s in t[:, None]]))
        variance = kernel.variance(t[:1])[0]
    assert abs(average[0] - average[1]) < 1e-12 * variance


def test_one_gaussian_a_row_and_segment() -> None:
    """And it is what the score says whatever the blocks: 100 segments in one go, and one by one."""
    stated, frames = preset(LIVING, LINE), 100 * SEGMENT
    whole, parts = Player(stated), Player(stated)
    for player in (whole, parts):
        player.control(VARIANCE, 90)
        player.on(NOTE)
    sound = whole.play(frames)
    one_by_one = np.concatenate([parts.play(23) for _ in range(frames // 23)], axis=1)
    assert np.array_equal(sound[:, : one_by_one.shape[1]], one_by_one)
    rows = whole.instrument.bank.shape
    assert rows.ringing_from - rows.kicked_from == 8
    assert rows.noisy_from == rows.rows


def test_rows_that_die_between_two_kicks_are_refused(tmp_path: Any) -> None:
    """4.34 · 32 / (tau fs) dB at 48 kHz: 0.5 dB is a t60 of 40 ms."""
    limit = 1e3 * 4.3429448 * 32 * np.log(1000.0) / (0.5 * 48000.0)
    good, bad = (preset(Partials(count=1, t60=1e-3 * limit * part, life=1.0)) for part in (1.001, 0.999))
    Instrument(good).prepare(RATE)
    with pytest.raises(InputError, match=r"block noise ripples by 0\.5 dB on key 0") as refused:
        Instrument(bad).prepare(RATE)
    assert refused.value.exit_code == 5
    assert "\n" not in str(refused.value)
    assert 'form = "independent"' in str(refused.value)
    Instrument(changed(bad, form="independent")).prepare(RATE)
    Instrument(preset(Modes(ratios=(1.0,), levels_db=(-20.0,), t60=(0.01,)))).prepare(RATE)  # it only rings
    file = tmp_path / "wide.toml"
    noise = '[[layers]]\nkind = "noise"\nbands = 4\nlife = 1.0\nlevel_db = -40\n'
    file.write_text(f'schema = 1\nname = "wide"\ntitle = "Wide"\nform = "block"\n{noise}')
    assert "block noise ripples" in validate(file)[0]


# ---- bands alone ----


@pytest.mark.parametrize("form", ["independent", "block"])
def test_a_key_of_bands_alone_has_a_kernel(form: str) -> None:
    stated = changed(load("wind"), form=form, layers__poles=2)
    assert not kicked(rows_of_key(stated, NOTE, RATE)).any()
    assert red(check(stated, notes=(NOTE,), blocks=SHORT)) == []


# ---- one course ----


@pytest.mark.parametrize(
    ("stated", "mono"),
    [
        (preset(LIVING), True),
        (preset(LIVING, form="independent", stereo=Stereo(keys=1.0)), True),
        (preset(LIVING, form="independent", velocity=Velocity(brightness_db=6.0)), True),
        (preset(LIVING, form="independent", stereo=STEREO), False),
        (preset(TWO_REGIMES), False),
    ],
)
def test_which_presets_have_one(stated: Preset, mono: bool) -> None:
    assert shape_of(stated, RATE).mono is mono


@pytest.mark.parametrize("note", [0, NOTE, 127])
def test_the_law_of_one_course_at_both_ends_of_the_keyboard(note: int) -> None:
    """Panned hard at the ends; gains move with the attack, and stand after it."""
    layers = DYING, RINGING, LINE, WIND
    envelope = Envelope(attack_ms=1.0)
    stated = preset(*layers, form="independent", stereo=Stereo(keys=1.0), envelope=envelope)
    assert shape_of(stated, RATE).mono
    assert red(check(stated, notes=(note,), blocks=SHORT)) == []


def test_a_side_a_little_off_is_found() -> None:
    stated = preset(LIVING, form="independent")
    instrument = prepared(stated)
    instrument.bank.tables.sides[NOTE, 0] *= 1.0001
    assert errors(instrument, stated)[0] > 1e-5


def bent_mean(stated: Preset, real: Any = np.float64) -> tuple[Array, Array]:
    """What is played and what is stated under a wheel that moves while the attack rises, partials at Nyquist."""
    instrument = Instrument(stated)
    instrument.prepare(RATE, real=real)
    instrument.probe(ALL_ZERO)
    out, wheel = np.zeros((2, 320), real), {0: 0.0, 64: 1.0, 128: -0.5, 160: 0.25}
    start = message(Kind.NOTE_ON, number=119, value=VELOCITY)
    for at, end in zip(wheel, [*list(wheel)[1:], out.shape[1]], strict=True):
        bend = message(Kind.BEND, value=wheel[at])
        instrument.run(np.concatenate([bend, start]) if at == 0 else bend, out[0, at:end], out[1, at:end])
    bend_ratios = [(at / RATE, 2.0 ** (value / 6.0)) for at, value in wheel.items()]
    t = np.arange(out.shape[1]) / RATE
    want = [
        stated.mean(119, VELOCITY, sample_rate=RATE, channel=c, bend=bend_ratios)(t)
        for c in ("left", "right")
    ]
    return out, np.stack(want)


@pytest.mark.parametrize("form", ["independent", "block"])
def test_the_wheel_parts_the_rows_of_one_course_for_a_segment(form: str) -> None:
    """Partials that fade below Nyquist go there in straight lines, each by its own; the others stay where they are."""
    layer = Partials(count=4, t60=1.0, variance=0.0, tilt_db=0.0, level_db=-20.0, life=0.2)
    stated = preset(layer, form=form, stereo=Stereo(keys=0.5), envelope=Envelope(attack_ms=5.0))
    assert shape_of(stated, RATE).mono
    played, want = bent_mean(stated)
    assert np.abs(played - want).max() < 1e-12 * np.abs(want).max()
    wide, _ = bent_mean(msgspec.structs.replace(stated, stereo=Stereo(keys=0.5, width=1e-300)))
    assert np.abs(played - wide).max() < 1e-12 * np.abs(want).max()
    unfaded = stated.mean(119, VELOCITY, sample_rate=RATE, channel="left", alias=True)(np.arange(320) / RATE)
    assert np.abs(unfaded - want[0]).max() > 0.1 * np.abs(want).max()


# ---- loops by need ----


def test_a_table_asks_for_the_loops_that_it_needs() -> None:
    assert shape_of(load("wind"), RATE).loops == ("start", "draw_scalar", "innovations")
    assert shape_of(preset(RINGING, stereo=STEREO), RATE).loops == ("start", "ringing")
    assert shape_of(preset(RINGING), RATE).loops == ("start", "ringing", "ringing_mono")
    assert shape_of(preset(WIND, form="independent", stereo=STEREO), RATE).loops == (
        "start",
        "windows",
        "noisy",
    )
    assert shape_of(DRUM, RATE).loops == ("start", "windows", "ringing", "kick", "noisy")
    every = shape_of(preset(LIVING, WIND), RATE).loops
    assert set(LOOPS) - set(every) == {"draw_scalar", "innovations"}
    record = prepared(preset(RINGING, stereo=STEREO), np.float32).bank.record
    assert [name for name in LOOPS if getattr(record, f"loop_{name}")] == ["start", "ringing"]
