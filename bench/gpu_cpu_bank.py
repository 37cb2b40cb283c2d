"""The bank of bench/gpu.py on one core of the CPU: the same rows, voices and gains, by the compiled loops."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsynth.sampler.bank import loops
from rtsynth.sampler.cuda import Rows
from rtsynth.sampler.noise import SEGMENT, WINDOW_ROWS, window_table
from rtsynth.sampler.segments import HALF
from rtsynth.sampler.table import aligned

RATE = 48000.0
WARM_UP = 5


def _filled(values: Any) -> NDArray[np.float32]:
    out: NDArray[np.float32] = aligned(np.shape(values), np.float32)
    out[...] = values
    return out


def _players() -> dict[str, Any]:
    """Run `segments` segments of all voices, gains in motion, their sum in `mix`, by form."""
    noisy, windows, ringing = (getattr(loops(), name).ctypes for name in ("noisy", "windows", "ringing"))

    @njit
    def play_noisy(step, powers, half, noise, at, keys, x, gains, middle, y, mix, age, segments):
        rows = x.shape[2]
        for segment in range(segments):
            for v in range(x.shape[0]):
                y[:] = 0.0
                first = SEGMENT * (age + segment)
                windows(keys[v, 0].ctypes, keys[v, 1].ctypes, first, SEGMENT, rows, at.ctypes)
                noisy(
                    step[v].ctypes, noise.ctypes, at.ctypes, x[v].ctypes, gains[v].ctypes, y.ctypes, 1, rows, rows
                )  # fmt: skip
                mix[:, SEGMENT * segment : SEGMENT * (segment + 1)] += y

    @njit
    def play_ringing(step, powers, half, noise, at, keys, x, gains, middle, y, mix, age, segments):
        rows = x.shape[2]
        for segment in range(segments):
            for v in range(x.shape[0]):
                y[:] = 0.0
                ringing(
                    powers[v].ctypes, half[v].ctypes, x[v].ctypes, middle.ctypes, gains[v].ctypes, y.ctypes,
                    1, rows, rows,
                )  # fmt: skip
                mix[:, SEGMENT * segment : SEGMENT * (segment + 1)] += y

    return {"noisy": play_noisy, "ringing": play_ringing}


PLAYERS = _players()


class CpuBank:
    """V voices of D rows, all of one form, each with tables of its own."""

    def __init__(self, voices: int, rows: Rows, max_block: int) -> None:
        rng, count = np.random.default_rng(1), sum(rows)
        self._play = PLAYERS["noisy" if rows.noisy else "ringing"]
        damping = rng.uniform(1, 100, count) * bool(rows.noisy)
        step = np.exp((-damping + 2j * np.pi * rng.uniform(50, 9000, count)) / RATE)
        powers = step[:, None] ** np.arange(HALF)

        def each(values: Any) -> NDArray[np.float32]:
            return _filled(np.broadcast_to(values, (voices, *np.shape(values))))

        self._tables = (
            each(np.stack([step.real, step.imag])),
            each(np.stack([powers.real, powers.imag], axis=1)),
            each(np.stack([(step**HALF).real, (step**HALF).imag])),
            _filled(window_table()),
            np.zeros((-(-count // WINDOW_ROWS), 2, SEGMENT), np.uint32),
            rng.integers(0, 1 << 32, (voices, 2, count), np.uint32),
            each(rng.standard_normal((2, count))),
            each(1e-3 * rng.standard_normal((4, count))),
            _filled(np.zeros((4, count))),
            _filled(np.zeros((2, SEGMENT))),
        )
        self._mix = _filled(np.zeros((2, max_block)))

    def measure(self, frames: int, blocks: int) -> NDArray[np.int64]:
        """Wall time of `blocks` blocks, ns."""
        wall, segments = np.zeros(blocks, np.int64), frames // SEGMENT
        for block in range(-WARM_UP, blocks):
            self._mix[...] = 0.0
            began = time.perf_counter_ns()
            self._play(*self._tables, self._mix, (block + WARM_UP) * segments, segments)
            if block >= 0:
                wall[block] = time.perf_counter_ns() - began
        return wall
