"""The ledger of late blocks, on clocks that only the test moves: each planted stall once, under its cause."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from rtsynth.engine import Cause, Engine
from tests.engine.probe import Fault, Probe

RATE = 48000.0
FRAMES = 48
BUDGET_NS = 1_000_000
UNDERFLOW = 0x4


class Host:
    """A device that calls for a block each BUDGET_NS, as soon as it may, and can be made to stall."""

    def __init__(self, library: ctypes.CDLL, engine: Engine) -> None:
        self._library = library
        self._callback, self._user_data = engine.portaudio_callback
        self._out = np.zeros((FRAMES, 2), np.float32)
        self.now_ns = 0  # since the first block was due
        self.due_ns = 0

    def advance(self, ns: int) -> None:
        self._library.virtual_advance(ns, 0)
        self.now_ns += ns

    def call(self, stall_ns: int = 0, flags: int = 0, took_ns: int = 0) -> None:
        """Wait until the next block is due, `stall_ns` longer, then call; a fault in it takes `took_ns`."""
        self.advance(max(0, self.due_ns - self.now_ns) + stall_ns)
        out = self._out.ctypes.data
        self._library.rt_portaudio_callback(None, out, FRAMES, None, flags, self._user_data)
        self.now_ns += took_ns
        self.due_ns += BUDGET_NS


def planted_run(path: Path, library: ctypes.CDLL, fault: Fault, took_ns: int, blocks: int = 200) -> Engine:
    """A source that stalls for `took_ns` in every tenth block but the first."""
    every = 10 * FRAMES
    engine = Engine([Probe(library, fault, every, took_ns)], RATE, library=path)
    host = Host(library, engine)
    for block in range(blocks):
        host.call(took_ns=took_ns if block and block % 10 == 0 else 0)
    return engine


def times(engine: Engine, cause: Cause) -> list[int]:
    return [late.time for late in engine.report().ledger if late.cause == cause]


PLANTED = [block * FRAMES for block in range(10, 200, 10)]


def test_a_source_that_computes_too_long_is_the_engines_lateness(
    virtual_path: Path, virtual: ctypes.CDLL
) -> None:
    with planted_run(virtual_path, virtual, Fault.BURN, 5 * BUDGET_NS) as engine:
        report = engine.report()
        assert report.late == {Cause.ENGINE: len(PLANTED), Cause.PREEMPTED: 0, Cause.HOST: 0, Cause.WORKER: 0}
        assert times(engine, Cause.ENGINE) == PLANTED
        assert {late.cpu_ns for late in report.ledger} == {5 * BUDGET_NS}
        assert report.cpu.max == report.wall.max == 5 * BUDGET_NS
        assert (
            report.lateness.max == 0
        )  # the blocks after a stall are behind, but through no fault of the host


def test_a_source_that_waits_is_preempted(virtual_path: Path, virtual: ctypes.CDLL) -> None:
    with planted_run(virtual_path, virtual, Fault.SLEEP, 5 * BUDGET_NS) as engine:
        assert engine.report().late == {
            Cause.ENGINE: 0,
            Cause.PREEMPTED: len(PLANTED),
            Cause.HOST: 0,
            Cause.WORKER: 0,
        }
        assert times(engine, Cause.PREEMPTED) == PLANTED
        assert engine.report().cpu.max == 0


@pytest.mark.parametrize("fault", [Fault.BURN, Fault.SLEEP])
def test_a_stall_within_the_budget_is_none(virtual_path: Path, virtual: ctypes.CDLL, fault: Fault) -> None:
    with planted_run(virtual_path, virtual, fault, BUDGET_NS) as engine:
        assert engine.report().late.total() == 0
        assert engine.report().wall.max == BUDGET_NS


def test_a_host_that_calls_too_late(virtual_path: Path, virtual: ctypes.CDLL) -> None:
    with Engine([Probe(virtual)], RATE, library=virtual_path) as engine:
        host = Host(virtual, engine)
        for block in range(1000):
            host.call(stall_ns=15 * BUDGET_NS if block in (100, 500, 900) else 0)
        assert engine.report().late == {Cause.ENGINE: 0, Cause.PREEMPTED: 0, Cause.HOST: 3, Cause.WORKER: 0}
        assert times(engine, Cause.HOST) == [100 * FRAMES, 500 * FRAMES, 900 * FRAMES]
        assert [late.lateness_ns for late in engine.report().ledger] == pytest.approx(
            [15 * BUDGET_NS] * 3, 0.1
        )


def test_a_late_call_that_leaves_time_enough_is_none(virtual_path: Path, virtual: ctypes.CDLL) -> None:
    with Engine([Probe(virtual)], RATE, library=virtual_path) as engine:
        host = Host(virtual, engine)
        for block in range(200):
            host.call(stall_ns=BUDGET_NS // 2 if block % 50 == 49 else 0)
        assert engine.report().late.total() == 0
        assert engine.report().lateness.max == BUDGET_NS // 2


def test_an_underflow_the_host_reports_counts_once(virtual_path: Path, virtual: ctypes.CDLL) -> None:
    with Engine([Probe(virtual)], RATE, library=virtual_path) as engine:
        host = Host(virtual, engine)
        for block in range(100):
            host.call(flags=UNDERFLOW if block in (20, 21, 60) else 0)
        assert times(engine, Cause.HOST) == [20 * FRAMES, 21 * FRAMES, 60 * FRAMES]
        host.call(stall_ns=20 * BUDGET_NS)  # blamed by our own clock …
        host.call(flags=UNDERFLOW)  # … and by the host one block later: the same stall
        assert engine.report().late_host == 4


def test_calls_in_bursts_are_not_late(virtual_path: Path, virtual: ctypes.CDLL) -> None:
    """A host with a deep buffer asks for four blocks at once, then waits four blocks long."""
    with Engine([Probe(virtual)], RATE, library=virtual_path) as engine:
        host = Host(virtual, engine)
        for block in range(2000):
            host.due_ns = block // 4 * 4 * BUDGET_NS
            host.call()
        assert engine.report().late.total() == 0


def test_the_ledger_keeps_the_latest_and_the_totals_all(virtual_path: Path, virtual: ctypes.CDLL) -> None:
    with Engine([Probe(virtual, Fault.BURN, FRAMES, 2 * BUDGET_NS)], RATE, library=virtual_path) as engine:
        host = Host(virtual, engine)
        for _ in range(1501):
            host.call(took_ns=2 * BUDGET_NS)
        report = engine.report()
        assert report.late_engine == 1500
        assert [late.time // FRAMES for late in report.ledger] == list(range(1501 - 1024, 1501))


def test_offline_nothing_is_late(virtual_path: Path, virtual: ctypes.CDLL) -> None:
    with Engine([Probe(virtual, Fault.BURN, 10, 5 * BUDGET_NS)], RATE, library=virtual_path) as engine:
        engine.process(np.empty((FRAMES, 2), np.float32))
        assert engine.report().late.total() == 0
        assert engine.report().wall.max > BUDGET_NS


def test_time_is_stamped_one_block_ahead_to_the_sample(virtual_path: Path, virtual: ctypes.CDLL) -> None:
    """What arrives s samples into a block plays s samples into the next: constant delay, no jitter."""
    with Engine([Probe(virtual)], RATE, library=virtual_path) as engine:
        host = Host(virtual, engine)
        assert engine.stamp(123) == 0  # no stream yet
        for _ in range(50):
            host.call()
        start, anchor = engine.time - FRAMES, virtual.rt_now_ns()  # of the latest block
        for offset in range(FRAMES):
            arrived = anchor + round(offset * 1e9 / RATE)
            assert engine.time_at(arrived) == start + offset
            assert engine.stamp(arrived) == start + offset + FRAMES
        assert (
            engine.stamp(anchor - 20_000) == engine.time
        )  # a start seen early is never stamped into the past
        engine.end_stream()
        assert engine.stamp(anchor) == engine.time
