"""The null driver: paced by the clock, stopped and started again, and its real stalls in the ledger."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable

import numpy as np
import pytest

from rtsynth.engine import Cause, Engine
from rtsynth.errors import RateError, RtsynthError
from rtsynth.messages import Kind, message
from tests.engine.probe import Applied, Fault, Probe

RATE = 48000.0
PATIENCE_SECONDS = 20.0


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "the null driver does not run"
        time.sleep(0.005)


def test_it_keeps_the_pace_of_the_clock(native: ctypes.CDLL) -> None:
    """Never ahead of the clock; and what a busy machine holds up is made up for."""
    with Engine([Probe(native)], RATE) as engine:
        begun = time.monotonic_ns()
        engine.start_null(64)
        wait_for(lambda: engine.time > 0.3 * RATE)
        played = engine.time
        assert played - 64 <= (time.monotonic_ns() - begun) * RATE / 1e9
        engine.stop_null()
        report = engine.report()
        assert report.blocks >= 0.3 * RATE / 64
        assert report.budget_ns == 1_333_333
        assert report.lateness.count == report.blocks
        assert report.resyncs == 0
        assert isinstance(report.realtime_priority, bool)


def test_stamps_lie_one_block_ahead_of_the_clock(native: ctypes.CDLL) -> None:
    with Engine([Probe(native)], RATE) as engine:
        engine.start_null(512)
        wait_for(lambda: engine.time > 4096)
        now = time.monotonic_ns()
        before, stamped, after = engine.time_at(now), engine.stamp(now), engine.time
        assert stamped in (before + 512, after)
        assert engine.time_at(now + 10**9) - before == 48000
        assert engine.latest_block == 512


def test_a_live_message_sounds_one_block_later_and_none_is_late(native: ctypes.CDLL) -> None:
    with Engine([probe := Probe(native)], RATE) as engine:
        engine.start_null(256)
        wait_for(lambda: engine.time > 2048)
        stamps = []
        for number in range(20):
            stamps.append(engine.stamp())
            engine.send(message(Kind.NOTE_ON, stamps[-1], number=number, value=0.5))
            time.sleep(0.003)
        wait_for(lambda: engine.time > stamps[-1] + 256)
        engine.stop_null()
        assert [a.stamp for a in probe.applied] == stamps
        # Python may be held up between the stamp and the sending: then, and only then, it is late, and
        # counted.
        late = [applied for applied in probe.applied if applied.time != applied.stamp]
        assert engine.report().late_messages == len(late)
        assert len(late) < 10
        assert isinstance(probe.applied[0], Applied)


def test_stop_start_stop(native: ctypes.CDLL) -> None:
    out = np.empty((64, 2), np.float32)
    with Engine([Probe(native)], RATE) as engine:
        for _ in range(3):
            engine.start_null(64)
            with pytest.raises(RtsynthError, match="running already"):
                engine.start_null(64)
            with pytest.raises(RtsynthError, match="null driver is running"):
                engine.process(out)
            with pytest.raises(RtsynthError, match="null driver is running"):
                engine.begin_stream()
            wait_for(lambda: engine.latest_block == 64 and engine.report().lateness.count > 0)
            engine.reset_report()
            engine.stop_null()
            stopped = engine.time
            time.sleep(0.01)
            assert engine.time == stopped == engine.stamp()  # no stream, no time
            engine.process(out)
            assert engine.time == stopped + 64
        engine.stop_null()


def test_a_period_it_cannot_run_at(native: ctypes.CDLL) -> None:
    with Engine([Probe(native)], RATE) as engine:
        for period in (0, -1, 65537):
            with pytest.raises(RateError, match=f"{period} samples"):
                engine.start_null(period)


@pytest.mark.parametrize(("fault", "cause"), [(Fault.BURN, Cause.ENGINE), (Fault.SLEEP, Cause.PREEMPTED)])
def test_real_stalls_are_entered_once_under_their_cause(
    native: ctypes.CDLL, fault: Fault, cause: Cause
) -> None:
    """Stalls half a block beyond the budget, in every fifth block; whatever else this machine does to the
    rest.
    """
    period, every = 480, 2400
    with Engine([probe := Probe(native, fault, every, fault_ns=15_000_000)], RATE) as engine:
        engine.start_null(period)
        wait_for(lambda: probe.faults >= 6)
        engine.stop_null()
        planted = [every * (i + 1) for i in range(probe.faults)]
        entered = [late.time for late in engine.report().ledger if late.cause == cause]
        assert [time for time in entered if time % every == 0] == planted
        assert engine.report().late.total() == len(engine.report().ledger)


def test_closing_stops_it(native: ctypes.CDLL) -> None:
    engine = Engine([Probe(native)], RATE)
    engine.start_null(64)
    engine.close()
    engine.close()
    with pytest.raises(RtsynthError, match="closed"):
        engine.send(message(Kind.NOTE_ON))
