"""The compiled loops against plain NumPy, and what the bank does around them: rows held, rows that leave."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import msgspec
import numpy as np
import pytest

from rtsynth.errors import RtsynthError
from rtsynth.instrument import Instrument, load
from rtsynth.instrument.preset import Envelope, Partials, Preset
from rtsynth.messages import MESSAGE, Kind, message
from rtsynth.sampler import table
from rtsynth.sampler.noise import SEGMENT
from rtsynth.sampler.table import ALL_ZERO, LAW, aligned
from tests.sampler import reference
from tests.sampler.reference import Array, compiled, filled, pointer

RATE = 48000.0
LIMITS = {np.float64: 1e-13, np.float32: 3e-6}  # of the largest value
REALS = pytest.mark.parametrize("real", [np.float64, np.float32])


class Rows:
    """Random rows of a table wider than what a loop is asked for, so that reading or writing beyond shows."""

    def __init__(self, count: int, real: Any, beyond: int = 16) -> None:
        rng = np.random.default_rng(count)
        self.count, self.rows, self.real = count, count + beyond, real
        damping = rng.uniform(0.0, 2000.0, self.rows)
        self.step = np.exp((-damping + 2j * np.pi * rng.uniform(0.0, 24000.0, self.rows)) / RATE)
        self.x = rng.standard_normal(self.rows) + 1j * rng.standard_normal(self.rows)
        self.gains = rng.uniform(0.0, 1.0, (2, self.rows))
        self.slopes = rng.uniform(-0.03, 0.03, (2, self.rows))
        self.scale = rng.uniform(0.0, 1.0, count)
        self.noise = rng.standard_normal((SEGMENT, 2, count))
        self.before = rng.standard_normal((2, SEGMENT))  # what y holds already

    @property
    def first(self) -> slice:
        return slice(0, self.count)

    def parts(self, z: Array) -> Array:
        """Real and imaginary parts, in the loop's precision."""
        return filled(np.stack([z.real, z.imag]), self.real)

    def powers(self) -> Array:
        powers = self.step[:, None] ** np.arange(SEGMENT)
        return filled(np.stack([powers.real, powers.imag], axis=1), self.real)

    def all_gains(self) -> Array:
        return filled(np.concatenate([self.gains, self.slopes]), self.real)

    def agrees(self, got: Array, want: Array) -> bool:
        return bool(np.abs(got - want).max() <= LIMITS[self.real] * np.abs(want).max())

    def state_agrees(self, x: Array, want: Array) -> bool:
        """The rows asked for have stepped, the others are as they were."""
        state = x[0].astype(float) + 1j * x[1]
        untouched = np.array_equal(x[:, self.count :], self.parts(self.x)[:, self.count :])
        return self.agrees(state[self.first], want) and untouched


# ---- the loops ----


@REALS
@pytest.mark.parametrize("count", [4, 8, 96])
def test_ringing(count: int, real: Any) -> None:
    rows = Rows(count, real)
    x, y, gains = rows.parts(rows.x), filled(rows.before, real), rows.all_gains()
    kept = gains.copy()
    powers, advance = rows.powers(), rows.parts(rows.step**SEGMENT)
    compiled(real).ringing(*map(pointer, (powers, advance, x, gains, y)), rows.rows, count)
    f = rows.first
    added, after = reference.ringing(rows.step[f], rows.x[f], rows.gains[:, f], rows.slopes[:, f])
    assert rows.agrees(y, rows.before + added)
    assert rows.state_agrees(x, after)
    assert np.array_equal(gains, kept)
    # The comparison would see one row more or less, and a gain that stands still.
    fewer = slice(0, count - 1)
    less, _ = reference.ringing(rows.step[fewer], rows.x[fewer], rows.gains[:, fewer], rows.slopes[:, fewer])
    still, _ = reference.ringing(rows.step[f], rows.x[f], rows.gains[:, f], 0.0 * rows.slopes[:, f])
    assert not rows.agrees(y, rows.before + less)
    assert not rows.agrees(y, rows.before + still)


