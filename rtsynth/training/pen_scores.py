"""How well a pen foretells lines that it was not trained on, in the figures of Graves (2013), tables 3 and 4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rtsynth.training.pen import PenNetwork, Source, batch_of, losses

SEED = 1_000_003  # of the lines


@dataclass(frozen=True)
class Scores:
    """Means over lines; offsets have about unit variance."""

    nats_a_line: float  # -ln density of all its points, the pen's lifts included
    nats_a_point: float
    squared_error: float  # a point: of the mixture's mean, both axes together
    window: float | None  # share of steps at which the window stands at the right character

    def __str__(self) -> str:
        found = f"{self.nats_a_line:.0f} nats a line, {self.nats_a_point:.2f} a point"
        found += f", squared error {self.squared_error:.2f}"
        return found + (
            "" if self.window is None else f", window right at {100 * self.window:.0f} % of steps"
        )


@torch.no_grad()
def score(network: PenNetwork, source: Source, lines: int = 64) -> Scores:
    """Of `lines` lines of a source, always the same ones."""
    network.eval()
    recipe = network.recipe
    batch = batch_of(source, lines, recipe.longest, np.random.default_rng(SEED), recipe.reads)
    raw, phi, _ = network(batch.heard, batch.codes)
    points = float(batch.inked.sum())
    nats = float(losses(network, batch).stroke)
    missed = (_means(raw[:-1, :, :-1]) - batch.wanted[..., :2]).square().sum(-1)
    window = None
    if recipe.reads:
        right = (phi.argmax(-1) == batch.places).float()
        window = float((right * batch.there).sum() / batch.there.sum())
    error = float((missed * batch.inked).sum()) / points
    return Scores(nats * points / lines, nats, error, window)


def _means(raw: Tensor) -> Tensor:
    """Of the mixture, (…, 2)."""
    count = raw.shape[-1] // 6
    weights = torch.softmax(raw[..., :count], -1)
    means = raw[..., count : 3 * count].unflatten(-1, (count, 2))
    return (weights[..., None] * means).sum(-2)
