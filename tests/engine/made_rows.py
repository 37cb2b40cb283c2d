"""Rows of a measurement as a test wants them, from durations that are written out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtsynth.engine.meter import Histogram
from rtsynth.engine.timing import Row, Timing, Worker

RATE = 48000.0


def histogram(durations: Sequence[float]) -> Histogram:
    """Of durations in ns."""
    return Histogram.of(np.asarray(durations, np.int64))


def timing(block: int, shares: Sequence[float], late: int = 0, disturbed: int | None = None) -> Timing:
    """Blocks that took `shares` of their length, wall and CPU."""
    budget = round(block * 1e9 / RATE)
    taken = histogram([share * budget for share in shares])
    causes = {"engine": 0, "preempted": 0, "host": late, "worker": 0}
    return Timing(budget, taken, taken, causes, late if disturbed is None else disturbed)


def row(
    block: int = 64,
    shares: Sequence[float] = (0.1,) * 2000,
    *,
    source: str = "piano:16",
    device: str = "cpu",
    late: int = 0,
    control_late: int = 0,
    control_shares: Sequence[float] = (0.01,) * 2000,
    turnaround_us: float | None = None,
) -> Row:
    """A row with `late` windows of the source and `control_late` of the control; with `turnaround_us`, a model's."""
    return Row(
        source=source,
        block=block,
        device=device,
        own=timing(block, shares, late),
        control=timing(block, control_shares, control_late),
        realtime_priority=True,
        voices=None if turnaround_us else 20.0,
        worker=None if turnaround_us is None else worker(turnaround_us),
    )


def worker(turnaround_us: float) -> Worker:
    """A model with frames of 1 ms, of which half the turn-around is computed."""
    half, whole = (histogram([1e3 * us] * 100) for us in (turnaround_us / 2, turnaround_us))
    parts = {"framing": 63, "resampling": 0, "model": 10, "computing": 64}
    return Worker(1_000_000, half, half, whole, frames=100, skipped=2, latency=parts)
