"""Sound that the article's model learns from: the recordings of a folder, and random windows of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError
from rtsynth.training.article import Size
from rtsynth.training.corpus import recordings

Sound = NDArray[np.float32]
SILENCE = 10 ** (-45 / 20)  # of the peak: quieter beginnings and ends are cut off
EDGE = 0.02  # seconds over which that is decided


def sounds_of(folder: Path, rate: int) -> tuple[list[Sound], list[Sound]]:
    """The recordings of a folder, each `prepared`: to learn from, and held out."""
    from rtsynth.io.hearing import read_heard

    kept, held_out = (
        [prepared(read_heard(path, rate), rate) for path in paths] for paths in recordings(folder)
    )
    if not any(sound.size for sound in kept) or not any(sound.size for sound in held_out):
        raise InputError(f"{folder}: its recordings are silent")
    return kept, held_out


def prepared(sound: Sound, rate: int) -> Sound:
    """(N,) without the silence before and after, at peak 1."""
    peak = float(np.abs(sound).max(initial=0.0))
    if peak == 0.0:
        return sound[:0]
    block = round(EDGE * rate)
    padded = np.pad(sound, (0, -sound.size % block)).reshape(-1, block)
    loud = np.flatnonzero(np.abs(padded).max(axis=1) > SILENCE * peak)
    return sound[loud[0] * block : (loud[-1] + 1) * block] / peak


def windows(sounds: Sequence[Sound], size: Size, count: int, rng: np.random.Generator) -> Sound:
    """(count, window): random stretches of the recordings, one after the other, each `prepared`.

    As published it is of one recording, random start, silence after its end, divided by its largest sample.
    """
    window = size.window
    if size.mended:
        whole = np.concatenate(list(sounds))
        whole = np.tile(whole, -(-(window + 1) // whole.size))
        return np.stack([whole[s : s + window] for s in rng.integers(0, whole.size - window, count)])
    cut = []
    for number in rng.integers(0, len(sounds), count):
        sound = np.pad(sounds[number], (0, max(0, 2 * window - sounds[number].size)))
        start = int(rng.integers(0, sound.size - window))
        part = sound[start : start + window]
        cut.append(part / (abs(float(part.max())) + 1e-8))
    return np.stack(cut).astype(np.float32)
