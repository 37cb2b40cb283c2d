"""What the engine measured about itself: histograms of time per block, counters, the ledger of late blocks.

Histograms are logarithmic, no bucket wider than 1.6 % of its value, after G. Tene's HdrHistogram:
percentiles come from counts of every block, never from a sample of them.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.engine.binding import HISTOGRAM_BITS, HISTOGRAM_BUCKETS


class Cause(IntEnum):
    """Why a block was not ready in time; enum rt_cause of native/statistics.h."""

    ENGINE = 0  # it computed for longer than the block lasts
    PREEMPTED = 1  # it was off the processor for the rest
    HOST = 2  # it was begun too late, or the host reported an underflow
    WORKER = 3  # an inference process did not deliver in time: something stood in for its answer


class LateBlock(NamedTuple):
    """One block that was not ready in time."""

    time: int  # its first sample
    wall_ns: int
    cpu_ns: int
    lateness_ns: int  # of its start
    cause: Cause


def bucket_tops_ns() -> NDArray[np.int64]:
    """The longest duration each bucket holds, in ns (HISTOGRAM_BUCKETS,): rt_histogram_bucket inverted."""
    index = np.arange(HISTOGRAM_BUCKETS, dtype=np.int64)
    octave = np.maximum((index >> HISTOGRAM_BITS) - 1, 0)
    mantissa = index - (octave << HISTOGRAM_BITS)
    return ((mantissa + 1) << octave) - 1


@dataclass(frozen=True)
class Histogram:
    """Durations of blocks."""

    buckets: NDArray[np.uint64]  # (HISTOGRAM_BUCKETS,) counts
    max: int  # ns, exact; 0 when empty

    @property
    def count(self) -> int:
        return int(self.buckets.sum())

    @classmethod
    def of(cls, ns: NDArray[np.int64]) -> Histogram:
        """Of durations that were written down one by one, (n,)."""
        bucket = np.minimum(np.searchsorted(bucket_tops_ns(), ns), HISTOGRAM_BUCKETS - 1)
        counts = np.bincount(bucket, minlength=HISTOGRAM_BUCKETS).astype(np.uint64)
        return cls(counts, int(ns.max(initial=0)))

    def __add__(self, other: Histogram) -> Histogram:
        return Histogram(self.buckets + other.buckets, max(self.max, other.max))

    def since(self, before: Histogram) -> Histogram:
        """What was counted after `before`; the longest of it to 1.6 %, where it was not the longest of all."""
        counts = self.buckets - before.buckets
        if self.max > before.max:
            return Histogram(counts, self.max)
        counted = np.flatnonzero(counts)
        top = int(bucket_tops_ns()[counted[-1]]) if counted.size else 0
        return Histogram(counts, min(top, self.max))

    def percentile(self, q: float) -> int:
        """The duration in ns that `q` percent of the blocks did not exceed, at most 1.6 % too high; 0 when
        empty.
        """
        if not 0 <= q <= 100:
            raise ValueError(f"percentile {q}: want 0…100")
        if self.count == 0:
            return 0
        rank = max(1, math.ceil(round(q * self.count / 100, 6)))  # 99.9 % of 1000 is 999, not 999.0…01
        bucket = int(np.searchsorted(np.cumsum(self.buckets), rank))
        return min(int(bucket_tops_ns()[bucket]), self.max)


@dataclass(frozen=True)
class Report:
    """Everything since the engine was made or `reset_report` was called.

    Every figure is an exact count. A block that ends while they are read may be in one and not yet in
    another.
    """

    blocks: int  # host blocks
    budget_ns: int  # how long the latest host block lasts
    wall: Histogram
    cpu: Histogram
    lateness: Histogram  # of block starts behind the host's schedule; empty offline
    interval: Histogram  # between block starts; empty offline
    late_engine: int
    late_preempted: int
    late_host: int
    ledger: tuple[LateBlock, ...]  # the latest 1024 late blocks, oldest first
    late_messages: int  # applied after their sample had passed
    nan_samples: int  # not-finite samples a source made, replaced by zero
    limited_samples: int  # frames the limiter turned down
    peak: float  # largest |sample| before the limiter, linear
    dropped_record_frames: int
    resyncs: int  # times the null driver gave up catching up
    realtime_priority: bool  # the null driver's thread got SCHED_FIFO
    input_underflows: int = 0  # blocks before which the host had too little input, and made up for it
    input_overflows: int = 0  # blocks before which it threw input away
    nan_input: int = 0  # not-finite samples that came in, heard as zero
    late_worker: int = 0
    host_xruns: int = 0  # times JACK says that a deadline was missed, whoever's fault it was
    heard_peak: float | None = None  # largest |sample| that came in, linear; None where no source hears

    @property
    def late(self) -> Counter[Cause]:
        """Late blocks by cause."""
        return Counter(
            {
                Cause.ENGINE: self.late_engine,
                Cause.PREEMPTED: self.late_preempted,
                Cause.HOST: self.late_host,
                Cause.WORKER: self.late_worker,
            }
        )

    @property
    def peak_db(self) -> float:
        """Peak before the limiter in dB of full scale; -inf in silence."""
        return _decibels(self.peak)

    @property
    def heard_peak_db(self) -> float | None:
        """Peak of what came in, in dB of full scale; None where no source hears."""
        return None if self.heard_peak is None else _decibels(self.heard_peak)


def _decibels(peak: float) -> float:
    return 20 * math.log10(peak) if peak > 0 else -math.inf


PERCENTILES = (50.0, 99.0, 99.9)


def table(report: Report, voices: int | None = None) -> list[tuple[str, str]]:
    """The report as rows (label, text); `voices`: the largest number that sounded, if the caller knows."""
    rows = [("blocks", f"{report.blocks} of {report.budget_ns / 1e3:.0f} µs")]
    for label, histogram in (("wall", report.wall), ("CPU", report.cpu)):
        rows += [
            (f"{label} p{q:g}", _against_budget(histogram.percentile(q), report.budget_ns))
            for q in PERCENTILES
        ]
        rows.append((f"{label} max", _against_budget(histogram.max, report.budget_ns)))
    rows.append(("late blocks", _late(report)))
    if voices is not None:
        rows.append(("voices", str(voices)))
    if report.heard_peak is not None:
        rows.append(("input peak", _level(report.heard_peak)))
    rows.append(("peak", _level(report.peak)))
    return rows + [(label, str(count)) for label, count in _troubles(report) if count]


def _against_budget(ns: int, budget_ns: int) -> str:
    share = f" ({100 * ns / budget_ns:.1f} %)" if budget_ns else ""
    return f"{ns / 1e3:.0f} µs{share}"


def _level(peak: float) -> str:
    return f"{_decibels(peak):.1f} dBFS" if peak > 0 else "silence"


def _late(report: Report) -> str:
    causes = [f"{cause.name.lower()} {count}" for cause, count in report.late.items() if count]
    total = str(report.late.total())
    return f"{total} ({', '.join(causes)})" if causes else total


def _troubles(report: Report) -> list[tuple[str, int]]:
    """What should be zero, and has a row only when it is not."""
    return [
        ("late messages", report.late_messages),
        ("not-finite samples silenced", report.nan_samples),
        ("samples limited", report.limited_samples),
        ("frames not recorded", report.dropped_record_frames),
        ("resynchronised", report.resyncs),
        ("input made up for", report.input_underflows),
        ("input lost", report.input_overflows),
        ("not-finite input samples", report.nan_input),
        ("xruns of the server", report.host_xruns),
    ]
