"""What is not a number never leaves the engine, is counted, and resets the source whose it was, once."""

from __future__ import annotations

import ctypes

import numpy as np

from rtsynth.engine import Engine
from rtsynth.messages import Kind, message
from tests.engine.probe import Constant, Fault, Probe

RATE = 48000.0


def process(engine: Engine, frames: int) -> np.ndarray:
    out = np.empty((frames, 2), np.float32)
    engine.process(out)
    return out


def test_counted_silenced_and_reset_at_the_next_sub_block(native: ctypes.CDLL) -> None:
    ill = Probe(native, Fault.NOT_A_NUMBER, every=300)
    with Engine([ill, well := Probe(native)], RATE, max_block=64) as engine:
        engine.send(message(Kind.NOTE_ON, 0, number=60, value=0.1, source=0))
        out = process(engine, 512)
        assert np.isfinite(out).all()
        assert engine.report().nan_samples == 1
        assert [(a.time, a.number) for a in ill.applied] == [(0, 60), (320, -1)]
        assert ill.resets == 1
        assert well.applied == []
        assert (out[300] != 0).tolist() == [False, True]  # the left sample alone was bad


def test_without_a_fault_nothing_is_counted(native: ctypes.CDLL) -> None:
    with Engine([probe := Probe(native)], RATE) as engine:
        engine.send(message(Kind.NOTE_ON, 0, value=0.1))
        process(engine, 4096)
        assert engine.report().nan_samples == 0
        assert probe.resets == 0


def test_one_reset_for_each_incident(native: ctypes.CDLL) -> None:
    with Engine([probe := Probe(native, Fault.NOT_A_NUMBER, every=500)], RATE, max_block=100) as engine:
        process(engine, 2100)
        assert engine.report().nan_samples == 4
        assert [applied.time for applied in probe.applied] == [600, 1100, 1600]  # the fourth is due at 2100
        process(engine, 1)
        assert [applied.time for applied in probe.applied] == [600, 1100, 1600, 2100]


def test_as_long_as_it_stays_ill_it_is_reset_once(native: ctypes.CDLL) -> None:
    with Engine([probe := Probe(native, Fault.NOT_A_NUMBER, every=1)], RATE, max_block=64) as engine:
        process(engine, 640)
        assert engine.report().nan_samples == 639  # all but the first, left alone
        assert probe.resets == 1


def test_the_other_sources_go_on_and_it_may_come_back(native: ctypes.CDLL) -> None:
    ill, well = Constant(native, float("inf")), Constant(native, 0.25)
    with Engine([ill, well], RATE, max_block=64) as engine:
        assert (process(engine, 640) == 0.25).all()
        assert engine.report().nan_samples == 2 * 640
        ill.level = 0.5
        assert (process(engine, 64) == 0.75).all()
