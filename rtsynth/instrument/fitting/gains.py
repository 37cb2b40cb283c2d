"""Gains of noise bands over time, by maximum likelihood against what a recording shows in three resolutions at once.

The energies that bands of noise are expected to add to what rings (views.py) are fitted by the Itakura-Saito
divergence, which is the likelihood of Gaussian noise, with multiplicative updates that keep powers positive: Févotte,
Bertin and Durrieu, Nonnegative matrix factorization with the Itakura-Saito divergence, 2009. Reweighted, so that large
errors count by their size in decibels and not by its square.

Cells alone would fill whatever a mode is too weak by with noise around that mode (`haze` = 0); valleys keep it out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.fitting.noise import Bands
from rtsynth.instrument.fitting.views import Heard, View, calibrated, views

Array = NDArray[np.float64]

STANDS_OUT = 1.0  # nepers of power that haze may exceed a valley by before it weighs ever more
HAZE = 1.5  # weight of a valley's time against a cell's
ITERATIONS = 40
ATTACK_SECONDS = 0.1  # knots every ATTACK_STEP until then, every STEP after
ATTACK_STEP, STEP = 0.005, 0.020
SPARSE_GROWTH = 1.25  # of the times of the parametric curves, after the attack
SHORTEST_DECAY, DECAYS = 0.02, 14  # seconds, and how many time constants the parametric fit tries
NOTHING = 1e-30


def knots(seconds: float) -> Array:
    """Times (T,) from 0 to `seconds` or just beyond: every 5 ms in the first 100 ms, every 20 ms after."""
    first = np.arange(0.0, ATTACK_SECONDS, ATTACK_STEP)
    steps = max(1, int(np.ceil((seconds - ATTACK_SECONDS) / STEP - 1e-9)))
    return np.append(first, ATTACK_SECONDS + STEP * np.arange(steps + 1))


def sparse_knots(seconds: float) -> Array:
    """Times (T,) for smooth curves: every 5 ms in the first 100 ms, then ever further apart."""
    first = np.arange(0.0, ATTACK_SECONDS, ATTACK_STEP)
    steps = max(
        1, int(np.ceil(np.log(max(seconds, 2 * ATTACK_SECONDS) / ATTACK_SECONDS) / np.log(SPARSE_GROWTH)))
    )
    return np.append(first, np.geomspace(ATTACK_SECONDS, max(seconds, 2 * ATTACK_SECONDS), steps + 1))


def fit_gains(heard: Heard, bands: Bands, times: Array, *, haze: float = HAZE) -> Array:
    """Gains (T, B) at `times` (T,), seconds since the onset, of the noise that is heard beside what rings.

    haze: how much a valley weighs against a cell; 0 fits the energies alone.
    """
    seen, basis = list(views(heard, bands, times, haze)), free_basis(bands, times)
    return np.sqrt(_most_likely_twice(seen, basis, heard, bands))


def fit_decaying_gains(
    heard: Heard, bands: Bands, seconds: float, *, haze: float = HAZE
) -> tuple[Array, Array]:
    """`sparse_knots` (T,) and gains (T, B) there: for each band a floor, two decays, and a knock of 100 ms.

    The time constants are the two that a fit with DECAYS of them gathers around.
    """
    times = knots(seconds)
    seen = list(views(heard, bands, times, haze))
    knock = free_basis(bands, times)[:, :, times < ATTACK_SECONDS]
    tried = np.geomspace(SHORTEST_DECAY, max(2.0 * seconds, 2.0 * SHORTEST_DECAY), DECAYS)
    many = decay_basis(np.tile(tried, (bands.count, 1)), times)
    weights = most_likely(seen, np.concatenate([knock, many], axis=2))
    responsible = _responsibilities(many, weights[:, knock.shape[2] :])
    two = np.stack([two_decays(tried, share[1:]) for share in responsible])
    few = np.concatenate([knock, decay_basis(two, times)], axis=2)
    gains = np.sqrt(_most_likely_twice(seen, few, heard, bands))
    at = sparse_knots(seconds)
    return at, np.stack([np.interp(at, times, gain) for gain in gains.T], axis=1)


def free_basis(bands: Bands, times: Array) -> Array:
    """Powers (B, T, T) at `times` that each knot stands for: itself, or as much around it as a band needs.

    A band 2 width wide neither begins nor changes in less than about 1/(4 width) seconds: gains that did would be heard
    outside it.
    """
    reach = 0.5 / bands.width[:, None, None]
    kernel = np.maximum(1.0 - np.abs(times[:, None] - times) / reach, 1e-9 * np.eye(times.size))
    kernel *= np.gradient(times)
    rise = np.where(reach > ATTACK_STEP, np.minimum(2.0 * times[:, None] / reach, 1.0), 1.0)
    return np.asarray(rise * kernel / kernel.sum(axis=2, keepdims=True))


def decay_basis(decays: Array, times: Array) -> Array:
    """A floor and exponentials exp(-t/decay): decays (B, D) seconds, times (T,) → (B, T, 1 + D)."""
    falling = np.exp(-times[None, :, None] / decays[:, None, :])
    return np.concatenate([np.ones((*falling.shape[:2], 1)), falling], axis=2)


def two_decays(tried: Array, share: Array) -> Array:
    """The two time constants (2,) seconds that explain most like `tried` (D,), which explain `share` (D,).

    The split of the logarithms in two whose parts vary least about their means.
    """
    x, share = np.log(tried), share + 1e-9
    best, least = x[[0, -1]], np.inf
    for cut in range(1, x.size):
        parts = [(x[:cut], share[:cut]), (x[cut:], share[cut:])]
        means = [float(np.average(a, weights=w)) for a, w in parts]
        spread = sum(float(w @ (a - mean) ** 2) for (a, w), mean in zip(parts, means, strict=True))
        if spread < least:
            best, least = np.array(means), spread
    return np.exp(best)


def _most_likely_twice(seen: Sequence[View], basis: Array, heard: Heard, bands: Bands) -> Array:
    """Powers (T, B): the second time with valleys calibrated by the first."""
    power = most_likely_powers(seen, basis)
    if not any(view.valleys for view in seen):
        return power
    views_again = [calibrated(view, heard, bands, power) if view.valleys else view for view in seen]
    return most_likely_powers(views_again, basis)


def most_likely_powers(seen: Sequence[View], basis: Array) -> Array:
    """Powers (T, B), the basis (B, T, J) times its most likely weights."""
    return np.asarray((basis @ most_likely(seen, basis)[:, :, None])[:, :, 0].T)


def most_likely(seen: Sequence[View], basis: Array, iterations: int = ITERATIONS) -> Array:
    """Weights (B, J) ≥ 0 that make what is seen most likely, the power of band b being basis[b] (T, J) @ weights[b]."""
    from scipy.sparse import block_diag, csr_array

    B, T, J = basis.shape
    forth = csr_array(block_diag([csr_array(one) for one in basis], format="csr"))
    back = csr_array(forth.T)
    weights = np.full(B * J, float(seen[0].seen.mean() / seen[0].response.sum(axis=1).mean()))
    for _ in range(iterations):
        power = (forth @ weights).reshape(B, T).T
        above, below = np.zeros((T, B)), np.zeros((T, B))
        for view in seen:
            expected = view.expected(power)
            ratio = view.seen / expected
            error = np.log(ratio)
            importance = view.weight / np.maximum(np.abs(error), view.outlier) / expected
            if view.valleys:
                importance *= np.maximum(-error / STANDS_OUT, 1.0)
            above += view.window.T @ ((importance * ratio) @ view.response)
            below += view.window.T @ (importance @ view.response)
        weights *= (back @ above.T.ravel()) / np.maximum(back @ below.T.ravel(), NOTHING)
    return weights.reshape(B, J)


def _responsibilities(basis: Array, weights: Array) -> Array:
    """(B, J): the mean share of each of basis (B, T, J), times weights (B, J), in the power of its band."""
    parts = basis * weights[:, None, :]
    return np.asarray((parts / (parts.sum(axis=2, keepdims=True) + NOTHING)).mean(axis=1))
