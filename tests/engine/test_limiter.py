"""The limiter: not a bit changed below full scale, never above it, and the plain recursion to the bit."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

RATE = 48000.0
FLOATS = st.floats(-8, 8, width=32)


class _Limiter(ctypes.Structure):
    """rt_limiter of native/limiter.h."""

    _fields_ = [
        ("gain", ctypes.c_double),
        ("coefficient", ctypes.c_double),
        ("peak", ctypes.c_float),
        ("limited", ctypes.c_int64),
    ]


def limited(native: ctypes.CDLL, frames: np.ndarray) -> tuple[np.ndarray, _Limiter]:
    """frames (n, 2) float32 through a fresh limiter."""
    limiter = _Limiter()
    native.rt_limiter_init(ctypes.byref(limiter), RATE)
    left, right = np.array(frames[:, 0]), np.array(frames[:, 1])
    native.rt_limiter_apply(ctypes.byref(limiter), left.ctypes.data, right.ctypes.data, len(left))
    return np.stack([left, right], 1), limiter


def plain(frames: np.ndarray) -> tuple[np.ndarray, int]:
    """The specification, a frame at a time in float64; also how many frames were turned down."""
    out: list[np.ndarray] = []
    gain, count = 1.0, 0
    release = 1 - math.exp(-1 / (0.100 * RATE))
    for frame in frames.astype(float):
        gain += (1 - gain) * release
        gain = 1.0 if 1 - gain < 1e-7 else gain
        gain = min(gain, 1 / max(1.0, float(np.abs(frame).max())))
        count += gain < 1
        out.append((frame * gain).astype(np.float32).clip(-1, 1))
    return np.array(out), count


def test_below_full_scale_not_a_bit_is_changed(native: ctypes.CDLL) -> None:
    frames = np.random.default_rng(1).uniform(-1, 1, (5000, 2)).astype(np.float32)
    just_below = np.nextafter(np.float32(1), np.float32(0))
    frames[:4] = np.array([[1, -1], [-0.0, 0.0], [1e-38, -1e-38], [just_below, 1]], np.float32)
    out, limiter = limited(native, frames)
    assert out.tobytes() == frames.tobytes()
    assert limiter.limited == 0


@settings(max_examples=100, deadline=None)
@given(frames=arrays(np.float32, st.tuples(st.integers(1, 60), st.just(2)), elements=FLOATS))
def test_it_is_the_plain_recursion_and_never_above_full_scale(
    native: ctypes.CDLL, frames: np.ndarray
) -> None:
    out, limiter = limited(native, frames)
    expected, count = plain(frames)
    np.testing.assert_array_equal(out, expected)
    assert np.abs(out).max() <= 1
    assert limiter.limited == count
    assert limiter.peak == np.abs(frames).max()


def test_both_channels_are_turned_down_alike(native: ctypes.CDLL) -> None:
    out, _ = limited(native, np.array([[4, 1]], np.float32))
    assert out.tolist() == [[1, 0.25]]


def test_the_gain_comes_back_in_100_ms_and_all_the_way(native: ctypes.CDLL) -> None:
    frames = np.full((96000, 2), 0.5, np.float32)
    frames[0] = 2
    out, limiter = limited(native, frames)
    assert out[4800, 0] == pytest.approx(0.5 * (1 - 0.5 / math.e), rel=1e-3)
    assert limiter.gain == 1
    assert (out[-1000:] == 0.5).all()  # bit-transparent again


def test_a_sum_beyond_float32_is_silenced(native: ctypes.CDLL) -> None:
    out, limiter = limited(native, np.array([[np.inf, 0.5], [0.5, 0.5]], np.float32))
    assert out.tolist() == [[0, 0], [0.5, 0.5]]
    assert limiter.limited == 1
