"""What a recording shows of its noise, in three resolutions, and what bands of noise are expected to add there.

    cells      the cells of ENV (metrics.py), which hold the energy of a band,
    attack     the same bands in windows of 10 ms, where the onset is,
    valleys    the 30 % quantile of the fine bins in a band, which holds the noise between partials without them.

An expected energy is linear in the bands' powers at their knots, and known in closed form (`noise.expected_power`), as
long as gains move slowly beside the window: no draws are needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.fitting.metrics import (
    VALLEY_COUNTED_DB,
    VALLEY_QUANTILE,
    Frames,
    cell_frames,
    erb_triangles,
    valley_frames,
    valley_slices,
    valleys,
)
from rtsynth.instrument.fitting.noise import Bands, Law, covariance, expected_power

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float64]

ATTACK_WINDOW, ATTACK_HOP, ATTACK_END = 0.010, 0.005, 0.150  # seconds; the end counts from the onset
ATTACK_WEIGHT = 0.25  # of a frame, beside one of ENV
VALLEY_HOP = 2048  # samples
CELL_FLOOR_DB, CELL_QUIET_DB = -80.0, -60.0  # of the loudest: held there; below, of little weight
QUIET_WEIGHT = 0.1
CELL_OUTLIER, VALLEY_OUTLIER = 0.5, 2.0  # nepers; a valley of a few bins is 3 dB from another draw's
MOST_CALIBRATED = 1.5  # nepers of power
LEAST_SHARE = 0.1  # of a frame's window within the note: with less, a frame says nothing about it
POINTS = 64  # of a window, at which the knots' shares are read


@dataclass(frozen=True, eq=False)
class Heard:
    """What is to be explained: a recording (N,), what rings or is sustained in it (N,), and the sample of its onset."""

    recording: Array
    tonal: Array
    sample_rate: float
    onset: int

    def until(self, seconds: float) -> Heard:
        """The same up to `seconds` after the onset."""
        end = self.onset + round(seconds * self.sample_rate)
        return replace(self, recording=self.recording[:end], tonal=self.tonal[:end])


@dataclass(frozen=True, eq=False)
class View:
    """One resolution: F frames of E bands, explained by B bands of noise at T knots."""

    seen: Array  # (F, E) energies of the recording
    tonal: Array  # (F, E) energies of what is no noise
    response: Array  # (E, B) energies of noise of power 1
    window: csr_array  # (F, T) the share of each knot in each frame
    weight: Array  # (F, E)
    outlier: float  # nepers of power within which errors count by their square, beyond by their size
    valleys: bool = False

    def expected(self, power: Array) -> Array:
        """Energies (F, E) for the powers of the bands (T, B)."""
        return self.tonal + self.window @ (power @ self.response.T)


def views(heard: Heard, bands: Bands, times: Array, haze: float, law: Law = covariance) -> Iterator[View]:
    """All views of a note, explained by bands at knots `times` (T,), seconds since the onset; haze weighs valleys."""
    yield _in_triangles(heard, cell_frames(heard.sample_rate), bands, times, 1.0, law)
    attack = cell_frames(heard.sample_rate, ATTACK_WINDOW, ATTACK_HOP)
    yield _in_triangles(heard.until(ATTACK_END), attack, bands, times, ATTACK_WEIGHT, law)
    if haze > 0.0:
        yield _in_valleys(heard, bands, times, haze, law)


def _in_triangles(heard: Heard, frames: Frames, bands: Bands, times: Array, weight: float, law: Law) -> View:
    triangles = erb_triangles(frames.n_fft, heard.sample_rate)
    triangles = triangles[triangles.any(axis=1)]
    seen, tonal = (frames.power(x) @ triangles.T for x in (heard.recording, heard.tonal))
    response = triangles @ expected_power(bands, frames, heard.sample_rate, law).T
    loudest = float(seen.max())
    return _view(heard, frames, times, seen, tonal, response, weight, loudest, CELL_QUIET_DB, CELL_FLOOR_DB)


def _in_valleys(heard: Heard, bands: Bands, times: Array, haze: float, law: Law) -> View:
    frames, slices = valley_frames(VALLEY_HOP), valley_slices(heard.sample_rate)
    seen, tonal = (frames.power(x) for x in (heard.recording, heard.tonal))
    # The power of noise in a bin is exponentially distributed: its quantile is this share of its mean.
    share = -np.log1p(-VALLEY_QUANTILE)
    each = expected_power(bands, frames, heard.sample_rate, law)
    response = share * np.stack([each[:, s].mean(axis=1) for s in slices])
    weight = haze * frames.hop / cell_frames(heard.sample_rate).hop
    quiet, floor = VALLEY_COUNTED_DB, VALLEY_COUNTED_DB + CELL_FLOOR_DB - CELL_QUIET_DB
    loudest = float(seen.max())
    seen, tonal = valleys(seen, slices), valleys(tonal, slices)
    view = _view(heard, frames, times, seen, tonal, response, weight, loudest, quiet, floor)
    return replace(view, outlier=VALLEY_OUTLIER, valleys=True)


def calibrated(
    view: View, heard: Heard, bands: Bands, power: Array, draws: int = 4, law: Law = covariance
) -> View:
    """A view of the valleys corrected for what powers (T, B) of the bands make of them.

    A quantile is not additive: partials reach between each other, and a narrow band has a handful of bins. So spectra
    are drawn, partials and noise together, the same every time, and what is seen is divided by the factor by which
    their quantiles differ from `expected`, in the mean of the logarithm.
    """
    frames, slices = valley_frames(VALLEY_HOP), valley_slices(heard.sample_rate)
    tonal = frames.spectrum(heard.tonal)
    level = np.sqrt(view.window @ power @ expected_power(bands, frames, heard.sample_rate, law))
    expected = view.expected(power)
    rng = np.random.default_rng(0)
    differ = np.zeros(expected.shape)
    for _ in range(draws):
        drawn = tonal + level * _noise_bins(tonal.shape, frames.window, rng)
        differ += np.log(valleys(np.square(drawn.real) + np.square(drawn.imag), slices) + 1e-300) - np.log(
            expected
        )
    return replace(view, seen=view.seen * np.exp(-np.clip(differ / draws, -MOST_CALIBRATED, MOST_CALIBRATED)))


def _noise_bins(shape: tuple[int, ...], window: Array, rng: np.random.Generator) -> NDArray[np.complex128]:
    """Fourier bins of unit-power white noise in a window, neighbours correlated as its few lowest harmonics say."""
    taps = np.fft.fft(window)[[-2, -1, 0, 1, 2]].real
    taps /= np.sqrt(2.0 * taps @ taps)
    white = rng.standard_normal((2, shape[0], shape[1] + 4))
    parts = [sum(tap * part[:, k : k + shape[1]] for k, tap in enumerate(taps)) for part in white]
    return np.asarray(parts[0] + 1j * parts[1])


def _view(
    heard: Heard,
    frames: Frames,
    times: Array,
    seen: Array,
    tonal: Array,
    response: Array,
    weight: float,
    loudest: float,
    quiet_db: float,
    floor_db: float,
) -> View:
    window = knot_shares(frames, heard, times)
    within = np.asarray(window.sum(axis=1)) >= LEAST_SHARE
    counts = np.where(seen > loudest * 10.0 ** (quiet_db / 10.0), weight, QUIET_WEIGHT * weight)
    floor = loudest * 10.0 ** (floor_db / 10.0)
    counts *= within[:, None]
    return View(np.maximum(seen, floor), tonal + 0.01 * floor, response, window, counts, CELL_OUTLIER)


def knot_shares(frames: Frames, heard: Heard, times: Array) -> csr_array:
    """(F, T): of each frame's window squared, the share of each knot in straight lines, between the note's ends."""
    from scipy.sparse import csr_array

    at = (np.arange(POINTS) + 0.5) / POINTS * frames.window.size
    share = np.interp(at, np.arange(frames.window.size) + 0.5, frames.window) ** 2
    count = frames.count(heard.recording.size)
    sample = np.arange(count)[:, None] * frames.hop + at - 0.5 * frames.window.size
    sounds = (sample >= heard.onset) & (sample < heard.recording.size)
    t = np.clip((sample - heard.onset) / heard.sample_rate, times[0], times[-1])
    left = np.clip(np.searchsorted(times, t, side="right") - 1, 0, times.size - 2)
    right = (t - times[left]) / (times[left + 1] - times[left])
    share = np.where(sounds, share / share.sum(), 0.0)
    values: Any = np.concatenate([(share * (1.0 - right)).ravel(), (share * right).ravel()])
    rows = np.repeat(np.arange(count), POINTS)
    where = (np.tile(rows, 2), np.concatenate([left.ravel(), left.ravel() + 1]))
    return csr_array((values, where), shape=(count, times.size))
