"""Training of the article's model: recordings to windows, the optimiser, checkpoints that cannot run code.

Every update draws its windows and noise from (seed, update) alone, so a training that was broken off and taken up again
ends where an unbroken one does.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rtsynth.errors import InputError
from rtsynth.training.article import SMALL, Size
from rtsynth.training.article_corpus import Sound, windows
from rtsynth.training.article_loss import Adversary, article_loss, fooled, mended_loss, told_apart
from rtsynth.training.article_model import Article
from rtsynth.training.ranks import Ranks

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


def recipe_of(size: Size, mended: bool = True, updates: int | None = None, seed: int = 1) -> Recipe:
    """The shipped model's, or the published scheme's at this size."""
    recipe = Recipe(size) if mended else as_published(size)
    return replace(recipe, seed=seed, updates=recipe.updates if updates is None else updates)


class Training:
    """A model while it learns; `update` after `update`."""

    def __init__(self, recipe: Recipe, device: str = "cpu", ranks: Ranks = Ranks()) -> None:  # noqa: B008
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.ranks, self.done = recipe, device, ranks, 0
        self.seconds = 0.0  # spent
        self.curve: list[float] = []  # the loss of every update
        self.model = Article(recipe.size).to(device)
        self.optimiser = torch.optim.Adam(self.model.parameters(), recipe.rate)
        self.adversary = Adversary(recipe.size).to(device) if recipe.adversary_rate else None
        self.adversary_optimiser = (
            torch.optim.Adam(self.adversary.parameters(), recipe.adversary_rate) if self.adversary else None
        )

    def update(self, sounds: Sequence[Sound]) -> float:
        """One step of the optimiser on windows drawn from the sounds: its loss."""
        recipe, begun = self.recipe, time.monotonic()
        rng = np.random.default_rng([recipe.seed, self.done, *([self.ranks.rank] if self.ranks.rank else [])])
        chance = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
        torch.manual_seed(int(rng.integers(1 << 62)))  # of dropout
        target = torch.from_numpy(windows(sounds, recipe.size, recipe.windows, rng)).to(self.device)
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
        self.seconds += time.monotonic() - begun
        return self.curve[-1]

    def _step(self, optimiser: torch.optim.Optimizer, module: nn.Module, loss: Tensor) -> None:
        optimiser.zero_grad()
        loss.backward()
        self.ranks.average(module.parameters())
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
            "seconds": self.seconds,
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
    def load(cls, path: Path, device: str = "cpu", ranks: Ranks = Ranks()) -> Training:  # noqa: B008
        """Weights only: a checkpoint cannot run code. InputError where it is none."""
        try:
            state = torch.load(path, map_location=device, weights_only=True)
            recipe = Recipe(**(state["recipe"] | {"size": Size(**state["recipe"]["size"])}))
            found = cls(recipe, device, ranks)
            found.done, found.curve = int(state["done"]), list(state["curve"])
            found.seconds = float(state["seconds"])
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
    training: Training,
    sounds: Sequence[Sound],
    *,
    checkpoint: Path | None = None,
    every: int = 50,
    progress: Callable[[float], None] | None = None,
    watch: Callable[[int, dict[str, float]], None] | None = None,
) -> Training:
    """Update to the recipe's end; a checkpoint every so many updates, and at the end. `watch(update, losses)`."""
    updates, first = training.recipe.updates, training.ranks.first
    while training.done < updates:
        loss = training.update(sounds)
        if watch is not None and first:
            watch(training.done, {"total": loss})
        if checkpoint is not None and first and (training.done % every == 0 or training.done == updates):
            training.save(checkpoint)
        if progress is not None:
            progress(training.done / updates)
    return training


@torch.no_grad()
def held_out_loss(training: Training, sounds: Sequence[Sound], count: int = 8) -> float:
    """The energy that is left of windows of the sounds once all events are taken off, a share of what there was."""
    recipe, rng, shares = training.recipe, np.random.default_rng(training.recipe.seed), []
    for _ in range(count):
        target = torch.from_numpy(windows(sounds, recipe.size, recipe.windows, rng)).to(training.device)
        energies = training.model.decompose(
            target, torch.Generator().manual_seed(1), fit=recipe.size.mended
        ).energies
        shares.append((energies[:, -1] / energies[:, 0].clamp(min=1e-12)).mean())
    return float(torch.stack(shares).mean())


@torch.no_grad()
def sounding(training: Training, sound: Sound) -> Sound:
    """What is made of the first window of a sound (N,): (window,)."""
    recipe = training.recipe
    window = np.pad(sound, (0, recipe.size.window))[: recipe.size.window]
    target = torch.from_numpy(window)[None].to(training.device)
    found = training.model.decompose(target, torch.Generator().manual_seed(1), fit=recipe.size.mended)
    return found.sum[0].clamp(-1.0, 1.0).cpu().numpy()


def is_article(checkpoint: Path) -> bool:
    """Whether a checkpoint of the codec is of the article's scheme; what is none at all is left to its reader."""
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        return "size" in state["recipe"]
    except Exception:  # torch and pickle raise what they like on a file that is none
        return False


def card(training: Training) -> str:
    """What the exported file says of how it was made."""
    recipe, size = training.recipe, training.recipe.size
    weights = sum(parameter.numel() for parameter in training.model.parameters())
    mends = " --no-mended" * (not size.mended)
    return (
        f"The article's scheme{' with its mends' if size.mended else ''} at {size.rate} Hz: {weights} weights, "
        f"{size.steps} events in every {size.window / 2 / size.rate:.2f} s at most. "
        f"Recipe: rtsynth train codec --scheme article{mends} --seed {recipe.seed} --updates {recipe.updates}; "
        f"{training.done} updates of {recipe.windows} window(s) of {size.window / size.rate:.1f} s, "
        f"Adam {recipe.rate:g}, in {training.seconds / 60:.0f} minutes; "
        f"loss {np.mean(training.curve[:20]):.3f} at first, {np.mean(training.curve[-100:]):.3f} at last."
    )
