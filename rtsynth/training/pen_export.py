"""A trained pen as the step that `rtsynth.sequence.pen` runs, and its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rtsynth.sequence.strokes import CHARACTERS, Strokes
from rtsynth.training.halving import round_to_half, store_halved
from rtsynth.training.pen import KIND, Memory, PenNetwork, Training
from rtsynth.training.pen_scores import Scores
from rtsynth.training.stepping import export_step

LETTERS = 64  # characters of a text that the network sees at a time


class Reader(nn.Module):
    """pen (1, 4), letters (1, LETTERS, C), first (1, 1), memory -> said (1, 6 M + 1), φ (1, LETTERS + 1), memory."""

    def __init__(self, network: PenNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pen: Tensor, letters: Tensor, first: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        said, phi, after = self.network.step(pen, Memory(*memory), letters, first)
        return said, phi, *after


class Scrawler(nn.Module):
    """The same, of a network that was shown no text: pen, memory -> said, memory."""

    def __init__(self, network: PenNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pen: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        nothing = pen.new_zeros(1, 1, len(CHARACTERS))
        said, _, after = self.network.step(pen, Memory(*memory), nothing)
        return said, *after


def export_pen(training: Training, path: Path, card: str, styles: dict[str, Strokes]) -> float:
    """Write the step; the largest difference between file and the network run over the whole, relative to the peak.

    Weights are rounded to sixteen bits first. Raises ThresholdError, and writes nothing, where they differ.
    """
    network, recipe = training.network.cpu().eval(), training.recipe
    round_to_half(network)
    letters = torch.zeros(1, LETTERS, len(CHARACTERS))
    letters[0, torch.arange(LETTERS), torch.arange(LETTERS) % len(CHARACTERS)] = float(recipe.reads)
    fed: dict[str, Any] = {"pen": (1, 4)}
    if recipe.reads:
        fed |= {"letters": letters.shape, "first": (1, 1)}

    @torch.no_grad()
    def whole(inputs: list[Tensor]) -> list[Tensor]:
        raw, phi, _ = network(inputs[0], letters)  # (T, 1, …)
        return [raw, phi] if recipe.reads else [raw]

    def feed(rng: np.random.Generator) -> dict[str, np.ndarray]:
        pen = rng.standard_normal((1, 4))
        return {"pen": pen, "letters": letters.numpy(), "first": np.zeros((1, 1))}

    memory = {name: tuple(part.shape) for name, part in network.initial(1)._asdict().items()}
    error = export_step(
        Reader(network) if recipe.reads else Scrawler(network),
        path,
        fed,
        memory,
        KIND,
        {
            "reads": recipe.reads,
            "characters": CHARACTERS,
            "styles": {n: s.as_json() for n, s in styles.items()},
        },
        card,
        outputs=("said", "phi") if recipe.reads else ("said",),
        feed=feed,
        whole=whole,
    )
    store_halved(path)
    return error


def card(training: Training, scores: Scores, data: str) -> str:
    """What is said of how it was made."""
    recipe, curve = training.recipe, training.curve
    weights = sum(weight.numel() for weight in training.network.parameters())
    points = ", ".join(f"{row[1]:.2f} at {row[0]:.0f}" for row in curve[:: max(1, len(curve) // 6)])
    first, second = recipe.hidden
    window = f", a window of {recipe.bumps} bumps on the first layer" if recipe.reads else ", no window"
    return f"""\
Learned: {data}; every line is new.
Data: {training.source.credit}
Recipe: rtsynth train pen --seed {recipe.seed} --updates {recipe.updates}. LSTMs of {first} and {second}{window},
{recipe.components} correlated Gaussians; {weights} weights, stored in
sixteen bits; Adam, {recipe.lines} lines an update.
Done: {training.update} updates in {training.seconds / 60.0:.0f} minutes of one core.
Curve (nats a point, lines growing to {recipe.longest} characters): {points}.
Lines not trained on: {scores}.
"""
