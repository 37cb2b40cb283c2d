"""A corpus in the format of LJ Speech as what the network learns from: symbols, frames, and where the bump stands.

DIR/metadata.csv (ID|text|text as it is read), DIR/wavs/ID.wav (or DIR/ID.wav) of any rate, and where there is one
DIR/segments.csv (speech_teacher.py). Every `HELD_OUT`th recording, in order of name, is never trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtsynth.errors import InputError
from rtsynth.sequence.spelling import SYMBOLS, reading, symbols
from rtsynth.training.speech_alignment import Segments, by_segments, by_sound
from rtsynth.training.speech_model import BANDS, TOGETHER, VOICE
from rtsynth.vocoder.mel import HIFIGAN, mel_frames

HELD_OUT = 5
HELD_OUT_MOST = 100  # recordings
LONGEST = 12.0  # seconds; what is longer is left out
VOICED_SHARE = (
    6  # one in so many recordings is analysed for the codec's bank too: that takes a fifteenth of its length
)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """A recording of T frames, T even."""

    name: str
    symbols: NDArray[np.int64]  # (U,)
    mel: NDArray[np.float16]  # (T, 80)
    kappa: Floats  # (T / 2,): where the bump stands in the middle of each step
    voice: NDArray[np.float16] | None  # (T, 30): ln f0, envelope at 24 knots, logits at 5; None: not analysed

    @property
    def steps(self) -> int:
        return len(self.kappa)


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of each number: what a network of zeros would say."""

    mel: Floats  # (2, 80)
    voice: Floats  # (2, 30)


class Batch(NamedTuple):
    """B recordings, S steps of the longest."""

    symbols: Tensor  # (B, U)
    lengths: Tensor  # (B,), on the CPU
    before: Tensor  # (S, B, 80): the frame before each step, normalised
    mel: Tensor  # (S, B, 160), normalised
    voice: Tensor  # (S, B, 60), normalised
    kappa: Tensor  # (S, B)
    there: Tensor  # (S, B, 1): 1 within a recording
    analysed: Tensor  # (S, B, 1): 1 where `voice` is known