@REALS
@pytest.mark.parametrize("count", [16, 32])
def test_noisy(count: int, real: Any) -> None:
    rows = Rows(count, real)
    x, y, gains = rows.parts(rows.x), filled(rows.before, real), rows.all_gains()
    step, scale, noise = rows.parts(rows.step), filled(rows.scale, real), filled(rows.noise, real)
    compiled(real).noisy(*map(pointer, (step, scale, noise, x, gains, y)), rows.rows, count)
    f = rows.first
    arguments = rows.x[f], rows.gains[:, f], rows.slopes[:, f]
    added, after = reference.noisy(rows.step[f], rows.scale, rows.noise, *arguments)
    assert rows.agrees(y, rows.before + added)
    assert rows.state_agrees(x, after)
    late = np.roll(rows.noise, 1, axis=0)
    assert not rows.agrees(y, rows.before + reference.noisy(rows.step[f], rows.scale, late, *arguments)[0])


@REALS
@pytest.mark.parametrize("count", [4, 8, 96])
def test_innovations(count: int, real: Any) -> None:
    rows = Rows(count, real)
    rng = np.random.default_rng(5)
    gain = (rng.standard_normal(rows.rows) + 1j * rng.standard_normal(rows.rows)) / rows.rows
    e = rng.standard_normal(SEGMENT)
    f = rows.first
    response = np.append(1.0, (gain[f] * rows.step[f] ** np.arange(SEGMENT - 1)[:, None]).real.sum(axis=1))
    x, y = rows.parts(rows.x), filled(rows.before[0], real)
    arrays = (
        rows.powers(),
        rows.parts(rows.step**SEGMENT),
        rows.parts(gain),
        filled(response, real),
        filled(np.concatenate([np.zeros(SEGMENT), e, e[::-1]]), real),
        x,
        y,
    )
    compiled(real).innovations(*map(pointer, arrays), rows.rows, count)
    added, after = reference.innovations(rows.step[f], gain[f], e, rows.x[f])
    assert rows.agrees(y, rows.before[0] + added)
    assert rows.state_agrees(x, after)
    deaf, _ = reference.innovations(rows.step[f], 0.99 * gain[f], e, rows.x[f])
    assert not rows.agrees(y, rows.before[0] + deaf)


@REALS
def test_start_and_the_draws(real: Any) -> None:
    count = 48
    low, high, normals = reference.start(7, 11, count, real)
    want_low, want_high = reference.keys(7, 11, count)
    assert (low.tolist(), high.tolist()) == (want_low.tolist(), want_high.tolist())
    np.testing.assert_allclose(normals, reference.starts_drawn(low, high), rtol=1e-5, atol=1e-5)
    drawn = reference.draw(low, high, 64, SEGMENT, real)
    assert np.array_equal(drawn, reference.rows_drawn(low, high, 64, SEGMENT))
    scalars = reference.draw_scalars(low, high, 64, 2.5, real)
    np.testing.assert_allclose(scalars, reference.scalars_drawn(low, high, 64, 2.5), rtol=1e-5, atol=1e-5)
    ahead = reference.draw_scalars(low, high, 32, 2.5, real, segments=3)
    assert np.array_equal(ahead[SEGMENT : 2 * SEGMENT], scalars)
    # Both precisions draw the same numbers, so that a proof in double is one of what is played.
    assert np.array_equal(drawn.astype(np.float32), reference.draw(low, high, 64, SEGMENT, np.float32))


# ---- the bank ----


def undamped() -> Preset:
    return Preset(
        schema=1,
        name="undamped",
        title="Undamped",
        gain_db=-30.0,
        envelope=Envelope(attack_ms=0.0),
        layers=(Partials(count=12, t60=math.inf, tilt_db=-3.0, variance=0.5),),
    )


def test_undamped_rows_keep_their_radius_for_a_minute() -> None:
    """10^5 segments in float32: each rotation rounds by about 1e-7, and one Newton step undoes that."""
    instrument = Instrument(undamped())
    instrument.prepare(RATE)
    out = np.zeros((2, 1000 * SEGMENT), np.float32)
    due = message(Kind.NOTE_ON, number=60, value=1.0)
    instrument.run(due, out[0, :SEGMENT], out[1, :SEGMENT])
    rows = instrument.bank.shape.ringing_from
    start = radii(instrument)[:rows]
    for _ in range(100):
        instrument.run(np.empty(0, MESSAGE), out[0], out[1])
    assert np.abs(radii(instrument)[:rows] / start - 1.0).max() < 1e-6
    # Without the step the loop alone drifts, in these very tables.
    x, y, gains = (
        part[0].copy()
        for part in (instrument.bank.state.x, instrument.bank.state.segments, instrument.bank.state.gains)
    )
    tables = instrument.bank.tables
    loop = compiled(np.float32).ringing
    arguments = [pointer(array) for array in (tables.powers[60], tables.advance[60], x, gains, y)]
    for _ in range(100_000):
        loop(*arguments, instrument.bank.shape.rows, rows)
    assert np.abs(np.hypot(*x)[:rows] / start - 1.0).max() > 1e-5


