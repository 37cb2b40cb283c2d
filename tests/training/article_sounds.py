"""Sizes of the article's model that tests can afford, and something like speech to give it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rtsynth.training.article import SMALL

TINY = replace(
    SMALL,
    window=1 << 14,
    channels=8,
    steps=8,
    event=3072,
    burst=896,
    envelope=16,
    filters=8,
    noise_deformations=4,
    envelopes=8,
    resonances=12,
    deformations=4,
    decays=8,
)
PUBLISHED = replace(TINY, mended=False, refractory=0)


def words(samples: int, seed: int = 7) -> NDArray[np.float32]:
    """(samples,) at 16 kHz: syllables of harmonics and hisses with pauses between them, peak 1."""
    rng = np.random.default_rng(seed)
    sound, at = np.zeros(samples + 8000), 1000
    while at < samples:
        count = int(rng.integers(1500, 5000))
        t = np.arange(count) / 16_000
        pitch = rng.uniform(110.0, 260.0)
        voiced = sum(np.cos(2 * np.pi * h * pitch * t + rng.uniform(0, 6)) / h for h in range(1, 20))
        part = voiced if rng.random() < 0.7 else rng.standard_normal(count)
        sound[at : at + count] += rng.uniform(0.2, 1.0) * part * np.sin(np.pi * np.arange(count) / count) ** 2
        at += int(rng.integers(1500, 6000))
    return (sound[:samples] / np.abs(sound[:samples]).max()).astype(np.float32)
