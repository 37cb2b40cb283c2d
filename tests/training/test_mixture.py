"""The losses in torch: equal to the densities in NumPy, and their gradients to finite differences."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch")

import torch

from rtsynth.sequence import mixture
from rtsynth.training.mixture import bivariate_loss, diagonal_loss, draw

K = 4


def drawn(size: int, rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1.5, 1.5, (rows, size))


@pytest.mark.parametrize("dimensions", [1, 10])
def test_the_loss_is_minus_the_log_density(dimensions: int) -> None:
    raw, x = drawn(mixture.diagonal_size(K, dimensions), 5, 1), drawn(dimensions, 5, 2)
    raw[0] *= 20.0  # beyond where deviations are held
    wanted = -mixture.log_density(mixture.diagonal(raw, dimensions), x)
    found = diagonal_loss(torch.tensor(raw), torch.tensor(x)).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_the_loss_of_pairs_is_minus_the_log_density() -> None:
    raw, x = drawn(mixture.bivariate_size(K), 5, 1), drawn(2, 5, 2)
    raw[0] *= 20.0
    wanted = -mixture.log_density(mixture.bivariate(raw), x)
    np.testing.assert_allclose(bivariate_loss(torch.tensor(raw), torch.tensor(x)).numpy(), wanted, rtol=1e-12)


def test_draws_in_torch_have_the_moments() -> None:
    """Within 5 standard errors: by chance once in 1.7 million each."""
    raw = drawn(mixture.diagonal_size(K, 2), 1, 5)
    mean, variance = (part[0] for part in mixture.moments(mixture.diagonal(raw, 2)))
    many = torch.tensor(raw).repeat(20_000, 1).view(100, 200, -1)
    draws = draw(many, 2, torch.Generator().manual_seed(1)).reshape(-1, 2).numpy()
    off = draws - mean
    assert (abs(off.mean(axis=0)) < 5 * np.sqrt(variance / 20_000)).all()
    assert (abs((off**2).mean(axis=0) - variance) < 5 * (off**2).std(axis=0) / np.sqrt(20_000)).all()


@pytest.mark.parametrize("family", ["diagonal", "bivariate"])
def test_gradients_are_finite_differences(family: str) -> None:
    """In float64, of every output of the network and of x."""
    size = mixture.diagonal_size(K, 3) if family == "diagonal" else mixture.bivariate_size(K)
    loss, dimensions = (diagonal_loss, 3) if family == "diagonal" else (bivariate_loss, 2)
    raw = torch.tensor(drawn(size, 2, 3), requires_grad=True)
    x = torch.tensor(drawn(dimensions, 2, 4), requires_grad=True)
    assert torch.autograd.gradcheck(loss, (raw, x), eps=1e-6, atol=1e-7, rtol=1e-6)
