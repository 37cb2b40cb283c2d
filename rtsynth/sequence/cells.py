"""Recurrent cells, one step in NumPy: what the compiled and the trained ones are held against.

    tanh  h' = tanh(W x + U h + b)
    GRU   z, r = σ(W x + U h + b), n = tanh(W x + U (r h) + b), h' = (1 - z) h + z n
    LSTM  i, f = σ(W x + U h + b + p c), n = tanh(W x + U h + b), c' = f c + i n, o = σ(W x + U h + b + p c'),
          h' = o tanh c'

Sources: Chung et al. 2014 (arXiv 1412.3555); Graves 2013 (arXiv 1308.0850) for the diagonal peepholes p. The GRU of
torch and of ONNX is another one of the same family: z the other way round, r after the product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # float32 or float64
State = tuple[Array, ...]  # (h,) or (h, c), each (H,) or (B, H)
CellName = Literal["tanh", "gru", "lstm"]


@dataclass(frozen=True)
class _Cell:
    """Parameters: W (G H, I), U (G H, H), b (G H), G gates one below the other."""

    W: Array
    U: Array
    b: Array
    gates: ClassVar[int]
    states: ClassVar[int] = 1

    def start(self, *batch: int) -> State:
        """Zeros, (*batch, H)."""
        zeros = np.zeros((*batch, self.U.shape[1]), self.U.dtype)
        return tuple(zeros.copy() for _ in range(self.states))


@dataclass(frozen=True)
class Tanh(_Cell):
    gates: ClassVar[int] = 1

    def step(self, x: Array, state: State) -> State:
        """x (..., I), h (..., H) -> h."""
        (h,) = state
        return (np.tanh(x @ self.W.T + h @ self.U.T + self.b),)


@dataclass(frozen=True)
class Gru(_Cell):
    """Gates in the order z, r, n."""

    gates: ClassVar[int] = 3

    def step(self, x: Array, state: State) -> State:
        """x (..., I), h (..., H) -> h."""
        (h,) = state
        size = h.shape[-1]
        entering = x @ self.W.T + self.b
        z, r = np.split(sigmoid(entering[..., : 2 * size] + h @ self.U[: 2 * size].T), 2, axis=-1)
        n = np.tanh(entering[..., 2 * size :] + (r * h) @ self.U[2 * size :].T)
        return ((1 - z) * h + z * n,)


@dataclass(frozen=True)
class Lstm(_Cell):
    """Gates in the order i, f, n, o; peepholes p (3, H) of i, f, o."""

    p: Array
    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    def step(self, x: Array, state: State) -> State:
        """x (..., I), h and c (..., H) -> h, c."""
        h, c = state
        i, f, n, o = np.split(x @ self.W.T + h @ self.U.T + self.b, 4, axis=-1)
        c = sigmoid(f + self.p[1] * c) * c + sigmoid(i + self.p[0] * c) * np.tanh(n)
        return sigmoid(o + self.p[2] * c) * np.tanh(c), c


CELLS: dict[str, type[Tanh] | type[Gru] | type[Lstm]] = {"tanh": Tanh, "gru": Gru, "lstm": Lstm}


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), which does not overflow."""
    return 0.5 * np.tanh(0.5 * x) + 0.5


def parameter_count(cell: str, inputs: int, hidden: int) -> int:
    """Of the cell alone, as Chung et al. count: without the layer that reads it."""
    made = CELLS[cell]
    peepholes = 3 * hidden if made is Lstm else 0
    return made.gates * hidden * (hidden + inputs + 1) + peepholes
