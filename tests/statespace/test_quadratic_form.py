"""Tails of quadratic forms against laws that have a closed form, far beyond where simulation goes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rtsynth.statespace.quadratic_form import tails

LEVELS = [1e-60, 1e-12, 1e-6, 1e-3, 0.05, 0.3, 0.5]


@pytest.mark.parametrize("takes", [1, 2, 7, 512])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("weight", [2.5, -1e-9])
def test_one_weight_is_chi_squared(takes: int, level: float, weight: float) -> None:
    """r* is off by an eighth for one take and less in proportion for more; a negative weight swaps the tails."""
    law = stats.chi2(takes)
    high, low = (tails([weight], takes, weight * quantile) for quantile in (law.isf(level), law.ppf(level)))
    upper, lower = (high.upper, low.lower) if weight > 0 else (high.lower, low.upper)
    assert upper == pytest.approx(level, rel=0.15 / takes + 1e-4)
    assert lower == pytest.approx(level, rel=0.15 / takes + 1e-4)


@pytest.mark.parametrize("value", [0.01, 1.0, 3.0, 8.0, 40.0])
def test_two_exponentials(value: float) -> None:
    """Pairs of weights 2 and ½ are exponentials of means 4 and 1: a sum whose tail is known."""
    exact = (4.0 * math.exp(-value / 4.0) - math.exp(-value)) / 3.0
    found = tails([2.0, 2.0, 0.5, 0.5], 1, value)
    assert found.upper == pytest.approx(exact, rel=0.05)
    assert found.lower == pytest.approx(1.0 - exact, rel=0.1)
    assert sum(found) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("value", [0.5, 2.0, 10.0, 60.0])
def test_weights_of_both_signs(value: float) -> None:
    """The difference of two exponentials of mean 2 is Laplace's law."""
    found = tails([1.0, 1.0, -1.0, -1.0], 1, value)
    assert found.upper == pytest.approx(0.5 * math.exp(-value / 2.0), rel=0.12)
    assert tails([1.0, 1.0, -1.0, -1.0], 1, -value).lower == pytest.approx(found.upper, rel=1e-9)


def test_through_the_mean_without_a_step() -> None:
    weights = np.array([1.0, 0.3, -0.7])
    around = np.linspace(-1e-3, 1e-3, 41) + 20.0 * weights.sum()
    found = [tails(weights, 20, value).upper for value in around]
    assert (np.diff(found) < 0.0).all()
    assert np.abs(np.diff(found, 2)).max() < 1e-4


def test_eigenvalues_that_are_nothing_do_not_matter() -> None:
    with_rounding = tails([3.0, 1.0, 1e-17, -4e-17], 512, 2000.0)
    assert with_rounding == tails([3.0, 1.0], 512, 2000.0)


@pytest.mark.parametrize(
    ("value", "p"), [(-1.0, 0.0), (0.0, 0.0), (1e300, 0.0), (512.0 * 4.0, 1.0), (np.nextafter(0, 1), 0.0)]
)
def test_impossible_and_absurd_values(value: float, p: float) -> None:
    assert tails([3.0, 1.0], 512, value).two_sided == pytest.approx(p, abs=0.05)


def test_nothing_has_no_law() -> None:
    with pytest.raises(ValueError, match="a weight that is not 0"):
        tails([0.0, 0.0], 3, 1.0)
