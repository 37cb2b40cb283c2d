"""What the causal vocoder learns from: recordings at 22,050 Hz their fundamentals, and random stretches of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtsynth.training.corpus import played_at
from rtsynth.vocoder.excitation import HOP, RATE
from rtsynth.vocoder.mel import HIFIGAN

SPEEDS = {1.0: 6.0, 0.8: 0.7, 0.65: 0.7, 1.15: 0.7, 1.35: 0.5}  # {speed: weight}: other voices than there are
OTHERS = {1.0: 0.8, 0.85: 0.2, 1.2: 0.2}  # of sounds that are there for the sake of generality
QUIETER_DB, LOUDER_DB = 18.0, 6.0  # that a stretch may be than its recording
TRACKED = 16000  # hertz, at which fundamentals are looked for
MARGIN = HIFIGAN.pad  # samples that a mel frame hears beyond its hop

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Take:
    """A recording at some speed, cut to whole frames."""

    name: str
    samples: Floats  # (256 T,)
    ln_f0: Floats  # (T,) at the frames' ends, straight through where there is no voice
    voiced: Floats  # (T,) 0 or 1
    top: float  # hertz: there is no sound above
    weight: float  # how often it is drawn, an equal length of it

    @property
    def frames(self) -> int:
        return len(self.ln_f0)


class Batch(NamedTuple):
    """B stretches of T frames."""

    heard: Tensor  # (B, 384 + 256 T + 384): what mel frames are made of
    ln_f0: Tensor  # (B, T)
    voiced: Tensor  # (B, T)
    top: Tensor  # (B,) hertz

    @property
    def wanted(self) -> Tensor:
        """(B, 256 T): the frames' own hops."""
        return self.heard[:, MARGIN:-MARGIN]

    def to(self, device: str) -> Batch:
        return Batch(*(part.to(device) for part in self))


def takes(
    paths: Sequence[Path], others: Sequence[Path] = (), progress: Callable[[float], None] | None = None
) -> list[Take]:
    """Recordings of any rate at SPEEDS, and others at OTHERS."""
    asked = [(path, speed, weight) for path in paths for speed, weight in SPEEDS.items()]
    asked += [(path, speed, weight) for path in others for speed, weight in OTHERS.items()]
    found = []
    for path, speed, weight in asked:
        found.append(take(path, speed, weight))
        if progress is not None:
            progress(len(found) / len(asked))
    return [one for one in found if one.frames > 1]


def take(path: Path, speed: float = 1.0, weight: float = 1.0) -> Take:
    """One recording, read, resampled and its fundamental tracked."""
    import soundfile
    import soxr

    from rtsynth.codec.fundamental import track
    from rtsynth.io.hearing import read_heard

    rate = soundfile.info(path).samplerate
    samples = played_at(read_heard(path, RATE), speed)
    frames = samples.size // HOP
    slow = soxr.resample(samples.astype(np.float64), RATE, TRACKED)
    centres = np.arange(0, slow.size + 64, 64)
    hertz = track(slow, centres)
    ends = (np.arange(frames) + 1) * HOP / RATE * TRACKED
    there = hertz > 0.0
    voiced = np.interp(ends, centres, there.astype(float)) > 0.5
    ln_f0 = (
        np.interp(ends, centres[there], np.log(hertz[there]))
        if there.any()
        else np.full(frames, np.log(150.0))
    )
    return Take(
        f"{path.stem}@{speed:g}",
        samples[: frames * HOP],
        ln_f0.astype(np.float32),
        voiced.astype(np.float32),
        0.5 * min(rate, RATE) * min(speed, 1.0),
        weight,
    )


def draw(found: Sequence[Take], streams: int, frames: int, rng: np.random.Generator) -> Batch:
    """Stretches from random places, louder or quieter at random; silence where a recording has ended."""
    chance = np.array([one.weight * one.frames for one in found])
    chosen = rng.choice(len(found), streams, p=chance / chance.sum())
    parts = []
    for number in chosen:
        one = found[number]
        first = int(rng.integers(-4, max(-3, one.frames - frames + 4)))
        gain = 10.0 ** (rng.uniform(-QUIETER_DB, LOUDER_DB) / 20.0) if rng.random() < 0.7 else 1.0
        parts.append(stretch(one, first, frames, gain))
    return Batch(*(torch.stack(column) for column in zip(*parts, strict=True)))


def stretch(one: Take, first: int, frames: int, gain: float = 1.0) -> Batch:
    """One stretch; no axis B."""
    begin = first * HOP - MARGIN
    count = frames * HOP + 2 * MARGIN
    before, after = max(0, -begin), max(0, begin + count - one.samples.size)
    heard = np.pad(one.samples[max(0, begin) : begin + count], (before, after))[:count] * np.float32(gain)
    at = np.clip(np.arange(first, first + frames), 0, one.frames - 1)
    inside = (np.arange(first, first + frames) >= 0) & (np.arange(first, first + frames) < one.frames)
    return Batch(
        torch.from_numpy(heard.astype(np.float32)),
        torch.from_numpy(one.ln_f0[at]),
        torch.from_numpy(one.voiced[at] * inside.astype(np.float32)),
        torch.tensor(one.top, dtype=torch.float32),
    )
