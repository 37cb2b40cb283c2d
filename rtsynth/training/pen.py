"""Handwriting: LSTMs that look at a text through a soft window and say where the pen goes next (Graves, 2013, §5).

Two things are not in the paper. The network hears how high above the base line the pen is, a sum of what it was fed, so
that a long line does not wander off. And as the strokes are set from fonts, the character that each point belongs to is
known: a small term of the loss holds the window to it, so that it need not be discovered.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from rtsynth.sequence.strokes import CHARACTERS
from rtsynth.training.checkpoints import fitting, read_checkpoint, write_checkpoint
from rtsynth.training.mixture import bivariate_loss
from rtsynth.training.reading import Reading
from rtsynth.training.window import SoftWindow

KIND = "pen"
CLIP = 1.0  # most that a gradient's norm is
EVERY = 50  # updates between two checkpoints, and to a point of the curve
SHORTEST = 5  # characters of the first lines


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, beside the fonts and the text."""

    seed: int = 1
    updates: int = 800
    hidden: tuple[int, int] = (192, 256)
    components: int = 20  # of the mixture
    bumps: int = 10  # of the window
    pace: float = 0.08  # of the window at first, characters a point: about that of the lines
    lines: int = 32  # an update
    longest: int = 24  # characters of a line
    rate: float = 3e-3  # of Adam, at its highest
    guidance: float = 1.0  # weight of the term on the window at first; a tenth of it is left from halfway on
    reads: bool = True  # False: no text is shown, as in §4 of the paper

    def rate_at(self, update: int) -> float:
        """Up in a straight line for a twentieth of the updates, then half a cosine down to a fiftieth."""
        warm = self.updates / 20.0
        if update < warm:
            return self.rate * (update + 1.0) / (warm + 1.0)
        share = (update - warm) / (self.updates - warm)
        return self.rate * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * share)))

    def guidance_at(self, update: int) -> float:
        return self.guidance * max(0.1, 1.0 - 1.8 * update / self.updates) if self.reads else 0.0

    def longest_at(self, update: int) -> int:
        """Characters: a few at first, so that early updates are quick and the window finds its place."""
        share = min(1.0, update / (0.5 * self.updates))
        return max(
            1, round(min(SHORTEST, self.longest) + share * (self.longest - min(SHORTEST, self.longest)))
        )


class Batch(NamedTuple):
    """B lines side by side; T + 1 steps, the first from a pen at rest, the last answered by nothing."""

    heard: Tensor  # (T + 1, B, 4): dx, dy, end, height
    wanted: Tensor  # (T, B, 3)
    there: Tensor  # (T + 1, B): 1 where a step counts, the last of each line included
    inked: Tensor  # (T, B): 1 where there is something to be said
    places: Tensor  # (T + 1, B): the character that comes next; U after the last point
    codes: Tensor  # (B, U, C)


class Memory(NamedTuple):
    """What is carried from step to step."""

    h1: Tensor  # (B, H1)
    c1: Tensor
    context: Tensor  # (B, C)
    kappa: Tensor  # (B, K)
    h2: Tensor  # (B, H2)
    c2: Tensor


