"""Histograms: narrow buckets that C and Python agree on, percentiles as of the sorted list; the table."""

from __future__ import annotations

import ctypes
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtsynth.engine import Cause, Engine, Histogram, Report, table
from rtsynth.engine.binding import HISTOGRAM_BUCKETS
from rtsynth.engine.meter import bucket_tops_ns
from rtsynth.engine.thru import Thru
from rtsynth.messages import Kind, message
from tests.engine.probe import Constant, Probe


def histogram(native: ctypes.CDLL, durations: list[int]) -> Histogram:
    buckets = np.zeros(HISTOGRAM_BUCKETS, np.uint64)
    for ns in durations:
        buckets[native.rt_histogram_bucket(ns)] += 1
    return Histogram(buckets, max(durations, default=0))


def test_buckets_are_consecutive_and_at_most_3_percent_wide(native: ctypes.CDLL) -> None:
    tops = bucket_tops_ns()
    bottoms = np.concatenate([[0], tops[:-1] + 1])
    assert (np.diff(tops) > 0).all()
    assert ((tops - bottoms) <= 0.03 * np.maximum(bottoms, 1)).all()
    assert tops[-1] >= 60e9
    for index in range(HISTOGRAM_BUCKETS):
        assert native.rt_histogram_bucket(int(bottoms[index])) == index
        assert native.rt_histogram_bucket(int(tops[index])) == index


def test_durations_beyond_all_buckets_stay_in_the_outermost(native: ctypes.CDLL) -> None:
    assert native.rt_histogram_bucket(-5) == 0
    assert native.rt_histogram_bucket(2**63 - 1) == HISTOGRAM_BUCKETS - 1


@given(
    durations=st.lists(st.integers(0, 10**10), min_size=1, max_size=200),
    q=st.sampled_from([0, 1, 50, 99, 99.9, 100]),
)
def test_percentiles_are_those_of_the_sorted_list(
    native: ctypes.CDLL, durations: list[int], q: float
) -> None:
    exact = sorted(durations)[max(1, math.ceil(Fraction(str(q)) / 100 * len(durations))) - 1]
    assert exact <= histogram(native, durations).percentile(q) <= exact * 1.03


def test_an_empty_histogram_and_a_percentile_out_of_range(native: ctypes.CDLL) -> None:
    assert histogram(native, []).percentile(99) == 0
    with pytest.raises(ValueError, match="percentile 101"):
        histogram(native, [1]).percentile(101)


def test_report_counts_blocks_and_peak_and_starts_anew(native: ctypes.CDLL) -> None:
    out = np.empty((480, 2), np.float32)
    with Engine([Constant(native, 2.0)], 48000.0) as engine:
        for _ in range(10):
            engine.process(out)
        report = engine.report()
        assert (report.blocks, report.budget_ns) == (10, 10_000_000)
        assert report.wall.count == report.cpu.count == 10
        assert report.lateness.count == report.interval.count == 0  # offline, nothing is due
        assert report.wall.percentile(100) == report.wall.max > 0
        assert report.peak == 2
        assert report.limited_samples == 4800
        assert report.late.total() == 0

        engine.reset_report()
        engine.reset_report()
        assert engine.report().blocks == 0
        engine.process(out)
        assert engine.report().blocks == 1
        engine.reset_report()
        engine.process(out[:0])  # no block
        assert (engine.report().blocks, engine.report().peak) == (0, 0)


def test_meter_is_the_peak_since_it_was_last_read(native: ctypes.CDLL) -> None:
    with Engine([Probe(native)], 48000.0) as engine:
        engine.send(message(Kind.NOTE_ON, 0, value=0.5))
        out = np.empty((300, 2), np.float32)
        engine.process(out)
        assert engine.meter() == tuple(np.abs(out).max(0))
        assert engine.meter() == (0, 0)
        assert engine.active_voices == 1


def test_the_meter_of_what_comes_in() -> None:
    """The peak since it was last read; zero where nobody hears."""
    heard = np.zeros(600, np.float32)
    heard[[100, 500]] = 0.25, -0.5
    out = np.empty((300, 2), np.float32)
    with Engine([Thru()], 48000.0, heard=heard) as engine:
        engine.process(out)
        assert (engine.heard_meter(), engine.heard_meter()) == (0.25, 0)
        engine.process(out)
        assert engine.heard_meter() == 0.5
    with Engine([], 48000.0, heard=heard) as engine:
        engine.process(out)
        assert engine.heard_meter() == 0


def made_report(**changed: object) -> Report:
    empty = Histogram(np.zeros(HISTOGRAM_BUCKETS, np.uint64), 0)
    fields: dict[str, object] = dict.fromkeys(Report.__dataclass_fields__, 0)
    fields |= {"wall": empty, "cpu": empty, "lateness": empty, "interval": empty, "ledger": (), "peak": 0.5}
    return Report(**(fields | changed))  # type: ignore[arg-type]


def test_the_table_has_what_it_must_and_troubles_only_when_there_are_some(native: ctypes.CDLL) -> None:
    times = histogram(native, [100_000] * 999 + [400_000])
    report = made_report(blocks=1000, budget_ns=1_333_333, wall=times, cpu=times, late_host=2, late_engine=1)
    rows = dict(table(report, voices=32))
    assert rows["blocks"] == "1000 of 1333 µs"
    assert rows["CPU p50"] == rows["wall p99.9"] == "100 µs (7.5 %)"
    assert rows["CPU max"] == "400 µs (30.0 %)"
    assert rows["late blocks"] == "3 (engine 1, host 2)"
    assert rows["voices"] == "32"
    assert rows["peak"] == "-6.0 dBFS"
    assert "late messages" not in rows
    assert dict(table(made_report(late_messages=4)))["late messages"] == "4"
    assert dict(table(made_report(peak=0.0)))["peak"] == "silence"
    assert report.late == {Cause.ENGINE: 1, Cause.PREEMPTED: 0, Cause.HOST: 2, Cause.WORKER: 0}
