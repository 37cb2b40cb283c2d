"""A piece rendered to a file, faster than real time: what `render` and `play --audio-out file:` both do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.engine import Report, render_blocks
from rtsynth.errors import RtsynthError
from rtsynth.io.audio_files import AudioWriter
from rtsynth.io.midi_tuning import TuningDecoder
from rtsynth.messages import Kind, Messages, message
from rtsynth.source import Source


@dataclass(frozen=True)
class Rendered:
    """What became of a rendering."""

    path: Path
    seconds: float  # of sound
    took: float  # seconds of computing
    clipped: int  # samples cut by an integer format
    report: Report

    @property
    def times_real_time(self) -> float:
        """How much faster than playing it this went."""
        return self.seconds / self.took if self.took > 0 else float("inf")


def with_gain(messages: Messages, gain_db: float) -> Messages:
    """`messages` with the master gain set before their first sample."""
    if gain_db == 0:
        return messages
    return np.concatenate([message(Kind.GAIN, value=10 ** (gain_db / 20)), messages])


def render_file(
    source: Source,
    messages: Messages,
    path: str | Path,
    *,
    sample_rate: float,
    written_rate: float | None = None,
    seconds: float | None = None,
    block: int = 256,
    gain_db: float = 0.0,
    heard: NDArray[np.float32] | None = None,
    replay: bool = False,
    tuning: NDArray[np.float64] | None = None,
    subtype: str | None = None,
    tags: dict[str, str] | None = None,
    force: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Rendered:
    """Write what `source` plays for `messages` (n,) to `path`, which appears only once it is complete.

    `seconds` None: until the sound has died away (see `render_blocks`). The samples do not depend on `block`.
    `heard` (n,) at the sample rate is what the source hears, `replay` for messages from a journal (see Engine);
    `tuning` (128,) the pitch of every key.
    `written_rate` is the rate that the file claims, where it is not the one that was rendered at.
    Raises what AudioWriter and render_blocks raise.
    """
    frames = None if seconds is None else round(seconds * sample_rate)
    reports: list[Report] = []
    start = time.perf_counter()
    with AudioWriter(
        path, written_rate or sample_rate, subtype=subtype, tags=tags, force=force, whole=True
    ) as writer:
        for chunk in render_blocks(
            source,
            with_gain(np.concatenate([*TuningDecoder(tuning).start(), messages]), gain_db),
            frames,
            sample_rate=sample_rate,
            block=block,
            heard=heard,
            replay=replay,
            progress=progress,
            report=reports.append,
        ):
            writer.write(chunk)
    if not reports:
        raise RtsynthError(f"{path}: the engine gave no report")
    took = time.perf_counter() - start
    return Rendered(Path(path), writer.seconds, took, writer.clipped, reports[0])
