"""The cells of rtsynth/sequence/cells.py to be trained: same weights, same names, one step or a whole sequence.

Over a sequence the input's product is taken at once, and the time loop has its gradient written out: autograd would
keep a dozen small tensors a step and go through each again. The weights' gradients are one product after the loop.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsynth.sequence import cells

State = tuple[Tensor, ...]


class Cell(nn.Module):
    """Parameters W (G H, I), U (G H, H), b (G H); LSTM: p (3, H)."""

    gates = 1
    states = 1

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.inputs, self.hidden = inputs, hidden
        bound = 1.0 / math.sqrt(inputs)
        self.W = nn.Parameter(torch.empty(self.gates * hidden, inputs).uniform_(-bound, bound))
        self.U = nn.Parameter(torch.cat([_orthogonal(hidden) for _ in range(self.gates)]))
        self.b = nn.Parameter(torch.zeros(self.gates * hidden))

    def start(self, batch: int = 1) -> State:
        """Zeros, (B, H)."""
        return tuple(self.U.new_zeros(batch, self.hidden) for _ in range(self.states))

    def step(self, x: Tensor, state: State) -> State:
        """x (B, I) -> (h,) or (h, c), each (B, H): the specification, and what is exported."""
        raise NotImplementedError

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """x (T, B, I) -> h (T, B, H), and the state after it."""
        raise NotImplementedError


class Tanh(Cell):
    def step(self, x: Tensor, state: State) -> State:
        return (torch.tanh(functional.linear(x, self.W, self.b) + functional.linear(state[0], self.U)),)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        (h,) = state or self.start(x.shape[1])
        said = _TanhLoop.apply(functional.linear(x, self.W, self.b), self.U, h)
        return said, (said[-1],)


class Gru(Cell):
    gates = 3

    def step(self, x: Tensor, state: State) -> State:
        (h,) = state
        size = self.hidden
        entering = functional.linear(x, self.W, self.b)
        turned = entering[:, : 2 * size] + functional.linear(h, self.U[: 2 * size])
        z, r = torch.sigmoid(turned).split(size, dim=1)
        n = torch.tanh(entering[:, 2 * size :] + functional.linear(r * h, self.U[2 * size :]))
        return ((1.0 - z) * h + z * n,)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        (h,) = state or self.start(x.shape[1])
        said = _GruLoop.apply(functional.linear(x, self.W, self.b), self.U, h)
        return said, (said[-1],)


class Lstm(Cell):
    """The forget gate's bias begins at 1 (Jozefowicz et al. 2015), peepholes at 0."""

    gates, states = 4, 2

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self.p = nn.Parameter(torch.zeros(3, hidden))
        with torch.no_grad():
            self.b[hidden : 2 * hidden] = 1.0

    def step(self, x: Tensor, state: State) -> State:
        h, c = state
        gates = functional.linear(x, self.W, self.b) + functional.linear(h, self.U)
        i, f, n, o = gates.split(self.hidden, dim=1)
        c = torch.sigmoid(f + self.p[1] * c) * c + torch.sigmoid(i + self.p[0] * c) * torch.tanh(n)
        return torch.sigmoid(o + self.p[2] * c) * torch.tanh(c), c

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        h, c = state or self.start(x.shape[1])
        said, kept = _LstmLoop.apply(functional.linear(x, self.W, self.b), self.U, self.p, h, c)
        return said, (said[-1], kept)


CELLS: dict[str, type[Cell]] = {"tanh": Tanh, "gru": Gru, "lstm": Lstm}


def parameters(cell: Cell) -> dict[str, Any]:
    """The cell's weights as arrays: `rtsynth.sequence.cells.Gru(**parameters(gru))`."""
    return {name: value.detach().cpu().numpy().copy() for name, value in cell.named_parameters()}


def one_step(cell: Cell) -> cells.Tanh | cells.Gru | cells.Lstm:
    """The same cell in NumPy."""
    return cells.CELLS[type(cell).__name__.lower()](**parameters(cell))


def _orthogonal(hidden: int) -> Tensor:
    return nn.init.orthogonal_(torch.empty(hidden, hidden))


# --- loops over time --------------------------------------------------------------------------------------------------
# `entering` (T, B, G H) is W x + b. Each gives the gradients of what it was given, in that order.


class _TanhLoop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, entering: Tensor, U: Tensor, h: Tensor) -> Tensor:
        steps = torch.empty_like(entering)
        before, turn = h, U.T.contiguous()
        for t in range(entering.shape[0]):
            before = torch.tanh_(torch.addmm(entering[t], before, turn, out=steps[t]))
        ctx.save_for_backward(U, h, steps)
        return steps

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, ...]:
        U, h, steps = ctx.saved_tensors
        slopes = 1.0 - steps.square()
        after = torch.empty_like(steps)
        late = torch.zeros_like(h)
        for t in range(steps.shape[0] - 1, -1, -1):
            torch.mul(late.add_(above[t]), slopes[t], out=after[t])
            torch.mm(after[t], U, out=late)
        return after, _outer(after, _shifted(steps, h)), late


