"""The seed's kernel against its published code, transcribed, and against the numbers measured from it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from rtsynth.kernels import (
    SEED_FREQUENCY,
    ClippedWeights,
    HarmonicSeries,
    Regime,
    seed_crossover,
    seed_gain,
    seed_weights,
    two_regime,
)
from rtsynth.kernels.value import Array
from rtsynth.statespace import nearest_psd, state_space

SEED_STEP = 90000.0 / 4999.0  # samples at 44.1 kHz between two points of the seed's grid


def published(t: Array, core_only: bool = False) -> Array:
    """The covariance matrix of the seed's R code, line by line; t (N,) in samples at 44.1 kHz."""

    def covar_core(t: Array, p1: float, p2: float) -> Array:
        t = np.abs(t) / 167.0
        result = 2.0 * np.exp(-p1 * np.sin(np.pi * t) ** 2)
        result = result - 1.0 + p2 * np.cos(np.pi / 2.0 + np.pi * t) ** 8
        return np.exp(-t / 102.0) * result

    def plogis(x: Array) -> Array:
        return 1.0 / (1.0 + np.exp(-x))

    diff = np.subtract.outer(t, t)
    weight = np.sqrt(plogis(t / 2500.0 - 17.0))
    weight = np.outer(weight, weight)
    S = weight * covar_core(diff, 5.0, 1.7) + (1.0 - weight) * covar_core(diff, 2.0, 0.25)
    sigma = 4.0 * t * np.exp(-(t / 3000.0)) + 2000.0 * (plogis(t / 1000.0) - 0.5)
    return S if core_only else np.outer(sigma, sigma) * S


def unit(t: Array) -> Array:
    return np.ones_like(t)


def grid(count: int) -> Array:
    """`count` points over the whole of the seed's signal, in samples at 44.1 kHz."""
    return np.linspace(0.0, 90000.0, count)


def relative(difference: Array, to: Array) -> float:
    return float(np.linalg.norm(difference) / np.linalg.norm(to))


def mixture(**settings: object) -> Array:
    """The covariance of the mixture form on grid(1250)."""
    t = grid(1250) / 44100.0
    with pytest.warns(ClippedWeights, match="a_0"):
        return two_regime(harmonics=12, **settings).covariance(t, t)  # type: ignore[arg-type]


def test_faithful_is_the_published_code() -> None:
    n = grid(401)
    faithful = two_regime(faithful=True).covariance(n / 44100.0, n / 44100.0)
    np.testing.assert_allclose(faithful, published(n), atol=1e-10 * 5327.0**2)
    other = two_regime(faithful=True, after=(5.0, 1.71)).covariance(n / 44100.0, n / 44100.0)
    assert np.abs(other - published(n)).max() > 1e-4 * 5327.0**2


def test_weights_are_those_of_the_table() -> None:
    before = [-1.214e-4, 0.72227, 0.25444, 0.01700, 0.00598, 3.99e-4, 3.3e-5, 2.4e-6, 1.5e-7]
    after = [4.937e-3, 0.08259, 0.79099, 0.04950, 0.05858, 0.01078, 2.17e-3, 3.77e-4, 5.8e-5]
    half_digit = [5e-8, 5e-6, 5e-6, 5e-6, 5e-6, 5e-7, 5e-7, 5e-8, 5e-9]
    assert (np.abs(seed_weights("before") - before) <= half_digit).all()
    half_digit = [5e-7, 5e-6, 5e-6, 5e-6, 5e-6, 5e-6, 5e-6, 5e-7, 5e-7]
    assert (np.abs(seed_weights("after") - after) <= half_digit).all()
    assert seed_weights("before", 40).sum() == pytest.approx(1.0, abs=1e-14)
    with pytest.raises(ValueError, match="'before' or 'after'"):
        seed_weights("during")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("p1", "harmonic", "p2"), [(2.0, 0, 0.25044), (2.0, 3, 0.522), (5.0, 0, 1.68195), (5.0, 1, 1.889)]
)
def test_the_window_of_p2_ends_where_a_weight_changes_sign(p1: float, harmonic: int, p2: float) -> None:
    step = 1e-5 if harmonic == 0 else 1e-3
    below, above = (Regime(p1, p2 + side * step, 1.0).harmonics(4)[harmonic] for side in (-1.0, 1.0))
    assert below * above < 0.0


@pytest.mark.parametrize(
    ("which", "harmonics", "error"),
    [
        ("after", 4, 1.3e-2),
        ("after", 6, 4.4e-4),
        ("after", 8, 9e-6),
        ("after", 12, 1.2e-9),
        ("before", 6, 2.5e-6),
    ],
)
def test_truncation_errors_are_those_measured(which: str, harmonics: int, error: float) -> None:
    p1, p2 = (2.0, 0.25) if which == "before" else (5.0, 1.7)
    lag = np.linspace(0.0, 1.0, 2001)
    phases = 2.0 * np.pi * np.multiply.outer(lag, np.arange(harmonics + 1))
    series = np.cos(phases) @ seed_weights(which, harmonics)  # type: ignore[arg-type]
    assert np.abs(series - Regime(p1, p2, 1.0).at(lag)).max() == pytest.approx(error, rel=0.06)


