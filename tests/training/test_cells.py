"""The trained cells: a sequence at once is step after step, in value and gradient, and is the NumPy cell."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch")

import torch

from rtsynth.sequence.cells import parameter_count
from rtsynth.training.cells import CELLS, Cell, one_step

NAMES = list(CELLS)


def made(name: str, inputs: int = 5, hidden: int = 4, dtype: torch.dtype = torch.float64) -> Cell:
    torch.manual_seed(1)
    cell = CELLS[name](inputs, hidden).to(dtype)
    with torch.no_grad():
        for value in cell.parameters():
            value.add_(0.3 * torch.randn_like(value))  # peepholes and biases begin as constants
    return cell


def drawn(cell: Cell, steps: int, batch: int) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    dtype = cell.W.dtype
    state = tuple(torch.randn(batch, cell.hidden, dtype=dtype) for _ in range(cell.states))
    return torch.randn(steps, batch, cell.inputs, dtype=dtype), state


def unrolled(cell: Cell, x: torch.Tensor, state: tuple) -> tuple[torch.Tensor, tuple]:
    said = []
    for step in x:
        state = cell.step(step, state)
        said.append(state[0])
    return torch.stack(said), state


@pytest.mark.parametrize("name", NAMES)
def test_a_sequence_is_its_steps(name: str) -> None:
    cell = made(name)
    x, state = drawn(cell, 7, 3)
    said, after = cell(x, state)
    wanted, last = unrolled(cell, x, state)
    torch.testing.assert_close(said, wanted, atol=1e-13, rtol=0)
    for one, other in zip(after, last, strict=True):
        torch.testing.assert_close(one, other, atol=1e-13, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_written_gradient_is_that_of_the_steps(name: str) -> None:
    """Of every weight, of the input and of the state at the start; through every output and the state at the end."""
    cell = made(name)
    x, state = drawn(cell, 6, 3)
    found = []
    for way in (cell, lambda *given: unrolled(cell, *given)):
        leaves = [x.clone().requires_grad_(), *(part.clone().requires_grad_() for part in state)]
        said, after = way(leaves[0], tuple(leaves[1:]))
        weigh = torch.linspace(-1.0, 2.0, said.numel(), dtype=x.dtype).view_as(said)
        loss = (said * weigh).sum() + sum((part * (2.0 + n)).square().sum() for n, part in enumerate(after))
        found.append(torch.autograd.grad(loss, [*leaves, *cell.parameters()]))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-11, rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_one_step_in_numpy_is_the_unrolled_run(name: str, dtype: torch.dtype, within: float) -> None:
    cell = made(name, 88, 36, dtype)
    with torch.no_grad():
        for value in cell.parameters():
            value.mul_(0.3)  # 88 inputs: else every gate is shut
    x, state = drawn(cell, 120, 1)
    said, _ = cell(x, state)
    plain, now = one_step(cell), tuple(part.numpy() for part in state)
    for t in range(len(x)):
        now = plain.step(x[t].numpy(), now)
        np.testing.assert_allclose(now[0], said[t].detach().numpy(), rtol=0, atol=within)


@pytest.mark.parametrize("name", NAMES)
def test_the_state_is_carried(name: str) -> None:
    cell = made(name)
    x, state = drawn(cell, 8, 2)
    whole, _ = cell(x, state)
    first, between = cell(x[:3], state)
    second, _ = cell(x[3:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole, atol=1e-14, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_sizes(name: str) -> None:
    cell = CELLS[name](20, 11)
    assert sum(value.numel() for value in cell.parameters()) == parameter_count(name, 20, 11)
