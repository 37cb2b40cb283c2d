"""The map from monotonic time to samples, on a simulated device: jitter, drift, bursts, stalls, lost time."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

RATE = 48000.0
START_NS = 5_000_000_000_000


class _Dll(ctypes.Structure):
    """rt_dll of native/clock.h."""

    _fields_ = [
        ("nominal_ns", ctypes.c_double),
        ("sample_ns", ctypes.c_double),
        ("origin_ns", ctypes.c_int64),
        ("block_ns", ctypes.c_double),
        ("position", ctypes.c_int64),
        ("frames", ctypes.c_int32),
        ("strays", ctypes.c_int32),
        ("locked", ctypes.c_bool),
    ]


def errors_samples(
    native: ctypes.CDLL, sizes: np.ndarray, jitter_ns: np.ndarray, ppm: float = 0.0
) -> np.ndarray:
    """How far the map is off at each block start, in samples (n,).

    The device runs `ppm` fast and asks for sizes (n,) samples at a time; each block starts jitter_ns (n,)
    after its true time.
    """
    dll = _Dll()
    native.rt_dll_init(ctypes.byref(dll), RATE)
    positions = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    true_ns = START_NS + np.round(positions * 1e9 / (RATE * (1 + ppm * 1e-6))).astype(np.int64)
    starts_ns = true_ns + jitter_ns.astype(np.int64)
    errors = np.empty(len(sizes))
    for i, (position, size) in enumerate(zip(positions.tolist(), sizes.tolist(), strict=True)):
        native.rt_dll_update(ctypes.byref(dll), position, int(starts_ns[i]), size)
        errors[i] = native.rt_dll_sample_at(ctypes.byref(dll), int(true_ns[i])) - position
    return errors


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


@pytest.mark.parametrize(("frames", "jitter_us"), [(16, 500), (64, 500), (256, 500), (1024, 120)])
def test_jitter_is_averaged_to_below_a_sample(native: ctypes.CDLL, frames: int, jitter_us: float) -> None:
    blocks = int(20 * RATE / frames)
    jitter = np.random.default_rng(3).uniform(-1, 1, blocks) * jitter_us * 1e3
    errors = errors_samples(native, np.full(blocks, frames), jitter)
    settled = errors[blocks // 2 :]
    assert rms(settled) < 1.0
    assert rms(jitter) * RATE / 1e9 > 3.0  # unfiltered, the same starts are off by many samples


def test_blocks_that_change_their_length(native: ctypes.CDLL) -> None:
    rng = np.random.default_rng(4)
    sizes = rng.integers(16, 512, 4000)
    errors = errors_samples(native, sizes, rng.uniform(-1, 1, len(sizes)) * 0.3e6)
    assert rms(errors[2000:]) < 1.0


def test_a_device_that_runs_fast_is_followed(native: ctypes.CDLL) -> None:
    sizes = np.full(30_000, 64)
    errors = errors_samples(native, sizes, np.zeros(len(sizes)), ppm=200)
    assert np.abs(errors[-1000:]).max() < 0.05
    lost = 30_000 * 64 * 200e-6
    assert lost > 300  # what the nominal rate alone would be off by now


def test_a_stall_moves_the_map_by_nothing(native: ctypes.CDLL) -> None:
    jitter = np.zeros(4000)
    jitter[2000] = 15e6  # one start 11 blocks late, and the blocks after it caught up
    errors = errors_samples(native, np.full(4000, 64), jitter)
    assert np.abs(errors).max() < 1e-3


def test_time_the_host_lost_is_taken_over(native: ctypes.CDLL) -> None:
    jitter = np.zeros(4000)
    jitter[1000:] = 40e6  # an underrun: from here on, everything is 40 ms later
    errors = errors_samples(native, np.full(4000, 64), jitter) + jitter * RATE / 1e9
    assert abs(errors[-1]) < 1.0
    assert abs(errors[1000] - 1920) < 1.0  # not at once: it might have been a stall


def test_callbacks_in_bursts_of_four(native: ctypes.CDLL) -> None:
    sizes = np.full(40_000, 256)
    early = -(np.arange(len(sizes)) % 4) * 256 * 1e9 / RATE  # four calls at the time of the first
    errors = errors_samples(native, sizes, early)
    mean_early = 1.5 * 256
    assert np.abs(errors[-4000:] - mean_early).max() < 12  # the middle of the burst, steady to 5 % of a block


def test_a_rate_never_learnt_beyond_reason(native: ctypes.CDLL) -> None:
    sizes = np.full(50, 1024)
    dll = _Dll()
    native.rt_dll_init(ctypes.byref(dll), RATE)
    for i in range(len(sizes)):  # all calls at the same time
        native.rt_dll_update(ctypes.byref(dll), 1024 * i, START_NS, 1024)
        assert abs(dll.sample_ns / dll.nominal_ns - 1) <= 0.0100001
