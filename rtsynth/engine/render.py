"""Offline rendering: the engine as fast as it goes. Neither samples nor length depend on the block size."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from rtsynth.engine.engine import MESSAGE_CAPACITY, Engine
from rtsynth.engine.meter import Report
from rtsynth.errors import UsageError
from rtsynth.messages import Messages, sort_by_time
from rtsynth.source import Source

CHUNK_SECONDS = 0.1  # what is yielded at a time, and how often an open end is looked for
TAIL_CAP_SECONDS = 60.0  # after the last message, whatever still sounds
QUIET = 1e-4  # -80 dB

Progress = Callable[[float], None]


def render(
    source: Source,
    messages: Messages,
    frames: int | None = None,
    *,
    sample_rate: float,
    block: int = 256,
    heard: NDArray[np.float32] | None = None,
    replay: bool = False,
    progress: Progress | None = None,
    report: Callable[[Report], None] | None = None,
) -> NDArray[np.float32]:
    """What `source` plays for `messages` (n,), as (frames, 2) float32; see `render_blocks`."""
    chunks = render_blocks(
        source,
        messages,
        frames,
        sample_rate=sample_rate,
        block=block,
        heard=heard,
        replay=replay,
        progress=progress,
        report=report,
    )
    return np.concatenate([np.empty((0, 2), np.float32), *chunks])


def render_blocks(
    source: Source,
    messages: Messages,
    frames: int | None = None,
    *,
    sample_rate: float,
    block: int = 256,
    heard: NDArray[np.float32] | None = None,
    replay: bool = False,
    progress: Progress | None = None,
    report: Callable[[Report], None] | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Yield what `source` plays for `messages`: chunks (n, 2) float32 of a tenth of a second, or the rest.

    With frames None, go on after the last message, and after all of `heard` (n,), until no voice is active and the
    level stays below -80 dB, for at most the source's tail and never more than 60 s. `block` is the most the
    engine is asked for at once; `heard` is what the source hears, `replay` for messages from a journal (see Engine).
    `progress` gets the share done, 0…1; `report` gets the engine's measurements at the end.

    Errors: UsageError for a block or length out of range; RateError from the engine; what `source.prepare`
    raises.
    """
    if block < 1:
        raise UsageError(f"block {block}: want at least 1 sample")
    if frames is not None and frames < 0:
        raise UsageError(f"{frames} frames: want 0 or more")
    with Engine([source], sample_rate, heard=heard, replay=replay) as engine:
        feed = _Feed(engine, sort_by_time(messages))
        chunk_frames = max(1, round(CHUNK_SECONDS * sample_rate))
        last_time = max(feed.last_time, 0 if heard is None else len(heard) + source.latency)
        end = last_time + _tail(source, sample_rate) if frames is None else frames
        while engine.time < end:
            chunk = np.empty((min(chunk_frames, end - engine.time), 2), np.float32)
            feed.play(chunk, block)
            yield chunk
            silent = frames is None and engine.time > last_time and _silent(engine, chunk)
            if progress is not None:
                progress(1.0 if silent else engine.time / end)
            if silent:
                break
        if report is not None:
            report(engine.report())


def _tail(source: Source, sample_rate: float) -> int:
    """The most samples to render from the last message on; at least one."""
    cap = round(TAIL_CAP_SECONDS * sample_rate)
    return cap if source.tail < 0 else max(1, min(cap, source.latency + source.tail))


def _silent(engine: Engine, chunk: NDArray[np.float32]) -> bool:
    return engine.active_voices == 0 and float(np.abs(chunk).max(initial=0.0)) < QUIET


class _Feed:
    """Messages on their way into the engine, in order of time, never more than fit."""

    def __init__(self, engine: Engine, messages: Messages) -> None:
        self._engine = engine
        self._messages = messages
        self._sent = 0
        self.last_time = max(0, int(messages["time"][-1])) if len(messages) else 0

    def play(self, out: NDArray[np.float32], block: int) -> None:
        """Fill out (n, 2), with every message due in it."""
        filled = 0
        while filled < len(out):
            self._send()
            # With the queue full, play only up to the first message that did not fit: at zero frames, the
            # engine delivers what is due now and so makes room for it.
            step = min(block, len(out) - filled, max(0, self._next_unsent() - self._engine.time))
            self._engine.process(out[filled : filled + step])
            filled += step

    def _send(self) -> None:
        if self._sent < len(self._messages):
            self._sent += self._engine.send(self._messages[self._sent : self._sent + MESSAGE_CAPACITY])

    def _next_unsent(self) -> int:
        if self._sent == len(self._messages):
            return np.iinfo(np.int64).max
        return int(self._messages["time"][self._sent])
