"""What comes in reaches the sources that hear: the same samples, at the same time, in every driver, all finite."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

import numpy as np
import pytest

from rtsynth.engine import Engine, render, table
from rtsynth.engine.binding import load
from rtsynth.errors import UsageError
from rtsynth.messages import MESSAGE
from tests.engine.probe import Echo, Probe

RATE = 48000.0
NONE = np.empty(0, MESSAGE)
SIZES = [1, 7, 64, 1000, 3, 0, 255, 256, 257, 4096]
CONTINUE, INPUT_UNDERFLOW, INPUT_OVERFLOW = 0, 1, 2


def sound(frames: int, channels: int = 1) -> np.ndarray:
    noise = np.random.default_rng(5).uniform(-0.5, 0.5, (frames, channels)).astype(np.float32)
    return noise[:, 0].copy() if channels == 1 else noise


def call_back(engine: Engine, heard: np.ndarray, outputs: int = 2, flags: int = 0) -> np.ndarray:
    """Play as many frames as `heard` (frames, inputs) has, in blocks of SIZES: (frames, outputs)."""
    _, user_data = engine.portaudio_callback
    out = np.full((len(heard), outputs), 7, np.float32)
    start = 0
    for frames in SIZES:
        block, into = (
            np.ascontiguousarray(heard[start : start + frames]),
            np.empty((frames, outputs), np.float32),
        )
        there = (block.ctypes.data if heard.shape[1] else None, into.ctypes.data if outputs else None)
        assert load().rt_portaudio_callback(*there, frames, None, flags, user_data) == CONTINUE
        out[start : start + frames] = into
        start += frames
    assert start == len(heard)
    return out


def heard_by_callback(native: ctypes.CDLL, heard: np.ndarray, channel: int | None = None) -> np.ndarray:
    with Engine([Echo(native)], RATE, max_block=100) as engine:
        engine.begin_stream(2, heard.shape[1], channel)
        out = call_back(engine, heard)
    np.testing.assert_array_equal(out[:, 1], -out[:, 0])
    return out[:, 0]


def test_one_channel_is_heard_to_the_bit(native: ctypes.CDLL) -> None:
    heard = sound(sum(SIZES))
    np.testing.assert_array_equal(heard_by_callback(native, heard[:, None]), heard)


def test_of_several_their_mean(native: ctypes.CDLL) -> None:
    heard = sound(sum(SIZES), channels=3)
    np.testing.assert_allclose(heard_by_callback(native, heard), heard.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("channel", [0, 2])
def test_or_the_one_that_was_chosen(native: ctypes.CDLL, channel: int) -> None:
    heard = sound(sum(SIZES), channels=3)
    np.testing.assert_array_equal(heard_by_callback(native, heard, channel), heard[:, channel])


@pytest.mark.parametrize("latency", [0, 1, 37, 256, 4000])
def test_stated_latency_is_measured_latency(native: ctypes.CDLL, latency: int) -> None:
    """An impulse through the engine: in at 1234, out that many samples later and nowhere else."""
    heard = np.zeros(6000, np.float32)
    heard[1234] = 0.5
    source = Echo(native, latency)
    out = render(source, NONE, 6000, sample_rate=RATE, heard=heard)
    assert np.flatnonzero(out[:, 0]).tolist() == [1234 + source.latency]


def test_a_latency_wrong_by_a_sample_is_seen(native: ctypes.CDLL) -> None:
    heard = np.zeros(100, np.float32)
    heard[10] = 0.5
    source = Echo(native, 20)
    source.latency = 21  # what it states
    out = render(source, NONE, 100, sample_rate=RATE, heard=heard)
    assert np.flatnonzero(out[:, 0]).tolist() != [10 + source.latency]


def test_a_file_is_heard_alike_in_every_driver_and_block_size(native: ctypes.CDLL) -> None:
    heard = sum(SIZES) - 1000  # the file ends before the playing does
    recorded = sound(heard)
    expected = np.concatenate([recorded, np.zeros(1000, np.float32)])
    for block in (1, 64, 301):
        out = render(Echo(native), NONE, sum(SIZES), sample_rate=RATE, block=block, heard=recorded)
        assert out[:, 0].tobytes() == expected.tobytes()
    with Engine([Echo(native)], RATE, heard=recorded) as engine:
        assert not engine.hears  # no device is wanted
        engine.begin_stream(2, 1)
        out = call_back(engine, sound(sum(SIZES), 2)[:, :1])  # what the device brings is not heard
        assert out[:, 0].tobytes() == expected.tobytes()


def test_the_null_driver_hears_the_file(native: ctypes.CDLL) -> None:
    recorded = sound(2400)
    with Engine([Echo(native, 10)], RATE, heard=recorded) as engine:
        engine.record(True)
        engine.start_null(64)
        deadline = time.monotonic() + 20
        while engine.time < 4800 and time.monotonic() < deadline:
            time.sleep(0.005)
        engine.stop_null()
        out = engine.read_recording(4800)[:, 0]
    assert out[10:2410].tobytes() == recorded.tobytes()
    assert (out[2410:] == 0).all()


def test_without_input_there_is_silence(native: ctypes.CDLL) -> None:
    out = render(Echo(native), NONE, 1000, sample_rate=RATE)
    assert (out == 0).all()
    with Engine([Echo(native)], RATE) as engine:
        assert engine.hears
        engine.begin_stream(2)
        assert (call_back(engine, np.empty((sum(SIZES), 0), np.float32)) == 0).all()
        assert engine.report().heard_peak == 0


def test_an_input_alone_drives_the_engine(native: ctypes.CDLL) -> None:
    heard = sound(sum(SIZES))
    with Engine([Echo(native)], RATE) as engine:
        engine.begin_stream(0, 1)
        engine.record(True)
        call_back(engine, heard[:, None], outputs=0)
        assert engine.read_recording(len(heard))[:, 0].tobytes() == heard.tobytes()


def test_sources_that_do_not_hear_are_left_alone(native: ctypes.CDLL) -> None:
    def play(sources: list) -> np.ndarray:
        from rtsynth.messages import Kind, message

        out = np.empty((500, 2), np.float32)
        with Engine(sources, RATE, heard=np.zeros(500, np.float32)) as engine:
            engine.send(message(Kind.NOTE_ON, 10, value=0.25, source=0))
            engine.process(out)
        return out

    assert play([Probe(native), Echo(native)]).tobytes() == play([Probe(native)]).tobytes()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_heard_as_zero_and_counted(native: ctypes.CDLL, bad: float) -> None:
    heard = sound(sum(SIZES))
    heard[100:103] = bad
    with Engine([Echo(native)], RATE) as engine:
        engine.begin_stream(2, 1)
        out = call_back(engine, heard[:, None])
        report = engine.report()
    assert report.nan_input == 3
    assert report.nan_samples == 0
    assert (out[100:103] == 0).all()
    np.testing.assert_array_equal(np.delete(out[:, 0], slice(100, 103)), np.delete(heard, slice(100, 103)))


def test_underflows_and_overflows_of_the_input_are_counted(native: ctypes.CDLL) -> None:
    heard = sound(sum(SIZES))[:, None]
    played = sum(size > 0 for size in SIZES)
    with Engine([Echo(native)], RATE) as engine:
        engine.begin_stream(2, 1)
        call_back(engine, heard)
        assert (engine.report().input_underflows, engine.report().input_overflows) == (0, 0)
        call_back(engine, heard, flags=INPUT_UNDERFLOW)
        call_back(engine, heard, flags=INPUT_OVERFLOW)
        call_back(engine, heard, flags=INPUT_UNDERFLOW | INPUT_OVERFLOW)
        report = engine.report()
        assert (report.input_underflows, report.input_overflows) == (2 * played, 2 * played)
        rows = dict(table(report))
        assert rows["input made up for"] == rows["input lost"] == str(2 * played)
        assert rows["input peak"] == f"{20 * np.log10(np.abs(heard).max()):.1f} dBFS"
        engine.reset_report()
        assert engine.report().heard_peak == 0
        assert dict(table(engine.report()))["input peak"] == "silence"


def test_only_those_who_hear_have_an_input_peak(native: ctypes.CDLL) -> None:
    with Engine([Probe(native)], RATE) as engine:
        assert engine.report().heard_peak is None
        assert "input peak" not in dict(table(engine.report()))


@pytest.mark.parametrize(("outputs", "inputs", "heard"), [(0, 0, None), (2, 65, None), (2, 2, 2), (2, 1, -2)])
def test_channels_that_are_not_there(
    native: ctypes.CDLL, outputs: int, inputs: int, heard: int | None
) -> None:
    with Engine([], RATE) as engine, pytest.raises(UsageError, match=f"{inputs} input channels"):
        engine.begin_stream(outputs, inputs, heard)


@pytest.mark.parametrize("heard", [np.zeros(4), np.zeros((4, 1), np.float32), np.zeros(8, np.float32)[::2]])
def test_a_recording_of_another_shape_is_refused(heard: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"want \(n,\) float32"):
        Engine([], RATE, heard=heard)


def test_a_rendering_goes_on_until_all_is_heard(native: ctypes.CDLL, tmp_path: Path) -> None:
    """Not only to the last message: and not beyond what a silent end needs."""
    recorded = sound(9000)
    out = render(Echo(native, 50), NONE, sample_rate=RATE, heard=recorded)
    assert len(out) >= 9050
    assert out[50:9050, 0].tobytes() == recorded.tobytes()
