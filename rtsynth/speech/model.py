"""A fitted utterance: an envelope times a spectral mixture that changes from frame to frame.

y(t) = e(t) Σ_k g_k(t) Re x_k(t): rows x_k are bands of rtsynth/sampler/glide.py. First the harmonics of the voice, at
multiples of a fundamental that glides; then noise bands, fixed, one after the other on the ear's scale; last the white
floor, a band whose damping is beyond the sample rate.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.speech.bands import damping_of, erb_frequency, erb_number

Array = NDArray[np.float64]

STEPS_PER_DB = 2  # levels are whole numbers of halves of a decibel
SILENT = -32768  # the level of what does not sound
WHITE_NEPERS = 40.0  # damping a sample of the white floor


@dataclass(frozen=True)
class Kept:
    """The recording's own innovations: MDCT coefficients over the model's standard deviation, in steps of `step`."""

    codes: NDArray[np.int8]  # (T, M)
    step: float  # in standard deviations


@dataclass(frozen=True)
class Model:
    """What `rtsynth speech fit` finds; times in samples of the recording, frame f at f `hop` from sample 0."""

    rate: float  # hertz, of the recording
    samples: int  # N
    hop: float  # samples between frames
    order: int  # sections of every band
    window: int  # samples that a frame was fitted to
    envelope: NDArray[np.float32]  # (F,), linear, full scale 1, > 0: what the recording was divided by
    fundamental: NDArray[
        np.float32
    ]  # (F,) hertz, > 0: also where there is no voice, for the harmonics to glide
    harmonics: int  # H
    coherence: float  # hertz: bandwidth of a harmonic
    edges: Array  # (B + 1,) hertz: of the noise bands
    level: NDArray[np.int16]  # (F, D), D = H + B + 1: power over the envelope's, in halves of a decibel
    kept: Kept | None = field(default=None)

    @property
    def frames(self) -> int:
        """F."""
        return len(self.level)

    @property
    def rows(self) -> int:
        """D, harmonics, bands and floor."""
        return self.harmonics + self.edges.size

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.samples / self.rate

    @property
    def power(self) -> Array:
        """(F, D) of the rows, before the envelope."""
        return from_level(self.level)

    @property
    def frequency(self) -> Array:
        """(F, D) hertz."""
        return row_frequencies(self.fundamental, self.harmonics, self.edges)

    @property
    def damping(self) -> Array:
        """(D,) nepers a second."""
        return row_damping(self.harmonics, self.coherence, self.edges, self.order, self.rate)

    def envelope_at(self, sample: ArrayLike) -> Array:
        """Envelope at sample numbers (N,), in straight lines between frames."""
        return np.interp(np.asarray(sample) / self.hop, np.arange(self.frames), self.envelope)


def to_level(power: ArrayLike) -> NDArray[np.int16]:
    """Powers as halves of a decibel; what is not above 0 as SILENT."""
    given = np.asarray(power, np.float64)
    level_db = 10.0 * np.log10(np.where(given > 0.0, given, 1.0))
    level = np.clip(np.rint(STEPS_PER_DB * level_db), -32767, 32767)
    return np.where(given > 0.0, level, SILENT).astype(np.int16)


def from_level(level: NDArray[np.int16]) -> Array:
    """The inverse of `to_level`."""
    return np.where(level == SILENT, 0.0, 10.0 ** (level / (10.0 * STEPS_PER_DB)))


def band_centres(edges: Array) -> Array:
    """Centres (B,) in hertz of bands between edges (B + 1,), halfway on the ear's scale."""
    number = erb_number(edges)
    return erb_frequency(0.5 * (number[:-1] + number[1:]))


def row_frequencies(fundamental: ArrayLike, harmonics: int, edges: Array) -> Array:
    """(F, D) hertz of all rows."""
    voice = np.multiply.outer(np.asarray(fundamental, np.float64), np.arange(1, harmonics + 1))
    fixed = np.append(band_centres(edges), 0.0)
    return np.hstack([voice, np.broadcast_to(fixed, (len(voice), fixed.size))])


def row_damping(harmonics: int, coherence: float, edges: Array, order: int, rate: float) -> Array:
    """(D,) nepers a second of all rows: a noise band is as wide as its edges are apart."""
    voice = np.full(harmonics, float(damping_of(coherence, order)))
    return np.concatenate([voice, damping_of(np.diff(edges), order), [WHITE_NEPERS * rate]])
