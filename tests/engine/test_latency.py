"""Measuring blocks: real runs are short and assert counts alone."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtsynth.engine import Cause, Engine, Histogram, LateBlock
from rtsynth.engine import latency as measuring
from rtsynth.engine.comparison import compare
from rtsynth.engine.latency import Load, measure, survey
from rtsynth.engine.thru import Thru
from rtsynth.engine.timing import timing as timing_of
from rtsynth.engine.verdict import (
    is_safe,
)
from rtsynth.engine.workload import Feeder, noise_and_sines, notes
from rtsynth.errors import DeviceError
from rtsynth.messages import Kind
from tests.engine.made_rows import histogram, row, timing
from tests.engine.probe import Fault, Probe

RATE = 48000.0


# ---- histograms ----


@given(st.lists(st.integers(0, 10**9), min_size=1), st.lists(st.integers(0, 10**9), min_size=1))
def test_histograms_add_and_what_came_since_is_the_rest(first: list[int], second: list[int]) -> None:
    both = histogram(first) + histogram(second)
    assert (both.buckets == histogram(first + second).buckets).all()
    assert both.max == max(first + second)
    rest = both.since(histogram(first))
    assert (rest.buckets == histogram(second).buckets).all()
    assert max(second) <= rest.max <= max(second) * 1.02 + 1


def test_nothing_since_is_empty() -> None:
    some = histogram([5, 7])
    assert (some.since(some).count, some.since(some).max) == (0, 0)


@given(st.lists(st.integers(0, 10**11), min_size=1))
def test_durations_written_down_are_counted_as_the_engine_counts(native: ctypes.CDLL, ns: list[int]) -> None:
    counted = Histogram.of(np.array(ns))
    assert counted.max == max(ns)
    for value in ns:
        assert counted.buckets[native.rt_histogram_bucket(value)] > 0
    assert counted.count == len(ns)


# ---- measuring ----


def thru(heard: bool = True) -> Load:
    return Load(
        "thru", "cpu", lambda: contextlib.nullcontext(Thru()), heard=noise_and_sines if heard else None
    )


def test_source_and_control_are_measured_in_slices_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "SLICE_SECONDS", 0.1)
    monkeypatch.setattr(measuring, "SETTLE_SECONDS", 0.02)
    shares: list[float] = []
    measured = measure(thru(), RATE, 256, 0.2, progress=shares.append)
    assert measured is not None
    assert shares == [0.5, 1.0]
    assert measured.own.budget_ns == round(256e9 / RATE)
    assert measured.own.blocks > 0
    assert measured.control.blocks > 0
    assert measured.own.cpu.count == measured.own.blocks
    assert set(measured.own.late) == {cause.name.lower() for cause in Cause}
    assert measured.voices is None


def test_what_settles_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    with Engine([], RATE) as engine:
        for name in ("start_null", "reset_report", "report", "stop_null"):
            whole = getattr(engine, name)

            def spy(*arguments: object, name: str = name, whole: Callable[..., object] = whole) -> object:
                calls.append(name)
                return whole(*arguments)

            monkeypatch.setattr(engine, name, spy)
        feeder = Feeder(engine, notes(1, 1.0, RATE))
        monkeypatch.setattr(feeder, "run", calls.append)
        measuring._slice(engine, feeder, 64, 2.0)
    settling = measuring.SETTLE_SECONDS
    assert calls[:6] == ["start_null", settling, "reset_report", 2.0, "report", "stop_null"]


def test_a_source_that_computes_longer_than_its_block_is_late(native: ctypes.CDLL) -> None:
    def slow() -> contextlib.AbstractContextManager[Probe]:
        return contextlib.nullcontext(Probe(native, Fault.BURN, every=64, fault_ns=2_000_000))

    measured = measure(Load("slow", "cpu", slow), RATE, 64, 0.2)
    assert measured is not None
    assert measured.own.late["engine"] > 0
    assert measured.own.disturbed > 0
    assert measured.own.wall.percentile(50) > measured.own.budget_ns
    assert not is_safe(measured)


def test_what_tells_its_own_times_stands_beside_the_control_too() -> None:
    asked = []

    def times(block: int, blocks: int, rate: float) -> NDArray[np.int64]:
        asked.append((block, blocks, rate))
        wall = np.full(blocks, 400_000)
        wall[:3] = 2_000_000
        return wall

    measured = measure(Load("bank", "cuda", times=times), RATE, 64, 0.1)
    assert measured is not None
    assert asked == [(64, 75, RATE)]
    assert measured.own.late["engine"] == 3
    assert measured.own.disturbed == 1
    assert 400_000 <= measured.own.wall.percentile(50) <= 410_000
    assert measured.own.cpu.count == 0
    assert measured.control.blocks > 0
    assert [change.figure for change in compare([measured], [measured])] == ["wall p99"]


def test_stopping_leaves_what_is_whole() -> None:
    stop = threading.Event()
    stop.set()
    assert measure(thru(), RATE, 64, 60.0, stop) is None
    assert survey([thru()], [64, 128], RATE, 6.0, stop) == ([], [])


def test_what_a_device_cannot_run_is_named_once_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measured(load: Load, rate: float, block: int, *_: object) -> object:
        asked.append((load.source, load.device, block))
        if load.device == "cuda":
            raise DeviceError("no CUDA provider")
        return row(block, source=load.source)

    monkeypatch.setattr(measuring, "measure", measured)
    here, there = thru(), dataclasses.replace(thru(), device="cuda")
    never = Load("gp", "cuda", lambda: contextlib.nullcontext(Thru()), refusal="on the processor alone")
    shares: list[float] = []
    rows, missing = survey([here, there, never], [64, 128], RATE, 1.0, progress=shares.append)
    assert asked == [("thru", "cpu", 64), ("thru", "cuda", 64), ("thru", "cpu", 128)]
    assert [r.block for r in rows] == [64, 128]
    assert [(m.source, m.block, m.why) for m in missing] == [
        ("thru", 64, "no CUDA provider"),
        ("thru", 128, "no CUDA provider"),
        ("gp", 64, "on the processor alone"),
        ("gp", 128, "on the processor alone"),
    ]


def test_the_processor_is_never_left_out() -> None:
    def gone() -> contextlib.AbstractContextManager[Thru]:
        raise DeviceError("no such thing")

    with pytest.raises(DeviceError):
        survey([Load("thru", "cpu", gone)], [64], RATE, 0.1)


def test_blocks_of_one_stall_disturb_one_window() -> None:
    with Engine([], RATE) as engine:
        report = engine.report()
    late = [LateBlock(time, 0, 0, 0, Cause.HOST) for time in (0, 64, 4736, 4800, 96000)]
    assert timing_of(dataclasses.replace(report, ledger=tuple(late)), RATE).disturbed == 3
    assert timing_of(report, RATE).disturbed == 0


# ---- what is played ----


def test_notes_keep_so_many_keys_held() -> None:
    messages = notes(16, 6.0, RATE)
    assert (np.diff(messages["time"]) >= 0).all()
    held: dict[int, int] = {}
    for kind, key, time in zip(messages["kind"], messages["number"], messages["time"], strict=True):
        held[int(key)] = int(kind) == Kind.NOTE_ON
        if time >= 2 * RATE:
            assert sum(held.values()) >= 15  # one of them is being struck anew
    assert len(held) == 16


def test_what_is_heard_is_never_silent_and_always_the_same() -> None:
    sound = noise_and_sines(0.5, RATE)
    assert sound.dtype == np.float32
    assert sound.shape == (24000,)
    assert (sound == noise_and_sines(0.5, RATE)).all()
    assert np.abs(sound).max() < 1.0
    assert np.abs(sound.reshape(-1, 64)).max(axis=1).min() > 0.01


def test_playing_ahead_takes_no_time_and_sends_what_is_due(native: ctypes.CDLL) -> None:
    probe = Probe(native)
    with Engine([probe], RATE) as engine:
        Feeder(engine, notes(4, 2.0, RATE)).play_ahead(0.6)
        assert engine.time == round(0.6 * RATE)
    struck = [applied.time for applied in probe.applied]
    assert sorted(set(struck)) == [0, 24000]


def test_timings_add() -> None:
    both = timing(64, [0.1] * 3, late=2, disturbed=1) + timing(64, [0.5], late=1)
    assert (both.blocks, both.missed, both.disturbed) == (4, 3, 2)
    assert both.late == {"engine": 0, "preempted": 0, "host": 3, "worker": 0}
