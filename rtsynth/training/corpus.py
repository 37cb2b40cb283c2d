"""Speech to train on: the recordings of a folder, analysed once, and random stretches of them on the events' grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtsynth.codec.analysis import STEP, analyse
from rtsynth.codec.event import RATE
from rtsynth.codec.live import STEPS
from rtsynth.errors import InputError
from rtsynth.training.features import FRAME
from rtsynth.training.live_encoder import LOOK_AHEAD

SUFFIXES = {".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff"}
HELD_OUT = 5  # every fifth recording, in order of name, is never trained on
GAIN_DB = 12.0  # that a stretch is louder or quieter than its recording, at most
LOUD = 6.5  # nepers below the loudest step of a recording at which a step counts least …
LEAST = 0.1  # … so much

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """A recording at 16 kHz and what the analysis says of it, every 4 ms."""

    name: str
    samples: Floats  # (N,)
    ln_f0: Floats  # (S,)
    envelope: Floats  # (S, 24) ln amplitude
    logits: Floats  # (S, 5)

    @property
    def steps(self) -> int:
        return len(self.ln_f0)


class Batch(NamedTuple):
    """B stretches of K frames, and what the analysis says at the end of each event's longest ramp."""

    heard: Tensor  # (B, 1, 384 K): what the encoder is given
    wanted: Tensor  # (B, 384 K): the sound over the events' own time, event k acting at sample 384 k
    ln_f0: Tensor  # (B, K)
    envelope: Tensor  # (B, 24, K)
    logits: Tensor  # (B, 5, K)
    weight: Tensor  # (B, K), 0.1 … 1: loudness
    level: Tensor  # (B,) ln amplitude: the loudest gain of the recording, that files have gains relative to

    def to(self, device: str) -> Batch:
        return Batch(*(part.to(device) for part in self))


def recordings(folder: Path) -> tuple[list[Path], list[Path]]:
    """(to train on, held out): the audio files of a folder, sorted; every fifth is held out, from the first on."""
    found = all_recordings(folder)
    if len(found) < 2:
        raise InputError(
            f"{folder} holds {len(found)} recordings: want 2 or more ({', '.join(sorted(SUFFIXES))})"
        )
    return [p for n, p in enumerate(found) if n % HELD_OUT], found[::HELD_OUT]


def all_recordings(folder: Path) -> list[Path]:
    """The audio files of a folder and its folders, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def load(
    paths: Sequence[Path], speeds: Sequence[float] = (1.0,), progress: Callable[[float], None] | None = None
) -> list[Clip]:
    """Recordings of any rate, read and analysed, played at each of these speeds: other voices than there are."""
    clips = []
    for path in paths:
        samples = read(path)
        for speed in speeds:
            clips.append(analysed(path.stem, played_at(samples, speed)))
            if progress is not None:
                progress(len(clips) / (len(paths) * len(speeds)))
    return clips


def played_at(samples: Floats, speed: float) -> Floats:
    """(N,) -> (N / speed,): faster and higher, or slower and lower, formants and all."""
    import soxr

    return samples if speed == 1.0 else soxr.resample(samples, speed, 1.0).astype(np.float32)


def read(path: Path) -> Floats:
    """(N,) at 16 kHz: the mean of its channels."""
    from rtsynth.io.hearing import read_heard

    return read_heard(path, RATE)


def analysed(name: str, samples: Floats) -> Clip:
    tracks = analyse(samples.astype(np.float64), RATE)
    found = (tracks.ln_f0, tracks.envelope, tracks.logits)
    return Clip(name, samples, *(np.asarray(track, np.float32) for track in found))


def draw(clips: Sequence[Clip], streams: int, frames: int, rng: np.random.Generator) -> Batch:
    """Stretches of `frames` frames that begin at random control steps of random clips, louder or quieter at random."""
    lengths = np.array([clip.samples.size for clip in clips], float)
    chosen = rng.choice(len(clips), streams, p=lengths / lengths.sum())
    parts = []
    for number in chosen:
        clip = clips[number]
        first = int(rng.integers(0, max(1, clip.steps - STEPS * frames)))
        parts.append(stretch(clip, first, frames, float(rng.uniform(-GAIN_DB, GAIN_DB)) / 8.686))
    return Batch(*(torch.stack(column) for column in zip(*parts, strict=True)))


def stretch(clip: Clip, first: int, frames: int, gain: float = 0.0) -> Batch:
    """One stretch whose first event acts at control step `first`, `gain` nepers louder; no axis B.

    Where the recording has ended there is silence, and the analysis stays where it was.
    """
    count, start = frames * FRAME, first * STEP
    at = np.minimum(first + STEPS * (np.arange(frames) + 1), clip.steps - 1)
    level = clip.envelope.mean(1)
    weight = np.clip((level[at] - level.max() + LOUD) / 5.0, LEAST, 1.0)
    scale = np.exp(gain)
    arrays = (
        scale * _cut(clip.samples, start + LOOK_AHEAD - FRAME, count)[None],
        scale * _cut(clip.samples, start, count),
        clip.ln_f0[at],
        (clip.envelope[at] + gain).T,
        clip.logits[at].T,
        weight,
        np.float32(level.max() + gain),
    )
    return Batch(*(torch.tensor(np.array(array), dtype=torch.float32) for array in arrays))


def _cut(samples: Floats, start: int, count: int) -> Floats:
    """(count,) from `start` on, zeros where there are none."""
    kept = samples[max(0, start) : start + count]
    return np.pad(kept, (max(0, -start), count - len(kept) - max(0, -start)))
