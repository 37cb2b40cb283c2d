"""Gliding bands: the loops against the same in plain NumPy, and their law, without any tolerance for chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsynth.sampler.glide import HIGHEST_ORDER, LANES
from rtsynth.sampler.noise import SEGMENT
from rtsynth.speech.bands import Bands, damping_of, erb, erb_centres, erb_edges, erb_frequency, erb_number
from rtsynth.speech.spectra import band_covariance
from tests.sampler import reference

Array = NDArray[np.float64]

SEGMENTS = 4
ORDERS = range(1, HIGHEST_ORDER + 1)


def weights_of(radius: Array, order: int) -> Array:
    """C(order - 1, j) r^j, of length 1, by repeated multiplication of (1 + r a)."""
    found = []
    for r in radius:
        polynomial = np.ones(1)
        for _ in range(order - 1):
            polynomial = np.convolve(polynomial, [1.0, r])
        found.append(polynomial / np.linalg.norm(polynomial))
    return np.array(found)


class Slow:
    """The recursion of the docstring, sample by sample, complex and in double precision."""

    def __init__(self, x: NDArray[np.complex128]) -> None:
        self.x = x  # (D, P)
        self.gains = np.zeros(x.shape)

    def segment(self, cycles: Array, damping: Array, goal: Array, noise: NDArray[np.complex128]) -> Array:
        """32 samples; noise (32, D)."""
        order = self.x.shape[1]
        r, turn = np.exp(-damping), np.exp(2j * np.pi * cycles)
        drive = np.sqrt(1.0 - r**2)
        to = weights_of(r, order) * goal[:, None]
        y = np.zeros(SEGMENT)
        for t in range(SEGMENT):
            gains = self.gains + (to - self.gains) * t / SEGMENT
            y[t] = np.sum(gains * self.x.real)
            u = noise[t]
            for j in range(order):
                before = self.x[:, j].copy()
                self.x[:, j] = r * turn * before + drive * u
                u = turn * drive * before - r * u
        self.gains = to
        return y


def states(bands: Bands) -> NDArray[np.complex128]:
    """(D, P), a copy."""
    x = np.moveaxis(bands.state.x.astype(float), 3, 1).reshape(bands.rows, bands.order, 2)[: bands.count]
    return x[..., 0] + 1j * x[..., 1]


def motions(count: int, seed: int = 3) -> list[tuple[Array, Array, Array]]:
    """Frequencies, damping and goals that change in every segment."""
    rng = np.random.default_rng(seed)
    return [
        (rng.uniform(-0.6, 1.7, count), 10 ** rng.uniform(-4, 0.5, count), rng.uniform(0, 2, count))
        for _ in range(SEGMENTS)
    ]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("count", [1, 16, 21])
@pytest.mark.parametrize(("real", "error"), [(np.float64, 1e-6), (np.float32, 1e-4)])
def test_the_loops_are_the_recursion(order: int, count: int, real: Any, error: float) -> None:
    """1e-6: the Gaussians themselves are made in float32; without them, below, it is rounding."""
    bands = Bands(count, order, seed=5, real=real)
    slow = Slow(states(bands))
    keys = reference.keys(5, 0, bands.rows * order)
    for segment, (cycles, damping, goal) in enumerate(motions(count)):
        groups = [[half[k : k + LANES] for half in keys] for k in range(0, count, LANES)]
        drawn = np.dstack([reference.rows_drawn(*group, SEGMENT * segment, SEGMENT) for group in groups])
        noise = drawn[:, 0, :count] + 1j * drawn[:, 1, :count]
        bands.turn(cycles, damping)
        y = bands.segment(goal)
        expected = slow.segment(cycles, damping, goal, noise)
        np.testing.assert_allclose(y, expected, rtol=0, atol=error * max(1.0, np.abs(expected).max()))


def linear_map(order: int, fault: float = 1.0) -> tuple[Array, Array]:
    """The sound (T,) of a gliding band as a matrix of all its Gaussians, and its goals by segment (S,).

    `fault` scales what drives the bands.
    """
    goals = np.array([1.0, 0.3, 0.7])
    rng = np.random.default_rng(8)
    path = [(rng.uniform(0, 0.5, 1), 10 ** rng.uniform(-3, -1, 1)) for _ in goals]

    bands = Bands(1, order, real=np.float64)

    def sound(start: Array, noise: Array) -> Array:
        bands.start()
        bands.state.x[...] = 0.0
        bands.state.x[0, :, :, 0] = start
        parts = []
        for segment, goal in enumerate(goals):
            bands.turn(*path[segment])
            bands.motion[:, 2] *= fault
            parts.append(bands.segment([goal], noise[segment]))
        return np.concatenate(parts)

    at_start, driven = order * 2, len(goals) * SEGMENT * 2
    columns = []
    for unit in np.eye(at_start + driven):
        start = unit[:at_start].reshape(order, 2)
        columns.append(sound(start, unit[at_start:].reshape(len(goals), SEGMENT, 2, 1)))
    return np.array(columns).T, goals


@pytest.mark.parametrize("order", [1, 2, 4])
def test_the_variance_is_the_squared_gain_while_everything_glides(order: int) -> None:
    """Exactly, at every grid point: frequency and damping leap from segment to segment here."""
    factor, goals = linear_map(order)
    variance = np.sum(factor**2, axis=1)
    assert variance[0] == 0.0
    np.testing.assert_allclose(variance[SEGMENT::SEGMENT], goals[:-1] ** 2, rtol=1e-12)


def test_a_wrong_noise_is_found() -> None:
    factor, goals = linear_map(2, fault=1.001)
    variance = np.sum(factor**2, axis=1)[SEGMENT::SEGMENT]
    assert np.abs(variance / goals[:-1] ** 2 - 1.0).max() > 1e-5


@pytest.mark.parametrize("order", ORDERS)
def test_the_covariance_of_a_band_at_rest_is_the_stated_one(order: int) -> None:
    """Lag by lag against the linear map; and its spectrum against |1 - λ/z|^(-2 order)."""
    cycles, damping, count = 0.11, 0.05, 2 * SEGMENT
    bands = Bands(1, order, real=np.float64)
    bands.turn([cycles], [damping])
    bands.segment([1.0])  # the gain has arrived
    columns = []
    for unit in np.eye(2 * order + 2 * count):
        bands.state.x[...] = 0.0
        bands.state.x[0, :, :, 0] = unit[: 2 * order].reshape(order, 2)
        noise = unit[2 * order :].reshape(-1, SEGMENT, 2, 1)
        columns.append(np.concatenate([bands.segment([1.0], part) for part in noise]))
    factor = np.array(columns).T
    stated = band_covariance([cycles], [damping], order, 4096)[0]
    np.testing.assert_allclose((factor @ factor.T)[0], stated[:count], rtol=0, atol=1e-12)
    assert stated[0] == pytest.approx(1.0, abs=1e-14)
    spectrum = np.fft.fft(np.concatenate([stated, [0.0], stated[:0:-1]])).real
    f = np.fft.fftfreq(spectrum.size)
    pole = np.exp(-damping + 2j * np.pi * cycles)
    shape = sum(np.abs(1.0 - p * np.exp(-2j * np.pi * f)) ** (-2.0 * order) for p in (pole, np.conj(pole)))
    np.testing.assert_allclose(spectrum / spectrum.sum(), shape / shape.sum(), rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_silence_is_exact(real: Any) -> None:
    bands = Bands(5, 3, real=real)
    bands.turn(np.linspace(0.01, 0.4, 5), np.full(5, 0.02))
    assert not bands.segment(np.zeros(5)).any()
    assert np.abs(bands.segment(np.full(5, 0.3))).max() > 0.01
    assert bands.segment(np.zeros(5)).any()  # on its way
    assert not bands.segment(np.zeros(5)).any()


def test_gains_go_in_straight_lines() -> None:
    """A band held still: what is heard is the gain."""
    bands = Bands(1, 1, real=np.float64)
    bands.turn([0.0], [1e-12])
    bands.state.x[0, 0, :, 0] = 1.0, 0.0
    y = np.concatenate([bands.segment([goal]) for goal in (1.0, 1.0, 0.25)])
    grid = np.arange(0, 4 * SEGMENT, SEGMENT)
    np.testing.assert_allclose(y, np.interp(np.arange(3 * SEGMENT), grid, [0, 1, 1, 0.25]), atol=1e-4)


def test_takes_are_the_seeds() -> None:
    def take(seed: int, serial: int) -> bytes:
        bands = Bands(3, 2, seed)
        bands.turn([0.1, 0.2, 0.3], [0.01] * 3)
        bands.start(serial)
        return b"".join(bands.segment([1.0] * 3).tobytes() for _ in range(4))

    assert take(1, 0) == take(1, 0)
    assert len({take(1, 0), take(1, 1), take(2, 0)}) == 3


@pytest.mark.parametrize(("count", "order"), [(0, 1), (3, 0), (3, HIGHEST_ORDER + 1)])
def test_impossible_bands_are_refused(count: int, order: int) -> None:
    with pytest.raises(ValueError, match="Bands"):
        Bands(count, order)


def test_arrays_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="wants arrays"):
        Bands(3, 1).segment(np.zeros(4))


def test_the_ears_scale() -> None:
    """Glasberg and Moore: 24.7 Hz at 0, 132.6 Hz at 1 kHz; 21.4 log10(1 + 0.00437 f) bandwidths below f."""
    assert erb([0.0, 1000.0]) == pytest.approx([24.7, 132.64], abs=0.01)
    assert erb_number(4000.0) == pytest.approx(21.4 * np.log10(1 + 0.00437 * 4000), rel=5e-3)
    f = np.geomspace(1, 20000, 50)
    np.testing.assert_allclose(erb_frequency(erb_number(f)), f)
    edges, centres = erb_edges(30, 50, 8000), erb_centres(30, 50, 8000)
    assert edges[[0, -1]] == pytest.approx([50, 8000])
    assert np.all((edges[:-1] < centres) & (centres < edges[1:]))


@pytest.mark.parametrize("order", ORDERS)
def test_a_band_has_the_bandwidth_it_was_asked_for(order: int) -> None:
    """The area under its power response over its peak."""
    corner = damping_of(100.0, order) / (2 * np.pi)
    f = np.linspace(-4e5, 4e5, 400_001)
    assert np.trapezoid((1 + (f / corner) ** 2) ** -order, f) == pytest.approx(100.0, rel=1e-3)