def radii(instrument: Instrument) -> Array:
    """|x| of the first voice's rows."""
    return np.hypot(*instrument.bank.state.x[0].astype(float))


def struck(key: int, name: str) -> Instrument:
    """A note that has just been struck, without its Gaussians."""
    preset = msgspec.structs.replace(load(name), envelope=Envelope(attack_ms=0.0))
    instrument = Instrument(preset)
    instrument.prepare(RATE)
    instrument.probe(ALL_ZERO)
    instrument.run(
        message(Kind.NOTE_ON, number=key, value=1.0), np.empty(0, np.float32), np.empty(0, np.float32)
    )
    return instrument


def segment(instrument: Instrument) -> Array:
    """The next one, (2, 32)."""
    out = np.zeros((2, SEGMENT), np.float32)
    instrument.run(np.empty(0, MESSAGE), out[0], out[1])
    return out


@pytest.mark.parametrize("name", ["bell", "piano"])
def test_faint_rows_leave_and_are_not_missed(name: str) -> None:
    """What the rows that left would have added, all of them together, stays below -120 dB of full scale."""
    culled, whole = struck(84, name), struck(84, name)
    alive = int(whole.bank.tables.alive[84])
    missed, heard = [], []
    for _ in range(round(2.0 * RATE / SEGMENT)):
        both = segment(culled), segment(whole)
        whole.bank.state.place[0, 0] = alive
        missed.append(both[1].astype(float) - both[0])
        heard.append(both[1])
    left = culled.bank.state.place[0, 0]
    assert 0 < left < 0.7 * alive
    assert 0.0 < loudest(missed) < 1e-6 < 1e-3 < loudest(heard[-100:])


def loudest(segments: list[Array]) -> float:
    """Largest rms of eight segments in a row, over both channels."""
    sound = np.concatenate(segments, axis=1)
    power = np.square(sound[:, : sound.shape[1] // 256 * 256].astype(float)).reshape(2, -1, 256).mean(axis=2)
    return float(np.sqrt(power.max()))


def test_a_table_without_a_sounding_row_ends_at_once() -> None:
    """At a sample rate of 1 kHz all of the top key lies above Nyquist."""
    instrument = Instrument(load("bell"))
    instrument.prepare(1000.0)
    out = np.zeros((2, 64), np.float32)
    instrument.run(message(Kind.NOTE_ON, number=127, value=1.0), out[0], out[1])
    assert (out == 0).all()
    assert instrument.active_voices == 0


def test_arrays_are_aligned_and_rows_padded() -> None:
    instrument = Instrument(load("glass"))
    instrument.prepare(RATE)
    bank = instrument.bank
    for array in (*bank.tables, *bank.state):
        assert array.ctypes.data % 64 == 0
    assert bank.shape.rows % 16 == bank.shape.noisy_from % 4 == bank.shape.ringing_from % 4 == 0
    assert aligned((3, 5), np.float64).shape == (3, 5)
    # Padding is silent: neither gain nor noise nor a start.
    law = bank.tables.law
    silent = (law[:, LAW.index("left")] == 0) & (law[:, LAW.index("right")] == 0)
    assert silent.any()
    padding = law[:, LAW.index("frequency")] == 0
    assert (law[padding.nonzero()[0], LAW.index("noise"), padding.nonzero()[1]] == 0).all()


def test_a_bank_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    instrument = Instrument(load("glass"))
    instrument.prepare(RATE)
    bank = instrument.bank

    class Longer(table.RowsBank):
        _fields_ = [("more", ctypes.c_int64)]  # noqa: RUF012 (ctypes wants it so)

    monkeypatch.setattr(table, "RowsBank", Longer)
    with pytest.raises(RtsynthError, match="does not fit this version"):
        table.Bank(bank.shape, bank.tables, RATE, 1)
