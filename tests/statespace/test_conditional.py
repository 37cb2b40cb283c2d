"""Continuation and filled gaps against dense conditionals; the error that a note's gap can be filled with."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.linalg import toeplitz

from rtsynth.kernels import Cosine, DampedCosines, Exponential, GainedRows, Kernel, Matern32
from rtsynth.kernels.value import Array
from rtsynth.statespace import (
    Innovations,
    continuation,
    draw,
    draw_continuation,
    draw_fill,
    fill,
    innovations,
    smooth,
    state_space,
)
from rtsynth.statespace.innovations import spectral_density
from tests.kernels.examples import GRID, KERNELS, ROWS
from tests.statespace.test_smoother import CASES, COUNT, IDS, RATE, dense_posterior, noisy

AHEAD = 24


class Given:
    """Stands in for a generator of normal variates: gives those it was made with."""

    def __init__(self, normals: ArrayLike) -> None:
        self.normals = np.asarray(normals)

    def standard_normal(self, size: int) -> Array:
        assert self.normals.size == size
        return self.normals


def conditional(kernel: Kernel, y: Array, ahead: int, noise_variance: float) -> tuple[Array, Array]:
    """Mean (ahead,) and covariance (ahead, ahead) of what follows y, densely."""
    t = np.arange(y.size + ahead) / RATE
    mean, covariance = dense_posterior(kernel, t, np.append(y, np.full(ahead, np.nan)), noise_variance)
    return mean[y.size :], covariance[y.size :, y.size :]


@pytest.mark.parametrize(("kernel", "noise_variance"), CASES, ids=IDS)
def test_continuation_is_the_dense_conditional(kernel: Kernel, noise_variance: float) -> None:
    y = noisy(kernel, noise_variance)[:-2]
    mean, covariance = conditional(kernel, y, AHEAD, noise_variance)
    k0 = kernel.variance(np.arange(y.size + AHEAD) / RATE).max()
    found = continuation(state_space(kernel).discretise(RATE), y, AHEAD, noise_variance)
    np.testing.assert_allclose(found.mean, mean, rtol=0, atol=1e-9 * np.sqrt(k0))
    np.testing.assert_allclose(found.covariance, covariance, rtol=0, atol=1e-9 * k0)
    off = continuation(state_space(kernel).discretise(1.001 * RATE), y, AHEAD, noise_variance)
    assert max(np.abs(off.mean - mean).max(), np.abs(off.covariance - covariance).max()) > 1e-5


BANK = DampedCosines.settled([180.0, 433.0, 700.0], [60.0, 90.0, 40.0], [1.0, 0.5, 0.2])


def bank_form() -> Innovations:
    lam = np.exp((-BANK.damping + 2j * np.pi * BANK.frequency) / RATE)
    return innovations(lam, BANK.settled_variance)


def test_continuation_of_the_innovations_form_is_the_dense_conditional_of_a_long_past() -> None:
    y = draw(BANK, np.arange(900) / RATE, np.random.default_rng(8))
    mean, covariance = conditional(BANK, y, AHEAD, 0.0)
    found, exact = continuation(bank_form(), y, AHEAD), state_space(BANK).discretise(RATE)
    np.testing.assert_allclose(found.mean, mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.covariance, covariance, rtol=0, atol=1e-9)
    np.testing.assert_allclose(continuation(exact, y, AHEAD).mean, mean, rtol=0, atol=1e-9)
    # A short past it has not made up for: what came before was not silent.
    short = continuation(bank_form(), y[:30], AHEAD).mean - conditional(BANK, y[:30], AHEAD, 0.0)[0]
    assert np.abs(short).max() > 1e-4


def test_draws_of_a_continuation_have_its_law() -> None:
    y = draw(BANK, np.arange(200) / RATE, np.random.default_rng(8))
    model, form = state_space(BANK).discretise(RATE), bank_form()
    for conditioned, size in ((model, AHEAD * model.states), (form, AHEAD)):
        law = continuation(conditioned, y, AHEAD)
        mean = draw_continuation(conditioned, y, AHEAD, Given(np.zeros(size)))
        np.testing.assert_allclose(mean, law.mean, atol=1e-12)
        L = np.stack(
            [draw_continuation(conditioned, y, AHEAD, Given(z)) - mean for z in np.eye(size)], axis=1
        )
        np.testing.assert_allclose(L @ L.T, law.covariance, atol=1e-10)
        assert np.abs(L[:, 1:] @ L[:, 1:].T - law.covariance).max() > 1e-4


def test_without_a_past_a_continuation_is_the_process() -> None:
    kernel, t = KERNELS["mixture"], np.arange(AHEAD) / RATE
    law = continuation(state_space(kernel).discretise(RATE), [], AHEAD)
    np.testing.assert_array_equal(law.mean, np.zeros(AHEAD))
    np.testing.assert_allclose(law.covariance, kernel.covariance(t, t), atol=1e-12)
    model = state_space(kernel).discretise(RATE)
    for conditioned in (model, bank_form()):
        empty = continuation(conditioned, [0.1], 0)
        assert (empty.mean.shape, empty.covariance.shape) == ((0,), (0, 0))
        assert draw_continuation(conditioned, [0.1], 0, np.random.default_rng(1)).shape == (0,)


@pytest.mark.parametrize(("kernel", "noise_variance"), CASES, ids=IDS)
def test_a_gap_is_filled_with_the_dense_posterior_mean(kernel: Kernel, noise_variance: float) -> None:
    y = noisy(kernel, noise_variance)
    gap = np.isnan(y)
    mean, _ = dense_posterior(kernel, np.arange(COUNT) / RATE, y, noise_variance)
    filled = fill(state_space(kernel).discretise(RATE), y, noise_variance)
    np.testing.assert_array_equal(filled[~gap], y[~gap])
    np.testing.assert_allclose(filled[gap], mean[gap], rtol=0, atol=1e-9 * np.sqrt(np.nanmax(y**2)))


@pytest.mark.parametrize(
    ("kernel", "noise_variance"),
    [
        (Exponential(0.01) * Cosine(300.0), 0.0),
        (Matern32(0.01) * Cosine(200.0), 0.01),
        (GainedRows(ROWS, GRID), 0.1),
    ],
    ids=["rotation", "matern", "gained rows"],
)
def test_draws_into_a_gap_have_the_dense_posterior_law(kernel: Kernel, noise_variance: float) -> None:
    y = noisy(kernel, noise_variance)[:45]
    gap, model = np.isnan(y), state_space(kernel).discretise(RATE)
    mean, covariance = dense_posterior(kernel, np.arange(y.size) / RATE, y, noise_variance)
    noises = y.size * (model.states + 1)
    columns = np.hstack([np.zeros((noises, 1)), np.eye(noises)])  # the first draws the mean
    paths = draw_fill(model, y, Given(columns.ravel()), noises + 1, noise_variance)
    np.testing.assert_array_equal(paths[:, ~gap], np.tile(y[~gap], (noises + 1, 1)))
    np.testing.assert_allclose(paths[0, gap], mean[gap], atol=1e-9)
    L = (paths[1:] - paths[0])[:, gap].T
    np.testing.assert_allclose(L @ L.T, covariance[np.ix_(gap, gap)], atol=1e-9)
    assert np.abs(L @ L.T - 1.001 * covariance[np.ix_(gap, gap)]).max() > 1e-6


def test_draws_into_a_gap_differ_and_repeat_with_their_generator() -> None:
    kernel = Exponential(0.01) * Cosine(300.0)
    model, y = state_space(kernel).discretise(RATE), noisy(kernel, 0.0)
    first, again = (draw_fill(model, y, np.random.default_rng(3), draws=2) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (2, COUNT)
    assert np.abs(first[0] - first[1]).max() > 0.1


NOTE_RATE = 48000.0
FORGOTTEN = 1500  # samples after which the 24 partials below are as well known as from an endless past


def note() -> DampedCosines:
    """24 inharmonic partials over C4, of coherence time 0.386 s; variance falls by k^(3/2)."""
    k = np.arange(1, 25)
    frequency = 261.6 * k * np.sqrt(1.0 + 4e-4 * k**2)
    return DampedCosines.settled(frequency, np.full(24, 1.0 / 0.386), k**-1.5)


def note_form() -> Innovations:
    rows = note()
    return innovations(
        np.exp((-rows.damping + 2j * np.pi * rows.frequency) / NOTE_RATE), rows.settled_variance
    )


def snr_db(error_variance: Array) -> float:
    return float(10.0 * np.log10(note().settled_variance.sum() / error_variance.mean()))


def interpolation_variance(gap: int) -> Array:
    """Error variances (gap,) given all else of an endless path: by the inverse of its inverse spectrum."""
    count = 2**14
    inverse = np.fft.ifft(1.0 / spectral_density(note_form(), np.arange(count) / count)).real
    return np.diag(np.linalg.inv(toeplitz(inverse[:gap])))


@pytest.mark.parametrize(
    ("gap_ms", "forward_db", "both_db"),
    [(5, 16.8, 20.3), (10, 14.8, 18.6), (20, 12.4, 16.5), (50, 9.0, 13.2)],
)
def test_a_gap_in_a_note_is_filled_as_well_as_theory_has_it(
    gap_ms: int, forward_db: float, both_db: float
) -> None:
    gap = gap_ms * 48
    ahead = np.diag(continuation(note_form(), np.zeros(1), gap).covariance)
    assert snr_db(ahead) == pytest.approx(forward_db, abs=0.1)
    y = np.zeros(2 * FORGOTTEN + gap)  # variances do not depend on what was heard
    y[FORGOTTEN : FORGOTTEN + gap] = np.nan
    both = smooth(state_space(note()).discretise(NOTE_RATE), y).variance[FORGOTTEN : FORGOTTEN + gap]
    assert snr_db(both) == pytest.approx(both_db, abs=0.1)
    np.testing.assert_allclose(both, interpolation_variance(gap), rtol=1e-9)
    assert abs(snr_db(1.1 * both) - both_db) > 0.3


def test_bad_input_is_refused() -> None:
    model, form, rng = state_space(BANK).discretise(RATE), bank_form(), np.random.default_rng(1)
    for run in (continuation, lambda m, y, n, r=0.0: draw_continuation(m, y, n, rng, r)):
        with pytest.raises(ValueError, match=r"count >= 0, got -1"):
            run(model, [0.0], -1)
        with pytest.raises(ValueError, match="without gaps and noise"):
            run(form, [0.0, np.nan], 3)
        with pytest.raises(ValueError, match="without gaps and noise"):
            run(form, [0.0], 3, 0.1)
        with pytest.raises(TypeError, match="wants a Discrete or an Innovations, got DampedCosines"):
            run(BANK, [0.0], 3)
    with pytest.raises(ValueError, match="finite or NaN"):
        fill(model, [np.inf])
    with pytest.raises(ValueError, match="noise_variance: wants a finite value >= 0"):
        draw_fill(model, [0.0, np.nan], rng, noise_variance=-1.0)
