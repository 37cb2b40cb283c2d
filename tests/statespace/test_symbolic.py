"""The state space of symbolic covariances against the dense covariance; the rational factor by itself."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.kernels import Approximation, DampedCosines, ExponentialSum
from rtsynth.kernels.approximation import fit_rotations
from rtsynth.kernels.value import Array
from rtsynth.statespace import covariance_of_recursion, log_likelihood, state_space
from rtsynth.statespace.rational import rational_state_space
from tests.kernels.symbolic_examples import APPROXIMATE, EXACT, sy, symbolic

RATE, COUNT = 8000.0, 160
T = np.arange(COUNT) / RATE


@pytest.mark.parametrize("name", EXACT)
def test_a_sum_of_damped_cosines_is_exact(name: str) -> None:
    kernel = symbolic(name)
    dense, k0 = kernel.covariance(T, T), kernel.variance(T[:1])[0]
    assert kernel.approximated().error == 0.0
    found = covariance_of_recursion(state_space(kernel).discretise(RATE), COUNT)
    np.testing.assert_allclose(found, dense, rtol=0, atol=1e-10 * k0)
    off = covariance_of_recursion(state_space(kernel).discretise(1.0001 * RATE), COUNT)
    assert np.abs(off - dense).max() > 1e-6 * k0


@pytest.mark.parametrize("name", APPROXIMATE)
def test_another_is_approximated_and_says_how_well(name: str) -> None:
    kernel, tolerance = symbolic(name), APPROXIMATE[name][2]
    stand_in = kernel.approximated(tolerance)
    assert isinstance(stand_in, Approximation)
    assert 0.0 < stand_in.error <= tolerance
    dense, k0 = kernel.covariance(T, T), kernel.variance(T[:1])[0]
    model = state_space(stand_in).discretise(RATE)
    error = np.abs(covariance_of_recursion(model, COUNT) - dense).max() / k0
    assert error <= stand_in.error * (1.0 + 1e-6) + 1e-9
    # The error stated is the error there is, not just a bound: at some lag it is reached.
    lags = np.linspace(0.0, 0.4, 20001)
    reached = np.abs(stand_in.at(lags) - kernel.at(lags)).max() / k0
    assert reached == pytest.approx(stand_in.error, rel=0.05)
    frequencies = np.linspace(0.0, 4000.0, 4001)
    assert stand_in.spectral_density(frequencies).min() >= 0.0
    assert np.isfinite(log_likelihood(model, np.sin(300.0 * T), 0.1))


def test_a_tolerance_out_of_reach_is_refused_with_what_was_reached() -> None:
    with pytest.raises(ValueError, match=r"found has an error of 0\.00\d+ of its variance, not 1e-06"):
        symbolic("wendland").approximated(1e-6)
    with pytest.raises(ValueError, match="tolerance: wants a finite value > 0"):
        symbolic("wendland").approximated(0.0)


def test_the_tolerance_of_a_state_space_decides_its_states() -> None:
    kernel = symbolic("squared exponential")
    coarse, fine = (state_space(kernel, tolerance=t).discretise(RATE).states for t in (0.05, 1e-3))
    assert coarse < fine


def triangle(lag: Array) -> Array:
    return np.maximum(0.0, 1.0 - np.abs(lag))


def test_a_fit_is_of_as_few_rotations_as_it_takes() -> None:
    fitted = fit_rotations(lambda lag: np.exp(-(lag**2)), 1.0, 1e-3)
    assert fitted.poles.size == 2
    with pytest.raises(ValueError, match="error of 0"):
        fit_rotations(triangle, 1.0, 1e-3)


def terms(*rows: tuple[complex, int, complex]) -> ExponentialSum:
    return ExponentialSum(*(np.array(column) for column in zip(*rows, strict=True)))


@pytest.mark.parametrize(
    "kernel",
    [
        terms((1.0, 0, 50 + 900j), (0.3 + 0.01j, 0, 80 + 2000j), (0.5, 0, 400.0)),
        terms((1.0, 0, 100.0), (-0.5, 0, 200.0), (0.2, 0, 300.0)),
        terms((1.0, 0, 100.0), (100.0, 1, 100.0), (1.0, 0, 1e-3 + 5000j)),
        terms((1.0, 0, 100 + 1000j), (100.0, 1, 100 + 1000j)),
        terms((2.0, 0, 100.0), (-0.9, 0, 100.001)),
        terms((1.0, 0, 30j), (0.5, 0, 0.0), (1.0, 0, 20.0)),
    ],
    ids=["rows", "negative share", "matern and a line", "matern cosine", "poles close by", "lines"],
)
def test_the_rational_factor_has_the_covariance(kernel: ExponentialSum) -> None:
    found = covariance_of_recursion(state_space(kernel).discretise(RATE), COUNT)
    np.testing.assert_allclose(found, kernel.covariance(T, T), rtol=0, atol=1e-10 * kernel.at(np.zeros(1))[0])


@pytest.mark.parametrize(
    ("kernel", "complaint"),
    [
        (terms((1.0, 0, 100.0), (-0.9, 0, 50.0)), "the spectral density is negative somewhere"),
        (terms((1.0, 0, 100.0), (1.0, 0, 10 + 1000j), (-0.2, 0, 10 + 3000j)), "negative somewhere"),
        (terms((1.0, 0, 100.0), (-0.1, 0, 3000j)), "no covariance function"),
        (terms((1.0, 0, 100.0), (0.1j, 0, 3000j)), "no covariance function"),
        (terms((1.0, 0, 100.0), (0.1, 1, 3000j)), "no covariance function"),
    ],
)
def test_what_is_no_covariance_function_has_no_state_space(kernel: ExponentialSum, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        state_space(kernel)


def test_a_wrong_factor_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    balanced = rational_state_space.__globals__["_balanced"]
    monkeypatch.setitem(
        rational_state_space.__globals__, "_balanced", lambda *a: tuple(m * (1 + 1e-8) for m in balanced(*a))
    )
    with pytest.raises(ValueError, match="its state space has the covariance"):
        rational_state_space(symbolic("matern52").terms())


def test_rows_stay_rows() -> None:
    rows = DampedCosines.settled([440.0, 880.0], [3.0, 5.0], [1.0, 0.5])
    model = state_space(ExponentialSum(*rows.terms()))
    assert model == state_space(rows)
    assert sy is not None
