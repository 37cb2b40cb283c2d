"""Whittle's fit: what it finds where the truth is known, its bias, and that its step is the one it says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from rtsynth.speech import spectra
from rtsynth.speech.mixture import Lines, fit_powers

SIZE, COUNT = 256, 120  # of the transform, of the window
WINDOW = spectra.hann(COUNT)
BINS = SIZE // 2 + 1
FREE = 1e6  # a tie that ties nothing


def bands(centres: list[float], damping: float = 0.1) -> np.ndarray:
    covariance = spectra.band_covariance(centres, [damping] * len(centres), 4, COUNT)
    return spectra.expected_periodograms(covariance, WINDOW, SIZE).astype(np.float32)


def lines(at: np.ndarray) -> Lines:
    """Lines centred on bins (F, H); 0: absent."""
    shape = spectra.line_shape(1e-3, 4, WINDOW, SIZE, 16)
    return Lines(at, at > 0, shape, 16, BINS)


def none(frames: int) -> Lines:
    return lines(np.zeros((frames, 0)))


def test_the_truth_is_found_where_the_data_are_their_own_expectation() -> None:
    """Two bands that overlap, a white floor, and two lines, one of which moves and vanishes."""
    rng = np.random.default_rng(2)
    at = np.column_stack([np.full(30, 40.0), np.linspace(80.3, 88.7, 30)])
    at[20:, 1] = 0.0
    true = 10 ** rng.uniform(-2, 2, (30, 5))
    true[20:, 4] = 0.0
    found_lines, columns = lines(at), np.vstack([bands([0.1, 0.16]), np.full((1, BINS), 1e-3, np.float32)])
    data = true[:, :3] @ columns + (found_lines.matrix(slice(None)) @ true[:, 3:].ravel()).reshape(30, -1)
    found = fit_powers(data.astype(np.float32), columns, found_lines, weight=1.0, tie=FREE, steps=400)
    assert (found[20:, 4] == 0.0).all()
    loud = true > 1e-2 * true.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[loud], true[loud], rtol=0.02)


def test_one_band_over_its_own_shape_is_the_mean_exactly() -> None:
    """The maximum of Whittle's likelihood in closed form; the mean of logarithms, the seed's, is 2.5 dB lower."""
    rng = np.random.default_rng(3)
    data = rng.exponential(2.0, (400, BINS)).astype(np.float32)
    flat = np.ones((1, BINS), np.float32)
    found = fit_powers(data, flat, none(400), weight=1.0, tie=FREE, steps=60)
    np.testing.assert_allclose(found[:, 0], data.mean(axis=1), rtol=1e-4)
    seeds = np.exp(np.log(data).mean())
    # 51 600 exponentials: the mean of logarithms has a standard error of 0.025 dB; 6 of them on each side.
    assert 10 * np.log10(seeds / found.mean()) == pytest.approx(-2.51, abs=0.15)


def test_a_tight_prior_gives_all_frames_one_power() -> None:
    rng = np.random.default_rng(4)
    data = rng.exponential(2.0, (50, BINS)).astype(np.float32)
    flat = np.ones((1, BINS), np.float32)
    tied = fit_powers(data, flat, none(50), weight=1.0, tie=1e-3, steps=60)[:, 0]
    assert np.ptp(np.log(tied)) < 0.01
    assert tied.mean() == pytest.approx(data.mean(), rel=1e-3)
    assert np.ptp(np.log(fit_powers(data, flat, none(50), weight=1.0, tie=FREE))) > 0.2


def test_the_minimum_is_that_of_the_stated_function() -> None:
    """Against a general optimiser on the likelihood and the prior as the docstring writes them."""
    rng = np.random.default_rng(5)
    columns, at = bands([0.08, 0.2, 0.3]), np.array([[30.0], [31.5], [0.0], [50.0], [51.0]])
    found_lines, weight, tie = lines(at), 0.3, 0.7
    matrix = found_lines.matrix(slice(None)).toarray().reshape(5, BINS, 5, 1)
    data = (rng.exponential(1.0, (5, 3)) @ columns * rng.exponential(1.0, (5, BINS)) + 1e-3).astype(
        np.float32
    )
    present = np.hstack([np.ones((5, 3), bool), at > 0])

    def objective(z: np.ndarray) -> float:
        power = np.where(present, np.exp(z.reshape(5, 4)), 0.0)
        model = power[:, :3] @ columns + np.einsum("fbgh,gh->fb", matrix, power[:, 3:])
        steps = np.diff(z.reshape(5, 4), axis=0)[present[1:] & present[:-1]]
        return float(weight * np.sum(np.log(model) + data / model) + np.sum(steps**2) / (2 * tie**2))

    found = fit_powers(data, columns, found_lines, weight=weight, tie=tie, steps=600)
    z = np.log(np.where(present, found, 1.0)).ravel()
    better = minimize(objective, z, method="BFGS", options={"gtol": 1e-6})
    assert objective(z) - better.fun < 1e-3
    assert objective(np.zeros(20)) - better.fun > 1.0  # the test would see a fit that did nothing
    wrong = fit_powers(data, columns, found_lines, weight=weight, tie=3 * tie, steps=600)
    assert objective(np.log(np.where(present, wrong, 1.0)).ravel()) - better.fun > 0.05


def test_lines_at_the_edges_lose_what_lies_outside() -> None:
    edge = lines(np.array([[0.4, BINS - 1.2]]))
    spectrum = (edge.matrix(slice(None)) @ np.ones(2)).reshape(BINS)
    assert spectrum[0] > 0
    assert spectrum[-1] > 0
    assert np.isfinite(spectrum).all()


def test_progress_is_told() -> None:
    told: list[float] = []
    fit_powers(
        np.ones((3, BINS), np.float32),
        bands([0.1]),
        none(3),
        weight=1.0,
        tie=1.0,
        steps=5,
        progress=told.append,
    )
    assert told == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
