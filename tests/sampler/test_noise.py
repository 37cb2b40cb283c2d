"""The noise: what it is numbered by, whether starts and innovations are Gaussian, whether windows are white.

Statistical tests are at a false-alarm rate of 1e-6 each; the seeds are fixed, so what passes once passes always.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rtsynth.sampler.noise import PERIOD, SEGMENT, WINDOW_ROWS, window_table
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
    """What keeps rows alive: (samples, 2, ROWS) in double precision."""
    return draw(*keys(seed, serial), 0, samples).astype(float)


def gaussians(seed: int = 1, notes: int = 8192) -> Array:
    """Box and Muller's, of the starts of so many notes: (notes, 2, ROWS) in double precision."""
    return np.stack([start(seed, serial, ROWS)[2] for serial in range(notes)]).astype(float)


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
    np.testing.assert_allclose(normals, reference.starts_drawn(low, high), rtol=1e-5, atol=1e-5)


def test_whole_is_pieces_is_segments_is_groups() -> None:
    low, high = keys()
    whole = draw(low, high, 0, 320)
    ends = [0, 1, 33, 34, 100, 320]
    pieces = [draw(low, high, a, b - a) for a, b in pairwise(ends)]
    assert np.concatenate(pieces).tobytes() == whole.tobytes()
    segments = [draw(low, high, at, SEGMENT) for at in range(0, 320, SEGMENT)]
    assert np.concatenate(segments).tobytes() == whole.tobytes()
    # A group of 64 rows has the key of its first one, however many of its rows there are.
    for first in (0, WINDOW_ROWS):
        group = draw(low[first:].copy(), high[first:].copy(), 0, 320)
        assert group.tobytes() == whole[:, :, first:].tobytes()
    for count in (1, 7, 48, 65):
        assert draw(*keys(count=count), 0, 320).tobytes() == whole[:, :, :count].tobytes()


def test_another_seed_serial_row_or_sample_is_another_number() -> None:
    low, high = keys()
    whole = draw(low, high, 0, 64)
    for other in (keys(seed=2), keys(serial=1), keys(seed=1 + 2**32), keys(serial=2**32)):
        assert (draw(*other, 0, 64) == whole).mean() < 1e-3
    assert (draw(low, high, 1, 64) == whole).mean() < 1e-3
    assert np.unique(start(1, 0, ROWS)[2]).size > 0.99 * 2 * ROWS


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
    z = gaussians(seed)
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
    assert not found_by(spoil(gaussians().ravel()))


def test_pairs_that_lean_are_found() -> None:
    z = gaussians()
    z[:, 1] += 0.02 * z[:, 0]
    assert not pairs_are_round(z)


def test_starts_are_independent_and_the_scalar_noise_is_gaussian() -> None:
    assert worst_correlation(gaussians(notes=4000).reshape(4000, -1)) < 1.0
    low, high = keys()
    scalars = draw_scalars(low, high, 0, 1.0, segments=2**14).astype(float)
    assert [check.__name__ for check in MARGINALS if not check(scalars)] == []
    assert worst_autocorrelation(scalars) < 1.0


# ---- the table, read at even places: exact, no chance in it ----


def lagged(z: Array) -> Array:
    """Mean products of one period of a circular table with itself shifted, (PERIOD,)."""
    return np.fft.irfft(np.abs(np.fft.rfft(z)) ** 2) / z.size


