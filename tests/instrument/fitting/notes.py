"""Notes made of known modes, with the seed, for the tests of fitting."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.fitting.modes import Modes
from rtsynth.instrument.fitting.pitch import series

RATE = 16000.0
ONSET = 320  # samples of silence before the note: 20 ms
F0, STRETCH = 261.63, 4e-4


class Note(NamedTuple):
    samples: NDArray[np.float64]
    frequency: NDArray[np.float64]  # hertz
    damping: NDArray[np.float64]  # 1/s
    amplitude: NDArray[np.complex128]

    @property
    def poles(self) -> NDArray[np.complex128]:
        return -self.damping + 2j * np.pi * self.frequency


def ring(
    frequency: NDArray[np.float64],
    damping: NDArray[np.float64],
    amplitude: NDArray[np.complex128],
    seconds: float = 2.5,
    snr_db: float = np.inf,
    seed: int = 0,
) -> Note:
    """The modes after ONSET samples, one term at a time, plus white noise."""
    t = np.arange(int(seconds * RATE)) / RATE
    sounding = sum(
        (a * np.exp((-d + 2j * np.pi * f) * t)).real
        for f, d, a in zip(frequency, damping, amplitude, strict=True)
    )
    x = np.concatenate([np.zeros(ONSET), sounding])
    noise = np.random.default_rng(seed + 1000).standard_normal(x.size)
    x = x + noise * np.sqrt(np.mean(x * x)) * 10.0 ** (-snr_db / 20.0)
    return Note(x, frequency, damping, amplitude)


def string(seed: int, snr_db: float = np.inf, beating: bool = False, partials: int = 20) -> Note:
    """A stiff string's partials (M1 of the specification), or pairs of them 0.3-2 Hz apart (M1b)."""
    rng = np.random.default_rng(seed)
    k = np.arange(1, partials + 1)
    frequency = series(F0, STRETCH, k)
    amplitude = np.exp(2j * np.pi * rng.random(partials)) / k
    damping = np.sqrt(k) / (0.8 * rng.uniform(0.7, 1.4, partials))
    if beating:
        frequency = np.concatenate([frequency, frequency + rng.uniform(0.3, 2.0, partials)])
        damping = np.concatenate([damping, damping * rng.uniform(0.3, 0.8, partials)])
        turns = np.exp(2j * np.pi * rng.random(partials))
        amplitude = np.concatenate([amplitude, 0.7 * amplitude * turns])
    return ring(frequency, damping, amplitude, snr_db=snr_db, seed=seed)


def matches(note: Note, modes: Modes) -> NDArray[np.int64]:
    """The index of the fitted mode nearest to each true one, among those at least a twentieth as loud."""
    found = -modes.damping + 2j * np.pi * modes.frequency
    far = np.abs(found - note.poles[:, None])
    quiet = np.abs(modes.amplitude) < 0.05 * np.abs(note.amplitude)[:, None]
    return np.argmin(np.where(quiet, np.inf, far), axis=1)
