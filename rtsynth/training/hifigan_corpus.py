"""What HiFi-GAN learns from: recordings cut at random, or, for fine-tuning, with the frames that a model gave them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtsynth.errors import InputError
from rtsynth.vocoder.hifigan import Config
from rtsynth.vocoder.mel import mel_frames

PEAK = 0.95  # of a recording, where its own frames are learned

Floats = NDArray[np.float32]


class Clip(NamedTuple):
    """A recording, and its frames where somebody else made them."""

    name: str
    samples: Floats  # (N,)
    mel: Floats | None = None  # (bands, T)


class Batch(NamedTuple):
    """B stretches of T frames and N = T hop samples."""

    mel: Tensor  # (B, bands, T)
    sound: Tensor  # (B, 1, N)


def load(
    paths: Sequence[Path],
    config: Config,
    mels: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[Clip]:
    """Recordings at the config's rate; their frames from NAME.npy in `mels`, and then their level is left alone."""
    from rtsynth.io.hearing import read_heard

    clips = []
    for path in paths:
        samples = read_heard(path, config.sampling_rate)
        if mels is None:
            samples = samples * np.float32(PEAK / max(float(np.abs(samples).max()), 1e-9))
            clips.append(Clip(path.stem, samples))
        else:
            clips.append(Clip(path.stem, samples, read_mel(mels / f"{path.stem}.npy", config.num_mels)))
        if progress is not None:
            progress(len(clips) / len(paths))
    return clips


def read_mel(path: Path, bands: int) -> Floats:
    """(bands, T) of a .npy file that may have a first axis of 1. InputError where it holds none."""
    try:
        mel = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"cannot read the mel frames {path}: {' '.join(str(error).split())[:100]}") from None
    mel = mel[0] if mel.ndim == 3 and len(mel) == 1 else mel
    if mel.ndim != 2 or mel.shape[0] != bands or mel.dtype.kind != "f" or not np.isfinite(mel).all():
        raise InputError(f"{path}: {mel.dtype} {mel.shape}; finite log-mel frames ({bands}, T) are needed")
    return mel.astype(np.float32)


def draw(clips: Sequence[Clip], config: Config, rng: np.random.Generator) -> Batch:
    """A stretch of every clip, from a random frame on; what is shorter ends in silence."""
    pairs = [_stretch(clip, config, rng) for clip in clips]
    mels, sounds = zip(*pairs, strict=True)
    return Batch(torch.from_numpy(np.stack(mels)), torch.from_numpy(np.stack(sounds))[:, None])


def _stretch(clip: Clip, config: Config, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """(bands, T), (N,). A recording's own frames are those of the stretch alone, as in the original."""
    hop, size = config.hop_size, config.segment_size // config.hop_size * config.hop_size
    if clip.mel is None:
        sound = _cut(clip.samples, int(rng.integers(0, max(1, clip.samples.size - size + 1))), size)
        return mel_frames(sound, config.sampling_rate, config.mel), sound
    frames = size // hop
    first = int(rng.integers(0, max(1, min(clip.mel.shape[1], clip.samples.size // hop) - frames + 1)))
    mel = clip.mel[:, first : first + frames]
    mel = np.pad(mel, ((0, 0), (0, frames - mel.shape[1])))
    return mel, _cut(clip.samples, first * hop, size)


def _cut(samples: Floats, start: int, count: int) -> Floats:
    kept = samples[start : start + count]
    return np.pad(kept, (0, count - kept.size))
