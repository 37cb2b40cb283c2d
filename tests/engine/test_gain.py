"""Master gain and fade: smooth, exact at rest, and the plain recursion to the bit."""

from __future__ import annotations

import ctypes
import math

import numpy as np

from rtsynth.engine import Engine
from rtsynth.messages import Kind, message
from tests.engine.probe import Constant

RATE = 48000.0


class _Gain(ctypes.Structure):
    """rt_gain of native/gain.h."""

    _fields_ = [
        (name, ctypes.c_double) for name in ("value", "target", "coefficient", "fade", "goal", "step")
    ]


def process(engine: Engine, frames: int, block: int = 64) -> np.ndarray:
    out = np.empty((frames, 2), np.float32)
    for start in range(0, frames, block):
        engine.process(out[start : start + block])
    return out


def test_the_glide_is_the_one_pole_of_10_ms(native: ctypes.CDLL) -> None:
    gain = _Gain()
    native.rt_gain_init(ctypes.byref(gain), RATE)
    native.rt_gain_set(ctypes.byref(gain), 0.25)
    left, right = np.ones(9600, np.float32), np.full(9600, -2, np.float32)
    native.rt_gain_apply(ctypes.byref(gain), left.ctypes.data, right.ctypes.data, len(left))

    expected, value = [], 1.0
    for _ in range(9600):
        value += (0.25 - value) * (1 - math.exp(-1 / (0.010 * RATE)))
        value = 0.25 if abs(0.25 - value) < 1e-7 else value
        expected.append(value)
    np.testing.assert_array_equal(left, np.array(expected, np.float32))
    np.testing.assert_array_equal(right, np.float32(-2 * np.array(expected)))
    assert value == 0.25  # arrived, not only close
    assert abs(left[479] - (0.25 + 0.75 / math.e)) < 1e-6  # the time constant is 10 ms


def test_no_step_when_gain_moves(native: ctypes.CDLL) -> None:
    with Engine([Constant(native, 0.5)], RATE) as engine:
        before = process(engine, 100)
        engine.send(message(Kind.GAIN, 150, value=0.0))
        out = np.concatenate([before, process(engine, 4700)])[:, 0]
        unsmoothed = np.where(np.arange(len(out)) < 150, 0.5, 0.0)  # the fault this is to notice
        largest = 0.5 / (0.010 * RATE) * 1.01
        assert np.abs(np.diff(out)).max() <= largest < np.abs(np.diff(unsmoothed)).max()
        assert (out[:150] == 0.5).all()
        assert 0 < out[300] < 0.5


def test_a_gain_before_the_first_sample_is_where_it_starts(native: ctypes.CDLL) -> None:
    with Engine([Constant(native, 0.5)], RATE) as engine:
        engine.send(message(Kind.GAIN, 0, value=0.5))
        assert (process(engine, 64) == 0.25).all()


def test_unit_gain_is_transparent(native: ctypes.CDLL) -> None:
    with Engine([Constant(native, level := float(np.float32(0.1)))], RATE) as engine:
        assert (process(engine, 64) == np.float32(level)).all()
        for value in (0.5, 1.0):
            engine.send(message(Kind.GAIN, engine.time, value=value))
            process(engine, 48000)
        assert (process(engine, 64) == np.float32(level)).all()


def test_fade_out_is_a_straight_line_to_silence_and_stays(native: ctypes.CDLL) -> None:
    with Engine([Constant(native, 1.0)], RATE) as engine:
        process(engine, 64)
        engine.fade_out(0.010)
        out = process(engine, 1000)[:, 0]
        np.testing.assert_allclose(out[:480], 1 - np.arange(1, 481) / 480, atol=1e-6)
        assert (out[480:] == 0).all()
        engine.fade_in(0.001)
        assert (process(engine, 1000)[48:] == 1).all()


def test_fade_out_of_no_length_is_silence(native: ctypes.CDLL) -> None:
    with Engine([Constant(native, 1.0)], RATE) as engine:
        engine.fade_out(0)
        assert (process(engine, 64) == 0).all()
