"""Training the causal vocoder: first its fundamental, then its filters.

What an update draws depends on the seed, the update and the process alone: a training that was interrupted and goes on
from its checkpoint ends with the same weights, on one machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rtsynth.errors import InputError
from rtsynth.training.causal_corpus import Take, draw
from rtsynth.training.causal_losses import energy_distance, pitch_loss
from rtsynth.training.causal_sound import Mel, filtered, sources
from rtsynth.training.causal_vocoder import CausalVocoder
from rtsynth.training.ranks import Ranks
from rtsynth.training.streaming import Layer
from rtsynth.vocoder.excitation import HOP

FORMAT = 1  # of a checkpoint
CLIP = 1.0  # most that a gradient's norm is
LAST_SHARE = 0.02  # of the rate that is left at the end


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, beside the recordings."""

    seed: int = 1
    width: int = 192
    blocks: int = 6
    pitch_width: int = 128
    pitch_blocks: int = 4
    pitch_updates: int = 4000
    sound_updates: int = 8000
    pitch_streams: int = 12
    pitch_frames: int = 80
    sound_streams: int = 6
    sound_frames: int = 60
    unheard: int = 20  # frames at the front of a stretch that only fill the states
    pitch_rate: float = 2e-3
    sound_rate: float = 2e-3
    repulsion: float = 1.0
    mel_noise: float = 0.1  # nepers, at most, on half of the stretches: what is predicted is not exact
    average: float = 0.999  # of the weights that are kept, an update

    @property
    def updates(self) -> int:
        return self.pitch_updates + self.sound_updates

    def network(self) -> CausalVocoder:
        """Before its training."""
        return CausalVocoder(self.width, self.blocks, self.pitch_width, self.pitch_blocks)

    @classmethod
    def of(cls, updates: int | None, seed: int) -> Recipe:
        """The recipe, or a shorter or longer one of the same proportions."""
        whole = cls(seed=seed)
        if updates is None:
            return whole
        pitch = max(1, round(updates * whole.pitch_updates / whole.updates))
        return replace(whole, pitch_updates=pitch, sound_updates=updates - pitch)


def whole(layer: Layer, x: Tensor) -> Tensor:
    return layer.whole(x)