class _GruLoop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, entering: Tensor, U: Tensor, h: Tensor) -> Tensor:
        size = h.shape[1]
        gates = torch.empty_like(entering)
        steps = entering.new_empty(*entering.shape[:2], size)
        held = torch.empty_like(steps)  # r h
        turn, renew = U[: 2 * size].T.contiguous(), U[2 * size :].T.contiguous()
        before = h
        for t in range(entering.shape[0]):
            a, g = entering[t], gates[t]
            zr, n = g[:, : 2 * size], g[:, 2 * size :]
            torch.sigmoid(torch.addmm(a[:, : 2 * size], before, turn), out=zr)
            torch.mul(zr[:, size:], before, out=held[t])
            torch.tanh(torch.addmm(a[:, 2 * size :], held[t], renew), out=n)
            before = torch.lerp(before, n, zr[:, :size], out=steps[t])
        ctx.save_for_backward(U, h, gates, steps, held)
        return steps

    @staticmethod
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, ...]:
        U, h, gates, steps, held = ctx.saved_tensors
        size = h.shape[1]
        turn, renew = U[: 2 * size].contiguous(), U[2 * size :].contiguous()
        before = _shifted(steps, h)
        z, r, n = gates.split(size, dim=2)
        of_z = (n - before) * z * (1.0 - z)  # what dh is multiplied with, all steps at once
        of_n = z * (1.0 - n.square())
        of_r = before * r * (1.0 - r)
        keep = 1.0 - z
        after = torch.empty_like(gates)
        late = torch.zeros_like(h)
        for t in range(steps.shape[0] - 1, -1, -1):
            late.add_(above[t])
            a = after[t]
            torch.mul(late, of_z[t], out=a[:, :size])
            torch.mul(late, of_n[t], out=a[:, 2 * size :])
            back = torch.mm(a[:, 2 * size :], renew)
            torch.mul(back, of_r[t], out=a[:, size : 2 * size])
            late.mul_(keep[t]).addcmul_(back, r[t]).addmm_(a[:, : 2 * size], turn)
        turned = _outer(after[..., : 2 * size], before)
        return after, torch.cat([turned, _outer(after[..., 2 * size :], held)]), late


class _LstmLoop(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, entering: Tensor, U: Tensor, p: Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor]:
        size = h.shape[1]
        gates = torch.empty_like(entering)
        steps = entering.new_empty(*entering.shape[:2], size)
        cells_, curved = torch.empty_like(steps), torch.empty_like(steps)
        turn = U.T.contiguous()
        early, late_p = p[:2].reshape(-1), p[2]
        before, cell = h, c
        for t in range(entering.shape[0]):
            g = torch.addmm(entering[t], before, turn, out=gates[t])
            first, n, o = g[:, : 2 * size], g[:, 2 * size : 3 * size], g[:, 3 * size :]
            torch.sigmoid_(first.addcmul_(cell.repeat(1, 2), early))
            torch.tanh_(n)
            cell = torch.mul(g[:, size : 2 * size], cell, out=cells_[t]).addcmul_(g[:, :size], n)
            torch.sigmoid_(o.addcmul_(cell, late_p))
            before = torch.mul(o, torch.tanh(cell, out=curved[t]), out=steps[t])
        ctx.save_for_backward(U, p, h, c, gates, steps, cells_, curved)
        return steps, cell.clone()

    @staticmethod
    def backward(ctx: Any, above: Tensor, beside: Tensor) -> tuple[Tensor, ...]:
        U, p, h, c, gates, steps, cells_, curved = ctx.saved_tensors
        size = h.shape[1]
        earlier = _shifted(cells_, c)
        i, f, n, o = gates.split(size, dim=2)
        of_o = curved * o * (1.0 - o)  # what dh is multiplied with; the others: dc
        of_c = o * (1.0 - curved.square()) + of_o * p[2]
        of_rest = torch.cat([n * i * (1 - i), earlier * f * (1 - f), i * (1 - n.square())], dim=2)
        keep = f + of_rest[..., :size] * p[0] + of_rest[..., size : 2 * size] * p[1]
        after = torch.empty_like(gates)
        late, cell = torch.zeros_like(h), beside.clone()
        for t in range(steps.shape[0] - 1, -1, -1):
            late.add_(above[t])
            cell.addcmul_(late, of_c[t])
            a = after[t]
            torch.mul(late, of_o[t], out=a[:, 3 * size :])
            torch.mul(cell.repeat(1, 3), of_rest[t], out=a[:, : 3 * size])
            cell.mul_(keep[t])
            torch.mm(a, U, out=late)
        peep = torch.stack(
            [
                (after[..., :size] * earlier).sum((0, 1)),
                (after[..., size : 2 * size] * earlier).sum((0, 1)),
                (after[..., 3 * size :] * cells_).sum((0, 1)),
            ]
        )
        return after, _outer(after, _shifted(steps, h)), peep, late, cell


def _shifted(steps: Tensor, first: Tensor) -> Tensor:
    """What was there before each step."""
    return torch.cat([first[None], steps[:-1]])


def _outer(after: Tensor, before: Tensor) -> Tensor:
    """Σ after (T, B, G) before (T, B, H): (G, H)."""
    return after.flatten(0, 1).T @ before.flatten(0, 1)
