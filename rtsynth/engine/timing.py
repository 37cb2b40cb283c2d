"""What is known of a source's blocks when they have been measured: their times, the late ones, the control's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rtsynth.engine.meter import Histogram, Report

WINDOW_SECONDS = 0.1  # late blocks nearer to each other than this mostly have one cause


@dataclass(frozen=True)
class Timing:
    """What the blocks of an engine took, and how many of them were late."""

    budget_ns: int  # how long a block lasts
    wall: Histogram
    cpu: Histogram
    late: dict[str, int]  # blocks by cause
    disturbed: int  # windows of WINDOW_SECONDS with a late block: what can be compared, where lateness comes in bursts

    @property
    def blocks(self) -> int:
        return self.wall.count

    @property
    def missed(self) -> int:
        return sum(self.late.values())

    def __add__(self, other: Timing) -> Timing:
        late = Counter(self.late) + Counter(other.late)
        return Timing(
            self.budget_ns,
            self.wall + other.wall,
            self.cpu + other.cpu,
            {cause: late[cause] for cause in self.late},
            self.disturbed + other.disturbed,
        )


@dataclass(frozen=True)
class Worker:
    """What the frames of a model took in its own process; `late` in the row's Timing says what came too late."""

    budget_ns: int  # how long a frame lasts
    wall: Histogram  # of a frame's computing
    cpu: Histogram
    turnaround: Histogram  # from a whole frame in the host's ring to its answer there
    frames: int
    skipped: int  # given up, because others were waiting by then
    latency: dict[str, int]  # samples that the model adds, by cause; their sum is what is added


@dataclass(frozen=True)
class Row:
    """A source measured at one block length on one device, and the control beside it."""

    source: str
    block: int  # samples
    device: str  # cpu or cuda
    own: Timing
    control: Timing
    realtime_priority: bool
    voices: float | None = None  # median that sounded, of an instrument
    worker: Worker | None = None

    @property
    def name(self) -> str:
        return f"{self.source}, {self.device}, {self.block} samples"

    @property
    def share(self) -> float:
        """p99.9 of the wall time as a share of the block."""
        return self.own.wall.percentile(99.9) / self.own.budget_ns


@dataclass(frozen=True)
class Unmeasured:
    """A row that there is none of, and why."""

    source: str
    block: int
    device: str
    why: str


def timing(report: Report, rate: float) -> Timing:
    """What counts of a report."""
    late = {cause.name.lower(): count for cause, count in report.late.items()}
    windows = {int(entry.time / (WINDOW_SECONDS * rate)) for entry in report.ledger}
    return Timing(report.budget_ns, report.wall, report.cpu, late, len(windows))


def since(before: Worker, now: Worker) -> Worker:
    """What came after `before`."""
    return Worker(
        budget_ns=now.budget_ns,
        wall=now.wall.since(before.wall),
        cpu=now.cpu.since(before.cpu),
        turnaround=now.turnaround.since(before.turnaround),
        frames=now.frames - before.frames,
        skipped=now.skipped - before.skipped,
        latency=now.latency,
    )
