"""First guesses and their refinement, in bands without noise."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.instrument.fitting.poles import bound, esprit, pool
from rtsynth.instrument.fitting.subband import Exponentials, Onset, bands_around, transform
from rtsynth.instrument.fitting.varpro import Problem, best_addition, refine

RATE, SAMPLES, BEGIN = 16000.0, 40000, 320
POLES = np.array(
    [
        [-2.0 + 2j * np.pi * 440.3, -1.1 + 2j * np.pi * 441.1],
        [-6.0 + 2j * np.pi * 3001.0, -0.7 + 2j * np.pi * 3003.0],
    ]
)
AMPLITUDE = np.array([[1.0, 0.6j], [0.2 - 0.1j, -0.05]])


@pytest.fixture(scope="module")
def problem():
    """Two bands, each with two modes that beat, and weights that are not even."""
    bands = bands_around([440.0, 3000.0], 40.0, transform(np.zeros(SAMPLES), RATE, BEGIN))
    exponentials = Exponentials(bands, Onset(attack=1e-3))
    signals = np.einsum("bp,bpk->bk", AMPLITUDE, exponentials(POLES)[0])
    weight = 1.0 / (0.01 + np.abs(signals)) ** 0.7
    return Problem(bands, signals, weight, exponentials, (0.05, 150.0))


def test_esprit_finds_exponentials_exactly():
    z = np.exp(np.array([-0.02 + 0.3j, -0.1 + 0.5j, -0.001 - 1.2j]))
    signals = (z ** np.arange(60)[:, None] @ np.array([1.0, 0.5j, -0.2]))[None]
    (found,) = esprit(signals, [3], 12)
    np.testing.assert_allclose(np.sort_complex(found[0]), np.sort_complex(z), atol=1e-8)


def test_the_pool_holds_what_there_is(problem):
    found = pool(problem.bands, problem.signals, problem.damping)
    for b in range(2):
        assert np.abs(found[b] - POLES[b][:, None]).min(axis=1).max() < 0.1


def test_poles_are_held_inside_their_band(problem):
    wild = np.array([[5.0 + 1e5j, -1e4 + 0j]] * 2)
    held = bound(wild, problem.bands, (0.05, 150.0))
    frequency = held.imag / (2.0 * np.pi)
    assert (frequency > problem.bands.lowest[:, None]).all()
    assert (frequency < problem.bands.highest[:, None]).all()
    assert (-held.real >= 0.05).all()
    assert (-held.real <= np.pi / 2.0 * problem.bands.rate).all()


def test_the_slopes_are_those_of_the_projected_residual(problem):
    """Against differences of the cost: gradient = -2 Re(slopes' residual) along (log damping, frequency)."""
    poles = POLES * np.exp(0.02)  # not at the minimum
    point = problem.at(poles)
    along = point.slopes.conj().transpose(0, 2, 1) @ point.residual[..., None]
    for change in (poles.real * 1.0, np.full(poles.shape, 2j * np.pi)):
        for p in range(2):
            step = np.zeros_like(poles)
            step[:, p] = 1e-6 * change[:, p]
            differences = (problem.at(poles + step).cost - problem.at(poles - step).cost) / 2e-6
            gradient = -2.0 * (change[:, p].conj() * along[:, p, 0]).real
            np.testing.assert_allclose(gradient, differences, rtol=1e-4)


def test_amplitudes_follow_the_slopes(problem):
    """What the amplitudes take up of a change of the poles is no slope of the residual."""
    point = problem.at(POLES * np.exp(0.02))
    shared = np.abs(point.basis.conj().transpose(0, 2, 1) @ point.slopes)
    assert shared.max() < 1e-10 * np.abs(point.slopes).max()


def test_refining_finds_the_modes_again(problem):
    guess = POLES + np.array([[-0.5 + 0.6j, 0.3 - 0.4j], [2.0 + 1.0j, -0.2 + 0.5j]])
    fit = refine(problem, guess, steps=60, tolerance=1e-14)
    np.testing.assert_allclose(fit.poles, POLES, rtol=1e-9)
    np.testing.assert_allclose(fit.amplitude, AMPLITUDE, rtol=1e-5)
    assert (fit.cost < 1e-10 * problem.power).all()


def test_bands_do_not_see_each_other(problem):
    guess = POLES * np.exp(1e-4)
    together = refine(problem, guess, steps=5, tolerance=0.0)
    for b in range(2):
        alone = refine(problem.rows(np.array([b])), guess[b : b + 1], steps=5, tolerance=0.0)
        np.testing.assert_allclose(alone.poles[0], together.poles[b], rtol=1e-12)


def test_the_best_addition_is_the_one_that_leaves_least(problem):
    """Against trying each candidate, near the modes there are and far from them."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        old = POLES[:, :1] + rng.uniform(-1.0, 1.0, (2, 1)) * 1j
        point = problem.at(old)
        shifts = rng.uniform(-0.5, 0.5, (2, 6)) + 1j * rng.uniform(-12.0, 12.0, (2, 6))
        candidates = POLES[:, rng.integers(0, 2, 6)] + shifts
        added = best_addition(problem, point.basis, point.residual, candidates)
        costs = [problem.at(np.stack([old[:, 0], c], axis=1)).cost for c in candidates.T]
        np.testing.assert_array_equal(added, candidates[np.arange(2), np.argmin(costs, axis=0)])


def test_two_equal_poles_do_no_harm(problem):
    point = problem.at(np.repeat(POLES[:, :1], 2, axis=1))
    assert np.isfinite(point.amplitude).all()
    assert np.isfinite(point.cost).all()
