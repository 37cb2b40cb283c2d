"""The recursion of every kernel against its dense covariance; A against expm; what has no recursion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import expm

from rtsynth.kernels import (
    Cosine,
    DampedCosines,
    Exponential,
    Gain,
    GaussianCosine,
    HarmonicSeries,
    Kernel,
    Matern32,
    PeriodicExponential,
    Stationary,
)
from rtsynth.kernels.envelope import FORMS
from rtsynth.kernels.value import Array
from rtsynth.statespace import Discrete, Rotation, StateSpace, covariance_of_recursion, state_space
from tests.kernels.examples import INDEFINITE, KERNELS, ROWS, swell

RATE = 8000.0
COUNT = 240


def worst(model: Discrete, kernel: Kernel) -> float:
    """Largest error of the covariance of samples 0 .. COUNT - 1, relative to the largest variance."""
    t = np.arange(COUNT) / model.sample_rate
    dense = kernel.covariance(t, t)
    return float(np.abs(covariance_of_recursion(model, COUNT) - dense).max() / np.abs(dense).max())


def planted(model: Discrete, **faults: Array) -> Discrete:
    """The model with fields of its first block replaced."""
    first = replace(model.blocks[0], **faults)  # type: ignore[arg-type]
    return replace(model, blocks=(first, *model.blocks[1:]))


@pytest.mark.parametrize("name", KERNELS)
def test_recursion_has_the_law_of_the_kernel(name: str) -> None:
    kernel = KERNELS[name]
    for rate in (RATE, 44100.0, 777.0):  # at 777 Hz most of the frequencies alias
        assert worst(state_space(kernel).discretise(rate), kernel) < 1e-12


@pytest.mark.parametrize("field", ["A", "Q", "P0", "H"])
def test_the_law_fails_for_a_block_that_is_one_part_in_a_thousand_off(field: str) -> None:
    kernel = Matern32(0.01)
    model = state_space(kernel).discretise(RATE)
    assert worst(planted(model, **{field: 1.001 * getattr(model.blocks[0], field)}), kernel) > 1e-5


@pytest.mark.parametrize("name", KERNELS)
def test_transition_is_the_matrix_exponential(name: str) -> None:
    model = state_space(KERNELS[name])
    for rate in (RATE, 777.0):
        for block, discrete in zip(model.blocks, model.discretise(rate).blocks, strict=True):
            np.testing.assert_allclose(discrete.A, expm(block.F / rate), atol=1e-13)


@pytest.mark.parametrize("name", KERNELS)
def test_noise_holds_the_stationary_covariance(name: str) -> None:
    for block in state_space(KERNELS[name]).blocks:
        discrete = block.discretise(RATE)
        Pinf = block.Pinf
        np.testing.assert_allclose(
            discrete.A @ Pinf @ discrete.A.T + discrete.Q, Pinf, atol=1e-13 * np.abs(Pinf).max()
        )
        assert np.linalg.eigvalsh(discrete.Q)[0] >= 0.0


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_gaussian_envelope_has_its_law(form: str) -> None:
    kernel = GaussianCosine(0.004, 300.0).approximated(form)
    crowded = {"taylor6": 1e-11, "taylor8": 1e-10, "taylor10": 1e-8}  # their poles, so digits cancel
    for rate in (RATE, 44100.0):
        assert worst(state_space(kernel).discretise(rate), kernel) < crowded.get(form, 1e-12)
    # The form is told from the Gaussian itself, as far as it is off.
    assert worst(state_space(kernel).discretise(RATE), GaussianCosine(0.004, 300.0)) > 1e-5


def frequencies(model: StateSpace) -> list[float]:
    assert all(isinstance(block, Rotation) for block in model.blocks)
    return sorted(block.frequency for block in model.blocks if isinstance(block, Rotation))


def test_oscillating_kernels_are_rotations() -> None:
    assert frequencies(state_space(Exponential(0.1) * Cosine(300.0))) == [300.0]
    assert frequencies(state_space(Cosine(300.0) * Cosine(50.0))) == [250.0, 350.0]
    assert frequencies(state_space(Cosine(300.0) * Cosine(300.0))) == [0.0, 600.0]
    assert frequencies(state_space(HarmonicSeries(np.array([0.1, 0.0, 0.5]), 100.0))) == [0.0, 200.0]
    assert len(state_space(Exponential(0.1) * PeriodicExponential(2.0, 100.0).series(8)).blocks) == 9
    assert state_space(Matern32(0.1) * Cosine(300.0)).discretise(RATE).states == 4


def test_a_kernel_without_power_is_silent() -> None:
    silent = state_space(HarmonicSeries(np.zeros(3), 100.0)).discretise(RATE)
    assert silent.states == 0
    np.testing.assert_array_equal(covariance_of_recursion(silent, 5), np.zeros((5, 5)))
    assert silent.output(5).shape == (5, 0)


@pytest.mark.parametrize(
    "other", [Matern32(0.1), Exponential(0.1), ROWS, Gain(Exponential(0.1), swell)], ids=str
)
def test_a_struck_kernel_times_one_that_decays_is_refused_by_name(other: Kernel) -> None:
    struck = DampedCosines.ringing([440.0], [3.0], [1.0])
    for product in (struck * other, other * struck):
        with pytest.raises(ValueError, match=r"product of .*frequency=\[440\.0\].*no product in state space"):
            state_space(product)


@pytest.mark.parametrize(
    ("name", "cause"),
    [("sine eighth", "a_1 = -0.4375"), ("regime", "a_0 = -0.0001214"), ("faithful mixture", "Mixture")],
)
def test_what_is_no_covariance_function_has_no_state_space(name: str, cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        state_space(INDEFINITE[name])


def test_a_kernel_nobody_taught_is_refused() -> None:
    class Unknown(Stationary):
        def at(self, lag: Array) -> Array:
            return np.exp(-(lag**2))

        def __str__(self) -> str:
            return "Unknown()"

    with pytest.raises(ValueError, match=r"Unknown\(\) has no state space"):
        state_space(Unknown())
