"""From a recording to a `Model`: envelope, fundamental, and a spectral mixture in every block.

The chain is that of the seed (R. Turner's demodulation, A. G. Wilson's spectral mixture kernel, Bark bands as starts),
with what was loose in it put right: the envelope is divided by and multiplied back with the same floor in both; the
likelihood is Whittle's; neighbouring blocks are tied by a prior; the white floor is white.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError, UsageError
from rtsynth.speech import spectra
from rtsynth.speech.bands import erb_edges
from rtsynth.speech.kept import keep_innovations
from rtsynth.speech.mixture import Lines, fit_powers
from rtsynth.speech.model import Model, row_damping, row_frequencies, to_level
from rtsynth.speech.pitch import fundamentals

Array = NDArray[np.float64]
Progress = Callable[[float], None]

ENVELOPE_SECONDS = 2500 / 22050  # the seed's rolling window
ENVELOPE_FLOOR = 0.2  # of the whole recording's standard deviation, as the seed's
SHORTEST_WINDOW = 0.025  # seconds; resolves the harmonics of a voice from 100 Hz up
LOWEST_BAND = 20.0  # hertz
HIGHEST_HARMONIC = 5000.0  # hertz; above, voices are noise
LINE_STEPS = 16  # entries of the table of a line's shape, a bin
FAINT = 1e-10  # power beside the envelope's that counts as digital silence: -100 dB
LONGEST_SECONDS = 1800.0


@dataclass(frozen=True)
class Settings:
    """What the user can choose."""

    hop_ms: float = 5.0  # between blocks; the seed's is 50
    bands: int = 64  # of noise
    harmonics: int = 40  # at most
    order: int = 4  # sections of a band, 1…4
    coherence: float = 5.0  # hertz: bandwidth of a harmonic, below what a window resolves
    tie: float = 3.0  # prior standard deviation of a step of log power in 5 ms, nepers

    def check(self) -> None:
        """Raises UsageError, naming the flag, where a value is out of range."""
        ranges = {"hop_ms": (1.0, 200.0), "bands": (1, 256), "harmonics": (0, 256), "order": (1, 4)}
        ranges |= {"coherence": (0.5, 100.0), "tie": (0.01, 100.0)}
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                flag = name.replace("_", "-")
                raise UsageError(
                    f"--{flag} {value:g} is out of range: {low:g} to {high:g}. Try --{flag} {getattr(Settings, name):g}"
                )


DEFAULT = Settings()


def analyse(
    samples: Array,
    rate: float,
    settings: Settings = DEFAULT,
    progress: Progress | None = None,
    *,
    keep: bool = True,
) -> Model:
    """Fit a recording, samples (N,), full scale ±1, finite, at `rate` hertz; `keep` its innovations beside the model.

    Raises InputError for a silent recording, one shorter than two blocks, or longer than half an hour.
    """
    settings.check()
    hop = settings.hop_ms * 1e-3 * rate
    _check(samples, rate, hop)
    centres: Array = hop * np.arange(max(2, math.ceil((samples.size - 1) / hop) + 1), dtype=np.float64)
    envelope = rolling_envelope(samples, rate, centres).astype(np.float32)
    flat = samples / np.interp(np.arange(samples.size), centres, envelope)
    window = spectra.hann(2 * round(0.5 * max(SHORTEST_WINDOW, 1e-3 * settings.hop_ms) * rate))
    voice = fundamentals(samples, rate, centres)
    edges = erb_edges(settings.bands, LOWEST_BAND, 0.5 * rate)
    power = _mixture(flat, rate, centres, window, voice, edges, settings, progress)
    model = Model(
        rate=rate,
        samples=samples.size,
        hop=hop,
        order=settings.order,
        window=window.size,
        envelope=envelope,
        fundamental=_everywhere(voice).astype(np.float32),
        harmonics=settings.harmonics,
        coherence=settings.coherence,
        edges=edges,
        level=to_level(np.where(power > FAINT, power, 0.0)),
    )
    return keep_innovations(model, flat) if keep else model


def rolling_envelope(samples: Array, rate: float, centres: Array) -> Array:
    """Root mean square (F,) of samples (N,) in ENVELOPE_SECONDS around each centre, at least the floor.

    At the ends the window is cut off, not filled up: the seed muted the first and last 57 ms.
    """
    total = np.concatenate([[0.0], np.cumsum(samples**2)])
    half = 0.5 * ENVELOPE_SECONDS * rate
    low = np.clip(np.rint(centres - half), 0, samples.size - 1).astype(np.int64)
    high = np.clip(np.rint(centres + half), low + 1, samples.size).astype(np.int64)
    mean = np.maximum(total[high] - total[low], 0.0) / (high - low)
    return np.maximum(np.sqrt(mean), ENVELOPE_FLOOR * math.sqrt(total[-1] / samples.size))


def _check(samples: Array, rate: float, hop: float) -> None:
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise ValueError(f"analyse: wants finite samples (N,), got {samples.shape}")
    if samples.size < 2.0 * hop:
        raise InputError(
            f"the recording has {1e3 * samples.size / rate:.3g} ms: speech is fitted from two blocks on. "
            f"Record more, or try --hop-ms {max(1.0, 400.0 * samples.size / rate):.2g}"
        )
    if samples.size > LONGEST_SECONDS * rate:
        raise InputError(
            f"the recording has {samples.size / rate / 60:.0f} minutes, of which {LONGEST_SECONDS / 60:.0f} can be "
            "fitted at once. Take a part: ffmpeg -i in.wav -t 600 part.wav"
        )
    if float(np.abs(samples).max()) < 1e-7:
        raise InputError(
            "the recording is silent: there is nothing to fit. Check the microphone, or the channel"
        )


def _mixture(
    flat: Array,
    rate: float,
    centres: Array,
    window: Array,
    voice: Array,
    edges: Array,
    settings: Settings,
    progress: Progress | None,
) -> Array:
    """Powers (F, D) of all rows in the recording over its envelope."""
    size = 1 << math.ceil(math.log2(1.5 * window.size))
    stretches = spectra.frames(flat, centres, window)
    periodogram = (spectra.periodograms(stretches, size) + FAINT).astype(np.float32)
    damping = row_damping(settings.harmonics, settings.coherence, edges, settings.order, rate) / rate
    cycles = row_frequencies(voice, settings.harmonics, edges) / rate
    fixed = slice(settings.harmonics, None)
    covariance = spectra.band_covariance(cycles[0, fixed], damping[fixed], settings.order, window.size)
    bands = spectra.expected_periodograms(covariance, window, size).astype(np.float32)
    lines = _lines(cycles[:, : settings.harmonics], rate, damping, window, size, settings)
    hop = float(centres[1])
    found = fit_powers(
        periodogram,
        bands,
        lines,
        weight=min(1.0, hop / size),
        tie=settings.tie * math.sqrt(hop / (0.005 * rate)),
        progress=progress,
    )
    count = len(bands)
    return np.hstack([found[:, count:], found[:, :count]])


def _lines(cycles: Array, rate: float, damping: Array, window: Array, size: int, settings: Settings) -> Lines:
    """The harmonics cycles (F, H) a sample as lines over the bins; none where there is no voice, or above the limit."""
    bins = size // 2 + 1
    if not settings.harmonics:
        return Lines(cycles, np.zeros(cycles.shape, bool), np.zeros(1), LINE_STEPS, bins)
    shape = spectra.line_shape(damping[0], settings.order, window, size, LINE_STEPS)
    limit = min(HIGHEST_HARMONIC / rate, 0.5 - 4.0 / window.size)
    return Lines(cycles * size, (cycles > 0.0) & (cycles < limit), shape, LINE_STEPS, bins)


def _everywhere(voice: Array) -> Array:
    """The fundamental (F,) continued through the frames without one, on a logarithmic scale."""
    at = np.flatnonzero(voice)
    if not at.size:
        return np.full(voice.shape, 100.0)
    return np.exp(np.interp(np.arange(voice.size), at, np.log(voice[at])))
