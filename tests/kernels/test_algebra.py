"""What holds for every kernel: symmetry, positive semi-definiteness, diagonal, spectrum, refusals."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import numpy as np
import pytest

from rtsynth.kernels import (
    Cosine,
    DampedCosines,
    Exponential,
    Gain,
    HarmonicSeries,
    Kernel,
    Matern32,
    PeriodicExponential,
)
from rtsynth.kernels.value import Array
from tests.kernels.examples import INDEFINITE, KERNELS, ROWS, SETTLED, T, swell

ALL = {**KERNELS, **INDEFINITE}
CONTINUOUS = {
    name: kernel
    for name, kernel in KERNELS.items()
    if kernel.stationary and not kernel.lines().frequency.size
}
LINED = {
    name: kernel for name, kernel in KERNELS.items() if kernel.stationary and kernel.lines().frequency.size
}


def least_eigenvalue(kernel: Kernel) -> float:
    """Of the covariance at T, relative to the largest."""
    eigenvalues = np.linalg.eigvalsh(kernel.covariance(T, T))
    return float(eigenvalues[0] / eigenvalues[-1])


@pytest.mark.parametrize("name", ALL)
def test_covariance_is_symmetric_and_its_diagonal_is_the_variance(name: str) -> None:
    covariance = ALL[name].covariance(T, T)
    scale = np.abs(covariance).max()
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-13 * scale, rtol=0)
    np.testing.assert_allclose(ALL[name].variance(T), np.diag(covariance), atol=1e-13 * scale, rtol=0)


@pytest.mark.parametrize("name", ALL)
def test_covariance_between_two_sets_of_times_is_part_of_the_whole(name: str) -> None:
    whole, part = ALL[name].covariance(T, T), ALL[name].covariance(T[:7], T[20:31])
    assert part.shape == (7, 11)
    assert part.dtype == np.float64
    np.testing.assert_allclose(part, whole[:7, 20:31], atol=1e-13 * np.abs(whole).max(), rtol=0)


@pytest.mark.parametrize("name", KERNELS)
def test_covariance_is_positive_semi_definite(name: str) -> None:
    assert least_eigenvalue(KERNELS[name]) > -1e-13


def test_the_check_of_definiteness_sees_what_is_indefinite() -> None:
    assert least_eigenvalue(INDEFINITE["sine eighth"]) < -0.1


@pytest.mark.parametrize("name", ALL)
def test_kernels_are_values(name: str) -> None:
    kernel = ALL[name]
    assert kernel == kernel
    assert hash(2.0 * kernel) == hash(kernel * 2.0)
    assert 2.0 * kernel == kernel * 2.0 != kernel
    assert "\n" not in str(kernel)
    for field in fields(kernel):  # type: ignore[arg-type]
        with pytest.raises(FrozenInstanceError):
            setattr(kernel, field.name, 1.0)


def test_minus_zero_is_zero() -> None:
    assert HarmonicSeries(np.array([-0.0, 1.0]), 2.0) == HarmonicSeries(np.array([0.0, 1.0]), 2.0)


def test_arrays_in_kernels_cannot_be_written() -> None:
    frequency = np.array([1.0, 2.0])
    rows = DampedCosines.settled(frequency, np.ones(2), np.ones(2))
    frequency[0] = 9.0
    assert rows.frequency.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        rows.frequency[0] = 3.0


def numeric_density(kernel: Kernel, f: Array) -> Array:
    """The Fourier transform of the lag, by Gauss-Legendre in panels of 0.1 ms until it has decayed."""
    nodes, weights = np.polynomial.legendre.leggauss(10)
    end, panels = 5.0, 50000
    width = end / panels
    lag = ((np.arange(panels)[:, None] + 0.5 * (nodes + 1.0)) * width).ravel()
    values = kernel.covariance(lag, np.zeros(1))[:, 0] * np.tile(0.5 * width * weights, panels)
    return np.array([2.0 * values @ np.cos(2.0 * np.pi * g * lag) for g in f])


@pytest.mark.parametrize("name", CONTINUOUS)
def test_spectral_density_is_the_fourier_transform_of_the_covariance(name: str) -> None:
    f = np.array([0.0, 11.0, 150.0, 301.0, 440.0, 700.0])
    kernel = CONTINUOUS[name]
    density = kernel.spectral_density(f)
    want = numeric_density(kernel, f)
    np.testing.assert_allclose(density, want, rtol=1e-6, atol=2e-7 * want.max())
    np.testing.assert_allclose(kernel.spectral_density(-f), density, rtol=1e-12)
    assert not np.allclose((1.01 * kernel).spectral_density(f), want, rtol=1e-6, atol=2e-7 * want.max())


@pytest.mark.parametrize("name", LINED)
def test_lines_and_density_make_up_the_variance(name: str) -> None:
    kernel = LINED[name]
    with pytest.raises(ValueError, match=r"spectral lines .*lines\(\)"):
        kernel.spectral_density(np.array([1.0]))
    lines = kernel.lines()
    assert (np.diff(lines.frequency) > 0.0).all()
    f = np.arange(-2e6, 2e6, 10.0) if kernel.continuous_density(np.zeros(1))[0] else np.zeros(1)
    continuous = kernel.continuous_density(f).sum() * 10.0
    assert lines.weight.sum() + continuous == pytest.approx(kernel.variance(np.zeros(1))[0], rel=3e-4)


def test_lines_of_a_product_are_at_sums_and_differences() -> None:
    lines = (Cosine(300.0) * Cosine(50.0)).lines()
    np.testing.assert_allclose(lines.frequency, [250.0, 350.0])
    np.testing.assert_allclose(lines.weight, [0.5, 0.5])


@pytest.mark.parametrize("name", [name for name, kernel in ALL.items() if not kernel.stationary])
def test_what_is_not_stationary_has_no_spectral_density(name: str) -> None:
    with pytest.raises(ValueError, match="not stationary"):
        ALL[name].spectral_density(np.array([1.0]))


def test_the_operators() -> None:
    a, b = Exponential(0.1), Cosine(3.0)
    np.testing.assert_array_equal((a + b).covariance(T, T), a.covariance(T, T) + b.covariance(T, T))
    np.testing.assert_array_equal((a * b).covariance(T, T), a.covariance(T, T) * b.covariance(T, T))
    np.testing.assert_array_equal((2.5 * a).covariance(T, T), 2.5 * a.covariance(T, T))
    assert np.float64(2.5) * a == a * np.float64(2.5) == 2.5 * a
    assert (a * PeriodicExponential(1.0, 3.0)).stationary
    assert not (a * Gain(b, swell)).stationary
    assert not (ROWS + a).stationary
    assert SETTLED.stationary


@pytest.mark.parametrize("other", ["x", None, 1j, np.ones(2)])
def test_the_operators_take_kernels_and_numbers_alone(other: object) -> None:
    with pytest.raises(TypeError):
        Exponential(0.1) * other  # type: ignore[operator]
    with pytest.raises(TypeError):
        Exponential(0.1) + 1.0  # type: ignore[operator]


def test_bad_numbers_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="factor"):
        -1.0 * Exponential(0.1)
    with pytest.raises(ValueError, match="lengthscale"):
        Matern32(0.0)
    with pytest.raises(ValueError, match="frequency"):
        Cosine(float("nan"))
    with pytest.raises(ValueError, match="times"):
        Exponential(0.1).covariance(np.zeros((2, 2)), np.zeros(2))
    with pytest.raises(ValueError, match="times"):
        Exponential(0.1).covariance(np.array([np.inf]), np.zeros(2))
