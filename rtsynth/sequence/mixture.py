"""Mixtures of Gaussians whose parameters a network says: densities, draws, moments (Graves 2013, §4 and §5.4).

Two families. `Diagonal`: K components over vectors of D numbers that are independent within a component; raw outputs
are K logits, K·D means, K·D log deviations, in this order. `Bivariate`: K correlated components over pairs; K logits,
K·2 means, K·2 log deviations, K correlations before their tanh. Leading axes are free throughout.

A bias b ≥ 0 makes draws tidier: deviations times exp(-b), logits times 1 + b.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.errors import UsageError

Array = NDArray[np.floating]

LOG_DEVIATION = (-7.0, 7.0)  # natural log, in units of the data: what the network says is held within
CORRELATION = 4.0  # before its tanh: ±0.99933 at most
LOG_2PI = math.log(2.0 * math.pi)


class Diagonal(NamedTuple):
    """K components over D numbers, independent within each."""

    log_weights: Array  # (..., K), normalised
    means: Array  # (..., K, D)
    log_deviations: Array  # (..., K, D)


class Bivariate(NamedTuple):
    """K components over pairs."""

    log_weights: Array  # (..., K), normalised
    means: Array  # (..., K, 2)
    log_deviations: Array  # (..., K, 2)
    correlations: Array  # (..., K), in -1…1


def diagonal_size(components: int, dimensions: int) -> int:
    """Numbers that a network must say."""
    return components * (1 + 2 * dimensions)


def bivariate_size(components: int) -> int:
    """Numbers that a network must say."""
    return 6 * components


def diagonal(raw: Array, dimensions: int, bias: float = 0.0) -> Diagonal:
    """(..., K (1 + 2 D)) of a network as a mixture. UsageError for a bias below 0 or a size that is no mixture."""
    components, rest = divmod(raw.shape[-1], 1 + 2 * dimensions)
    if rest:
        raise UsageError(
            f"{raw.shape[-1]} numbers are no mixture over {dimensions}: want a multiple of {1 + 2 * dimensions}"
        )
    logits, means, log_deviations = _split(
        raw, (components, components * dimensions, components * dimensions)
    )
    shape = (*raw.shape[:-1], components, dimensions)
    return Diagonal(
        _log_weights(logits, bias),
        means.reshape(shape),
        _log_deviations(log_deviations.reshape(shape), bias),
    )


def bivariate(raw: Array, bias: float = 0.0) -> Bivariate:
    """(..., 6 K) of a network as a mixture. UsageError for a bias below 0 or a size that is no mixture."""
    components, rest = divmod(raw.shape[-1], 6)
    if rest:
        raise UsageError(f"{raw.shape[-1]} numbers are no mixture of pairs: want a multiple of 6")
    logits, means, log_deviations, correlations = _split(
        raw, (components, 2 * components, 2 * components, components)
    )
    shape = (*raw.shape[:-1], components, 2)
    return Bivariate(
        _log_weights(logits, bias),
        means.reshape(shape),
        _log_deviations(log_deviations.reshape(shape), bias),
        np.tanh(np.clip(correlations, -CORRELATION, CORRELATION)),
    )


def log_density(mixture: Diagonal | Bivariate, x: Array) -> Array:
    """Natural log of the density at x (..., D): (...)."""
    z = (x[..., None, :] - mixture.means) * np.exp(-mixture.log_deviations)  # (..., K, D)
    scale = mixture.log_deviations.sum(axis=-1) + 0.5 * z.shape[-1] * LOG_2PI
    if isinstance(mixture, Diagonal):
        of_component = -0.5 * (z * z).sum(axis=-1) - scale
    else:
        left = 1.0 - mixture.correlations**2
        square = (z * z).sum(axis=-1) - 2.0 * mixture.correlations * z[..., 0] * z[..., 1]
        of_component = -0.5 * square / left - scale - 0.5 * np.log(left)
    return np.logaddexp.reduce(mixture.log_weights + of_component, axis=-1)


def draw(mixture: Diagonal | Bivariate, uniform: ArrayLike, normals: Array) -> Array:
    """A draw (..., D) made of one number uniform in [0, 1), (...), and standard normals (..., D).

    The uniform number chooses the component, in the order of the network's outputs: the same numbers give the same
    draw.
    """
    chosen = choose(mixture.log_weights, uniform)[..., None, None]
    means, log_deviations = (
        np.take_along_axis(array, chosen, axis=-2)[..., 0, :]
        for array in (mixture.means, mixture.log_deviations)
    )
    if isinstance(mixture, Bivariate):
        correlation = np.take_along_axis(mixture.correlations, chosen[..., 0], axis=-1)
        first, second = normals[..., :1], normals[..., 1:]
        normals = np.concatenate(
            [first, correlation * first + np.sqrt(1.0 - correlation**2) * second], axis=-1
        )
    return means + np.exp(log_deviations) * normals


def choose(log_weights: Array, uniform: ArrayLike) -> NDArray[np.intp]:
    """The number of a component, (...), for uniform numbers (...): the first whose cumulated weight is above them."""
    passed = np.cumsum(np.exp(log_weights), axis=-1) <= np.asarray(uniform)[..., None]
    return np.minimum(passed.sum(axis=-1), log_weights.shape[-1] - 1)  # sums may round to just below 1


def moments(mixture: Diagonal | Bivariate) -> tuple[Array, Array]:
    """Mean and variance of each number: (..., D), (..., D)."""
    weights = np.exp(mixture.log_weights)[..., None]
    mean = (weights * mixture.means).sum(axis=-2)
    spread = np.exp(2.0 * mixture.log_deviations) + (mixture.means - mean[..., None, :]) ** 2
    return mean, (weights * spread).sum(axis=-2)


def _split(raw: Array, sizes: tuple[int, ...]) -> list[Array]:
    return np.split(raw, np.cumsum(sizes)[:-1], axis=-1)


def _log_weights(logits: Array, bias: float) -> Array:
    if not bias >= 0.0:
        raise UsageError(f"bias {bias:g}: want 0 (as trained) or more (tidier)")
    sharpened = logits * (1.0 + bias)
    return sharpened - np.logaddexp.reduce(sharpened, axis=-1, keepdims=True)


def _log_deviations(said: Array, bias: float) -> Array:
    return np.clip(said, *LOG_DEVIATION) - bias
