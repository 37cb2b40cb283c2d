"""Dynamic evaluation of a character network: it goes on learning from the text that it is scored on, after the score.

Krause, Kahembwe, Murray and Renals (ICML 2018): a step of gradient descent after every few characters, each weight's
divided by the root mean square of its gradient, that in training at first, and all of them drawn back to where training
left them.
No character is learned from before it has been predicted.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rtsynth.training.text import CharacterNetwork, State

FORGET = (
    0.01  # of the gradients' mean squares, a step: so they follow where a text is unlike what was learned
)
EVENED = (
    0.1  # of the mean size, added to each, so that weights that were hardly ever moved are not thrown about
)


@dataclass(frozen=True)
class Pace:
    """How it learns on."""

    rate: float = 1e-3
    decay: float = 1e-3  # share of the way back to the trained weights, for the weight with the mean gradient
    chunk: int = 32  # characters between two steps


def dynamic_bits(
    network: CharacterNetwork,
    learned: np.ndarray,
    codes: np.ndarray,
    pace: Pace = Pace(),
    progress: Callable[[float], None] | None = None,
) -> float:
    """Bits per character over a text (N,), learning from it; `learned`: text that it was trained on, for the gradients'
    size. The network itself is left as it is.
    """
    network = copy.deepcopy(network).eval()
    sizes = _sizes(network, learned, pace.chunk)
    mean = torch.cat([size.flatten() for size in sizes]).mean()
    trained = [weight.detach().clone() for weight in network.parameters()]
    back = [(pace.decay * size / mean).clamp(max=1.0) for size in sizes]
    state, total = network.initial(1), 0.0
    for start in range(0, len(codes) - 1, pace.chunk):
        part = torch.from_numpy(codes[start : start + pace.chunk + 1])[:, None]
        loss, state = _loss(network, part, state)
        total += float(loss.detach()) * (len(part) - 1)
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        with torch.no_grad():
            rows = zip(network.parameters(), gradients, sizes, trained, back, strict=True)
            for weight, gradient, size, home, share in rows:
                size.square_().mul_(1.0 - FORGET).addcmul_(gradient, gradient, value=FORGET).sqrt_()
                weight.addcdiv_(gradient, size + EVENED * mean, value=-pace.rate)
                weight.add_(share * (home - weight))
        if progress is not None:
            progress(min(1.0, (start + pace.chunk) / len(codes)))
    return total / math.log(2.0) / (len(codes) - 1)


def _loss(network: CharacterNetwork, part: Tensor, state: State) -> tuple[Tensor, State]:
    """part (T + 1, 1): mean nats a character."""
    scores, (h, c) = network(part[:-1], state)
    return functional.cross_entropy(scores[:, 0], part[1:, 0]), (h.detach(), c.detach())


def _sizes(network: CharacterNetwork, learned: np.ndarray, chunk: int, steps: int = 200) -> list[Tensor]:
    """Root mean square of every weight's gradient over the first chunks of a text."""
    squares = [torch.zeros_like(weight) for weight in network.parameters()]
    state = network.initial(1)
    for start in range(0, min(steps * chunk, len(learned) - chunk - 1), chunk):
        loss, state = _loss(network, torch.from_numpy(learned[start : start + chunk + 1])[:, None], state)
        for square, gradient in zip(
            squares, torch.autograd.grad(loss, list(network.parameters())), strict=True
        ):
            square.add_(gradient.square())
    return [(square / steps).sqrt_() for square in squares]
