"""The loop draws from the law that a preset states; and the proof of it goes red for the faults it is there to find."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, c_double, c_int64, c_uint32, c_void_p, cast
from typing import Any

import msgspec
import numpy as np
import pytest

import rtsynth
from rtsynth.instrument import Instrument, load
from rtsynth.instrument.law import LIMITS, MIDDLE, Finding, Responses, check, worst_errors
from rtsynth.instrument.preset import Curve, Preset, Recorded
from rtsynth.sampler.bank import loops
from rtsynth.sampler.noise import SEGMENT
from rtsynth.sampler.table import LAW, Tables

RATE = 48000.0
NOTE, VELOCITY = 60, 0.75  # a velocity that a message carries exactly
SHORT = (50, 31)  # samples: enough to find a fault


def changed(preset: Preset, **fields: Any) -> Preset:
    """A preset with fields replaced: `envelope__attack_ms=3`; `layers__life=0.5` in every layer that has one."""
    for name, value in fields.items():
        table, _, field = name.partition("__")
        old = getattr(preset, table)
        if table == "layers":
            new = tuple(msgspec.structs.replace(x, **{field: value}) if hasattr(x, field) else x for x in old)
        else:
            new = msgspec.structs.replace(old, **{field: value}) if field else value
        preset = msgspec.structs.replace(preset, **{table: new})
    return preset


def errors(played: Instrument, stated: Preset, blocks: tuple[int, ...] = SHORT) -> tuple[float, float]:
    """Of the covariance and of the mean that an instrument plays, against those of a preset."""
    rate, alias = played.sample_rate, played.alias
    responses = Responses(played, NOTE, VELOCITY, blocks)
    return worst_errors(stated, responses, NOTE, VELOCITY, rate, alias)


def prepared(
    preset: Preset, real: Any = np.float64, sample_rate: float = RATE, alias: bool = False
) -> Instrument:
    instrument = Instrument(preset, alias=alias)
    instrument.prepare(sample_rate, real=real)
    return instrument


def red(findings: list[Finding]) -> list[str]:
    return [f"{finding.name}: {finding.figure:.1e}" for finding in findings if not finding.ok]


# ---- the law ----


@pytest.mark.parametrize("name", rtsynth.presets())
def test_every_preset_at_the_bottom_middle_and_top(name: str) -> None:
    """Fitted ones at the middle alone: their rows are of one kind, and there are many."""
    recorded = any(isinstance(layer, Recorded) for layer in load(name).layers)
    findings = check(load(name), notes=(MIDDLE,), blocks=SHORT) if recorded else check(load(name))
    count = 2 if recorded else 6
    assert [finding.limit for finding in findings] == [1e-12] * (count + 2) + [5e-5] * count
    assert red(findings) == []


def test_both_regimes_through_the_cross_over() -> None:
    """At 250 Hz the cross-over, from 0.84 to 1.09 s, lies within the 400 samples."""
    preset, blocks = load("piano-faithful"), (101, 90, 77, 132)
    assert red(check(preset, sample_rate=250.0, notes=(NOTE,), alias=True, blocks=blocks)) == []
    without = prepared(changed(preset, envelope__crossover="none"), np.float32, 250.0, alias=True)
    assert errors(without, preset, blocks)[0] > 0.01


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("piano-modelled", {"layers__life": 0.3}),
        ("bell", {"layers__life": 0.05, "layers__variance": 0.5}),
        ("glass", {"layers__life": 0.5}),
        ("wind", {"form": "independent", "stereo__width": 0.7}),
        ("bowed", {"envelope__level": Curve(times=(0.0, 0.001, 0.002), values=(0.2, 1.0, 0.1))}),
    ],
)
def test_rows_between_ringing_and_living_and_a_drawn_level(name: str, fields: dict[str, Any]) -> None:
    preset = changed(load(name), **fields)
    assert red(check(preset, notes=(NOTE,), blocks=SHORT)) == []


@pytest.mark.parametrize("sample_rate", [8000.0, 44100.0, 192000.0])
def test_other_rates(sample_rate: float) -> None:
    assert red(check(load("piano-modelled"), sample_rate=sample_rate, notes=(36, 96), blocks=SHORT)) == []


# ---- faults: parameters ----


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("piano-modelled", "envelope__attack_ms", 1.602),
        ("piano-modelled", "tuning__a4", 440.03),
        ("piano-modelled", "velocity__range_db", 30.01),
        ("piano-modelled", "velocity__brightness_db", 6.01),
        ("piano-modelled", "gain_db", -6.001),
        ("piano-modelled", "layers__variance", 0.1201),
        ("piano-modelled", "layers__strike", 0.12101),
        ("bell", "stereo__width", 0.601),
        ("bell", "layers__split_cents", 1.61),
        ("bowed", "layers__life", 0.999),
        ("bowed", "layers__t60", 1.601),
        ("glass", "layers__odd_db", 4.01),
        ("piano-faithful", "layers__coherence", 102.1),
        ("piano-faithful", "layers__before", (2.001, 0.25)),
        ("wind", "layers__bandwidth", 0.3003),
    ],
)
def test_an_instrument_a_little_off_its_preset_is_found(name: str, field: str, value: Any) -> None:
    stated = load(name)
    assert max(errors(prepared(changed(stated, **{field: value})), stated)) > 1e3 * LIMITS[np.float64]


# ---- faults: tables ----

Tamper = Callable[[Tables], None]


def _scaled(field: str, factor: float, column: str | None = None) -> Tamper:
    def tamper(tables: Tables) -> None:
        array = getattr(tables, field)
        (array if column is None else array[:, LAW.index(column)])[...] *= factor

    return tamper


def _one_power_off(tables: Tables) -> None:
    """By 1e-6, one row of ninety-odd, two samples of a segment."""
    loudest = int(np.argmax(tables.law[NOTE, LAW.index("left"), : tables.alive[NOTE]]))
    tables.powers[NOTE, loudest, 0, 1] += 1e-6


def _two_rows_swapped(tables: Tables) -> None:
    tables.powers[NOTE, [0, 1]] = tables.powers[NOTE, [1, 0]]


def _last_rows_dropped(tables: Tables) -> None:
    tables.alive[NOTE] -= 4


def _start_uncorrelated(tables: Tables) -> None:
    factor = tables.start[NOTE]
    factor[...] = np.diag(np.sqrt(np.diag(factor @ factor.T)))


@pytest.mark.parametrize(
    ("name", "tamper", "at_least"),
    [
        ("piano-modelled", _one_power_off, 1e-8),
        ("piano-modelled", _two_rows_swapped, 1e-3),
        ("piano-modelled", _last_rows_dropped, 1e-9),
        ("bell", _scaled("powers", 1.0 + 1e-6), 1e-7),
        ("bell", _scaled("half", 1.0 + 1e-6), 1e-7),
        ("bell", _scaled("law", 1.001, "spread"), 1e-5),
        ("bell", _scaled("law", 1.001, "mean_im"), 1e-5),
        ("bell", _scaled("law", 1.001, "tilt"), 1e-5),
        ("bowed", _scaled("step", 1.0 + 1e-6), 1e-7),
        ("bowed", _scaled("law", 1.001, "noise"), 1e-7),
        ("bowed", _scaled("law", 1.001, "right"), 1e-5),
        ("piano-faithful", _scaled("law", 1.001, "before"), 1e-5),
        ("wind", _scaled("sides", 1.001), 1e-5),
        ("wind", _scaled("turned", 1.001), 1e-5),
        ("wind", _scaled("gain", 1.001), 1e-5),
        ("wind", _scaled("response", 1.001), 1e-5),
        ("wind", _scaled("deviation", 1.001), 1e-5),
        ("wind", _scaled("start", 1.001), 1e-5),
        ("wind", _start_uncorrelated, 1e-5),
    ],
)
def test_a_wrong_table_is_found(name: str, tamper: Tamper, at_least: float) -> None:
    instrument = prepared(load(name))
    tamper(instrument.bank.tables)
    assert max(errors(instrument, load(name))) > at_least


# ---- faults: loops, in the place of those that C calls ----

_Real = POINTER(c_double)
_NOISY = CFUNCTYPE(None, _Real, _Real, POINTER(c_uint32), _Real, _Real, _Real, c_int64, c_int64, c_int64)
_RINGING = CFUNCTYPE(None, *[_Real] * 6, c_int64, c_int64, c_int64)


def _view(pointer: Any, *shape: int) -> Any:
    return np.ctypeslib.as_array(pointer, shape)


def _noisy(spoil: Callable[[Any, Any], None]) -> Any:
    """The loop of noisy rows, given what `spoil(noise (32, 2, count), x (2, rows))` leaves."""
    loop = loops(np.float64).noisy.ctypes

    @_NOISY
    def spoilt(
        step: Any, noise: Any, at: Any, x: Any, gains: Any, y: Any, moving: int, rows: int, count: int
    ) -> None:
        spoil(_view(noise, SEGMENT, 2, count), _view(x, 2, rows))
        loop(step, noise, at, x, gains, y, moving, rows, count)

    return spoilt


def _neighbours_share_a_gaussian(noise: Any, x: Any) -> None:
    noise[:, :, 1] += noise[:, :, 0]
    noise[:, :, 1] /= np.sqrt(2.0)


def _parts_share_a_gaussian(noise: Any, x: Any) -> None:
    noise[...] = noise.sum(axis=1, keepdims=True) / np.sqrt(2.0)


def _the_first_sample_goes_without(noise: Any, x: Any) -> None:
    noise[0] = 0.0


def _the_state_leaks(noise: Any, x: Any) -> None:
    x *= 1.0 - 1e-6


@pytest.mark.parametrize(
    ("spoil", "at_least"),
    [
        (_neighbours_share_a_gaussian, 1e-6),
        (_parts_share_a_gaussian, 1e-6),
        (_the_first_sample_goes_without, 1e-6),
        (_the_state_leaks, 1e-7),
    ],
)
def test_a_wrong_noise_or_state_is_found(spoil: Callable[[Any, Any], None], at_least: float) -> None:
    instrument = prepared(load("bowed"))
    spoilt = _noisy(spoil)
    instrument.bank.record.loop_noisy = cast(spoilt, c_void_p)
    assert errors(instrument, load("bowed"))[0] > at_least


def test_gains_that_stand_still_within_a_segment_are_found() -> None:
    loop = loops(np.float64).ringing.ctypes

    @_RINGING
    def stairs(
        powers: Any, half: Any, x: Any, middle: Any, gains: Any, y: Any, moving: int, rows: int, count: int
    ) -> None:
        loop(powers, half, x, middle, gains, y, 0, rows, count)

    instrument = prepared(load("bell"))
    instrument.bank.record.loop_ringing = cast(stairs, c_void_p)
    assert max(errors(instrument, load("bell"))) > 1e-3


def test_not_a_number_is_red() -> None:
    assert not Finding("figure", float("nan"), 1.0).ok
