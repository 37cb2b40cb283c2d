"""Autoregressions against what they are by definition, and their conditional laws against the dense ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import toeplitz
from scipy.signal import lfilter

from rtsynth.kernels.value import Array
from rtsynth.statespace import AutoRegression, condition, draw_fill, fill, fit_autoregressions, smooth
from rtsynth.statespace.autoregression import FLOOR, proceed

RATE = 8000.0
POLES = np.array([0.95 * np.exp(0.3j), 0.9 * np.exp(1.1j), 0.5])
MODEL = AutoRegression(np.poly([*POLES[:2], *POLES[:2].conj(), POLES[2]]).real, 0.7)


def path(count: int, seed: int = 1) -> Array:
    rng = np.random.default_rng(seed)
    return lfilter(
        [1.0], MODEL.whitening, np.sqrt(MODEL.innovation_variance) * rng.standard_normal(count + 500)
    )[500:]


def dense(y: Array) -> tuple[Array, Array]:
    """Mean and covariance of the NaN in y given the rest."""
    K = toeplitz(MODEL.covariance(y.size))
    gap = np.isnan(y)
    gain = np.linalg.solve(K[np.ix_(~gap, ~gap)], K[np.ix_(~gap, gap)]).T
    return gain @ y[~gap], K[np.ix_(gap, gap)] - gain @ K[np.ix_(~gap, gap)]


def with_gaps(*gaps: slice, count: int = 90) -> Array:
    y = path(count)
    for gap in gaps:
        y[gap] = np.nan
    return y


CASES = {
    "inside": with_gaps(slice(30, 47)),
    "two": with_gaps(slice(20, 30), slice(32, 40)),
    "scattered": with_gaps(slice(10, 80, 3)),
    "near the end": with_gaps(slice(60, 87)),
    "at the end": with_gaps(slice(70, 90)),
    "one sample": with_gaps(slice(40, 41)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_conditional_law_is_the_dense_one(name: str) -> None:
    y = CASES[name]
    mean, covariance = dense(y)
    law = condition(MODEL, y)
    np.testing.assert_allclose(law.mean, mean, atol=1e-10)
    L = law.paths(np.eye(law.mean.size))
    np.testing.assert_allclose(L @ L.T, covariance, atol=1e-10)
    off = condition(AutoRegression(1.001 ** np.arange(6) * MODEL.whitening, 0.7), y)
    assert np.abs(off.mean - mean).max() > 1e-5


@pytest.mark.parametrize("name", ["inside", "near the end"])
def test_the_state_space_tools_say_the_same(name: str) -> None:
    y, gap = CASES[name], np.isnan(CASES[name])
    law, model = condition(MODEL, y), MODEL.discretise(RATE)
    np.testing.assert_allclose(fill(model, y)[gap], law.mean, atol=1e-9)
    np.testing.assert_allclose(
        smooth(model, y).variance[gap], np.sum(law.paths(np.eye(gap.sum())) ** 2, axis=1), atol=1e-9
    )
    drawn = draw_fill(model, y, np.random.default_rng(2), draws=4000)[:, gap]
    # 4000 draws: each z below 4.9 sigma; false alarm 1e-6 a sample.
    z = (drawn.mean(axis=0) - law.mean) / np.sqrt(np.sum(law.paths(np.eye(gap.sum())) ** 2, axis=1) / 4000)
    assert np.abs(z).max() < 4.9


def test_the_fit_is_the_least_squares_solution() -> None:
    pieces, p = [path(300, 1), path(40, 2), path(5, 3)], 7
    rows = []
    for piece in pieces[:2]:  # the third is too short
        for run in (piece, piece[::-1]):
            rows += [run[n - p : n + 1][::-1] for n in range(p, run.size)]
    X = np.array(rows)
    ridge = np.sqrt(FLOOR * np.mean(X**2) * len(X)) * np.eye(p)
    a = np.linalg.lstsq(np.vstack([X[:, 1:], ridge]), np.append(-X[:, 0], np.zeros(p)), rcond=None)[0]
    (fitted,) = fit_autoregressions(pieces, [p])
    np.testing.assert_allclose(fitted.whitening[1:], a, atol=1e-9)
    lower, again = fit_autoregressions(pieces, [0, p])
    assert (lower.order, again) == (0, fitted)
    with pytest.raises(ValueError, match="order 400 wants a piece longer"):
        fit_autoregressions(pieces, [400])


def test_silence_is_fitted_and_filled_by_silence() -> None:
    (model,) = fit_autoregressions([np.zeros(100)], [5])
    assert model.innovation_variance == 0.0
    y = np.zeros(40)
    y[20:30] = np.nan
    law = condition(model.stationary(), y)
    np.testing.assert_array_equal(law.mean + law.paths(np.ones(10)), np.zeros(10))


def test_an_unstable_process_becomes_the_stable_one_of_its_spectrum() -> None:
    roots = [1.0 / POLES[0].conj(), 1.0 / POLES[0], *POLES[1:2], *POLES[1:2].conj()]
    unstable = AutoRegression(np.poly(roots).real, 0.3)
    stable = unstable.stationary()
    assert np.abs(np.roots(stable.whitening)).max() < 1.0 < np.abs(roots).max()
    k = unstable.covariance(20)
    np.testing.assert_allclose(stable.covariance(20), k, rtol=0, atol=1e-9 * k[0])
    np.testing.assert_allclose(MODEL.stationary().whitening, MODEL.whitening, atol=1e-9)


def test_what_follows_a_past() -> None:
    y, drive = path(60), np.random.default_rng(4).standard_normal(30)
    x = list(y)
    for e in drive:
        x.append(e - MODEL.whitening[1:] @ np.array(x[: -MODEL.order - 1 : -1]))
    np.testing.assert_allclose(proceed(MODEL, y, drive), x[60:], atol=1e-12)
    np.testing.assert_array_equal(proceed(AutoRegression(np.ones(1), 1.0), y, drive), drive)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="the first 5 samples of y must be heard"):
        condition(MODEL, with_gaps(slice(4, 9)))
    with pytest.raises(ValueError, match="wants 1 in front"):
        AutoRegression(np.array([2.0, 1.0]), 1.0)
    assert condition(MODEL, path(20)).mean.size == 0
