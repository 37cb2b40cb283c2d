"""Training `say`: characters to frames, the window's bump put where a corpus says that each character is spoken.

What an update draws depends on the seed, the update and the process alone, so a training that was interrupted and goes
on from its checkpoint ends with the same weights, on one machine.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rtsynth.training.checkpoints import read_checkpoint, write_checkpoint
from rtsynth.training.ranks import Ranks
from rtsynth.training.speech_corpus import Batch, Clip, Scale, batch, batches, divided, scale
from rtsynth.training.speech_model import Said, Sizes, SpeechNetwork

KIND = "speech"
CLIP = 1.0  # most that a gradient's norm is
AVERAGED = 200  # updates to a point of the curve
LAST_SHARE = 0.03  # of the rate that is left at the end
WEIGHTS = {"mel": 1.0, "voice": 0.5, "kappa": 4.0, "spread": 0.05}
LEAST_SPREAD = -4.0  # ln of a band's deviation, normalised

Losses = dict[str, Tensor]


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, beside the corpus."""

    seed: int = 1
    updates: int = 3300
    sentences: int = 16  # an update
    rate: float = 1.5e-3  # of Adam
    warming: int = 200  # updates over which the rate rises
    memory: float = 300.0  # updates that weights are averaged over at least, for what is exported
    forget: float = 0.5  # share of steps that are not told the frame before, and of what is made of it

    def rate_at(self, update: int) -> float:
        falling = 0.5 * (1.0 + math.cos(math.pi * min(1.0, update / self.updates)))
        return self.rate * min(1.0, (update + 1) / self.warming) * (LAST_SHARE + (1.0 - LAST_SHARE) * falling)


