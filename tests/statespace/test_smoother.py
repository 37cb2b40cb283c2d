"""Filter and smoother against the dense Gaussian posterior, with gaps, gains and no noise; planted faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsynth.kernels import Cosine, Exponential, GainedRows, Kernel, Matern32, Matern52
from rtsynth.kernels.value import Array
from rtsynth.statespace import Discrete, draw, kalman_filter, lower_factor, smooth, smoother, state_space
from tests.kernels.examples import GRID, KERNELS, ROWS

RATE = 2000.0
COUNT = 90
CASES = [
    (Exponential(0.01), 0.0),
    (Exponential(0.01) * Cosine(300.0), 0.0),
    (Matern32(0.01) * Cosine(200.0), 0.0),
    (Matern52(0.002) + Exponential(0.1), 1e-3),
    (GainedRows(ROWS, GRID), 0.1),
    (KERNELS["mixture"], 0.01),
    (Cosine(100.0) + Cosine(300.0), 1e-4),
    (KERNELS["product of sums"], 0.02),
]
IDS = [f"{kernel}"[:40] for kernel, _ in CASES]


def dense_posterior(kernel: Kernel, t: Array, y: Array, noise_variance: float) -> tuple[Array, Array]:
    """Mean (N,) and covariance (N, N) of the process at t given y, NaN where not heard: the textbook form."""
    known = ~np.isnan(y)
    K = kernel.covariance(t, t)
    to_heard = K[:, known]
    gain = np.linalg.solve(K[np.ix_(known, known)] + noise_variance * np.eye(known.sum()), to_heard.T).T
    return gain @ y[known], K - gain @ to_heard.T


def noisy(kernel: Kernel, noise_variance: float, seed: int = 5) -> Array:
    """A draw (COUNT,) with noise, two gaps, and nothing heard at its start and end."""
    rng = np.random.default_rng(seed)
    y = draw(kernel, np.arange(COUNT) / RATE, rng) + np.sqrt(noise_variance) * rng.standard_normal(COUNT)
    y[[0, 1, 40, COUNT - 2, COUNT - 1]] = np.nan
    y[20:33] = np.nan
    return y


def worst(model: Discrete, kernel: Kernel, noise_variance: float) -> float:
    """Largest error of the smoother's means and variances, relative to the largest deviation or variance."""
    t, y = np.arange(COUNT) / RATE, noisy(kernel, noise_variance)
    mean, covariance = dense_posterior(kernel, t, y, noise_variance)
    posterior = smooth(model, y, noise_variance)
    k0 = kernel.variance(t).max()
    return float(
        max(
            np.abs(posterior.mean - mean).max() / np.sqrt(k0),
            np.abs(posterior.variance - np.diag(covariance)).max() / k0,
        )
    )


@pytest.mark.parametrize(("kernel", "noise_variance"), CASES, ids=IDS)
def test_smoother_is_the_dense_posterior(kernel: Kernel, noise_variance: float) -> None:
    assert worst(state_space(kernel).discretise(RATE), kernel, noise_variance) < 1e-9


@pytest.mark.parametrize("field", ["A", "Q", "P0", "H"])
def test_a_model_one_part_in_a_thousand_off_is_seen(field: str) -> None:
    kernel = Matern32(0.01) * Cosine(200.0)
    model = state_space(kernel).discretise(RATE)
    first = replace(model.blocks[0], **{field: 1.001 * getattr(model.blocks[0], field)})
    assert worst(replace(model, blocks=(first, *model.blocks[1:])), kernel, 0.01) > 1e-6


def test_a_gain_one_part_in_a_thousand_off_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, right = Exponential(0.01) * Cosine(300.0), smoother.predict

    def wrong(*arguments: object) -> smoother.Prediction:
        prediction = right(*arguments)  # type: ignore[arg-type]
        return prediction._replace(gain=1.001 * prediction.gain)

    monkeypatch.setattr(smoother, "predict", wrong)
    assert worst(state_space(kernel).discretise(RATE), kernel, 0.0) > 1e-6


