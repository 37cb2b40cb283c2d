"""The bank: rows of damped rotations, rung at their start and kept alive by noise, drawn a segment at a time.

One row is x[n+1] = λ x[n] + w[n], y += g[n] Re x[n], with λ = exp(-γ/rate + 2πi f/rate), x[0] ~ N(mean, spread² I),
w ~ N(0, q I). Whatever sounds is rows of one table (docs/decisions.md, "The bank"):

* undamped rows (γ = 0, q = 0): sinusoids; and ringing rows (q = 0): a struck string. Neither needs a recursion at the
  sample rate;
* noisy rows (q > 0): the recursion itself, one complex Gaussian a row and sample;
* kicked rows: ringing rows that get one complex Gaussian at the start of each segment: block noise;
* the innovations form: all rows stationary and driven by ONE Gaussian a sample, x' = λ x + K e, y = Σ Re x + e (Wold's
  form).

A segment is SEGMENT samples on the voice's own grid, always computed whole; the gains of a row move in straight lines
from its start to its end. Blocks only read from it, which is why their size cannot change a bit of the output.

native/bank.c keeps the table and calls the loops by address: those that draw are here, those that fill a segment in
rtsynth/sampler/segments.py. They are compiled for float32 to play and for float64 to prove the law, each when it is
first asked for. They work on bare pointers and unsigned indices: with arrays and signed ones LLVM guards every access
against wrap-around, and the loops run four times slower (measured).
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any

import numpy as np
from numba import from_dtype, types

from rtsynth.sampler import segments
from rtsynth.sampler.compiled import callback
from rtsynth.sampler.noise import draw_rows, draw_scalar, draw_start, row_keys, window_table

NOISY_LANES = 16  # rows of bands that glide (glide.py) are padded to a multiple


class Loops:
    """The loops of one precision; `.address` of each is what C calls. Compiled, or loaded from the cache, by need."""

    def __init__(self, real: Any) -> None:
        self._real = real

    @cached_property
    def start(self) -> Any:
        return _start_loop(self._real)

    @cached_property
    def draw(self) -> Any:
        return _draw_loop(self._real)

    @cached_property
    def draw_scalar(self) -> Any:
        return _draw_scalar_loop(self._real)

    @cached_property
    def windows(self) -> Any:
        return segments.windows_loop(self._real)

    @cached_property
    def ringing(self) -> Any:
        return segments.ringing_loop(self._real)

    @cached_property
    def ringing_mono(self) -> Any:
        return segments.ringing_mono_loop(self._real)

    @cached_property
    def kick(self) -> Any:
        return segments.kick_loop(self._real)

    @cached_property
    def noisy(self) -> Any:
        return segments.noisy_loop(self._real)

    @cached_property
    def noisy_mono(self) -> Any:
        return segments.noisy_mono_loop(self._real)

    @cached_property
    def innovations(self) -> Any:
        return segments.innovations_loop(self._real)


@cache
def loops(real: Any = np.float32) -> Loops:
    """The loops for `real` (numpy.float32 or numpy.float64)."""
    return Loops(real)


_COUNT, _KEYS = types.int64, types.CPointer(types.uint32)


def _pointer(real: Any) -> types.CPointer:
    return types.CPointer(from_dtype(np.dtype(real)))


def _start_loop(real: Any) -> Any:
    p = _pointer(real)

    @callback(types.void(types.int64, types.int64, _COUNT, _KEYS, _KEYS, p))
    def start(seed, serial, count, low, high, normals):
        """Write a note's keys (count,) and draw its start: normals (2, count), re then im."""
        row_keys(seed, serial, count, low, high)
        draw_start(low, high, count, normals)

    return start


def _draw_loop(real: Any) -> Any:
    p, table = _pointer(real), window_table()

    @callback(types.void(_KEYS, _KEYS, types.int64, _COUNT, _COUNT, p))
    def draw(low, high, first_sample, samples, count, noise):
        """noise (samples, 2, count): standard normals of these samples and rows, from the table of windows."""
        draw_rows(low, high, first_sample, samples, count, table, noise)

    return draw


def _draw_scalar_loop(real: Any) -> Any:
    p = _pointer(real)

    @callback(types.void(_KEYS, _KEYS, types.int64, _COUNT, types.float64, p))
    def draw_one(low, high, first_sample, segments, deviation, noise):
        """noise (segments, 32): the innovations of so many segments."""
        draw_scalar(low, high, first_sample, segments, real(deviation), noise)

    return draw_one