def test_gain_and_crossover() -> None:
    t = np.linspace(0.0, 3.0, 300001)
    assert seed_gain(np.zeros(1))[0] == 0.0
    assert seed_gain(t).max() == pytest.approx(5327.0, abs=1.0)
    assert t[np.argmax(seed_gain(t))] == pytest.approx(0.072, abs=5e-4)
    assert seed_gain(np.array([60.0]))[0] == pytest.approx(1000.0)
    np.testing.assert_allclose(seed_crossover(np.array([0.839, 0.964, 1.088])), [0.1, 0.5, 0.9], atol=2e-3)


def test_mixture_deviates_from_the_seed_as_measured() -> None:
    n, m = grid(1250), seed_crossover(grid(1250) / 44100.0)
    core, seed = mixture(gain=unit), published(n, core_only=True)
    assert relative(core - seed, seed) == pytest.approx(0.116, abs=5e-4)
    assert relative(mixture() - published(n), published(n)) == pytest.approx(0.035, abs=5e-4)
    inside = np.ix_((m > 0.01) & (m < 0.99), (m > 0.01) & (m < 0.99))
    assert relative((core - seed)[inside], seed[inside]) == pytest.approx(0.146, abs=1.5e-3)
    outside = np.ix_(m < 1e-6, m < 1e-6)
    assert relative((core - seed)[outside], seed[outside]) < 5e-4
    np.testing.assert_allclose(np.diag(core), np.diag(seed), atol=1e-8)


def test_nearest_psd_hardly_moves_the_seed() -> None:
    seed = published(grid(1250)) + 1e-5 * np.eye(1250)
    assert np.linalg.eigvalsh(seed)[0] < 0.0
    near = nearest_psd(seed)
    assert np.linalg.eigvalsh(near)[0] > 0.0
    assert relative(near - seed, seed) == pytest.approx(1.5e-4, rel=0.05)


def test_the_seed_is_indefinite_for_its_constant_alone() -> None:
    t = grid(1250) / 44100.0
    seed = two_regime(faithful=True, gain=unit).covariance(t, t)
    tuned = two_regime(faithful=True, gain=unit, before=(2.0, 0.25044)).covariance(t, t)
    # At 2500 points the same eigenvalues are -6.3e-2 and +1.8e-3 of 257: they grow with the number of points.
    assert np.linalg.eigvalsh(seed)[0] == pytest.approx(-2.8e-2, rel=0.05)
    assert np.linalg.eigvalsh(tuned)[0] > 1e-3


@pytest.mark.parametrize(("scale", "least"), [(2500.0, 6e-7), (2000.0, -1.36e-2), (1600.0, -3.3e-2)])
def test_the_faithful_form_is_indefinite_where_the_crossover_is_quicker(scale: float, least: float) -> None:
    n = grid(1400)
    before, after = (
        HarmonicSeries(np.array([0.0, seed_weights(w)[1]]), SEED_FREQUENCY) for w in ("before", "after")
    )
    w = np.sqrt(0.5 * (1.0 + np.tanh(0.5 * (n / scale - 17.0))))
    decay = np.exp(-np.abs(np.subtract.outer(n, n)) / (102.0 * 167.0))
    mixed = decay * (before.weights[1] + (after.weights[1] - before.weights[1]) * np.outer(w, w))
    eigenvalues = np.linalg.eigvalsh(mixed)
    assert eigenvalues[0] / eigenvalues[-1] == pytest.approx(least, rel=0.05)


def test_harmonics_alias_to_where_the_published_signal_has_its_peaks() -> None:
    rate = 44100.0 / SEED_STEP
    assert rate == pytest.approx(2449.5, abs=0.05)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ClippedWeights)
        model = state_space(two_regime()).discretise(rate)
    folded = [abs(np.angle(complex(b.A[0, 0], b.A[1, 0]))) / (2.0 * np.pi) * rate for b in model.blocks]
    # Written as if at 5000 Hz; peaks of the published file: 540.1, 1078.4, 1617.7 ... 2304.8 Hz.
    heard = np.array(folded) * 5000.0 / rate
    want = [0.0, 539.03, 1078.05, 1617.1, 2156.1, 2304.9, 1765.8]
    np.testing.assert_allclose(heard[:7], want, atol=0.1)
    np.testing.assert_allclose([folded[k] for k in (5, 6, 7)], [1129.0, 865.0, 601.0], atol=0.6)


def test_a_regime_that_needs_no_clipping_says_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ClippedWeights)
        kernel = two_regime(before=(2.0, 0.2505), frequency=100.0)
    assert kernel.variance(np.array([0.5]))[0] == pytest.approx(seed_gain(np.array([0.5]))[0] ** 2, rel=1e-5)
