"""How long the bank on a GPU takes for a block: host memory to host memory, and its kernels alone."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.cuda import Stopwatch
from rtsynth.sampler.cuda import CudaBank, Rows
from rtsynth.sampler.noise import SEGMENT

ENTRIES = 128  # of motion, as many as an instrument has keys
CHUNK = 4096  # voices that are started at once
WARM_UP = 20  # blocks that are not counted: the graph is recorded, clocks rise
RATE = 48000.0  # hertz, of the random rows


class BankTimes(NamedTuple):
    """Of `blocks` blocks each."""

    wall_ns: NDArray[np.int64]  # from where the gains go, in host memory, to the mix in host memory
    kernels_ns: NDArray[np.int64]  # without the copies, by events on the GPU


def full_bank(voices: int, rows: Rows, max_block: int, *, graphs: bool = True) -> CudaBank:
    """A bank whose voices all sound and begin their segments at 32 different samples; every sample is heard."""
    rng, count = np.random.default_rng(1), sum(rows)
    hertz, damping = rng.uniform(50, 9000, (ENTRIES, count)), rng.uniform(1, 100, (ENTRIES, count))
    damping[:, : rows.ringing] = 0.0  # a string that has died away would cost less on the CPU
    bank = CudaBank(voices, rows, np.exp((-damping + 2j * np.pi * hertz) / RATE), max_block, graphs=graphs)
    n = min(voices, CHUNK)
    keys = rng.integers(0, 1 << 32, (n, 2, count), np.uint32)
    levels = rng.uniform(-1e-3, 1e-3, (n, 2, count))
    states = rng.standard_normal((n, count)) + 1j * rng.standard_normal((n, count))
    entries, course, offsets = rng.integers(0, ENTRIES, n), np.ones((n, 2)), rng.integers(0, SEGMENT, n)
    for first in range(0, voices, n):
        k = min(n, voices - first)
        bank.start(first, entries[:k], keys[:k], levels[:k], states[:k], course[:k], offsets[:k])
    return bank


def measure_bank(bank: CudaBank, frames: int, blocks: int, *, rate: float | None = None) -> BankTimes:
    """`blocks` blocks of `frames`, gains in motion; at `rate` as a device asks for them, or one after the other."""
    stream = bank.stream
    if stream is None:
        raise ValueError("the simulator's times mean nothing")
    bank.goals[...] = np.random.default_rng(2).uniform(0.5, 1.0, bank.goals.shape)
    wall, kernels = np.zeros(blocks, np.int64), np.zeros(blocks, np.int64)
    due = time.perf_counter_ns()
    for block in range(-WARM_UP, blocks):
        if rate is not None:
            due = max(due + round(1e9 * frames / rate), time.perf_counter_ns())
            time.sleep(max(0, due - time.perf_counter_ns()) / 1e9)
        began = time.perf_counter_ns()
        bank.process(frames, moving=True)
        if block >= 0:
            wall[block] = time.perf_counter_ns() - began
    watch = Stopwatch(stream)
    for block in range(-WARM_UP, blocks):
        watch.start()
        bank.begin(frames, moving=True, copies=False)
        watch.stop()
        bank.wait()
        if block >= 0:
            kernels[block] = watch.nanoseconds()
    return BankTimes(wall, kernels)