def test_the_table_is_white_as_far_as_a_window_reaches() -> None:
    """So rows and parts have mean 0, variance 1 and no correlation, to the rounding of float32."""
    table = window_table().astype(float)
    period = table[:PERIOD]
    assert table.size == PERIOD + WINDOW_ROWS
    assert np.array_equal(table[PERIOD:], period[:WINDOW_ROWS])
    assert np.array_equal(period[PERIOD // 2 :], -period[: PERIOD // 2])
    correlation = lagged(period)
    assert abs(correlation[0] - 1.0) < 1e-8
    assert np.abs(correlation[1 : PERIOD // 2]).max() < 1e-8
    spoilt = period.copy()
    spoilt[100] += 0.01
    assert np.abs(lagged(spoilt)[1 : PERIOD // 2]).max() > 1e-6


def test_the_table_is_almost_normal() -> None:
    """Its numbers are the normal quantiles to 0.01 (0.3 in the tails); kurtosis 3; squares all but uncorrelated."""
    z = window_table()[:PERIOD].astype(float)
    away = np.abs(np.sort(z) - stats.norm.ppf((np.arange(PERIOD) + 0.5) / PERIOD))
    assert away.max() < 0.3
    assert away[160:-160].max() < 0.01
    assert abs(np.mean(z**4) - 3.0) < 0.01
    squares = lagged(z**2 - 1.0)[1:WINDOW_ROWS] / 2.0
    assert np.abs(squares).max() < 0.05


# ---- the places ----


def drawn_places(seed: int, serial: int = 0, samples: int = 2**18) -> Array:
    """Places (2, samples) of a voice's first group, of re and im."""
    low, high = keys(seed, serial, 1)
    return reference.draw_places(low, high, 0, samples)[0].astype(np.int32)


def test_places_are_even_in_pairs_and_over_time() -> None:
    """Chi-square over places, pairs of re and im, neighbours in time; and each of 28 bits. 40 voices, 10^7 draws."""
    voices = [drawn_places(1, serial) for serial in range(40)]
    places = np.concatenate(voices, axis=1)
    high = places >> 7
    tables = [
        *(np.bincount(part, minlength=PERIOD) for part in places),
        np.bincount((high[0] << 7) | high[1], minlength=PERIOD),
        np.bincount((high[0, 1:] << 7) | high[0, :-1], minlength=PERIOD),
        np.bincount((places[1, 1:] & 127) << 7 | (places[0, :-1] & 127), minlength=PERIOD),
    ]
    assert [k for k, counts in enumerate(tables) if stats.chisquare(counts).pvalue < ALPHA] == []
    ones = np.array([(part >> bit & 1).mean() for part in places for bit in range(14)])
    assert np.abs(ones - 0.5).max() < SIGMAS * 0.5 / np.sqrt(places.shape[1])
    # One place in a thousand that is never read is found.
    assert stats.chisquare(np.where(np.arange(PERIOD) % 1024 == 5, 0, tables[0])).pvalue < ALPHA


def test_places_are_white_over_time() -> None:
    """Autocorrelation of the places, and of their lowest bits, over 2^20 samples and 4096 lags."""
    for part in drawn_places(2, samples=2**20):
        assert worst_autocorrelation((part - part.mean()) / part.std()) < 1.0
        assert worst_autocorrelation(2.0 * (part & 1) - 1.0) < 1.0


def test_voices_and_seeds_read_at_unrelated_places() -> None:
    """64 voices and 16 seeds, re and im, this sample and the next: no two are correlated."""
    drawn = [drawn_places(1, serial, 2**15) for serial in range(64)]
    drawn += [drawn_places(seed, 0, 2**15) for seed in [*range(2, 10), *(2**32 + k for k in range(8))]]
    now = np.concatenate(drawn).T.astype(float)
    columns = np.concatenate([now[:-1], now[1:]], axis=1)
    columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    assert worst_correlation(columns) < 1.0
    columns[:, 1] = columns[:, 0]
    assert worst_correlation(columns) > 10.0


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
    # Their sizes are related as far as the table's are (above), and no further.
    sizes = (columns**2 - 1.0) / np.sqrt(2.0)
    assert worst_correlation(sizes) < 0.15 / (stats.norm.isf(ALPHA) / np.sqrt(16383))
    columns[:, 7] = columns[:, 6]
    assert worst_correlation(columns) > 10.0


def test_seeds_and_serials_are_uncorrelated() -> None:
    seeds = [noise(seed, samples=2048).ravel() for seed in (1, 2, 3, 2**32, 2**32 + 1, -1)]
    serials = [noise(1, serial, samples=2048).ravel() for serial in (1, 2, 3, 2**32, 2**32 + 1)]
    assert worst_correlation(np.stack(seeds + serials, axis=1)) < 1.0


@pytest.mark.parametrize("row", [0, 1, 95])
def test_a_rows_samples_are_white(row: int) -> None:
    z = draw(*keys(), 0, 2**17)[:, :, row].astype(float)
    for part in (0, 1):
        assert worst_autocorrelation(z[:, part]) < 1.0
    repeating = np.tile(z[: 2**12, 0], 2**5)
    assert worst_autocorrelation(repeating) > 10.0


def test_one_key_for_all_rows_is_found() -> None:
    low, high = keys()
    low[:], high[:] = low[0], high[0]
    z = draw(low, high, 0, 8192).astype(float)
    assert worst_correlation(z.reshape(8192, -1)) > 10.0


def test_one_sample_for_all_counters_is_found() -> None:
    low, high = keys(count=1)
    still = np.concatenate([draw(low, high, 5, 1) for _ in range(4096)]).astype(float)
    assert worst_autocorrelation(np.sign(still[:, 0, 0]), lags=100) > 5.0
