"""The two ways in which the seed joined its blocks, for comparison: each with its defect.

"Gaussian Process Speech Synthesis" (A. Ravuri) draws each stationary block from its own covariance matrix.
`zero_ended` is its condition_at_zero: given zeros at both ends, so that blocks can be put one after the other; the
power near the joins is gone, and with it all memory. `conditioned` is its condition_on_prv: given the block before, as
if that had been drawn from this block's kernel, and without what was before it. Both take the jitter that the seed
added to its diagonals. The third way, state carried from sample to sample, is `Utterance`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from rtsynth.speech.model import Model
from rtsynth.speech.spectra import band_covariance
from rtsynth.statespace.factor import lower_factor

Array = NDArray[np.float64]
Progress = Callable[[float], None]

ENDS_JITTER = 1e-10
PREVIOUS_JITTER = 1e-7


def draw_zero_ended(model: Model, seed: int = 1, progress: Progress | None = None) -> Array:
    """A draw (N,) whose blocks begin and end with zeros."""
    rng = np.random.default_rng(seed % 2**64)
    blocks = [
        zero_ended(covariance, rng.standard_normal(max(0, covariance.size - 2)))
        for covariance in block_covariances(model, 1, progress)
    ]
    return _with_envelope(model, np.concatenate(blocks))


def draw_conditioned(model: Model, seed: int = 1, progress: Progress | None = None) -> Array:
    """A draw (N,) whose blocks each follow from the block before, by the kernel of their own time."""
    rng = np.random.default_rng(seed % 2**64)
    blocks: list[Array] = []
    for covariance in block_covariances(model, 2, progress):
        normals = rng.standard_normal(covariance.size // 2)
        blocks.append(conditioned(covariance, normals, blocks[-1] if blocks else None))
    return _with_envelope(model, np.concatenate(blocks))


def zero_ended(covariance: Array, normals: Array) -> Array:
    """A block (n,) of a stationary process, covariances (n,) at lags 0 … n - 1, given that it is 0 at both ends.

    normals (n - 2,). Blocks of two samples or fewer are zeros.
    """
    n = covariance.size
    if n <= 2:
        return np.zeros(n)
    full = _toeplitz(covariance) + ENDS_JITTER * np.eye(n)
    inside, ends = slice(1, n - 1), [0, n - 1]
    across = full[inside, ends]
    left = full[inside, inside] - across @ np.linalg.inv(full[np.ix_(ends, ends)]) @ across.T
    drawn = lower_factor(left + ENDS_JITTER * np.eye(n - 2)) @ normals
    return np.concatenate([[0.0], drawn, [0.0]])


def conditioned(covariance: Array, normals: Array, before: Array | None) -> Array:
    """The block (n,) after `before` (n,), covariances (2 n,) at lags 0 … 2 n - 1; with None, a first one.

    normals (n,). Where `before` was drawn from quite another kernel, it is continued as if it had not been, and may
    come out many times too loud. The seed's inverses and Cholesky factors, O(n³), are here the recursion of Durbin and
    Levinson (Hosking, 1984), which goes through the same factor of a Toeplitz matrix in O(n²); the jitter on each of
    the seed's two diagonals is one on that of both blocks together.
    """
    n = covariance.size // 2
    given = np.zeros(0) if before is None else before
    y = np.concatenate([given, np.empty(n)])
    variance = covariance[0] + PREVIOUS_JITTER
    weights = np.zeros(0)  # of samples t - 1 … 0
    for t in range(y.size):
        if t >= given.size:
            y[t] = weights @ y[:t][::-1] + np.sqrt(variance) * normals[t - given.size]
        if t + 1 < y.size:
            reflection = (covariance[t + 1] - weights @ covariance[t:0:-1]) / variance
            weights = np.append(weights - reflection * weights[::-1], reflection)
            variance *= (1.0 - reflection) * (1.0 + reflection)
    return y[given.size :]


def block_covariances(model: Model, lags_in_blocks: int, progress: Progress | None = None) -> Iterator[Array]:
    """Covariances (lags_in_blocks n,) of each block in turn, of n = hop samples, by the frame nearest to its middle.

    Before the envelope: the variance is about 1.
    """
    n = block_length(model)
    lags = np.arange(lags_in_blocks * n)
    envelopes = band_covariance(np.zeros(model.rows), model.damping / model.rate, model.order, lags.size)
    cycles, power = model.frequency / model.rate, model.power
    voice, fixed = slice(0, model.harmonics), slice(model.harmonics, None)
    bands = envelopes[fixed] * np.cos(2.0 * np.pi * np.outer(cycles[0, fixed], lags))
    count = -(-model.samples // n)
    for block in range(count):
        frame = min(model.frames - 1, round((block + 0.5) * n / model.hop))
        harmonics = envelopes[voice] * np.cos(2.0 * np.pi * np.outer(cycles[frame, voice], lags))
        yield power[frame, voice] @ harmonics + power[frame, fixed] @ bands
        if progress is not None:
            progress((block + 1) / count)


def block_length(model: Model) -> int:
    """Samples n of a block."""
    return max(1, round(model.hop))


def _with_envelope(model: Model, flat: Array) -> Array:
    return flat[: model.samples] * model.envelope_at(np.arange(model.samples))


def _toeplitz(column: Array) -> Array:
    return column[np.abs(np.subtract.outer(np.arange(column.size), np.arange(column.size)))]
