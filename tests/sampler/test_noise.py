"""The Gaussians: what they are numbered by, whether they are Gaussian, and whether they are independent.

Statistical tests are at a false-alarm rate of 1e-6 each; the seeds are fixed, so what passes once passes always.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rtsynth.sampler.noise import SEGMENT, START
from tests.sampler import reference
from tests.sampler.reference import Array, Words, draw, draw_scalars, start

ALPHA = 1e-6
SIGMAS = float(stats.norm.isf(ALPHA / 2.0))
ROWS = 96
SEEDS = [0, 1, -1, 2**31, 2**40 + 7, -(2**62)]


def keys(seed: int = 1, serial: int = 0, count: int = ROWS) -> tuple[Words, Words]:
    low, high, _ = start(seed, serial, count)
    return low, high


def noise(seed: int = 1, serial: int = 0, samples: int = 8192) -> Array:
    """(samples, 2, ROWS) in double precision."""
    return draw(*keys(seed, serial), 0, samples).astype(float)


# ---- which numbers ----


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("serial", [0, 1, 977, 2**33 + 5])
def test_keys_are_those_of_the_reference(seed: int, serial: int) -> None:
    low, high = keys(seed, serial)
    want_low, want_high = reference.keys(seed, serial, ROWS)
    assert low.tolist() == want_low.tolist()
    assert high.tolist() == want_high.tolist()


@pytest.mark.parametrize("real", [np.float32, np.float64])
@pytest.mark.parametrize("first", [0, 7, 10**6, 2**32 - 40])
def test_numbers_are_those_of_the_reference(real: Any, first: int) -> None:
    low, high = keys()
    drawn = draw(low, high, first, SEGMENT, real)
    want = reference.rows_drawn(low, high, first, SEGMENT)
    np.testing.assert_allclose(drawn, want, rtol=1e-5, atol=1e-5)
    deviation = 0.37
    np.testing.assert_allclose(
        draw_scalars(low, high, first, deviation, real),
        reference.scalars_drawn(low, high, first, deviation),
        rtol=1e-5,
        atol=1e-5,
    )


def test_a_start_is_the_sample_that_no_voice_reaches() -> None:
    low, high, normals = start(3, 4, ROWS)
    assert draw(low, high, int(START), 1)[0].tolist() == normals.tolist()
    assert not (draw(low, high, 0, 100_000) == normals).all(axis=(1, 2)).any()


def test_whole_is_pieces_is_segments_is_one_row() -> None:
    low, high = keys()
    whole = draw(low, high, 0, 320)
    ends = [0, 1, 33, 34, 100, 320]
    pieces = [draw(low, high, a, b - a) for a, b in pairwise(ends)]
    assert np.concatenate(pieces).tobytes() == whole.tobytes()
    segments = [draw(low, high, at, SEGMENT) for at in range(0, 320, SEGMENT)]
    assert np.concatenate(segments).tobytes() == whole.tobytes()
    for row in (0, 5, ROWS - 1):
        alone = draw(low[row : row + 1].copy(), high[row : row + 1].copy(), 0, 320)
        assert alone.tobytes() == whole[:, :, row : row + 1].tobytes()
    some = keys(count=ROWS // 2)
    assert draw(*some, 0, 320).tobytes() == whole[:, :, : ROWS // 2].tobytes()


def test_another_seed_serial_row_or_sample_is_another_number() -> None:
    low, high = keys()
    whole = draw(low, high, 0, 64)
    for other in (keys(seed=2), keys(serial=1), keys(seed=1 + 2**32), keys(serial=2**32)):
        assert (draw(*other, 0, 64) == whole).mean() < 1e-3
    assert (draw(low, high, 1, 64) == whole).mean() < 1e-3
    # 12 288 numbers of 2^24 magnitudes and a sign: few are there twice.
    assert np.unique(whole).size > 0.99 * whole.size


# ---- which law ----


def moments_are_standard(z: Array) -> bool:
    """Mean, variance, skewness and kurtosis within SIGMAS of their standard errors."""
    n = z.size
    found = [z.mean(), z.var() - 1.0, (z**3).mean(), (z**4).mean() - 3.0]
    errors = np.sqrt(np.array([1.0, 2.0, 15.0, 96.0]) / n)
    return bool((np.abs(found) < SIGMAS * errors).all())


def is_normal(z: Array) -> bool:
    """Kolmogorov and Smirnov."""
    return bool(stats.kstest(z, "norm").pvalue > ALPHA)


def bins_are_even(z: Array) -> bool:
    """Chi-square over 256 bins of equal probability, tails included."""
    counts = np.bincount((stats.norm.cdf(z) * 256).astype(int), minlength=256)
    return bool(stats.chisquare(counts).pvalue > ALPHA)


def pairs_are_round(z: Array) -> bool:
    """The two of a pair: even in angle, and in angle given the radius (16 x 16 bins)."""
    re, im = z[:, 0].ravel(), z[:, 1].ravel()
    angle = ((np.arctan2(im, re) / (2.0 * np.pi) + 0.5) % 1.0 * 16).astype(int)
    radius = np.minimum((-np.expm1(-0.5 * (re**2 + im**2)) * 16).astype(int), 15)
    return bool(stats.chisquare(np.bincount(16 * radius + angle, minlength=256)).pvalue > ALPHA)


def tails_are_there(z: Array) -> bool:
    """As many beyond 4 deviations as there should be, and none beyond 5.9."""
    beyond = int((np.abs(z) > 4.0).sum())
    expected = z.size * 2.0 * stats.norm.sf(4.0)
    ends = stats.poisson(expected).interval(1.0 - ALPHA)
    return bool(ends[0] <= beyond <= ends[1] and np.abs(z).max() < 5.9)


MARGINALS = [moments_are_standard, is_normal, bins_are_even, tails_are_there]


@pytest.mark.parametrize("seed", [1, 2, -5])
def test_the_law_of_one_number(seed: int) -> None:
    z = noise(seed)
    assert [check.__name__ for check in MARGINALS if not check(z.ravel())] == []
    assert pairs_are_round(z)


@pytest.mark.parametrize(
    ("spoil", "found_by"),
    [
        (lambda z: 1.004 * z, moments_are_standard),
        (lambda z: z + 0.005, moments_are_standard),
        (lambda z: z + 0.02 * z**2, is_normal),
        (lambda z: np.round(20.0 * z) / 20.0, bins_are_even),
        (lambda z: np.clip(z, -3.0, 3.0), moments_are_standard),
        (lambda z: np.clip(z, -4.0, 4.0), tails_are_there),
    ],
    ids=["louder", "off centre", "skewed", "rounded", "clipped", "without tails"],
)
def test_a_wrong_law_is_found(spoil: Callable[[Array], Array], found_by: Callable[[Array], bool]) -> None:
    assert not found_by(spoil(noise().ravel()))


def test_pairs_that_lean_are_found() -> None:
    z = noise()
    z[:, 1] += 0.02 * z[:, 0]
    assert not pairs_are_round(z)


def test_the_law_of_starts_over_notes_and_of_the_scalar_noise() -> None:
    starts = np.stack([start(1, serial, ROWS)[2] for serial in range(4000)]).astype(float)
    assert [check.__name__ for check in MARGINALS if not check(starts.ravel())] == []
    assert pairs_are_round(starts)
    assert worst_correlation(starts.reshape(4000, -1)) < 1.0
    low, high = keys()
    scalars = np.concatenate([draw_scalars(low, high, at, 1.0) for at in range(0, 2**19, SEGMENT)]).astype(
        float
    )
    assert [check.__name__ for check in MARGINALS if not check(scalars)] == []
    assert worst_autocorrelation(scalars) < 1.0


# ---- independence ----


def worst_correlation(z: Array) -> float:
    """Largest sample correlation between columns of (n, columns), over what ALPHA allows the largest of them."""
    columns = z.shape[1]
    correlation = z.T @ z / z.shape[0]
    among = correlation[np.triu_indices(columns, 1)]
    allowed = stats.norm.isf(ALPHA / (2.0 * among.size)) / np.sqrt(z.shape[0])
    return float(np.abs(among).max() / allowed)


def worst_autocorrelation(z: Array, lags: int = 4096) -> float:
    """The same over lags 1…lags of (n,)."""
    spectrum = np.abs(np.fft.rfft(z, 2 * z.size)) ** 2
    correlation = np.fft.irfft(spectrum)[1 : lags + 1] / z.size
    allowed = stats.norm.isf(ALPHA / (2.0 * lags)) / np.sqrt(z.size)
    return float(np.abs(correlation).max() / allowed)


def test_rows_parts_and_neighbouring_samples_are_uncorrelated() -> None:
    z = noise(samples=16384)
    columns = np.concatenate([z[:-1].reshape(16383, -1), z[1:].reshape(16383, -1)], axis=1)
    assert worst_correlation(columns) < 1.0
    # So are their sizes; squares have heavier tails than the normal law that `allowed` is taken from.
    assert worst_correlation((columns**2 - 1.0) / np.sqrt(2.0)) < 1.5
    columns[:, 7] = columns[:, 6]
    assert worst_correlation(columns) > 10.0


def test_seeds_and_serials_are_uncorrelated() -> None:
    seeds = [noise(seed, samples=2048).ravel() for seed in (1, 2, 3, 2**32, 2**32 + 1, -1)]
    serials = [noise(1, serial, samples=2048).ravel() for serial in (1, 2, 3, 2**32, 2**32 + 1)]
    assert worst_correlation(np.stack(seeds + serials, axis=1)) < 1.0


@pytest.mark.parametrize("row", [0, 1, 95])
def test_a_rows_samples_are_white(row: int) -> None:
    low, high = (key[row : row + 1].copy() for key in keys())
    z = draw(low, high, 0, 2**18).astype(float)
    for part in (0, 1):
        assert worst_autocorrelation(z[:, part, 0]) < 1.0
    repeating = np.tile(z[: 2**12, 0, 0], 2**6)
    assert worst_autocorrelation(repeating) > 10.0


def test_one_key_for_all_rows_is_found() -> None:
    low, high = keys()
    low[:], high[:] = low[0], high[0]
    z = draw(low, high, 0, 8192).astype(float)
    assert worst_correlation(z.reshape(8192, -1)) > 10.0


def test_one_sample_for_all_counters_is_found() -> None:
    low, high = keys(count=1)
    still = np.concatenate([draw(low, high, 5, 1) for _ in range(4096)]).astype(float)
    assert worst_autocorrelation(still[:, 0, 0], lags=100) > 10.0
