"""Training of the article's model: recordings to windows, the optimiser, checkpoints that cannot run code.

Every update draws its windows and noise from (seed, update) alone, so a training that was broken off and taken up again
ends where an unbroken one does.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtsynth.errors import InputError
from rtsynth.training.article import SMALL, Size
from rtsynth.training.article_loss import Adversary, article_loss, fooled, mended_loss, told_apart
from rtsynth.training.article_model import Article
from rtsynth.training.corpus import recordings

Sound = NDArray[np.float32]
SILENCE = 10 ** (-45 / 20)  # of the peak: quieter beginnings and ends are cut off
EDGE = 0.02  # seconds over which that is decided
CLIP = 1.0  # largest norm of a gradient


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, on one machine."""

    size: Size = SMALL
    seed: int = 1
    updates: int = 600  # a quarter of an hour of half a core
    windows: int = 1  # an update
    together: int = 4  # events a step of the decomposition while it learns …
    alone: float = 0.05  # … but for this share of the updates, the last, in which it is one, as in use
    rate: float = 2e-3  # of Adam, falling to a twentieth in half a cosine
    adversary_rate: float = 0.0  # of the adversary's Adam; 0: there is none


def as_published(size: Size) -> Recipe:
    """The article's: Adam 1e-4, an adversary at 1e-3, one event a step."""
    return Recipe(replace(size, mended=False, refractory=0), together=1, rate=1e-4, adversary_rate=1e-3)


class Training:
    """A model while it learns; `update` after `update`."""

    def __init__(self, recipe: Recipe, device: str = "cpu") -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.done = recipe, device, 0
        self.curve: list[float] = []  # the loss of every update
        self.model = Article(recipe.size).to(device)
        self.optimiser = torch.optim.Adam(self.model.parameters(), recipe.rate)
        self.adversary = Adversary(recipe.size).to(device) if recipe.adversary_rate else None
        self.adversary_optimiser = (
            torch.optim.Adam(self.adversary.parameters(), recipe.adversary_rate) if self.adversary else None
        )

    def update(self, sounds: Sequence[Sound]) -> float:
        """One step of the optimiser on windows drawn from the sounds: its loss."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, self.done])
        chance = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        torch.manual_seed(int(rng.integers(1 << 62)))  # of dropout
        target = torch.from_numpy(windows(sounds, recipe, rng)).to(self.device)
        self._set_rate()
        alone = self.done >= (1.0 - recipe.alone) * recipe.updates
        together = 1 if alone else recipe.together
        found = self.model.decompose(target, chance, together, fit=recipe.size.mended)
        loss = mended_loss(found, target) if recipe.size.mended else article_loss(found, target, recipe.size)
        if self.adversary is not None:
            loss = loss + fooled(self.adversary, found, chance)
        self._step(self.optimiser, self.model, loss)
        if self.adversary is not None and self.adversary_optimiser is not None:
            self._step(self.adversary_optimiser, self.adversary, told_apart(self.adversary, found, target))
        self.done += 1
        self.curve.append(float(loss.detach()))
        return self.curve[-1]

    def _step(self, optimiser: torch.optim.Optimizer, module: nn.Module, loss: Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()
        if self.recipe.size.mended:
            nn.utils.clip_grad_norm_(module.parameters(), CLIP)
        optimiser.step()

    def _set_rate(self) -> None:
        if self.recipe.size.mended:
            cosine = 0.5 + 0.5 * math.cos(math.pi * self.done / self.recipe.updates)
            for group in self.optimiser.param_groups:
                group["lr"] = self.recipe.rate * (0.05 + 0.95 * cosine)

    # ---- checkpoints ----

    def save(self, path: Path) -> None:
        """Tensors and plain values only; the file is there whole or not at all."""
        state: dict[str, Any] = {
            "recipe": asdict(self.recipe),
            "done": self.done,
            "curve": self.curve,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        if self.adversary is not None and self.adversary_optimiser is not None:
            state["adversary"] = self.adversary.state_dict()
            state["adversary_optimiser"] = self.adversary_optimiser.state_dict()
        part = path.with_name(f".{path.name}.part")
        torch.save(state, part)
        os.replace(part, path)

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> Training:
        """Weights only: a checkpoint cannot run code. InputError where it is none."""
        try:
            state = torch.load(path, map_location=device, weights_only=True)
            recipe = Recipe(**(state["recipe"] | {"size": Size(**state["recipe"]["size"])}))
            found = cls(recipe, device)
            found.done, found.curve = int(state["done"]), list(state["curve"])
            found.model.load_state_dict(state["model"])
            found.optimiser.load_state_dict(state["optimiser"])
            if found.adversary is not None and found.adversary_optimiser is not None:
                found.adversary.load_state_dict(state["adversary"])
                found.adversary_optimiser.load_state_dict(state["adversary_optimiser"])
        except Exception as error:  # torch and pickle raise what they like on a file that is none
            cause = " ".join(str(error).split())[:160]
            raise InputError(f"{path} is no checkpoint of the article's scheme: {cause}") from None
        return found


def train(
    sounds: Sequence[Sound],
    recipe: Recipe,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    every: int = 100,
    device: str = "cpu",
    progress: Callable[[float, float], None] | None = None,
) -> Training:
    """To the recipe's end; `progress(share, loss)`. The checkpoint is written every so many updates and at the end."""
    if resume and checkpoint is not None and checkpoint.is_file():
        training = Training.load(checkpoint, device)
        if training.recipe != recipe:
            raise InputError(
                f"{checkpoint} was made by another recipe: resume with its own, or name another file"
            )
    else:
        training = Training(recipe, device)
    while training.done < recipe.updates:
        loss = training.update(sounds)
        if progress is not None:
            progress(training.done / recipe.updates, loss)
        if checkpoint is not None and (training.done % every == 0 or training.done == recipe.updates):
            training.save(checkpoint)
    return training