class PenNetwork(nn.Module):
    """Layer 1 moves the window, layer 2 looks through it; both speak, and both hear the pen."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        first, second = recipe.hidden
        characters = len(CHARACTERS)
        self.heard = nn.Linear(4, 4 * first)
        self.seen = nn.Linear(characters, 4 * first, bias=False)
        self.recurrent = nn.Linear(first, 4 * first, bias=False)
        self.window = SoftWindow(first, recipe.bumps, "graves", recipe.pace)
        self.second = nn.LSTM(4 + first + characters, second)
        self.speak = nn.Linear(first + second, 6 * recipe.components + 1)
        nn.init.normal_(self.seen.weight, std=0.2)
        nn.init.orthogonal_(self.recurrent.weight)
        self.heard.bias.data[first : 2 * first] = 1.0
        self.second.bias_hh_l0.data[second : 2 * second] = 1.0

    def initial(self, batch: int) -> Memory:
        first, second = self.recipe.hidden
        sizes = (first, first, len(CHARACTERS), self.recipe.bumps, second, second)
        return Memory(*(self.heard.weight.new_zeros(batch, size) for size in sizes))

    def forward(self, heard: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """heard (T, B, 4), codes (B, U, C) -> raw (T, B, 6 M + 1), φ (T, B, U + 1), κ (T, B, K)."""
        window = self.window.project
        h1, context, phi, kappa = Reading.apply(
            self.heard(heard), self.recurrent.weight, self.seen.weight, window.weight, window.bias, codes
        )
        h2, _ = self.second(torch.cat([heard, h1, context], dim=-1))
        return self.speak(torch.cat([h1, h2], dim=-1)), phi, kappa

    def step(
        self, x: Tensor, memory: Memory, codes: Tensor, first: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Memory]:
        """x (B, 4) -> raw (B, 6 M + 1), φ (B, U + 1): the specification, and what is exported."""
        gates = self.heard(x) + self.seen(memory.context) + self.recurrent(memory.h1)
        h1, c1 = _cell(gates, memory.c1)
        context, kappa, phi = self.window(h1, memory.kappa, codes, first)
        layer, entering = self.second, torch.cat([x, h1, context], dim=-1)
        gates = nn.functional.linear(entering, layer.weight_ih_l0, layer.bias_ih_l0)
        gates = gates + nn.functional.linear(memory.h2, layer.weight_hh_l0, layer.bias_hh_l0)
        h2, c2 = _cell(gates, memory.c2)
        return self.speak(torch.cat([h1, h2], dim=-1)), phi, Memory(h1, c1, context, kappa, h2, c2)


def _cell(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """An LSTM's gates (B, 4H), in torch's order, and its cell -> h, c."""
    enter, forget, new, leave = gates.chunk(4, dim=-1)
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
    return torch.sigmoid(leave) * torch.tanh(cell), cell


class Losses(NamedTuple):
    stroke: Tensor  # nats a point: -ln of the mixture's density and of the pen's lift
    window: Tensor  # nats a step: -ln of the window's share at the right character
    end: Tensor  # of `stroke`, what the pen's lift costs


def losses(network: PenNetwork, batch: Batch) -> Losses:
    raw, phi, _ = network(batch.heard, batch.codes)
    said, lift = raw[:-1, :, :-1], raw[:-1, :, -1]
    points = batch.inked.sum()
    offset = (bivariate_loss(said, batch.wanted[..., :2]) * batch.inked).sum() / points
    end = nn.functional.binary_cross_entropy_with_logits(lift, batch.wanted[..., 2], reduction="none")
    end = (end * batch.inked).sum() / points
    right = phi.gather(2, batch.places[..., None])[..., 0]
    window = torch.log(phi.sum(-1) + 1e-6) - torch.log(right + 1e-6)
    return Losses(offset + end, (window * batch.there).sum() / batch.there.sum(), end)


class Source(NamedTuple):
    """Where lines come from: `draw(rng, longest)` -> (N, 3) offsets, (N,) places, text."""

    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray, str]]
    credit: str


def batch_of(source: Source, count: int, longest: int, rng: np.random.Generator, reads: bool = True) -> Batch:
    """`count` lines drawn from a source."""
    drawn = [source.draw(rng, longest) for _ in range(count)]
    steps, letters = max(len(row[0]) for row in drawn), max(len(row[2]) for row in drawn)
    heard, wanted = np.zeros((steps + 1, count, 4), np.float32), np.zeros((steps, count, 3), np.float32)
    there, places = np.zeros((steps + 1, count), np.float32), np.zeros((steps + 1, count), np.int64)
    codes = np.zeros((count, letters, len(CHARACTERS)), np.float32)
    for n, (offsets, place, text) in enumerate(drawn):
        length = len(offsets)
        wanted[:length, n] = offsets
        heard[1 : length + 1, n, :3] = offsets
        heard[1 : length + 1, n, 3] = np.cumsum(offsets[:, 1])
        there[: length + 1, n] = 1.0
        if reads and text:
            places[:length, n], places[length, n] = place, len(text)
            codes[n, np.arange(len(text)), [CHARACTERS.index(c) for c in text]] = 1.0
    inked = np.arange(steps)[:, None] < np.array([len(row[0]) for row in drawn])
    arrays = (heard, wanted, there, inked.astype(np.float32), places, codes)
    return Batch(*(torch.from_numpy(array) for array in arrays))


class Training:
    """A network on its way: `step` until `done`; `save` and `resume` in between."""

    def __init__(self, recipe: Recipe, source: Source, device: str = "cpu") -> None:
        torch.set_num_threads(1)  # the same weights on however many cores
        torch.manual_seed(recipe.seed)
        self.recipe, self.source, self.device = recipe, source, device
        self.network = PenNetwork(recipe).to(device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), betas=(0.9, 0.98))
        self.update, self.seconds = 0, 0.0
        self.curve: list[list[float]] = []  # update, nats a point, nats of the window
        self._recent: list[tuple[float, float]] = []

    @property
    def done(self) -> bool:
        return self.update >= self.recipe.updates

    def step(self) -> tuple[float, float]:
        """One update; its losses: of the strokes, of the window."""
        begun, recipe = time.monotonic(), self.recipe
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate_at(self.update)
        rng = np.random.default_rng([recipe.seed, self.update])
        batch = batch_of(self.source, recipe.lines, recipe.longest_at(self.update), rng, recipe.reads)
        found = losses(self.network.train(), Batch(*(part.to(self.device) for part in batch)))
        guidance = recipe.guidance_at(self.update)
        self.optimiser.zero_grad()
        (found.stroke + guidance * found.window).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimiser.step()
        self.update += 1
        self.seconds += time.monotonic() - begun
        self._recent.append((float(found.stroke.detach()), float(found.window.detach())))
        if self.update % EVERY == 0 or self.done:
            self.curve.append([self.update, *np.mean(self._recent, axis=0).tolist()])
            self._recent = []
        return float(found.stroke.detach()), float(found.window.detach())

    def save(self, path: Path) -> None:
        """A checkpoint. Never half of one."""
        state = {
            "recipe": asdict(self.recipe),
            "update": self.update,
            "seconds": self.seconds,
            "curve": self.curve,
            "weights": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        write_checkpoint(path, KIND, state)

    @classmethod
    def resume(cls, path: Path, source: Source, device: str = "cpu") -> Training:
        """Where `save` left it; InputError for what is no checkpoint of this."""
        found = read_checkpoint(path, KIND)
        with fitting(path):
            stated = found["recipe"]
            training = cls(Recipe(**stated | {"hidden": tuple(stated["hidden"])}), source, device)
            training.network.load_state_dict(found["weights"])
            training.optimiser.load_state_dict(found["optimiser"])
            training.update, training.seconds, training.curve = (
                found[name] for name in ("update", "seconds", "curve")
            )
        return training


def train(
    training: Training, checkpoint: Path | None, progress: Callable[[float], None] | None = None
) -> None:
    """To the end, from wherever it stands, with a checkpoint now and then."""
    while not training.done:
        training.step()
        if checkpoint is not None and (training.update % EVERY == 0 or training.done):
            training.save(checkpoint)
        if progress is not None:
            progress(training.update / training.recipe.updates)