def load(folder: Path, progress: Callable[[float], None] | None = None) -> list[Clip]:
    """Every recording whose text can be read in one breath, in order of name; InputError where there are too few."""
    listed = _listed(folder)
    spoken = _segments(folder)
    found = []
    for index, (name, path, text) in enumerate(listed):
        mel, voice = _analysed(path, index % VOICED_SHARE == 0)
        if len(text) <= len(mel) <= LONGEST * HIFIGAN.sample_rate / HIFIGAN.hop:
            found.append((name, text, mel, voice))
        if progress is not None:
            progress((index + 1) / len(listed))
    if len(found) < 2:
        raise InputError(f"{folder} holds {len(found)} recordings that can be learned from: want 2 or more")
    names, texts, mels, voices = zip(*found, strict=True)
    second = HIFIGAN.sample_rate / HIFIGAN.hop  # frames
    if spoken and all(name in spoken for name in names):
        ends = [second * end for end in by_segments(texts, [spoken[name] for name in names], SYMBOLS)]
    else:
        ends = by_sound(texts, [mel.astype(np.float32) for mel in mels], SYMBOLS)
    rows = zip(names, texts, mels, voices, ends, strict=True)
    return [Clip(n, t, m, standing(end, len(m) // TOGETHER), v) for n, t, m, v, end in rows]


def standing(ends: NDArray[np.float64], steps: int) -> Floats:
    """Ends of characters (U,) in frames -> κ amid each step: u ± 1/2 while character u, from 1, is spoken."""
    middle = TOGETHER * (np.arange(steps) + 0.5)
    edges = np.maximum.accumulate(np.concatenate(([0.0], ends))) + 1e-6 * np.arange(len(ends) + 1)
    return (np.interp(middle, edges, np.arange(len(edges))) + 0.5).astype(np.float32)


def credit(folder: Path) -> str:
    """One line on where a corpus comes from: what its CREDIT.txt says, or its name."""
    path = folder / "CREDIT.txt"
    return " ".join(path.read_text(encoding="utf-8").split()) if path.is_file() else f"{folder.name}."


def divided(clips: Sequence[Clip]) -> tuple[list[Clip], list[Clip]]:
    """(to train on, held out)."""
    every = max(HELD_OUT, len(clips) // HELD_OUT_MOST)
    return [clip for n, clip in enumerate(clips) if n % every], list(clips[::every])


def scale(clips: Sequence[Clip]) -> Scale:
    def of(rows: list[NDArray], width: int) -> Floats:
        """Recording by recording: hours of frames are gigabytes as float64."""
        count, total, square = 0, np.zeros(width), np.zeros(width)
        for part in rows:
            wide = part.astype(np.float64)
            count, total, square = count + len(wide), total + wide.sum(0), square + (wide**2).sum(0)
        if count == 0:
            return np.array([np.zeros(width), np.ones(width)], np.float32)
        mean = total / count
        return np.array([mean, np.sqrt(np.maximum(square / count - mean**2, 0.01))], np.float32)

    voices = [clip.voice for clip in clips if clip.voice is not None]
    return Scale(of([clip.mel for clip in clips], BANDS), of(voices, VOICE))


def batches(clips: Sequence[Clip], size: int, rng: np.random.Generator) -> list[list[Clip]]:
    """Each clip once: those of a batch are about as long, the batches in a random order."""
    keys = np.array([clip.steps for clip in clips]) * np.exp(0.1 * rng.standard_normal(len(clips)))
    order = np.argsort(keys)
    cut = [order[i : i + size] for i in range(0, len(order), size)]
    return [[clips[n] for n in cut[i]] for i in rng.permutation(len(cut))]


def batch(clips: Sequence[Clip], by: Scale) -> Batch:
    steps, longest = max(c.steps for c in clips), max(len(c.symbols) for c in clips)
    texts = np.zeros((len(clips), longest), np.int64)
    mel, voice = (np.zeros((steps, len(clips), TOGETHER * n), np.float32) for n in (BANDS, VOICE))
    kappa, there, analysed = (np.zeros((steps, len(clips)), np.float32) for _ in range(3))
    for b, clip in enumerate(clips):
        texts[b, : len(clip.symbols)] = clip.symbols
        mel[: clip.steps, b] = _normalised(clip.mel, by.mel).reshape(clip.steps, -1)
        if clip.voice is not None:
            voice[: clip.steps, b] = _normalised(clip.voice, by.voice).reshape(clip.steps, -1)
            analysed[: clip.steps, b] = 1.0
        kappa[: clip.steps, b], kappa[clip.steps :, b] = clip.kappa, clip.kappa[-1]
        there[: clip.steps, b] = 1.0
    before = np.concatenate((np.zeros((1, len(clips), BANDS), np.float32), mel[:-1, :, -BANDS:]))
    lengths = np.array([len(clip.symbols) for clip in clips])
    arrays = (texts, lengths, before, mel, voice, kappa, there[..., None], analysed[..., None])
    return Batch(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))


def _normalised(rows: NDArray, by: Floats) -> Floats:
    return (rows.astype(np.float32) - by[0]) / by[1]


def _listed(folder: Path) -> list[tuple[str, Path, NDArray[np.int64]]]:
    """(ID, recording, symbols) of what is there and can be read in one breath."""
    try:
        lines = (folder / "metadata.csv").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(
            f"{folder} is no corpus in LJ Speech's format: {error.strerror} metadata.csv"
        ) from None
    found = []
    for line in sorted(lines):
        name, *columns = line.split("|")
        paths = [path for path in (folder / "wavs" / f"{name}.wav", folder / f"{name}.wav") if path.is_file()]
        if paths and columns and any(c.isalpha() for c in columns[-1]):
            said = " ".join(reading(columns[-1]).sentences)
            found.append((name, paths[0], symbols(said)))
    return found


def _segments(folder: Path) -> dict[str, Segments]:
    """By ID; empty where the corpus has no segments.csv."""
    path = folder / "segments.csv"
    if not path.is_file():
        return {}
    numbers: dict[str, int] = {}
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, told = line.partition("|")
        pairs = [pair.rsplit(":", 1) for pair in told.split()]
        phones = np.array([numbers.setdefault(phone, len(numbers)) for phone, _ in pairs], np.int64)
        found[name] = Segments(phones, np.array([float(end) for _, end in pairs]))
    return found


def _analysed(path: Path, voiced: bool) -> tuple[NDArray[np.float16], NDArray[np.float16] | None]:
    """Mel frames (T, 80) and voices (T, 30) of a recording; T even."""
    from rtsynth.io.hearing import read_heard

    mel = mel_frames(read_heard(path, HIFIGAN.sample_rate), HIFIGAN.sample_rate).T
    mel = mel[: len(mel) // TOGETHER * TOGETHER]
    voices = _voices(path, len(mel)).astype(np.float16) if voiced else None
    return mel.astype(np.float16), voices


def _voices(path: Path, frames: int) -> Floats:
    """(T, 30): the codec's analysis in the middle of each mel frame."""
    from rtsynth.codec.analysis import analyse
    from rtsynth.codec.event import CONTROL, RATE
    from rtsynth.io.hearing import read_heard

    tracks = analyse(read_heard(path, RATE).astype(np.float64), RATE)
    rows = np.column_stack((tracks.ln_f0, tracks.envelope, tracks.logits))
    at = (np.arange(frames) + 0.5) * HIFIGAN.hop / HIFIGAN.sample_rate / CONTROL  # control steps
    known = np.arange(len(rows))
    return np.column_stack([np.interp(at, known, row) for row in rows.T]).astype(np.float32)


def save(path: Path, clips: Sequence[Clip]) -> None:
    """What `load` found, to be read by `restore`: analysing hours of speech takes minutes."""
    none = np.zeros((0, VOICE), np.float16)
    parts = {
        "names": np.array([clip.name for clip in clips]),
        "lengths": np.array([[len(c.symbols), c.steps, c.voice is not None] for c in clips], np.int64),
        "symbols": np.concatenate([clip.symbols for clip in clips]),
        "mel": np.concatenate([clip.mel for clip in clips]),
        "kappa": np.concatenate([clip.kappa for clip in clips]),
        "voice": np.concatenate([none if clip.voice is None else clip.voice for clip in clips]),
    }
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **parts)  # type: ignore[arg-type]
    partial.replace(path)


def restore(path: Path) -> list[Clip]:
    """What `save` wrote; InputError for anything else."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            parts = {name: stored[name] for name in stored.files}
        clips, at = [], np.zeros(4, np.int64)
        for name, (characters, steps, voiced) in zip(parts["names"], parts["lengths"], strict=True):
            taken = np.array([characters, TOGETHER * steps, steps, TOGETHER * steps * voiced])
            cut = [
                parts[part][a:b]
                for part, a, b in zip(("symbols", "mel", "kappa", "voice"), at, at + taken, strict=True)
            ]
            at += taken
            clips.append(Clip(str(name), cut[0], cut[1], cut[2], cut[3] if voiced else None))
    except (OSError, ValueError, KeyError) as error:
        cause = " ".join(str(error).split())[:120]
        raise InputError(
            f"{path} holds no analysed corpus: {cause}. Remove it, and it is made again"
        ) from None
    return clips