class Training:
    """A network on its way: `step` until `done`; `save` and `resume` in between."""

    def __init__(
        self,
        recipe: Recipe,
        clips: Sequence[Clip],
        device: str = "cpu",
        ranks: Ranks = Ranks(),  # noqa: B008
    ) -> None:
        torch.set_num_threads(1)  # the same weights on however many cores
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.ranks = recipe, device, ranks
        kept, self.held_out = divided(clips)
        self.scale = scale(kept)
        self.clips = kept[ranks.rank :: ranks.size]
        self.network = SpeechNetwork(Sizes()).to(device)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimiser = torch.optim.Adam(self.network.parameters(), recipe.rate, betas=(0.9, 0.98))
        self.update = 0
        self.seconds = 0.0  # spent
        self.curve: list[dict[str, float]] = []  # means of the losses over every AVERAGED updates
        self._latest: list[dict[str, float]] = []

    @property
    def done(self) -> bool:
        return self.update >= self.recipe.updates

    def step(self) -> dict[str, float]:
        """One update; its losses by name."""
        begun = time.monotonic()
        torch.manual_seed(hash((self.recipe.seed, self.update, self.ranks.rank)) & 0x7FFFFFFF)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate_at(self.update)
        losses = self.losses(self._draw(), self.recipe.forget)
        self.optimiser.zero_grad()
        losses["total"].backward()
        self.ranks.average(self.network.parameters())
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimiser.step()
        self.update += 1
        self._average()
        found = {name: float(loss.detach()) for name, loss in losses.items()}
        self.seconds += time.monotonic() - begun
        self._note(found)
        return found

    def losses(self, given: Batch, forget: float = 0.0) -> Losses:
        said = self.network(given.symbols, given.lengths, given.before, given.kappa, forget)
        return losses_of(said, given)

    @torch.no_grad()
    def _average(self) -> None:
        """The newest weights into the average: of all at first, then with an exponential memory."""
        share = 1.0 / min(float(self.update), self.recipe.memory)
        torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), share)

    @torch.no_grad()
    def held_out_losses(self) -> dict[str, float]:
        """Of the averaged weights, means over the recordings that were not trained on."""
        parts = []
        for first in range(0, len(self.held_out), 32):
            given = _on(batch(self.held_out[first : first + 32], self.scale), self.device)
            said = self.average(given.symbols, given.lengths, given.before, given.kappa)
            parts.append(losses_of(said, given))
        return {name: float(np.mean([float(part[name]) for part in parts])) for name in parts[0]}

    def _draw(self) -> Batch:
        every = -(-len(self.clips) // self.recipe.sentences)
        epoch, place = divmod(self.update, every)
        rng = np.random.default_rng([self.recipe.seed, epoch, self.ranks.rank])
        return _on(batch(batches(self.clips, self.recipe.sentences, rng)[place], self.scale), self.device)

    def _note(self, losses: dict[str, float]) -> None:
        self._latest.append(losses)
        if self.update % AVERAGED == 0 or self.done:
            means = {name: float(np.mean([row[name] for row in self._latest])) for name in losses}
            self.curve.append({"update": float(self.update), **means})
            self._latest = []

    def save(self, path: Path) -> None:
        """A checkpoint: weights, the optimiser's, recipe, scale and update."""
        state = {
            "recipe": asdict(self.recipe),
            "update": self.update,
            "seconds": self.seconds,
            "curve": self.curve,
            "scale": {name: torch.from_numpy(part) for name, part in asdict(self.scale).items()},
            "recordings": len(self.clips) * self.ranks.size,
            "steps": sum(clip.steps for clip in self.clips) * self.ranks.size,
            "weights": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        write_checkpoint(path, KIND, state)

    @classmethod
    def resume(
        cls,
        path: Path,
        clips: Sequence[Clip],
        device: str = "cpu",
        ranks: Ranks = Ranks(),  # noqa: B008
    ) -> Training:
        """Where `save` left it; InputError for what is no checkpoint of this."""
        state = read_checkpoint(path, KIND)
        training = cls(Recipe(**state["recipe"]), clips, device, ranks)
        training.network.load_state_dict(state["weights"])
        training.average.load_state_dict(state["average"])
        training.optimiser.load_state_dict(state["optimiser"])
        training.scale = scale_of(state)
        training.update, training.seconds, training.curve = state["update"], state["seconds"], state["curve"]
        return training


def scale_of(state: dict[str, Any]) -> Scale:
    """Of a checkpoint."""
    return Scale(**{name: part.numpy() for name, part in state["scale"].items()})


def _on(given: Batch, device: str) -> Batch:
    """The lengths stay on the CPU, where packing wants them."""
    moved = {name: part.to(device) for name, part in given._asdict().items() if name != "lengths"}
    return given._replace(**moved)


def losses_of(said: Said, given: Batch) -> Losses:
    """`mel`, `voice`: mean |Δ| and half the mean Δ², normalised; `kappa`: mean Δ², characters²; `spread`: nats."""
    there, analysed = given.there, given.there * given.analysed
    error = said.mel - given.mel
    ln_deviation = said.spread.clamp(min=LEAST_SPREAD).repeat(1, 1, 2)
    unlikely = ln_deviation + 0.5 * (error.detach() * torch.exp(-ln_deviation)).square()
    losses = {
        "mel": _mean(error.abs() + 0.5 * error.square(), there),
        "voice": _mean((said.voice - given.voice).abs(), analysed),
        "kappa": _mean((said.kappa - given.kappa)[..., None].square(), there),
        "spread": _mean(unlikely, there),
    }
    losses["total"] = sum((WEIGHTS[name] * loss for name, loss in losses.items()), torch.zeros(()))
    return losses


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """Of values (S, B, N) where weight (S, B, 1) is 1."""
    return (values * weight).sum() / (weight.sum() * values.shape[-1]).clamp(min=1.0)


def train(
    training: Training,
    *,
    checkpoint: Path | None = None,
    every: int = 200,
    seconds: float = math.inf,
    progress: Callable[[float], None] | None = None,
) -> SpeechNetwork:
    """Step until it is done, or for so many seconds; a checkpoint now and then, and at the end. The average."""
    until = time.monotonic() + seconds
    while not training.done and time.monotonic() < until:
        training.step()
        if checkpoint is not None and training.ranks.first and training.update % every == 0:
            training.save(checkpoint)
        if progress is not None:
            progress(training.update / training.recipe.updates)
    if checkpoint is not None and training.ranks.first:
        training.save(checkpoint)
    return training.average.eval()
