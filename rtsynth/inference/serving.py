"""What an inference process does all day: input ring → pipeline → output ring, and back in step after a stall."""

from __future__ import annotations

import math
import time
from ctypes import CDLL, c_float, c_int64, c_void_p
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rtsynth import native
from rtsynth.inference.link import Link, Positions
from rtsynth.inference.pipeline import Pipeline
from rtsynth.inference.stillness import SILENCE

SMOOTHING = 0.1  # share of the latest frame in the running mean of what one costs
REST_SECONDS = 1.0  # of a stream that are slept through without entering Python


class ProcessLoop:
    """Answers a link from a pipeline, one answer a turn; one thread calls it.

    Positions of the link count from when it was made, the pipeline's from the last reset, less the frames that were
    slept through: `origin` lies between. A worker that takes over, or has fallen so far behind that it would take
    longer than a frame lasts to make up for it, goes on at the first position that can still be played, and leaves out
    what lies before.
    """

    def __init__(self, link: Link, pipeline: Pipeline, device_rate: float) -> None:
        model = pipeline.model
        self._link, self._pipeline, self._rate = link, pipeline, device_rate
        self._frame = model.frame * device_rate / (model.sample_rate or device_rate)  # device samples
        self._cost_ns = 0.0  # of a frame, running mean
        self._heard = np.zeros(0, np.float32)
        positions = link.positions
        self._written = positions.out_written  # nobody else writes from now on
        self._begin(positions)
        if self._playable(positions) > self._taken:  # a stream has been running: what came before is too late
            self._go_on_at(self._playable(positions))

    def turn(self, timeout: float) -> bool:
        """Wait for the input of the next answer, at most `timeout` seconds, and write it; False: there was none."""
        wanted = self._pipeline.wanted
        if self._may_rest(wanted) and self._rest(timeout):
            return True
        if not self._link.wait(self._taken + wanted, timeout):
            return False
        positions = self._link.positions
        if positions.reset_at != self._reset_at:
            self._begin(positions)
        elif self._hopeless(positions):
            self._jump(positions)
        else:
            self._answer(wanted)
        return True

    def _begin(self, positions: Positions) -> None:
        """At the last reset, as if nothing had ever been heard before."""
        self._pipeline.reset()
        self._reset_at = self._origin = self._taken = positions.reset_at

    def _playable(self, positions: Positions) -> int:
        """Where the pipeline must be restarted for the next position that is played to be whole."""
        return positions.needed - self._pipeline.lookback

    def _hopeless(self, positions: Positions) -> bool:
        """Whether catching up would take longer than a frame lasts, and there is something to be left out."""
        frames = (positions.in_written - self._taken) / self._frame
        seconds = frames * self._cost_ns / 1e9
        ahead = self._playable(positions) - self._taken
        return frames >= 2 and ahead >= self._frame and seconds > self._frame / self._rate

    def _jump(self, positions: Positions) -> None:
        target = max(self._taken, self._playable(positions), positions.in_written - self._link.capacity // 2)
        self._link.skipped(round((target - self._taken) / self._frame))
        self._go_on_at(target)

    def _go_on_at(self, position: int) -> None:
        self._pipeline.restart(position - self._origin)
        self._taken = position

    def _may_rest(self, wanted: int) -> bool:
        """At rest, and a frame's end away from the last: then frames of silence need not go through Python."""
        return self._pipeline.converged and wanted == self._frame

    def _rest(self, timeout: float) -> bool:
        """Sleep through frames of silence; whether there were any. The pipeline is not told: its time stands still."""
        frame = int(self._frame)
        most = max(1, round(REST_SECONDS * self._rate / frame))
        frames = _library().rt_link_rest(
            self._link.address, self._taken, self._position, frame, most, SILENCE, round(timeout * 1e9)
        )
        self._link.idle(frames)
        self._origin += frames * frame
        self._taken += frames * frame
        self._written = max(self._written, self._position)
        return frames > 0

    @property
    def _position(self) -> int:
        """Of the next output sample, on the link."""
        return self._origin + self._pipeline.position

    def _answer(self, wanted: int) -> None:
        if len(self._heard) < wanted:
            self._heard = np.zeros(wanted, np.float32)
        samples = self._heard[:wanted]
        if self._link.read(self._taken, samples) != wanted:  # overwritten: out for as long as the ring is
            self._jump(self._link.positions)
            return
        self._taken += wanted
        pipeline, first = self._pipeline, self._position
        computed, rested, broken = pipeline.computed, pipeline.rested, pipeline.not_finite
        wall_ns, cpu_ns = time.perf_counter_ns(), time.thread_time_ns()
        sound = pipeline.push(samples)
        cpu_ns, wall_ns = time.thread_time_ns() - cpu_ns, time.perf_counter_ns() - wall_ns
        self._write(first, sound)
        self._count(pipeline.computed - computed, wall_ns, cpu_ns)
        if pipeline.rested != rested:
            self._link.idle(pipeline.rested - rested)
        if pipeline.not_finite != broken:
            self._link.nan(pipeline.not_finite - broken)

    def _count(self, frames: int, wall_ns: int, cpu_ns: int) -> None:
        """`frames` have been computed and written, in so long together."""
        if not frames:
            return
        self._cost_ns += (SMOOTHING if self._cost_ns else 1.0) * (wall_ns / frames - self._cost_ns)
        turnaround_ns = self._turnaround()
        for _ in range(frames):
            self._link.count_frame(wall_ns // frames, cpu_ns // frames, turnaround_ns)

    def _turnaround(self) -> int:
        """ns since the input taken so far was there."""
        heard_ns = self._link.heard_ns(self._taken)
        if heard_ns:
            return time.monotonic_ns() - heard_ns
        return round(
            (self._link.in_written - self._taken) / self._rate * 1e9
        )  # too long ago to be known exactly

    def _write(self, first: int, sound: NDArray[np.float32]) -> None:
        """But for what has been written already, before a jump or by the worker before."""
        late = max(0, self._written - first)
        if len(sound) > late:
            self._link.write(first + late, np.ascontiguousarray(sound[late:]))
            self._written = first + len(sound)


@cache
def _library() -> CDLL:
    """The compiled library, with what is slept in."""
    library = native.open_library()
    numbers = [c_int64] * 4
    native.declare(library, {"rt_link_rest": (c_int64, [c_void_p, *numbers, c_float, c_int64])})
    return library


def warm_up(pipeline: Pipeline, seconds: float, least: int) -> list[int]:
    """Run noise through for about so long and at least so many frames; returns ns per frame, and silence."""
    noise = np.random.default_rng(1).standard_normal(1 << 14).astype(np.float32) * np.float32(0.1)
    durations: list[int] = []
    ends = time.perf_counter() + seconds
    while len(durations) < least or time.perf_counter() < ends:
        samples = np.resize(noise, pipeline.wanted)
        computed, begun_ns = pipeline.computed, time.perf_counter_ns()
        pipeline.push(samples)
        if frames := pipeline.computed - computed:
            durations.append((time.perf_counter_ns() - begun_ns) // frames)
    pipeline.reset()
    return durations


def percentile(durations: list[int], q: float) -> int:
    """The least that `q` percent do not exceed."""
    return sorted(durations)[max(0, math.ceil(q / 100 * len(durations)) - 1)]
