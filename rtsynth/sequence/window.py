"""The soft window over a text: which characters a network looks at now (Graves, arXiv 1308.0850, §5.1).

K bumps stand at κ and only ever move on. Positions of characters are 1…U, and κ starts at 0. Two forms:

- "graves": α, β = exp, κ += exp; φ(u) = Σ α exp(−β (κ − u)²). (Battenberg et al., arXiv 1910.10288, call it V0.)
- "v2": α = softmax, σ = softplus, κ += softplus; φ(u) = Σ α N(u; κ, σ²): weights that sum to one (V2 of the same).

This is the slow, obvious version, one step of one text; rtsynth/training/window.py is the same in torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Form = Literal["graves", "v2"]
FORMS: tuple[Form, ...] = ("graves", "v2")


class Glance(NamedTuple):
    """What one step saw."""

    context: Array  # (C,): the codes under the window, Σ φ(u) code(u)
    kappa: Array  # (K,): where the bumps now stand
    phi: Array  # (U + 1,): the weight of every character, and of the place after the last one


@dataclass(frozen=True)
class SoftWindow:
    """The projection from a layer's state to the window's movement; rows α̂, then β̂ (σ̂), then κ̂."""

    weight: Array  # (3K, H)
    bias: Array  # (3K,)
    form: Form = "graves"

    def initial(self) -> Array:
        return np.zeros(len(self.bias) // 3)

    def step(self, h: Array, kappa: Array, codes: Array, first: int = 0) -> Glance:
        """From the state h (H,) and κ (K,) over codes (U, C); `first` characters of the text lie before them."""
        alpha, width, pace = np.split(self.weight @ h + self.bias, 3)
        positions = first + 1.0 + np.arange(len(codes) + 1)
        if self.form == "graves":
            kappa = kappa + np.exp(pace)
            bumps = np.exp(alpha) * np.exp(-np.exp(width) * (kappa - positions[:, None]) ** 2)
        else:
            kappa, sigma = kappa + np.logaddexp(0.0, pace), np.logaddexp(0.0, width)
            share = np.exp(alpha - alpha.max())
            far = (kappa - positions[:, None]) / sigma
            bumps = share / share.sum() * np.exp(-0.5 * far**2) / (math.sqrt(2.0 * math.pi) * sigma)
        phi = bumps.sum(axis=1)
        return Glance(phi[:-1] @ codes, kappa, phi)


def is_past(phi: Array) -> bool:
    """The stop rule: the place after the last character weighs more than any character. phi (U + 1,)."""
    return bool(len(phi) == 1 or phi[-1] > phi[:-1].max())
