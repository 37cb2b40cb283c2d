"""Recording loses nothing: not to a slow writer, not to one that fails; what cannot be kept is counted."""

from __future__ import annotations

import ctypes
import threading

import numpy as np
import pytest

from rtsynth.engine import Engine, Recorder
from rtsynth.engine.engine import RECORD_CAPACITY
from rtsynth.messages import Kind, message
from tests.engine.probe import Constant, Probe

RATE = 48000.0


class Sink:
    """A `write` that takes `room` frames, then fails like a full disk."""

    def __init__(self, room: int = 1 << 60) -> None:
        self.room = room
        self.chunks: list[np.ndarray] = [np.empty((0, 2), np.float32)]

    def __call__(self, chunk: np.ndarray) -> None:
        if sum(map(len, self.chunks)) + len(chunk) > self.room:
            raise OSError(28, "No space left on device")
        self.chunks.append(chunk.copy())

    @property
    def audio(self) -> np.ndarray:
        return np.concatenate(self.chunks)


def playing(native: ctypes.CDLL) -> Engine:
    engine = Engine([Probe(native)], RATE)
    engine.send(message(Kind.NOTE_ON, 0, value=0.5))
    return engine


def play(engine: Engine, frames: int) -> np.ndarray:
    out = np.empty((frames, 2), np.float32)
    engine.process(out)
    return out


def test_what_is_recorded_is_what_was_played(native: ctypes.CDLL) -> None:
    sink = Sink()
    with playing(native) as engine:
        play(engine, 100)  # before: not recorded
        with Recorder(engine, sink) as recorder:
            played = np.concatenate([play(engine, 100_000) for _ in range(4)])
        play(engine, 100)  # after: neither
        assert engine.report().dropped_record_frames == 0
    np.testing.assert_array_equal(sink.audio, played)
    assert (recorder.written_frames, recorder.kept_frames, recorder.lost_frames) == (400_000, 0, 0)
    assert recorder.error is None


def test_it_comes_after_gain_and_limiter(native: ctypes.CDLL) -> None:
    sink = Sink()
    with Engine([Constant(native, 3.0)], RATE) as engine, Recorder(engine, sink):
        play(engine, 100)
    assert (sink.audio == 1).all()


def test_a_full_disk_is_told_once_and_everything_is_rescued(native: ctypes.CDLL) -> None:
    full, elsewhere = Sink(room=50_000), Sink()
    told: list[Exception] = []
    with playing(native) as engine:
        with Recorder(engine, full, on_error=told.append) as recorder:
            played = np.concatenate([play(engine, 30_000) for _ in range(5)])
        assert [type(error) for error in told] == [OSError]
        assert recorder.error is told[0]
        assert recorder.kept_frames == len(played) - len(full.audio) > 0
        assert recorder.rescue(elsewhere) == len(elsewhere.audio)
    np.testing.assert_array_equal(np.concatenate([full.audio, elsewhere.audio]), played)
    assert (recorder.kept_frames, recorder.lost_frames, recorder.error) == (0, 0, None)


def test_rescue_from_within_on_error_takes_over(native: ctypes.CDLL) -> None:
    full, elsewhere = Sink(room=0), Sink()
    with playing(native) as engine:

        def take_over(error: Exception) -> None:
            assert isinstance(error, OSError)
            recorder.rescue(elsewhere)

        with Recorder(engine, full, on_error=take_over) as recorder:
            played = play(engine, 60_000)
    np.testing.assert_array_equal(elsewhere.audio, played)


def test_a_rescue_that_fails_keeps_the_rest(native: ctypes.CDLL) -> None:
    half, whole = Sink(room=20_000), Sink()
    with playing(native) as engine:
        with Recorder(engine, Sink(room=0)) as recorder:
            played = play(engine, 60_000)
        with pytest.raises(OSError, match="No space"):
            recorder.rescue(half)
        assert recorder.kept_frames == 60_000 - len(half.audio)
        recorder.rescue(whole)
    np.testing.assert_array_equal(np.concatenate([half.audio, whole.audio]), played)


def test_memory_is_bounded_and_the_loss_counted(native: ctypes.CDLL) -> None:
    with playing(native) as engine:
        with Recorder(engine, Sink(room=0), memory_seconds=0.5) as recorder:
            played = play(engine, 100_000)
        assert (recorder.kept_frames, recorder.lost_frames) == (24_000, 76_000)
        recorder.rescue(kept := Sink())
    np.testing.assert_array_equal(kept.audio, played[:24_000])


def test_a_writer_that_hangs_costs_frames_that_are_counted_never_the_audio(native: ctypes.CDLL) -> None:
    begun, go_on = threading.Event(), threading.Event()
    sink = Sink()

    def hang(chunk: np.ndarray) -> None:
        begun.set()
        assert go_on.wait(20)
        sink(chunk)

    with playing(native) as engine:
        with Recorder(engine, hang) as recorder:
            first = play(engine, 1000)
            assert begun.wait(20)
            rest = play(engine, RECORD_CAPACITY + 777)
            go_on.set()
        assert engine.report().dropped_record_frames == 777
        assert recorder.written_frames == len(sink.audio) == 1000 + RECORD_CAPACITY
    np.testing.assert_array_equal(sink.audio, np.concatenate([first, rest[:RECORD_CAPACITY]]))


def test_start_twice_is_refused_and_stop_twice_is_not(native: ctypes.CDLL) -> None:
    with Engine([], RATE) as engine:
        recorder = Recorder(engine, Sink())
        recorder.start()
        with pytest.raises(RuntimeError, match="running"):
            recorder.start()
        recorder.stop()
        recorder.stop()