class Training:
    """A network on its way: `step` until `done`; `save` and `resume` in between."""

    def __init__(self, recipe: Recipe, device: str = "cpu", ranks: Ranks = Ranks()) -> None:  # noqa: B008
        torch.set_num_threads(1)
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.ranks = recipe, device, ranks
        self.network = recipe.network().to(device)
        self.averaged = recipe.network().to(device)
        self.averaged.load_state_dict(self.network.state_dict())
        self.mel = Mel().to(device)
        self.optimiser = torch.optim.AdamW(
            [
                {"params": list(self.network.pitch.parameters())},
                {"params": list(self.network.filters.parameters())},
            ],
            recipe.pitch_rate,
            betas=(0.8, 0.99),
            weight_decay=1e-3,
            fused=True,
        )
        self.update = 0
        self.seconds = 0.0  # spent

    @property
    def done(self) -> bool:
        return self.update >= self.recipe.updates

    @property
    def sounding(self) -> bool:
        return self.update >= self.recipe.pitch_updates

    def step(self, found: Sequence[Take]) -> dict[str, float]:
        """One update; its losses by name."""
        begun = time.monotonic()
        self._set_rates()
        rng = np.random.default_rng([self.recipe.seed, self.update, self.ranks.rank])
        losses = self._sound(found, rng) if self.sounding else self._pitch(found, rng)
        self.optimiser.zero_grad()
        losses["total"].backward()
        self.ranks.average(self.network.parameters())
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimiser.step()
        self._average()
        self.update += 1
        self.seconds += time.monotonic() - begun
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _set_rates(self) -> None:
        recipe = self.recipe
        pitch, sound = self.optimiser.param_groups
        pitch["lr"] = 0.0 if self.sounding else _rate(recipe.pitch_rate, self.update / recipe.pitch_updates)
        share = (self.update - recipe.pitch_updates) / max(recipe.sound_updates, 1)
        sound["lr"] = _rate(recipe.sound_rate, share) if self.sounding else 0.0

    def _average(self) -> None:
        kept = min(self.recipe.average, (1 + self.update) / (10 + self.update))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.averaged.parameters()), list(self.network.parameters()), 1.0 - kept
            )

    def _mel(self, heard: Tensor, rng: np.random.Generator) -> Tensor:
        """Mel frames (B, 80, T); on half of the stretches, noise."""
        mel = self.mel(heard)
        deviation = self.recipe.mel_noise * rng.uniform(0, 1, len(mel)) * (rng.random(len(mel)) < 0.5)
        noise = rng.standard_normal(mel.shape, np.float32) * deviation[:, None, None].astype(np.float32)
        return mel + torch.from_numpy(noise).to(mel.device)

    def _pitch(self, found: Sequence[Take], rng: np.random.Generator) -> dict[str, Tensor]:
        recipe = self.recipe
        batch = draw(found, recipe.pitch_streams, recipe.pitch_frames, rng).to(self.device)
        _, _, said = self.network.fundamental(whole, self._mel(batch.heard, rng))
        where, whether = pitch_loss(said, self.network.grid, batch.ln_f0, batch.voiced)
        return {"pitch": where, "voice": whether, "total": where + whether}

    def _sound(self, found: Sequence[Take], rng: np.random.Generator) -> dict[str, Tensor]:
        recipe = self.recipe
        batch = draw(found, recipe.sound_streams, recipe.sound_frames, rng).to(self.device)
        mel = self._mel(batch.heard, rng)
        with torch.no_grad():
            ln_f0, voiced, _ = self.averaged.fundamental(whole, mel)
        filters = self.network.filtering(whole, mel, ln_f0, voiced)
        # pulses go by the tracked fundamental: to partials that are a little off, noise would be preferred
        draws = [_heard(filters, batch.ln_f0, recipe.unheard, rng) for _ in range(2)]
        # a sound is a hop late: what the frames from `unheard` + 1 on say is the recording from `unheard` on
        first = recipe.unheard * HOP
        wanted = batch.wanted[:, first : first + draws[0].shape[1]]
        loss = energy_distance(draws[0], draws[1], wanted, batch.top, recipe.repulsion)
        return {"sound": loss, "total": loss}

    def save(self, path: Path) -> None:
        """A checkpoint. Never half of one."""
        state = {
            "format": FORMAT,
            "recipe": asdict(self.recipe),
            "update": self.update,
            "seconds": self.seconds,
            "weights": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    @classmethod
    def resume(cls, path: Path, device: str = "cpu", ranks: Ranks = Ranks()) -> Training:  # noqa: B008
        """Where `save` left it; InputError for what is no checkpoint of this."""
        state = read_checkpoint(path)
        training = cls(Recipe(**state["recipe"]), device, ranks)
        training.network.load_state_dict(state["weights"])
        training.averaged.load_state_dict(state["averaged"])
        training.optimiser.load_state_dict(state["optimiser"])
        training.update, training.seconds = state["update"], state["seconds"]
        return training


def _rate(highest: float, share: float) -> float:
    """Half a cosine, after a rise over the first hundredth."""
    falling = LAST_SHARE + (1.0 - LAST_SHARE) * 0.5 * (1.0 + math.cos(math.pi * share))
    return highest * falling * min(1.0, (share + 1e-3) / 0.01)


def _heard(filters: Tensor, ln_f0: Tensor, unheard: int, rng: np.random.Generator) -> Tensor:
    """A draw of what the last frames say: (B, (T - unheard - 1)·HOP)."""
    said = filters[..., unheard:]
    f0 = ln_f0[:, unheard:].exp()
    batch, frames = f0.shape
    noise = torch.from_numpy(rng.standard_normal((batch, frames * HOP), np.float32)).to(f0.device)
    phase = torch.from_numpy(rng.uniform(0.0, 1.0, batch)).to(f0.device)
    before = ln_f0[:, unheard - 1].exp()
    return filtered(said, sources(f0, before, phase, noise))[:, HOP:]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `save` wrote, weights only: a checkpoint cannot run code. InputError in one line."""
    if not path.is_file():
        raise InputError(f"no checkpoint {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["format"] != FORMAT:
            raise InputError(f"{path}: a checkpoint of format {state['format']}, not {FORMAT}")
        Recipe(**state["recipe"]).network().load_state_dict(state["weights"])
    except InputError:
        raise
    except Exception as error:  # torch and pickle raise what they like on a file that is none
        cause = " ".join(str(error).split())[:120]
        raise InputError(f"{path} is no checkpoint of a causal vocoder: {cause}") from None
    return state


def train(
    training: Training,
    found: Sequence[Take],
    *,
    checkpoint: Path | None = None,
    every: int = 200,
    seconds: float = math.inf,
    progress: Callable[[float], None] | None = None,
    watch: Callable[[int, dict[str, float]], None] | None = None,
) -> CausalVocoder:
    """Step until it is done, or for so many seconds; a checkpoint every so many updates, and at the end."""
    end = time.monotonic() + seconds
    while not training.done and time.monotonic() < end:
        losses = training.step(found)
        if watch is not None and training.ranks.first:
            watch(training.update, losses)
        if checkpoint is not None and training.ranks.first and training.update % every == 0:
            training.save(checkpoint)
        if progress is not None:
            progress(training.update / training.recipe.updates)
    if checkpoint is not None and training.ranks.first:
        training.save(checkpoint)
    return training.averaged.eval()
