"""The PortAudio callback, called as PortAudio would: any length, changing each call, any channel count."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from rtsynth.engine import Engine
from rtsynth.engine.binding import load
from rtsynth.errors import UsageError
from rtsynth.messages import Kind, message
from tests.engine.probe import Probe

RATE = 48000.0
SIZES = [1, 7, 64, 1000, 3, 0, 255, 256, 257, 4096]
CONTINUE = 0


def offline(native: ctypes.CDLL) -> np.ndarray:
    out = np.empty((sum(SIZES), 2), np.float32)
    with Engine([Probe(native)], RATE) as engine:
        engine.send(message(Kind.NOTE_ON, 10, value=0.5))
        engine.process(out)
    return out


def called_back(native: ctypes.CDLL, channels: int) -> np.ndarray:
    """What the callback wrote into a buffer that held other things: (frames, channels)."""
    chunks = []
    with Engine([Probe(native)], RATE) as engine:
        engine.begin_stream(channels)
        address, user_data = engine.portaudio_callback
        assert address == ctypes.cast(load().rt_portaudio_callback, ctypes.c_void_p).value
        engine.send(message(Kind.NOTE_ON, 10, value=0.5))
        for frames in SIZES:
            out = np.full((frames, channels), 7, np.float32)
            assert load().rt_portaudio_callback(None, out.ctypes.data, frames, None, 0, user_data) == CONTINUE
            chunks.append(out)
        assert engine.report().blocks == len(SIZES) - 1
    return np.concatenate(chunks)


def test_stereo_is_the_offline_render(native: ctypes.CDLL) -> None:
    assert called_back(native, 2).tobytes() == offline(native).tobytes()


def test_mono_is_the_mean(native: ctypes.CDLL) -> None:
    expected = offline(native)
    np.testing.assert_array_equal(
        called_back(native, 1)[:, 0], np.float32(0.5) * (expected[:, 0] + expected[:, 1])
    )


@pytest.mark.parametrize("channels", [3, 8])
def test_further_channels_are_silent(native: ctypes.CDLL, channels: int) -> None:
    out = called_back(native, channels)
    assert out[:, :2].tobytes() == offline(native).tobytes()
    assert (out[:, 2:] == 0).all()


@pytest.mark.parametrize("channels", [0, 65])
def test_no_channels_or_too_many(native: ctypes.CDLL, channels: int) -> None:
    with Engine([], RATE) as engine, pytest.raises(UsageError, match=f"{channels} output channels"):
        engine.begin_stream(channels)


def test_no_sources_is_the_silent_control(native: ctypes.CDLL) -> None:
    with Engine([], RATE) as engine:
        _, user_data = engine.portaudio_callback
        out = np.full((64, 2), 7, np.float32)
        load().rt_portaudio_callback(None, out.ctypes.data, 64, None, 0, user_data)
        assert (out == 0).all()