def ranges(training: Training, sounds: Sequence[Sound], count: int = 20) -> tuple[Tensor, Tensor]:
    """Least and largest (32,) of the events' numbers, over random windows of the sounds."""
    rng, chance, recipe = (
        np.random.default_rng(training.recipe.seed),
        torch.Generator().manual_seed(1),
        training.recipe,
    )
    said = []
    with torch.no_grad():
        for _ in range(count):
            target = torch.from_numpy(windows(sounds, recipe, rng)).to(training.device)
            said.append(
                training.model.decompose(target, chance, fit=recipe.size.mended).vectors.flatten(0, 1)
            )
    vectors = torch.cat(said)
    return vectors.amin(dim=0), vectors.amax(dim=0)


def card(training: Training, seconds: float) -> str:
    """What the exported file says of how it was made."""
    recipe, size = training.recipe, training.recipe.size
    weights = sum(parameter.numel() for parameter in training.model.parameters())
    last = training.curve[-100:]
    return (
        f"The article's scheme{' with its mends' if size.mended else ''} at {size.rate} Hz: {weights} weights, "
        f"{size.steps} events in every {size.window / 2 / size.rate:.2f} s at most. "
        f"Learned from {seconds:.0f} s of sound: {training.done} updates of {recipe.windows} window(s) "
        f"of {size.window / size.rate:.1f} s, seed {recipe.seed}, Adam {recipe.rate:g}; "
        f"loss {np.mean(training.curve[:20]):.3f} at first, {np.mean(last):.3f} at last."
    )


# ---- sound to learn from ----


def sounds_of(folder: Path, rate: int) -> list[Sound]:
    """The recordings of a folder that are not held out, each `prepared`."""
    from rtsynth.io.hearing import read_heard

    paths, _ = recordings(folder)
    return [prepared(read_heard(path, rate), rate) for path in paths]


def prepared(sound: Sound, rate: int) -> Sound:
    """(N,) without the silence before and after, at peak 1."""
    peak = float(np.abs(sound).max(initial=0.0))
    if peak == 0.0:
        return sound[:0]
    block = round(EDGE * rate)
    padded = np.pad(sound, (0, -sound.size % block)).reshape(-1, block)
    loud = np.flatnonzero(np.abs(padded).max(axis=1) > SILENCE * peak)
    return sound[loud[0] * block : (loud[-1] + 1) * block] / peak


def windows(sounds: Sequence[Sound], recipe: Recipe, rng: np.random.Generator) -> Sound:
    """(windows, window): random stretches of the recordings, one after the other, each `prepared`.

    As published it is of one recording, random start, silence after its end, divided by its largest sample.
    """
    window = recipe.size.window
    if recipe.size.mended:
        whole = np.concatenate(list(sounds))
        whole = np.tile(whole, -(-(window + 1) // whole.size))
        return np.stack([whole[s : s + window] for s in rng.integers(0, whole.size - window, recipe.windows)])
    cut = []
    for number in rng.integers(0, len(sounds), recipe.windows):
        sound = np.pad(sounds[number], (0, max(0, 2 * window - sounds[number].size)))
        start = int(rng.integers(0, sound.size - window))
        part = sound[start : start + window]
        cut.append(part / (abs(float(part.max())) + 1e-8))
    return np.stack(cut).astype(np.float32)