@pytest.mark.parametrize(("kernel", "noise_variance"), CASES, ids=IDS)
def test_filter_at_each_sample_is_the_dense_posterior_of_what_was_heard_so_far(
    kernel: Kernel, noise_variance: float
) -> None:
    t, y = np.arange(COUNT) / RATE, noisy(kernel, noise_variance)
    posterior = kalman_filter(state_space(kernel).discretise(RATE), y, noise_variance)
    k0 = kernel.variance(t).max()
    for n in range(0, COUNT, 7):
        mean, covariance = dense_posterior(kernel, t[: n + 1], y[: n + 1], noise_variance)
        assert posterior.mean[n] == pytest.approx(mean[-1], abs=1e-9 * np.sqrt(k0))
        assert posterior.variance[n] == pytest.approx(covariance[-1, -1], abs=1e-9 * k0)
    # Hearing the future as well tells more, and tells it about the past alone.
    whole = smooth(state_space(kernel).discretise(RATE), y, noise_variance)
    assert (whole.variance <= posterior.variance + 1e-12 * k0).all()
    assert whole.variance[25] < 0.999 * posterior.variance[25]
    np.testing.assert_allclose(whole.state_mean[-1], posterior.state_mean[-1], atol=1e-12 * np.sqrt(k0))


def state_law(model: Discrete, count: int) -> Array:
    """Covariance (count J, count J) of all states, by running x' = A x + w on unit noises."""
    A, J = model.transition(), model.states
    start, drive = lower_factor(model.start_covariance()), lower_factor(model.noise_covariance())
    L = np.zeros((count, J, count * J))
    L[0, :, :J] = start
    for n in range(1, count):
        L[n] = A @ L[n - 1]
        L[n, :, n * J : (n + 1) * J] = drive
    return L.reshape(count * J, -1) @ L.reshape(count * J, -1).T


def test_states_are_those_of_the_dense_posterior() -> None:
    kernel, R = Matern32(0.01) * Cosine(200.0) + Exponential(0.02), 0.05
    model, y = state_space(kernel).discretise(RATE), noisy(kernel, R)
    J, known = model.states, ~np.isnan(y)
    law = state_law(model, COUNT)
    H = np.kron(np.eye(COUNT), model.output(1))[known]
    gain = np.linalg.solve(H @ law @ H.T + R * np.eye(known.sum()), H @ law).T
    posterior, covariance = smooth(model, y, R), law - gain @ H @ law
    np.testing.assert_allclose(posterior.state_mean.ravel(), gain @ y[known], atol=1e-9)
    for n in range(COUNT):
        block = slice(n * J, (n + 1) * J)
        np.testing.assert_allclose(posterior.state_covariance[n], covariance[block, block], atol=1e-9)


def test_what_is_heard_without_noise_is_known_and_what_is_never_heard_is_the_prior() -> None:
    kernel = Exponential(0.01) * Cosine(300.0)
    model, y = state_space(kernel).discretise(RATE), noisy(kernel, 0.0)
    posterior, known = smooth(model, y), ~np.isnan(y)
    np.testing.assert_allclose(posterior.mean[known], y[known], atol=1e-12)
    assert posterior.variance[known].max() < 1e-12
    assert posterior.variance[~known].min() > 0.01
    silent = smooth(model, np.full(COUNT, np.nan))
    np.testing.assert_array_equal(silent.mean, np.zeros(COUNT))
    np.testing.assert_allclose(silent.variance, kernel.variance(np.zeros(COUNT)), atol=1e-12)


def test_bad_input_is_refused() -> None:
    model = state_space(Cosine(100.0)).discretise(RATE)
    for run in (kalman_filter, smooth):
        with pytest.raises(ValueError, match=r"shape \(N,\)"):
            run(model, np.zeros((2, 2)))
        with pytest.raises(ValueError, match="finite or NaN"):
            run(model, [0.0, np.inf])
        with pytest.raises(ValueError, match="noise_variance: wants a finite value >= 0"):
            run(model, [0.0], -1.0)
        with pytest.raises(ValueError, match="sample 2 is certain"):
            run(model, np.cos(np.arange(10.0)))
        assert run(model, []).mean.shape == (0,)
        assert run(state_space(0.0 * Cosine(1.0)).discretise(RATE), [np.nan, 1.0], 1.0).mean.tolist() == [
            0,
            0,
        ]
    with pytest.raises(ValueError, match="different gaps"):
        smoother.smooth_outputs(model, np.array([[0.0, np.nan]]), 1.0)
