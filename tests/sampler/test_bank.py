"""What is drawn, against plain NumPy; and what the bank does around its loops: rows held, rows that leave."""

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
from tests.sampler.reference import Array, compiled, pointer

RATE = 48000.0
REALS = pytest.mark.parametrize("real", [np.float64, np.float32])


# ---- the draws ----


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
    rows = instrument.bank.shape.kicked_from
    start = radii(instrument)[:12]
    for _ in range(100):
        instrument.run(np.empty(0, MESSAGE), out[0], out[1])
    assert np.abs(radii(instrument)[:12] / start - 1.0).max() < 1e-6
    # Without the step the loop alone drifts, in these very tables.
    x, y, gains = (
        part[0].copy()
        for part in (instrument.bank.state.x, instrument.bank.state.segments, instrument.bank.state.gains)
    )
    tables = instrument.bank.tables
    loop, middle = compiled(np.float32).ringing, np.zeros((4, instrument.bank.shape.rows), np.float32)
    arguments = [pointer(array) for array in (tables.powers[60], tables.half[60], x, middle, gains, y)]
    for _ in range(100_000):
        loop(*arguments, 0, instrument.bank.shape.rows, rows)
    assert np.abs(np.hypot(*x)[:12] / start - 1.0).max() > 1e-5


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


@pytest.mark.parametrize("name", ["bell", "piano-modelled"])
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
    shape = bank.shape
    assert shape.rows % 16 == 0
    assert (
        shape.kicked_from % 8 == shape.ringing_from % 8 == shape.noisy_from % 8 == shape.paired_from % 8 == 0
    )
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
