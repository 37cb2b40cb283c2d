"""Recurrent networks that guess the next step of a piano roll: model, training, evaluation, export.

The loss is the negative log-likelihood of a step given all before it, in nats: Σ over the 88 keys, the mean over steps.
Every update draws from (seed, update) alone: a training that was broken off and taken up again ends where an unbroken
one does.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rtsynth.errors import DeviceError, InputError, UsageError
from rtsynth.sequence.music import KEYS
from rtsynth.training.cells import CELLS, State
from rtsynth.training.music_heads import Independent, Joint
from rtsynth.training.rolls import Chunk, Lanes, Roll, Rolls, chunk

PUBLISHED = {"tanh": 100, "gru": 46, "lstm": 36}  # hidden units of Chung et al.: about 20,000 weights each
CLIP = 1.0  # largest norm of a gradient
AT_ONCE = 32  # pieces evaluated side by side


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, on one machine."""

    cell: str = "gru"
    hidden: int = 46
    width: int = 0  # of the joint head; 0: each key for itself
    dropout: float = 0.0
    seed: int = 1
    updates: int = 1500
    lanes: int = 16  # pieces side by side
    steps: int = 200  # a chunk; states are carried to the next, gradients are not
    rate: float = 5e-3  # of Adam; rises over 2 % of the updates, falls to 0 in half a cosine
    decay: float = 0.0  # of the weights (AdamW)
    noise: float = 0.0  # σ of the Gaussian noise on the cell's weights, drawn anew for every update
    average: float = 0.995  # of the weights that are kept: mean over about 1 / (1 - average) updates
    transpose: int = 0  # semitones, up to
    silence: float = 0.0  # share of pieces that begin after a step of silence
    check: int = 100  # updates from one look at the validation set to the next


