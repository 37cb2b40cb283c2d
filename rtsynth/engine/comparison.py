"""An older measurement against a newer one: what got slower beyond what chance and the machine explain.

Two things hide a change. The blocks are a sample: both histograms are drawn anew from themselves, some hundred times
(bootstrap), which gives a ratio its interval. And the machine is another from run to run and from minute to minute
(clock frequency, neighbours), which no bootstrap of one row can see. But the control, measured beside every row, is the
same code in both runs: from its ratios follows where the ratio of one more thing that did not change would lie
(Student's prediction interval of their logarithms). Worse is what has its whole interval above that one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.engine.meter import Histogram, bucket_tops_ns
from rtsynth.engine.timing import Row
from rtsynth.engine.verdict import Verdict, verdict

DRAWS = 400
OUTSIDE = 0.005  # of the draws, and of what did not change, on either side
RESOLUTION = 1.02  # a bucket's width: a smaller ratio is none
FEW = (
    4  # rows whose control says too little about the machine; one more thing is then expected to be as it was
)

Interval = tuple[float, float]


@dataclass(frozen=True)
class Change:
    """A figure of a row, then and now; ratios are new over old."""

    row: str
    figure: str
    old_ns: int
    new_ns: int
    interval: Interval  # of the ratio, by the blocks
    unchanged: Interval  # where the ratio of unchanged code lies, by the controls

    @property
    def ratio(self) -> float:
        return self.new_ns / max(1, self.old_ns)

    @property
    def worse(self) -> bool:
        return self.interval[0] > RESOLUTION * max(1.0, self.unchanged[1])

    @property
    def better(self) -> bool:
        return RESOLUTION * self.interval[1] < min(1.0, self.unchanged[0])


class _Pair(NamedTuple):
    """A figure of a row in both results, and the control's figure of the same kind."""

    row: str
    figure: str
    q: float
    old: Histogram
    new: Histogram
    old_control: Histogram
    new_control: Histogram


def compare(old: Iterable[Row], new: Iterable[Row]) -> list[Change]:
    """Every row that is in both: what computing takes, and the longest hundredth of CPU and wall time."""
    known = {row.name: row for row in old}
    pairs = [pair for row in new if row.name in known for pair in _pairs(known[row.name], row)]
    draw = np.random.default_rng(1)
    unchanged = {
        figure: _unchanged([pair for pair in pairs if pair.figure == figure], draw)
        for figure in dict.fromkeys(pair.figure for pair in pairs)
    }
    return [
        Change(
            pair.row,
            pair.figure,
            pair.old.percentile(pair.q),
            pair.new.percentile(pair.q),
            _interval(pair.old, pair.new, pair.q, draw),
            unchanged[pair.figure],
        )
        for pair in pairs
    ]


def _pairs(old: Row, new: Row) -> Iterator[_Pair]:
    cpu, wall = (old.control.cpu, new.control.cpu), (old.control.wall, new.control.wall)
    if old.own.cpu.count and new.own.cpu.count:  # not of a bank on a GPU
        yield _Pair(new.name, "CPU p50", 50, old.own.cpu, new.own.cpu, *cpu)
        yield _Pair(new.name, "CPU p99", 99, old.own.cpu, new.own.cpu, *cpu)
    yield _Pair(new.name, "wall p99", 99, old.own.wall, new.own.wall, *wall)
    if old.worker and new.worker:
        yield _Pair(new.name, "frame p50", 50, old.worker.wall, new.worker.wall, *wall)
        yield _Pair(new.name, "frame p99", 99, old.worker.wall, new.worker.wall, *wall)


def late_now(old: Iterable[Row], new: Iterable[Row]) -> list[str]:
    """Rows that are late and were not."""
    in_time = {row.name for row in old if verdict(row) is not Verdict.LATE}
    return [row.name for row in new if verdict(row) is Verdict.LATE and row.name in in_time]


def _unchanged(pairs: Sequence[_Pair], draw: np.random.Generator) -> Interval:
    """Where a ratio lies that nothing but the machine moved; by bootstrap where too few controls were measured."""
    if len(pairs) < FEW:
        found = [_interval(pair.old_control, pair.new_control, pair.q, draw) for pair in pairs]
        return min(low for low, _ in found), max(high for _, high in found)
    from scipy.special import stdtrit

    ratios = [
        pair.new_control.percentile(pair.q) / max(1, pair.old_control.percentile(pair.q)) for pair in pairs
    ]
    logs = np.log(np.maximum(ratios, 1e-9))
    reach = stdtrit(len(logs) - 1, 1 - OUTSIDE) * logs.std(ddof=1) * math.sqrt(1 + 1 / len(logs))
    return math.exp(logs.mean() - reach), math.exp(logs.mean() + reach)


def _interval(old: Histogram, new: Histogram, q: float, draw: np.random.Generator) -> Interval:
    if not old.count or not new.count:
        return 0.0, math.inf
    ratios = _percentiles(new, q, draw) / _percentiles(old, q, draw)
    low, high = np.quantile(ratios, (OUTSIDE, 1 - OUTSIDE))
    return float(low), float(high)


def _percentiles(histogram: Histogram, q: float, draw: np.random.Generator) -> NDArray[np.float64]:
    """The percentile of DRAWS histograms (DRAWS,) drawn from this one, in ns."""
    (counted,) = np.nonzero(histogram.buckets)
    n = histogram.count
    counts = draw.multinomial(n, histogram.buckets[counted] / n, DRAWS)
    bucket = (np.cumsum(counts, axis=1) < math.ceil(q / 100 * n)).sum(axis=1)
    return np.maximum(1, np.minimum(bucket_tops_ns()[counted[bucket]], histogram.max)).astype(float)
