"""Training the raw-speech network: 20 samples in, a mixture over the next 10 out, and so on (Chung et al. 2014, §4).

What an update draws depends on the seed and the update alone, and states are in the checkpoint: a training that was
interrupted ends with the same weights, on one machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtsynth.errors import InputError
from rtsynth.sequence.mixture import diagonal_size
from rtsynth.sequence.waveform import COMPONENTS, HEARD, HIDDEN, RATE, SAID
from rtsynth.training.cells import CELLS
from rtsynth.training.checkpoints import read_checkpoint, write_checkpoint
from rtsynth.training.mixture import diagonal_loss, draw

Floats = NDArray[np.float32]
State = tuple[Tensor, ...]

KIND = "waveform"  # of a checkpoint
CLIP = 1.0  # most that a gradient's norm is
RATES = {
    "tanh": 1e-3,
    "gru": 6e-3,
    "lstm": 6e-3,
}  # of Adam at its highest: the best tried, by the loss on what is trained on
AVERAGED = 100  # updates to a point of the curve
LAST_SHARE = 0.02  # of the rate that is left at the end


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, beside the recordings."""

    cell: str = "gru"
    seed: int = 1
    updates: int = 3000
    streams: int = 32  # that the sound is cut into, and that are gone through side by side
    steps: int = 64  # of 10 samples an update; states are carried to the next
    rate: float = 6e-3  # of Adam at its highest, falling in half a cosine
    gain_db: float = 6.0  # that a stream is louder or quieter than its recording, at most
    own_updates: int = 1000  # after these, in which part of what is heard is the network's own draws
    own_rate: float = 2e-3  # of Adam there, falling likewise
    own: float = 0.5  # how much of it
    noise: float = 0.0  # standard deviation of what is added to the weights at every update

    @classmethod
    def of(cls, cell: str, updates: int, seed: int) -> Recipe:
        """The one that is shipped, for this cell."""
        return cls(cell, seed, updates, rate=RATES[cell], own_updates=updates // 3)

    def rate_at(self, update: int) -> float:
        rate, share = self.rate, update / self.updates
        if update >= self.updates:
            rate, share = self.own_rate, (update - self.updates) / self.own_updates
        return rate * (LAST_SHARE + (1.0 - LAST_SHARE) * 0.5 * (1.0 + math.cos(math.pi * share)))

    @property
    def total(self) -> int:
        return self.updates + self.own_updates


class Waveform(nn.Module):
    """A cell of about 169,000 weights and the layer that reads it; samples in units of `scale`."""

    def __init__(self, cell: str, scale: float = 1.0, hidden: int | None = None) -> None:
        super().__init__()
        self.name = cell
        self.cell = CELLS[cell](HEARD, hidden or HIDDEN[cell])
        self.readout = nn.Linear(hidden or HIDDEN[cell], diagonal_size(COMPONENTS, SAID))
        self.register_buffer("scale", torch.tensor(float(scale)))

    def forward(self, heard: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(T, B, 20) -> what says the mixture, (T, B, 420), and the state after it."""
        h, state = self.cell(heard, state)
        return self.readout(h), state


def load(folder: Path) -> tuple[list[Floats], list[Floats]]:
    """(to train on, held out): recordings at 16 kHz, each (N,)."""
    from rtsynth.training.corpus import read, recordings

    kept, held_out = recordings(folder)
    return [read(path) for path in kept], [read(path) for path in held_out]


def stretches(samples: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 20 + 10 T) -> what is heard before each step, (T, B, 20), and what follows, (T, B, 10)."""
    heard = samples[:, :-SAID].unfold(1, HEARD, SAID).transpose(0, 1)
    follows = samples[:, HEARD:].unfold(1, SAID, SAID).transpose(0, 1)
    return heard, follows


class Training:
    """A network on its way: `step` until `done`; `save` and `resume` in between."""

    def __init__(self, recipe: Recipe, recordings: Sequence[Floats], device: str = "cpu") -> None:
        if recipe.cell not in CELLS:
            raise InputError(f"no cell '{recipe.cell}': there are {', '.join(CELLS)}")
        torch.manual_seed(recipe.seed)
        sound = np.concatenate(list(recordings))
        self.recipe, self.device = recipe, device
        self.network = Waveform(recipe.cell, float(sound.std())).to(device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), recipe.rate)
        self._sound = torch.tensor(sound, device=device) / self.network.scale
        self._stride = len(sound) // recipe.streams  # from one stream to the next
        self.passes_updates = (self._stride - HEARD - SAID) // (SAID * recipe.steps)
        if self.passes_updates < 1:
            seconds = recipe.streams * (recipe.steps + 3) * SAID / RATE
            raise InputError(
                f"{len(sound) / RATE:.1f} s of sound are too little to train on: want {seconds:.0f} s"
            )
        self.update = 0
        self.seconds = 0.0  # of processor time, spent
        self.state: State | None = None
        self.curve: list[dict[str, float]] = []  # means of the loss over every AVERAGED updates
        self._latest: list[float] = []

    @property
    def done(self) -> bool:
        return self.update >= self.recipe.total

    def step(self) -> float:
        """One update; its loss, nats for 10 samples."""
        begun = time.process_time()
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate_at(self.update)
        turn, place = divmod(self.update, self.passes_updates)
        heard, follows = stretches(self._stretch(turn, place))
        before = self.state if place else None
        noises = self._disturb()
        if self.update >= self.recipe.updates:
            heard = self._mixed(heard, before)
        raw, state = self.network(heard, before)
        loss = diagonal_loss(raw, follows).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self._settle(noises)
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimiser.step()
        self.state = tuple(part.detach() for part in state)
        self.update += 1
        self.seconds += time.process_time() - begun
        self._note(float(loss.detach()))
        return float(loss.detach())

    def _stretch(self, turn: int, place: int) -> Tensor:
        """(B, 20 + 10 T): every pass begins elsewhere, at a gain of its own."""
        recipe = self.recipe
        rng = np.random.default_rng([recipe.seed, turn])
        starts = np.arange(recipe.streams) * self._stride + rng.integers(self._sound.numel())
        gains = 10.0 ** (rng.uniform(-recipe.gain_db, recipe.gain_db, recipe.streams) / 20.0)
        first = starts + place * SAID * recipe.steps
        at = (first[:, None] + np.arange(HEARD + SAID * recipe.steps)) % self._sound.numel()
        louder = torch.tensor(gains[:, None], dtype=torch.float32, device=self.device)
        return self._sound[torch.tensor(at, device=self.device)] * louder

    @torch.no_grad()
    def _mixed(self, heard: Tensor, before: State | None) -> Tensor:
        """(T, B, 20), some of its tens replaced by draws given what truly came before them.

        Fed nothing but the truth, a network that guesses well runs away when it is fed its own draws: their noise is
        new to it, and it answers with more.
        """
        generator = torch.Generator().manual_seed(1_000_003 * self.recipe.seed + self.update)
        raw, _ = self.network(heard, before)
        drawn = draw(raw[:-1], SAID, generator)  # (T - 1, B, 10): of what is heard from the second step on
        chosen = (
            torch.rand(drawn.shape[:2], generator=generator)[..., None].to(drawn.device) < self.recipe.own
        )
        latest = heard[..., SAID:].clone()
        latest[1:] = torch.where(chosen, drawn, latest[1:])
        earlier = torch.cat([heard[:1, :, :SAID], latest[:-1]])
        return torch.cat([earlier, latest], dim=-1)

    def _disturb(self) -> list[Tensor]:
        """Noise on every weight for the length of an update; what was added."""
        if not self.recipe.noise:
            return []
        generator = torch.Generator().manual_seed(1_000_003 * self.recipe.seed + self.update)
        with torch.no_grad():
            noises = [
                self.recipe.noise * torch.randn(weight.shape, generator=generator).to(self.device)
                for weight in self.network.parameters()
            ]
            for weight, noise in zip(self.network.parameters(), noises, strict=True):
                weight += noise
        return noises

    @torch.no_grad()
    def _settle(self, noises: Sequence[Tensor]) -> None:
        for weight, noise in zip(self.network.parameters(), noises, strict=False):
            weight -= noise

    def _note(self, loss: float) -> None:
        self._latest.append(loss)
        if self.update % AVERAGED == 0 or self.done:
            self.curve.append({"update": float(self.update), "loss": float(np.mean(self._latest))})
            self._latest = []

    def save(self, path: Path) -> None:
        """A checkpoint: weights, the optimiser's, states, recipe and update."""
        state = {
            "recipe": asdict(self.recipe),
            "update": self.update,
            "seconds": self.seconds,
            "curve": self.curve,
            "weights": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "state": list(self.state or ()),
        }
        write_checkpoint(path, KIND, state)

    @classmethod
    def resume(cls, path: Path, recordings: Sequence[Floats], device: str = "cpu") -> Training:
        """Where `save` left it; InputError for what is no checkpoint of this."""
        network, recipe = load_network(path)
        kept = read_checkpoint(path, KIND)
        training = cls(recipe, recordings, device)
        training.network.load_state_dict(network.state_dict())
        training.optimiser.load_state_dict(kept["optimiser"])
        training.state = tuple(part.to(device) for part in kept["state"]) or None
        training.update, training.seconds, training.curve = kept["update"], kept["seconds"], kept["curve"]
        return training


def load_network(path: Path) -> tuple[Waveform, Recipe]:
    """The network of a checkpoint, and how it was trained. InputError in one line."""
    kept = read_checkpoint(path, KIND)
    try:
        recipe = Recipe(**kept["recipe"])
        network = Waveform(recipe.cell)
        network.load_state_dict(kept["weights"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(f"{path} is damaged: {' '.join(str(error).split())[:120]}") from None
    return network.eval(), recipe


def train(
    training: Training,
    *,
    checkpoint: Path | None = None,
    every: int = 500,
    progress: Callable[[float], None] | None = None,
    seconds: float = math.inf,
) -> Waveform:
    """Step until it is done, or for so much processor time; a checkpoint every so many updates, and at the end."""
    begun = time.process_time()
    while not training.done and time.process_time() - begun < seconds:
        training.step()
        if checkpoint is not None and training.update % every == 0:
            training.save(checkpoint)
        if progress is not None:
            progress(training.update / training.recipe.total)
    if checkpoint is not None:
        training.save(checkpoint)
    return training.network


@torch.no_grad()
def nats(network: Waveform, recordings: Sequence[Floats]) -> float:
    """Mean of -ln p for 10 samples in units of `scale`, over every step of every recording; each from a fresh start."""
    total, steps = 0.0, 0
    for samples in recordings:
        whole = samples[: len(samples) - (len(samples) - HEARD) % SAID]
        heard, follows = stretches(torch.tensor(whole)[None].to(network.scale.device) / network.scale)
        raw, _ = network(heard)
        total += float(diagonal_loss(raw, follows).double().sum())
        steps += len(follows)
    return total / steps