class Guess(nn.Module):
    """Hears a step, guesses the next."""

    def __init__(self, cell: str, hidden: int, width: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.cell = CELLS[cell](KEYS, hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = Joint(hidden, width, dropout) if width else Independent(hidden)

    def forward(self, heard: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(T, B, 88) -> features (T, B, H), state."""
        said, state = self.cell(heard, state)
        return self.dropout(said), state

    def nll(self, features: Tensor, wanted: Tensor) -> Tensor:
        """(T, B, H), (T, B, 88) -> nats, (T, B)."""
        flat = self.head.nll(features.flatten(0, 1), wanted.flatten(0, 1))
        return flat.view(features.shape[:2])


def guess(recipe: Recipe) -> Guess:
    return Guess(recipe.cell, recipe.hidden, recipe.width, recipe.dropout)


class Loss(NamedTuple):
    """Nats a step."""

    pooled: float  # mean over the steps of all pieces
    per_sequence: float  # mean over pieces of each one's mean


@torch.no_grad()
def evaluate(model: Guess, rolls: Sequence[Roll]) -> Loss:
    """From x_1 … x_{T-1} to x_2 … x_T of every piece, the state zeros at first."""
    model.eval()
    device = next(model.parameters()).device
    sums, counts = [], []
    ordered = sorted(rolls, key=len)
    for at in range(0, len(ordered), AT_ONCE):
        some = ordered[at : at + AT_ONCE]
        losses = _losses(model, some, device)
        sums += losses.tolist()
        counts += [len(roll) - 1 for roll in some]
    means = [total / count for total, count in zip(sums, counts, strict=True)]
    return Loss(sum(sums) / sum(counts), sum(means) / len(means))


def _losses(model: Guess, rolls: Sequence[Roll], device: torch.device, steps: int = 256) -> Tensor:
    """Nats of each piece, (B,), by chunks, so that long pieces need no more memory than short ones."""
    whole = _on(chunk(rolls, [False] * len(rolls)), device)
    state, total = None, torch.zeros(len(rolls), device=device)
    for at in range(0, len(whole.heard), steps):
        part = slice(at, at + steps)
        features, state = model(whole.heard[part], state)
        total += (model.nll(features, whole.wanted[part]) * whole.counts[part]).sum(0)
    return total


class Training:
    """A training as far as it has come; `run` takes it to its end, `save` and `resume` keep it."""

    def __init__(self, recipe: Recipe, rolls: Rolls, device: str = "cpu") -> None:
        self.recipe, self.rolls, self.device = recipe, rolls, torch.device(device)
        torch.manual_seed(recipe.seed)
        self.model = guess(recipe).to(self.device)
        self.mean = copy.deepcopy(self.model).requires_grad_(False)  # the average of the weights
        self.optimiser = torch.optim.AdamW(self.model.parameters(), recipe.rate, weight_decay=recipe.decay)
        self.lanes = Lanes(
            rolls.train, recipe.lanes, recipe.steps, recipe.transpose, recipe.silence, recipe.seed
        )
        self.state = self.model.cell.start(recipe.lanes)
        self.update, self.seconds = 0, 0.0
        self.best, self.kept = math.inf, self.mean.state_dict()  # nats on the validation set, and the weights

    def run(
        self,
        progress: Callable[[float], None] | None = None,
        checkpoint: Path | None = None,
        seconds: float = math.inf,
    ) -> Guess:
        """The model of the best validation loss. Stops early after `seconds` of processor time in all."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            while self.update < self.recipe.updates and self.seconds < seconds:
                began = time.process_time()
                self._step(_on(self.lanes.next(), self.device))
                if self.update % self.recipe.check == 0 or self.update == self.recipe.updates:
                    self._look()
                self.seconds += time.process_time() - began
                if checkpoint is not None and self.update % self.recipe.check == 0:
                    self.save(checkpoint)
                if progress is not None:
                    progress(self.update / self.recipe.updates)
            if not math.isfinite(self.best):
                self._look()
            if checkpoint is not None:
                self.save(checkpoint)
        finally:
            torch.set_num_threads(threads)
        return self.result()

    def result(self) -> Guess:
        model = guess(self.recipe)
        model.load_state_dict({name: value.cpu() for name, value in self.kept.items()})
        return model.eval()

    def _step(self, batch: Chunk) -> None:
        recipe = self.recipe
        torch.manual_seed(recipe.seed * 1_000_003 + self.update + 1)
        self.model.train()
        noise = self._disturb()
        state = tuple(part.detach() * batch.begins[:, None] for part in self.state)
        features, self.state = self.model(batch.heard, state)
        counts = batch.counts > 0
        loss = self.model.head.nll(features[counts], batch.wanted[counts]).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self._calm(noise)
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate * _share(self.update / recipe.updates)
        self.optimiser.step()
        self.update += 1
        new = 1.0 - min(recipe.average, (1.0 + self.update) / (10.0 + self.update))
        for mean, value in zip(self.mean.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(value.detach(), new)

    def _disturb(self) -> list[Tensor]:
        """Gaussian noise onto the cell's weights (Graves 2011); given back, to be taken off again."""
        if not self.recipe.noise:
            return []
        drawn = [torch.randn_like(value) * self.recipe.noise for value in self.model.cell.parameters()]
        with torch.no_grad():
            for value, noise in zip(self.model.cell.parameters(), drawn, strict=True):
                value.add_(noise)
        return drawn

    @torch.no_grad()
    def _calm(self, drawn: list[Tensor]) -> None:
        for value, noise in zip(self.model.cell.parameters(), drawn, strict=False):
            value.sub_(noise)

    def _look(self) -> None:
        """Keep the averaged weights where they are the best so far on the validation set."""
        loss = evaluate(self.mean, self.rolls.valid).pooled
        if loss < self.best:
            self.best = loss
            self.kept = {name: value.clone() for name, value in self.mean.state_dict().items()}

    # --- checkpoints --------------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        part = path.with_name(f".{path.name}.part")
        torch.save(
            {
                "recipe": asdict(self.recipe),
                "model": self.model.state_dict(),
                "mean": self.mean.state_dict(),
                "kept": self.kept,
                "optimiser": self.optimiser.state_dict(),
                "state": list(self.state),
                "update": self.update,
                "seconds": self.seconds,
                "best": self.best,
            },
            part,
        )
        part.replace(path)

    @classmethod
    def resume(cls, path: Path, rolls: Rolls, device: str = "cpu") -> Training:
        """Where `save` left it. InputError where the file is none of these."""
        found = load_checkpoint(path)
        try:
            training = cls(Recipe(**found["recipe"]), rolls, device)
            training.model.load_state_dict(found["model"])
            training.mean.load_state_dict(found["mean"])
            training.optimiser.load_state_dict(found["optimiser"])
            training.kept = found["kept"]
            training.state = tuple(part.to(training.device) for part in found["state"])
            training.update, training.seconds = int(found["update"]), float(found["seconds"])
            training.best = float(found["best"])
        except (KeyError, TypeError, RuntimeError, ValueError) as error:
            cause = " ".join(str(error).split())[:160]
            raise InputError(f"{path} is no checkpoint of train music: {cause}") from None
        training.lanes.skip(training.update)
        return training


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Weights and numbers only: a checkpoint cannot run code."""
    if not path.is_file():
        raise InputError(f"no checkpoint {path}: begin without --resume")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and pickle raise what they like on a file that is none
        cause = " ".join(str(error).split())[:120]
        raise InputError(f"{path} is no checkpoint that can be read: {cause}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} is no checkpoint of train music")
    return found


def checked_device(name: str) -> torch.device:
    """Raises UsageError for a name that is none, DeviceError where there is no such device."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"no device '{name}': cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"no device '{name}': cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"no device '{name}' here: --device cpu")
    return device


def _on(batch: Chunk, device: torch.device) -> Chunk:
    return Chunk(*(part.to(device) for part in (batch.heard, batch.wanted, batch.counts, batch.begins)))


def _share(done: float, warm: float = 0.02) -> float:
    """Of the learning rate, when this share of the updates is done."""
    return min(1.0, (done + 1e-3) / warm) * 0.5 * (1.0 + math.cos(math.pi * done))
