"""The sampler's loops a second time, in plain NumPy and double precision: slow, obvious, and what they must agree with.

Also how to call the compiled ones with arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.sampler.bank import loops
from rtsynth.sampler.noise import PERIOD, SEGMENT, START, WINDOW_ROWS, window_table
from rtsynth.sampler.table import aligned

Array = NDArray[Any]
Words = NDArray[np.uint32]

WORD = 0xFFFFFFFF


# ---- numbers: 32-bit arithmetic in 64-bit words ----


def _word(x: Any) -> Array:
    return np.asarray(x, np.uint64) & np.uint64(WORD)


def _shifted(h: Array, by: int) -> Array:
    return h ^ (h >> np.uint64(by))


def _first_round(h: Array) -> Array:
    return _shifted(_word(_shifted(h, 16) * np.uint64(0x7FEB352D)), 15)


def _second_round(h: Array) -> Array:
    return _shifted(_word(_shifted(_word(h * np.uint64(0x846CA68B)), 16) * np.uint64(0x9E3779B1)), 15)


def hash32(counter: Any, low: Any, high: Any) -> Array:
    """32 bits, as uint64, from counters and the two halves of keys; all broadcast."""
    h = _first_round(_word(_word(counter) * np.uint64(0x9E3779B9)) ^ _word(low))
    return _second_round(_word(h + _word(high)))


def normals(h: Array) -> tuple[Array, Array]:
    """The two Gaussians of each hash: Box and Muller, with 24 bits of radius, 24 of angle and one of side."""
    u = ((h >> np.uint64(8)).astype(float) + 0.5) / 2.0**24
    bits = _second_round(_word(h + np.uint64(0x5BD1E995)))
    turn = (bits.astype(np.uint32).view(np.int32) >> 8) / 2.0**25
    radius = np.sqrt(-2.0 * np.log(u)) * np.where(bits & np.uint64(1), -1.0, 1.0)
    return radius * np.cos(2.0 * np.pi * turn), radius * np.sin(2.0 * np.pi * turn)


def keys(seed: int, serial: int, count: int) -> tuple[Words, Words]:
    """A note's keys, low and high halves (count,)."""
    seed_low, seed_high, serial_low, serial_high = (
        seed & WORD,
        seed >> 32 & WORD,
        serial & WORD,
        serial >> 32 & WORD,
    )
    a = hash32(serial_low, seed_low, seed_high)
    b = hash32(serial_high + 0x85EBCA6B, a ^ np.uint64(seed_high), serial_low + seed_low)
    row = 2 * np.arange(count)
    return hash32(row, a, b).astype(np.uint32), hash32(row + 1, b, a).astype(np.uint32)


def starts_drawn(low: Words, high: Words) -> Array:
    """Gaussians (2, count) of rows' starts."""
    return np.stack(normals(hash32(int(START), low, high)))


def places(low: Words, high: Words, first: int, samples: int) -> Array:
    """Where the groups of 64 rows read in the table: (groups, 2, samples)."""
    h = hash32(first + np.arange(samples), low[::WINDOW_ROWS, None], high[::WINDOW_ROWS, None])
    return np.stack([h >> np.uint64(18), (h >> np.uint64(4)) % np.uint64(PERIOD)], axis=1)


def rows_drawn(low: Words, high: Words, first: int, samples: int) -> Array:
    """Noise (samples, 2, count) of samples first, first + 1, …"""
    row = np.arange(low.size)
    at = places(low, high, first, samples).astype(int)[row // WINDOW_ROWS]
    return window_table()[at + (row % WINDOW_ROWS)[:, None, None]].transpose(2, 1, 0)


def scalars_drawn(low: Words, high: Words, first: int, deviation: float) -> Array:
    """A segment's innovations (32,), from the first row's key."""
    return deviation * np.concatenate(normals(hash32(first + np.arange(SEGMENT // 2), low[0], high[0])))


# ---- rows: λ (count,) complex, x (count,) complex, gains (2, count) at the segment's start, their slopes a sample ----


def gains_at(gains: Array, slopes: Array) -> Array:
    """(32, 2, count)"""
    return gains + np.arange(SEGMENT)[:, None, None] * slopes


def ringing(step: Array, x: Array, gains: Array, slopes: Array) -> tuple[Array, Array]:
    """A segment (2, 32) and the states after it."""
    paths = step[None, :] ** np.arange(SEGMENT)[:, None] * x
    return (gains_at(gains, slopes) * paths.real[:, None, :]).sum(axis=2).T, step**SEGMENT * x


def noisy(
    step: Array, scale: Array, noise: Array, x: Array, gains: Array, slopes: Array
) -> tuple[Array, Array]:
    """The same with noise (32, 2, count), a sample at a time."""
    y = np.zeros((2, SEGMENT))
    for t, gain in enumerate(gains_at(gains, slopes)):
        y[:, t] = gain @ x.real
        x = step * x + scale * (noise[t, 0] + 1j * noise[t, 1])
    return y, x


def innovations(step: Array, gain: Array, e: Array, x: Array) -> tuple[Array, Array]:
    """Wold's form, a sample at a time: y (32,) and the states after it."""
    y = np.zeros(SEGMENT)
    for t in range(SEGMENT):
        y[t] = x.real.sum() + e[t]
        x = step * x + gain * e[t]
    return y, x


# ---- the compiled loops, with arrays ----


class Compiled:
    """The loops of one precision as ctypes functions, by their names."""

    def __init__(self, real: Any) -> None:
        self._loops = loops(real)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loops, name).ctypes


def compiled(real: Any) -> Compiled:
    """The loops as ctypes functions."""
    return Compiled(real)


def pointer(array: Array) -> Any:
    return np.ctypeslib.as_ctypes(array.reshape(-1))


def filled(values: Any, real: Any) -> Array:
    """An aligned copy in the loop's precision."""
    out = aligned(np.shape(values), real)
    out[...] = values
    return out


def draw(low: Words, high: Words, first: int, samples: int, real: Any = np.float32) -> Array:
    """`rows_drawn` by the compiled loop."""
    out = aligned((samples, 2, low.size), real)
    compiled(real).draw(pointer(low), pointer(high), first, samples, low.size, pointer(out))
    return out


def draw_places(low: Words, high: Words, first: int, samples: int = SEGMENT) -> Array:
    """`places` by the compiled loop."""
    at = aligned((-(-low.size // WINDOW_ROWS), 2, samples), np.uint32)
    arrays = pointer(low), pointer(high), first, samples, low.size, pointer(at)
    compiled(np.float32).windows(*arrays)
    return at


def draw_scalars(
    low: Words, high: Words, first: int, deviation: float, real: Any = np.float32, segments: int = 1
) -> Array:
    """`scalars_drawn` by the compiled loop, for so many segments one after the other."""
    out = aligned((segments * SEGMENT,), real)
    compiled(real).draw_scalar(pointer(low), pointer(high), first, segments, deviation, pointer(out))
    return out


def start(seed: int, serial: int, count: int, real: Any = np.float32) -> tuple[Words, Words, Array]:
    """A note's keys, low and high (count,), and the Gaussians of its start (2, count), by the compiled loop."""
    low, high = aligned((count,), np.uint32), aligned((count,), np.uint32)
    out = aligned((2, count), real)
    compiled(real).start(seed, serial, count, pointer(low), pointer(high), pointer(out))
    return low, high, out
