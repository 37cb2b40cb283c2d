"""How long a source's blocks take, beside an engine without sources on the same driver, in turns.

A slice of a few seconds of the source, a slice of the control, and so on: what a machine does to both shows in the
control, and what only the source's blocks suffer is the source's own. Figures are counts of every block.
"""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from rtsynth.engine.engine import Engine
from rtsynth.engine.meter import Cause, Histogram
from rtsynth.engine.timing import WINDOW_SECONDS, Row, Timing, Unmeasured, Worker, since, timing
from rtsynth.engine.workload import RESTRIKE_SECONDS, Feeder, notes
from rtsynth.errors import DeviceError
from rtsynth.messages import MESSAGE, Messages
from rtsynth.source import Source

SLICE_SECONDS = 2.0
SETTLE_SECONDS = 0.2  # of each slice, not counted: the thread is new and the caches are cold


@dataclass(frozen=True)
class Load:
    """A source and what it is given to do. `open` makes a new one; closing the context ends it.

    What no engine plays (a bank on a GPU) has `times` in place of `open`: (block, blocks, rate) -> wall ns (blocks,).
    """

    source: str
    device: str
    open: Callable[[], AbstractContextManager[Source]] | None = None
    times: Callable[[int, int, float], NDArray[np.int64]] | None = None
    voices: int | None = None  # notes to keep sounding
    heard: Callable[[float, float], NDArray[np.float32]] | None = None  # (seconds, rate) -> (n,)
    worker: Callable[[Source], Worker] | None = None  # of a model: since it was made
    refusal: str | None = None  # why it is not measured on this device


def seconds_of(seconds: float) -> float:
    """How long a row takes, at least: both slices with what is not counted."""
    return 2 * (seconds + _slices(seconds) * SETTLE_SECONDS)


def survey(
    loads: Sequence[Load],
    blocks: Sequence[int],
    rate: float,
    seconds: float,
    stop: threading.Event | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[list[Row], list[Unmeasured]]:
    """`measure` each load at each block: source by source, the devices of a block one after the other."""
    stop = stop or threading.Event()
    sources = list(dict.fromkeys(load.source for load in loads))
    plan = [
        (load, block) for source in sources for block in blocks for load in loads if load.source == source
    ]
    rows: list[Row] = []
    missing: list[Unmeasured] = []
    refusals = {(load.source, load.device): load.refusal for load in loads}
    for done, (load, block) in enumerate(plan):
        why = refusals[load.source, load.device]
        row = None
        if why is None:
            try:
                row = measure(load, rate, block, seconds, stop, _part(progress, done, len(plan)))
            except DeviceError as error:
                if load.device == "cpu":
                    raise
                why = refusals[load.source, load.device] = str(error)
        if row is not None:
            rows.append(row)
        if why is not None:
            missing.append(Unmeasured(load.source, block, load.device, why))
        if stop.is_set():
            break
    return rows, missing


def _part(progress: Callable[[float], None], done: int, count: int) -> Callable[[float], None]:
    return lambda share: progress((done + share) / count)


def measure(
    load: Load,
    rate: float,
    block: int,
    seconds: float,
    stop: threading.Event | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Row | None:
    """`seconds` of the source in blocks of `block` samples at `rate` hertz, and as much of the control.

    When `stop` is set, what was measured by then counts, in pairs of slices; None if there is no pair.
    """
    stop = stop or threading.Event()
    if load.open is None:
        assert load.times is not None
        return _in_turns(load, rate, block, seconds, stop, progress, _clocked(load.times, rate, block))
    heard = None
    if load.heard is not None:
        heard = load.heard(seconds + (_slices(seconds) + 1) * SETTLE_SECONDS, rate)
    with load.open() as source, Engine([source], rate, heard=heard) as engine:
        feeder = Feeder(engine, _messages(load, seconds, rate), stop)
        if load.voices is not None:
            feeder.play_ahead(RESTRIKE_SECONDS)  # until every key has been struck
        before = load.worker(source) if load.worker else None

        def own(seconds: float) -> Slice:
            return _slice(engine, feeder, block, seconds)

        row = _in_turns(load, rate, block, seconds, stop, progress, own)
        if row is None:
            return None
        return replace(
            row,
            voices=statistics.median(feeder.voices) if load.voices is not None else None,
            worker=since(before, load.worker(source)) if load.worker and before else None,
        )


Slice = tuple[Timing, bool]  # and whether it had real-time priority


def _in_turns(
    load: Load,
    rate: float,
    block: int,
    seconds: float,
    stop: threading.Event,
    progress: Callable[[float], None],
    own: Callable[[float], Slice],
) -> Row | None:
    """A slice of `own`, a slice of the control, and so on; None if there was no time for a pair."""
    count = _slices(seconds)
    pairs: list[tuple[Slice, Slice]] = []
    with Engine([], rate) as empty:
        nothing = Feeder(empty, np.empty(0, MESSAGE), stop)
        for i in range(count):
            pair = own(seconds / count), _slice(empty, nothing, block, seconds / count)
            if stop.is_set():
                break
            pairs.append(pair)
            progress((i + 1) / count)
    if not pairs:
        return None
    ours, control = zip(*pairs, strict=True)
    return Row(
        source=load.source,
        block=block,
        device=load.device,
        own=reduce(add, (timing for timing, _ in ours)),
        control=reduce(add, (timing for timing, _ in control)),
        realtime_priority=all(granted for _, granted in ours + control),
    )


def _slices(seconds: float) -> int:
    return max(1, round(seconds / SLICE_SECONDS))


def _messages(load: Load, seconds: float, rate: float) -> Messages:
    if load.voices is None:
        return np.empty(0, MESSAGE)
    return notes(load.voices, seconds_of(seconds) + RESTRIKE_SECONDS, rate)


def _slice(engine: Engine, feeder: Feeder, block: int, seconds: float) -> Slice:
    engine.start_null(block)
    try:
        feeder.run(SETTLE_SECONDS)
        engine.reset_report()
        feeder.run(seconds)
        report = engine.report()
        return timing(report, engine.sample_rate), report.realtime_priority
    finally:
        engine.stop_null()


def _clocked(
    times: Callable[[int, int, float], NDArray[np.int64]], rate: float, block: int
) -> Callable[[float], Slice]:
    """Slices of what tells its blocks' times itself. Nothing sounds: late is what took longer than its block."""
    budget = round(1e9 * block / rate)

    def own(seconds: float) -> Slice:
        wall = times(block, max(1, round(seconds * rate / block)), rate)
        (late,) = np.nonzero(wall > budget)
        causes = {cause.name.lower(): 0 for cause in Cause} | {Cause.ENGINE.name.lower(): len(late)}
        windows = np.unique(late * block // round(WINDOW_SECONDS * rate))
        return Timing(budget, Histogram.of(wall), Histogram.of(wall[:0]), causes, len(windows)), True

    return own
