"""The powers of a spectral mixture, block by block, by Whittle's likelihood with a temporal prior.

Minimised over log powers z (F, K): weight Σ (log S + I / S) + Σ_t (z_t - z_(t-1))² / 2 tie², S = Σ_k e^z_k B_k, by a
majorise-minimise step: both halves of the likelihood are bounded by e^±(z - z0) with coefficients A, C, where the plain
step is Fevotte, Bertin and Durrieu, Nonnegative matrix factorization with the Itakura-Saito divergence, 2009; the prior
couples neighbouring blocks of a component, one tridiagonal system for all of them. Whittle, 1953: unbiased where the
squared difference of logarithms is 2.5 dB too low.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float64]
Single = NDArray[np.float32]

CHUNK = 2000  # frames whose spectra are modelled at once
FAINTEST = 1e-14  # of a power; below is silence
BELOW_LINES = 0.03  # where noise starts beside lines: what lines can explain, they shall


@dataclass(frozen=True)
class Lines:
    """Narrow components that move: line h of frame f is centred on bin at[f, h], real-valued, where present[f, h].

    shape (W,): what it adds to a bin 0, 1 / steps, 2 / steps … bins away from its centre.
    """

    at: Array  # (F, H)
    present: NDArray[np.bool_]  # (F, H)
    shape: Array
    steps: int
    bins: int

    def matrix(self, frames: slice) -> csr_array:
        """What lines of power 1 add to the bins of n frames: (n bins, n H), sparse, float32."""
        from scipy.sparse import csr_array

        at, present = self.at[frames], self.present[frames]
        count, lines = at.shape
        frame, line = np.nonzero(present)
        centre, reach = at[frame, line][:, None], (self.shape.size - 1) // self.steps
        bin_ = np.ceil(centre - reach).astype(np.int64) + np.arange(2 * reach + 1)
        step = np.rint(np.abs(bin_ - centre) * self.steps).astype(np.int64)
        inside = (step < self.shape.size) & (bin_ >= 0) & (bin_ < self.bins)
        row, column = (
            frame[:, None] * self.bins + bin_,
            np.broadcast_to((frame * lines + line)[:, None], bin_.shape),
        )
        values = self.shape[step[inside]].astype(np.float32)
        place = (row[inside], column[inside])
        return csr_array((values, place), shape=(count * self.bins, count * lines))


class _Part(NamedTuple):
    """Some of the frames, with their lines."""

    frames: slice
    lines: csr_array  # (n bins, n H)
    back: csr_array  # its transpose


def _parts(lines: Lines, count: int) -> list[_Part]:
    slices = [slice(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    matrices = [(frames, lines.matrix(frames)) for frames in slices]
    return [_Part(frames, matrix, matrix.T.tocsr()) for frames, matrix in matrices]


def fit_powers(
    periodogram: Single,
    bands: Single,
    lines: Lines,
    *,
    weight: float,
    tie: float,
    steps: int = 40,
    progress: Callable[[float], None] | None = None,
) -> Array:
    """Powers (F, K + H) of K bands (K, bins), the same in all frames, and H lines, given periodograms (F, bins) > 0.

    `weight`: independent cells a frame over those counted; `tie`: prior standard deviation of a step of log power from
    frame to frame, nepers of power. 0 where a frame does not have a line.
    """
    present = np.hstack([np.ones((len(periodogram), len(bands)), bool), lines.present])
    parts = _parts(lines, len(periodogram))
    power = _start(periodogram, bands, parts, present)
    for step in range(steps):
        rising, falling = _bounds(periodogram, bands, parts, power)
        shift = _newton(weight * rising, weight * falling, np.log(power), present, tie)
        power = np.maximum(power * np.exp(np.clip(shift, -3.0, 3.0)), FAINTEST)
        if progress is not None:
            progress((step + 1) / steps)
    return np.where(present, power, 0.0)


def _start(periodogram: Single, bands: Single, parts: list[_Part], present: NDArray[np.bool_]) -> Array:
    """Each component as loud as its surroundings; where there are lines, the bands well below them."""
    count = len(bands)
    power = np.ones(present.shape)
    power[:, :count] = periodogram @ (bands / bands.sum(1, keepdims=True) / bands.max(1, keepdims=True)).T
    power[present[:, count:].any(1), :count] *= BELOW_LINES
    for frames, _, back in parts:
        heard = back @ periodogram[frames].ravel() / np.maximum((back**2).sum(1), FAINTEST)
        power[frames, count:] = heard.reshape(power[frames, count:].shape)
    return np.where(present, np.maximum(power, FAINTEST), 1.0)


def _bounds(periodogram: Single, bands: Single, parts: list[_Part], power: Array) -> tuple[Array, Array]:
    """A = p Σ B I / S² and C = p Σ B / S of every component, (F, K + H) each: what pulls it up and down."""
    rising, falling = np.empty(power.shape), np.empty(power.shape)
    count = len(bands)
    for frames, lines, back in parts:
        p = power[frames].astype(np.float32)
        spectrum = p[:, :count] @ bands
        spectrum += (lines @ p[:, count:].ravel()).reshape(spectrum.shape)
        inverse = 1.0 / spectrum
        surprise = periodogram[frames] * inverse * inverse
        for out, weight in ((rising, surprise), (falling, inverse)):
            on_lines = (back @ weight.ravel()).reshape(p[:, count:].shape)
            out[frames] = p * np.hstack([weight @ bands.T, on_lines])
    return rising, falling


def _newton(rising: Array, falling: Array, z: Array, present: NDArray[np.bool_], tie: float) -> Array:
    """One Newton step (F, K) on A e^-δ + C e^δ + the prior: a tridiagonal system a component."""
    from scipy.linalg import solveh_banded

    link = (present[1:] & present[:-1]) / tie**2
    slope = np.diff(z, axis=0) * link
    gradient, curvature = rising - falling, rising + falling + 1e-12
    gradient[:-1] += slope
    gradient[1:] -= slope
    curvature[:-1] += link
    curvature[1:] += link
    # One after the other in a single band matrix: nothing links one component's end to the next one's start.
    upper = np.zeros(z.shape)
    upper[1:] = -link
    banded = np.stack([upper.T.ravel(), curvature.T.ravel()])
    return solveh_banded(banded, gradient.T.ravel()).reshape(z.shape[::-1]).T
