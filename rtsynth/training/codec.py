"""Training the live encoder: first on what the analysis says, then on the sound that its events make.

What an update draws depends on the seed, the update and the process alone, so a training that was interrupted and goes
on from its checkpoint ends with the same weights, on one machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rtsynth.codec.event import RATE
from rtsynth.codec.quantiser import Quantiser
from rtsynth.errors import InputError
from rtsynth.sampler.noise import SEGMENT
from rtsynth.training.corpus import GAIN_DB, Batch, Clip, draw
from rtsynth.training.features import FRAME
from rtsynth.training.live_encoder import LiveEncoder
from rtsynth.training.live_losses import Losses, analysis_losses, sound_losses
from rtsynth.training.ranks import Ranks
from rtsynth.training.renderer import Renderer

FORMAT = 1  # of a checkpoint
CLIP = 1.0  # most that a gradient's norm is
AVERAGED = 100  # updates to a point of the curve
LAST_SHARE = 0.05  # of the rate that is left at the end


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, beside the recordings."""

    seed: int = 1
    width: int = 128
    analysed_updates: int = 600  # on the analysis
    sounding_updates: int = 1200  # on the sound
    analysed_streams: int = 16
    analysed_frames: int = 64  # 1.5 s
    sounding_streams: int = 4
    sounding_frames: int = 46  # 1.1 s, 4 of them unheard
    analysed_rate: float = 2e-3
    sounding_rate: float = 5e-4
    noise_seconds: float = 4.0  # of noise that a sound's may begin within
    quantiser: str = "live-59"  # that the sound is made through; "": none
    plain_share: float = 0.5  # of the updates on the sound that come before the quantiser does
    speeds: tuple[float, ...] = (0.75, 1.0, 1.15)  # at which every recording is played

    @classmethod
    def of(cls, updates: int | None = None, seed: int = 1) -> Recipe:
        """The shipped model's, stretched to so many updates: a third of them on the analysis."""
        if updates is None:
            return cls(seed=seed)
        return cls(seed=seed, analysed_updates=updates // 3, sounding_updates=updates - updates // 3)

    @property
    def updates(self) -> int:
        return self.analysed_updates + self.sounding_updates

    def rate(self, update: int) -> float:
        """Of the optimiser: half a cosine in each part."""
        if update < self.analysed_updates:
            share, rate = update / self.analysed_updates, self.analysed_rate
        else:
            share, rate = (update - self.analysed_updates) / self.sounding_updates, self.sounding_rate
        return rate * (LAST_SHARE + (1.0 - LAST_SHARE) * 0.5 * (1.0 + math.cos(math.pi * share)))


class Training:
    """A network on its way: `step` until `done`; `save` and `resume` in between."""

    def __init__(self, recipe: Recipe, device: str = "cpu", ranks: Ranks = Ranks()) -> None:  # noqa: B008
        torch.manual_seed(recipe.seed)
        self.recipe, self.device, self.ranks = recipe, device, ranks
        self.network = LiveEncoder(recipe.width).to(device)
        self.optimiser = torch.optim.AdamW(self.network.parameters(), recipe.analysed_rate, weight_decay=1e-4)
        self.quantiser = Quantiser.load(recipe.quantiser) if recipe.quantiser else None
        seconds = recipe.noise_seconds + recipe.sounding_frames * FRAME / RATE
        self.renderer = Renderer(RATE, seconds, recipe.seed).to(device)
        self._spare = round(recipe.noise_seconds * RATE / SEGMENT)  # segments of noise to begin within
        self.update = 0
        self.seconds = 0.0  # spent
        self.curve: list[dict[str, float]] = []  # means of the losses over every AVERAGED updates
        self._latest: list[dict[str, float]] = []

    @property
    def done(self) -> bool:
        return self.update >= self.recipe.updates

    @property
    def sounding(self) -> bool:
        """Whether the sound is looked at by now."""
        return self.update >= self.recipe.analysed_updates

    @property
    def _quantised(self) -> bool:
        plain = self.recipe.plain_share * self.recipe.sounding_updates
        late = self.update >= self.recipe.analysed_updates + plain
        return late and self.update % 2 == 1  # a live decoder plays what no quantiser has rounded

    def step(self, clips: Sequence[Clip]) -> dict[str, float]:
        """One update; its losses by name."""
        begun = time.monotonic()
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate(self.update)
        losses = self._losses(self._draw(clips))
        self.optimiser.zero_grad()
        losses["total"].backward()
        self.ranks.average(self.network.parameters())
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimiser.step()
        self.update += 1
        found = {name: float(loss.detach()) for name, loss in losses.items()}
        self.seconds += time.monotonic() - begun
        self._note(found)
        return found

    def _note(self, losses: dict[str, float]) -> None:
        self._latest.append(losses)
        if self.update % AVERAGED == 0 or self.done:
            names = self._latest[-1]
            means = {
                name: float(np.mean([row[name] for row in self._latest if name in row])) for name in names
            }
            self.curve.append({"update": float(self.update), **means})
            self._latest = []

    def _draw(self, clips: Sequence[Clip]) -> Batch:
        recipe = self.recipe
        sizes = (
            (recipe.sounding_streams, recipe.sounding_frames)
            if self.sounding
            else (recipe.analysed_streams, recipe.analysed_frames)
        )
        return draw(clips, *sizes, self._rng(0)).to(self.device)

    def _rng(self, use: int) -> np.random.Generator:
        return np.random.default_rng([self.recipe.seed, self.update, self.ranks.rank, use])

    def _losses(self, batch: Batch) -> Losses:
        said = self.network.describe(lambda layer, x: layer.whole(x), batch.heard)
        losses = analysis_losses(said, batch)
        if not self.sounding:
            losses["total"] = losses["pitch"] + losses["envelope"] + 2.0 * losses["shares"]
            return losses
        first = int(self._rng(1).integers(self._spare + 1))
        quantiser = self.quantiser if self._quantised else None
        losses |= sound_losses(said, batch, self.renderer, quantiser, first)
        weights = {"sound": 3.0, "pitch": 0.5, "envelope": 0.1, "shares": 0.5, "rounding": 0.5}
        losses["total"] = sum((weights[name] * loss for name, loss in losses.items()), torch.zeros(()))
        return losses

    def save(self, path: Path) -> None:
        """A checkpoint: weights, the optimiser's, recipe and update. Never half of one."""
        state = {
            "format": FORMAT,
            "recipe": asdict(self.recipe),
            "update": self.update,
            "seconds": self.seconds,
            "curve": self.curve,
            "weights": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    @classmethod
    def resume(cls, path: Path, device: str = "cpu", ranks: Ranks = Ranks()) -> Training:  # noqa: B008
        """Where `save` left it; InputError for what is no checkpoint of this."""
        state = read_checkpoint(path)
        recipe = state["recipe"] | {"speeds": tuple(state["recipe"]["speeds"])}
        training = cls(Recipe(**recipe), device, ranks)
        training.network.load_state_dict(state["weights"])
        training.optimiser.load_state_dict(state["optimiser"])
        training.update, training.seconds, training.curve = state["update"], state["seconds"], state["curve"]
        return training


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `save` wrote, weights only: a checkpoint cannot run code. InputError in one line."""
    if not path.is_file():
        raise InputError(f"no checkpoint {path}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["format"] != FORMAT:
            raise InputError(f"{path}: a checkpoint of format {state['format']}, not {FORMAT}")
        LiveEncoder(state["recipe"]["width"]).load_state_dict(state["weights"])
    except InputError:
        raise
    except Exception as error:  # torch and pickle raise what they like on a file that is none
        cause = " ".join(str(error).split())[:120]
        raise InputError(f"{path} is no checkpoint of a live encoder: {cause}") from None
    return state


def load_network(path: Path) -> LiveEncoder:
    """The network of a checkpoint, with its card, to be exported."""
    state = read_checkpoint(path)
    network = LiveEncoder(state["recipe"]["width"])
    network.load_state_dict(state["weights"])
    network.card = _card(network, state)
    return network.eval()


def _card(network: LiveEncoder, state: dict[str, Any]) -> str:
    """What the manifest says of how it was made."""
    recipe, curve = Recipe(**state["recipe"]), state["curve"]
    speeds = ", ".join(f"{speed:g}" for speed in recipe.speeds)
    points = curve[:: max(1, len(curve) // 6)]
    falling = ", ".join(f"{point['envelope']:.2f} at {point['update']:.0f}" for point in points)
    weights = sum(parameter.numel() for parameter in network.parameters())
    plain = f"{100 * recipe.plain_share:.0f} %"
    through = f"plain and through the quantiser {recipe.quantiser}" if recipe.quantiser else "not quantised"
    return f"""\
Learned: what rtsynth/codec/analysis.py says of speech, 25 ms ahead; then the sound of its events, {through}.
Data: a folder of recordings but every fifth, at the speeds {speeds}, up to {GAIN_DB:g} dB louder or quieter.
Recipe: rtsynth train codec --data FOLDER --seed {recipe.seed} --updates {recipe.updates}. {weights} weights, AdamW,
{recipe.analysed_updates} updates on the analysis, {recipe.sounding_updates} on the sound; from {plain} of these on
every second one is quantised.
Done: {state["update"]} updates in {state["seconds"] / 60:.0f} minutes.
Curve (mean error of the envelope, nepers): {falling}.
Limit: one voice at a time; what it was not trained on (noise, music, other voices) is answered as if it were speech.
"""


def train(
    training: Training,
    clips: Sequence[Clip],
    *,
    checkpoint: Path | None = None,
    every: int = 100,
    progress: Callable[[float], None] | None = None,
    watch: Callable[[int, dict[str, float]], None] | None = None,
) -> LiveEncoder:
    """Step until it is done; a checkpoint every so many updates, and at the end. `watch(update, losses)`."""
    while not training.done:
        losses = training.step(clips)
        if watch is not None and training.ranks.first:
            watch(training.update, losses)
        if (
            checkpoint is not None
            and training.ranks.first
            and (training.update % every == 0 or training.done)
        ):
            training.save(checkpoint)
        if progress is not None:
            progress(training.update / training.recipe.updates)
    return training.network.eval()
