"""The NumPy cells, held against their formulas number by number, and their sizes against the published ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtsynth.sequence.cells import CELLS, Gru, Lstm, Tanh, parameter_count, sigmoid

RNG = np.random.default_rng(1)


@pytest.mark.parametrize(
    ("cell", "inputs", "hidden", "count"),
    [
        ("tanh", 100, 100, 20_100),
        ("gru", 100, 46, 20_286),
        ("lstm", 100, 36, 19_836),
        ("tanh", 20, 400, 168_400),
        ("gru", 20, 227, 168_888),
        ("lstm", 20, 195, 169_065),
    ],
)
def test_the_published_sizes(cell: str, inputs: int, hidden: int, count: int) -> None:
    """Chung et al. 2014, table 1: music with 100 inputs (the mean of 93 to 108), speech with 20; no output layer."""
    assert parameter_count(cell, inputs, hidden) == count


def made(name: str, inputs: int = 3, hidden: int = 4) -> Tanh | Gru | Lstm:
    cell = CELLS[name]
    shapes = [(cell.gates * hidden, inputs), (cell.gates * hidden, hidden), (cell.gates * hidden,)]
    weights = [RNG.standard_normal(shape) for shape in shapes]
    return cell(*weights, RNG.standard_normal((3, hidden))) if cell is Lstm else cell(*weights)


@pytest.mark.parametrize("name", CELLS)
def test_the_count_is_that_of_the_weights(name: str) -> None:
    cell = made(name)
    assert sum(weight.size for weight in vars(cell).values()) == parameter_count(name, 3, 4)


def dot(row: np.ndarray, x: np.ndarray) -> float:
    return math.fsum(float(a) * float(b) for a, b in zip(row, x, strict=True))


def logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def test_gru_is_its_formula() -> None:
    """r is applied before U; the new value enters with z."""
    cell, x, h = made("gru"), RNG.standard_normal(3), RNG.standard_normal(4)
    z = [logistic(dot(cell.W[k], x) + dot(cell.U[k], h) + cell.b[k]) for k in range(4)]
    r = np.array([logistic(dot(cell.W[4 + k], x) + dot(cell.U[4 + k], h) + cell.b[4 + k]) for k in range(4)])
    new = [math.tanh(dot(cell.W[8 + k], x) + dot(cell.U[8 + k], r * h) + cell.b[8 + k]) for k in range(4)]
    wanted = [(1 - z[k]) * h[k] + z[k] * new[k] for k in range(4)]
    np.testing.assert_allclose(cell.step(x, (h,))[0], wanted, atol=1e-14)


def test_lstm_is_its_formula() -> None:
    """Peepholes look at the old cell for i and f, at the new one for o."""
    cell, x, h, c = made("lstm"), *(RNG.standard_normal(size) for size in (3, 4, 4))
    assert isinstance(cell, Lstm)

    def gate(number: int, k: int) -> float:
        row = 4 * number + k
        return dot(cell.W[row], x) + dot(cell.U[row], h) + cell.b[row]

    wanted_h, wanted_c = [], []
    for k in range(4):
        i = logistic(gate(0, k) + cell.p[0, k] * c[k])
        f = logistic(gate(1, k) + cell.p[1, k] * c[k])
        kept = f * c[k] + i * math.tanh(gate(2, k))
        o = logistic(gate(3, k) + cell.p[2, k] * kept)
        wanted_h.append(o * math.tanh(kept))
        wanted_c.append(kept)
    found = cell.step(x, (h, c))
    np.testing.assert_allclose(found[0], wanted_h, atol=1e-14)
    np.testing.assert_allclose(found[1], wanted_c, atol=1e-14)


def test_tanh_is_its_formula() -> None:
    cell, x, h = made("tanh"), RNG.standard_normal(3), RNG.standard_normal(4)
    wanted = [math.tanh(dot(cell.W[k], x) + dot(cell.U[k], h) + cell.b[k]) for k in range(4)]
    np.testing.assert_allclose(cell.step(x, (h,))[0], wanted, atol=1e-14)


@pytest.mark.parametrize("name", CELLS)
def test_a_batch_is_its_members(name: str) -> None:
    cell = made(name)
    x = RNG.standard_normal((5, 3))
    together = cell.step(x, cell.step(x, cell.start(5)))
    for member in range(5):
        alone = cell.step(x[member], cell.step(x[member], cell.start()))
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one[member], other, atol=1e-14)


def test_sigmoid_does_not_overflow() -> None:
    with np.errstate(all="raise"):
        found = sigmoid(np.array([-1e4, -3.0, 0.0, 3.0, 1e4]))
    np.testing.assert_allclose(found, [0.0, logistic(-3), 0.5, logistic(3), 1.0], atol=1e-15)
