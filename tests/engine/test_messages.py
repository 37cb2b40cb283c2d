"""Messages are applied at their sample: unordered, late, in crowds, by source, whatever the host's block."""

from __future__ import annotations

import ctypes
import threading

import numpy as np
import pytest

from rtsynth.engine import Engine
from rtsynth.engine.engine import MESSAGE_CAPACITY
from rtsynth.messages import MESSAGE, Kind, Messages, message
from tests.engine.probe import Applied, Probe

RATE = 48000.0


def notes_at(times: list[int], source: int = -1) -> Messages:
    """Note-ons numbered in the order of the list."""
    rows = [(time, 0.5, number % 128, Kind.NOTE_ON, 0, source, 0) for number, time in enumerate(times)]
    return np.array(rows, dtype=MESSAGE)


def play(engine: Engine, frames: int, block: int) -> None:
    for start in range(0, frames, block):
        engine.process(np.empty((min(block, frames - start), 2), np.float32))


def assert_on_time(probe: Probe) -> None:
    assert probe.applied
    assert all(applied.time == applied.stamp for applied in probe.applied)


@pytest.mark.parametrize("block", [1, 7, 64, 333, 1000])
def test_each_at_its_sample_however_the_host_cuts(native: ctypes.CDLL, block: int) -> None:
    times = [0, 1, 63, 64, 64, 500, 999]
    with Engine([probe := Probe(native)], RATE) as engine:
        assert engine.send(notes_at(times)) == len(times)
        play(engine, 1000, block)
        assert_on_time(probe)
        assert [applied.time for applied in probe.applied] == times
        assert engine.report().late_messages == 0


def test_a_message_one_sample_late_does_not_pass_for_on_time(native: ctypes.CDLL) -> None:
    with Engine([probe := Probe(native)], RATE) as engine:
        play(engine, 11, 11)
        engine.send(notes_at([10]))
        play(engine, 11, 11)
        with pytest.raises(AssertionError):
            assert_on_time(probe)
        assert engine.report().late_messages == 1


def test_sub_blocks_end_at_messages_and_at_max_block(native: ctypes.CDLL) -> None:
    with Engine([probe := Probe(native)], RATE, max_block=100) as engine:
        engine.send(notes_at([150]))
        play(engine, 400, 400)
        assert probe.calls == [(0, 100), (100, 50), (150, 100), (250, 100), (350, 50)]


def test_future_messages_of_several_producers_are_sorted_and_keep_their_order(native: ctypes.CDLL) -> None:
    times = np.random.default_rng(1).integers(0, 4000, 2000)
    with Engine([probe := Probe(native)], RATE) as engine:
        engine.send(notes_at(times.tolist()))
        play(engine, 4000, 128)
        expected = sorted(range(2000), key=lambda i: times[i])  # stable, as equal times must be
        assert probe.applied == [Applied(times[i], times[i], i % 128) for i in expected]


def test_late_messages_are_applied_at_once_and_counted(native: ctypes.CDLL) -> None:
    with Engine([probe := Probe(native)], RATE) as engine:
        play(engine, 100, 100)
        engine.send(notes_at([99, 100, 101, 3]))
        play(engine, 100, 100)
        assert [(a.time, a.stamp) for a in probe.applied] == [(100, 3), (100, 99), (100, 100), (101, 101)]
        assert engine.report().late_messages == 2


def test_a_negative_time_is_at_once_and_not_late(native: ctypes.CDLL) -> None:
    with Engine([probe := Probe(native)], RATE) as engine:
        play(engine, 50, 50)
        engine.send(notes_at([-1]))
        play(engine, 50, 50)
        assert [applied.time for applied in probe.applied] == [50]
        assert engine.report().late_messages == 0


@pytest.mark.parametrize("count", [255, 256, 257, 5000])
def test_a_crowd_at_one_sample_arrives_whole_and_in_order(native: ctypes.CDLL, count: int) -> None:
    with Engine([probe := Probe(native)], RATE) as engine:
        assert engine.send(notes_at([10] * count)) == count
        play(engine, 64, 64)
        assert probe.applied == [Applied(10, 10, i % 128) for i in range(count)]


def test_a_full_queue_says_so_and_drops_nothing(native: ctypes.CDLL) -> None:
    """More than the ring and the pending list hold together, sent as room appears."""
    total = 3 * MESSAGE_CAPACITY
    messages = notes_at(list(range(total)))
    with Engine([probe := Probe(native)], RATE) as engine:
        sent = engine.send(messages)
        assert sent == MESSAGE_CAPACITY
        while sent < total or engine.time < total:
            accepted = engine.send(messages[sent:])
            assert accepted < total - sent or sent + accepted == total
            sent += accepted
            play(engine, 500, 500)
        assert [applied.time for applied in probe.applied] == list(range(total))
        assert engine.report().late_messages == 0


def test_a_crowd_beyond_the_pending_list_is_delivered_at_zero_frames(native: ctypes.CDLL) -> None:
    total = 3 * MESSAGE_CAPACITY
    messages = notes_at([0] * total)
    with Engine([probe := Probe(native)], RATE) as engine:
        sent = 0
        while sent < total:
            sent += engine.send(messages[sent:])
            engine.process(np.empty((0, 2), np.float32))
        assert len(probe.applied) == total
        assert engine.time == 0


def test_routed_by_source(native: ctypes.CDLL) -> None:
    probes = [Probe(native), Probe(native)]
    with Engine(probes, RATE) as engine:
        engine.send(np.concatenate([notes_at([5], source=1), notes_at([6], source=0), notes_at([7])]))
        play(engine, 10, 10)
        assert [applied.time for applied in probes[0].applied] == [6, 7]
        assert [applied.time for applied in probes[1].applied] == [5, 7]


def test_what_could_not_arrive_is_refused(native: ctypes.CDLL) -> None:
    with Engine([Probe(native)], RATE) as engine:
        with pytest.raises(ValueError, match="source 1"):
            engine.send(message(Kind.NOTE_ON, source=1))
        with pytest.raises(ValueError, match="gain"):
            engine.send(message(Kind.GAIN, value=float("nan")))
        with pytest.raises(TypeError, match="dtype"):
            engine.send(np.zeros(3, np.float32))


def test_many_producers_lose_nothing(native: ctypes.CDLL) -> None:
    with Engine([probe := Probe(native)], RATE) as engine:

        def produce() -> None:
            for time in range(500):
                assert engine.send(notes_at([time])) == 1

        threads = [threading.Thread(target=produce) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        play(engine, 500, 64)
        assert sorted(applied.time for applied in probe.applied) == sorted(list(range(500)) * 4)


def test_the_engine_prepares_its_sources(native: ctypes.CDLL) -> None:
    with Engine([probe := Probe(native)], 44100.0, max_block=128):
        assert probe.prepared == (44100.0, 128)
