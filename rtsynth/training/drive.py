"""The shipped model: a valve stage (valve.py) learned by gated convolutions that a slow GRU turns, and its training.

Nothing in it has a bias and every gate multiplies what it lets through. So whatever the GRU still holds, the
convolutions say exact zeros once what they reach back to is zeros, and the capacitor at the end discharges. The first
curve has no way around it: the output is bounded, whatever comes in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtsynth.training import valve
from rtsynth.training.composing import Network, Run, Sequence
from rtsynth.training.streaming import GRU, CausalConv1d, ConvTranspose1d, Delay, HighPass

Array = NDArray[np.float64]

HOP = 16  # samples from one step of the GRU to the next
HELD_OUT_SECONDS, HELD_OUT_SEED = 5.0, 99


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, on one machine."""

    seed: int = 1
    seconds: float = 66.0  # of sound to learn from
    updates: int = 650
    streams: int = 8  # that the sound is cut into, and that are gone through side by side
    segment: int = 8192  # samples an update; states are carried to the next
    rate: float = 1e-2  # of Adam, falling to 0 in half a cosine


class Drive(Network):
    """(1, 1, 64) -> (1, 1, 64) at 48 kHz, and states. No latency: no sample of the output needs a later one."""

    frame, sample_rate, channels, latency = 64, valve.RATE, 1, 0
    title = "Valve drive"
    description = (
        "A valve stage whose supply sags: warm from -18 dBFS up, and softer the harder it is played."
    )
    licence, credit = "MIT", "The rtsynth developers"
    card = ""

    def __init__(self, width: int = 8, hidden: int = 8, kernel: int = 5, stages: int = 4) -> None:
        super().__init__()
        # What was drawn from the supply, 16 samples a step; one step late, since a step hears all of its 16.
        self.slow = Sequence(
            CausalConv1d(1, 4, 8, bias=False),
            Magnitude(),
            smoothing(4),
            Delay(4, 1),
            GRU(4, hidden, bias=False),
            straight_lines(hidden),
        )
        self.spread = nn.Conv1d(1, width, 1, bias=False)
        self.stages = nn.ModuleList(Stage(width, hidden, kernel, 2**n) for n in range(stages))
        self.gather = nn.Conv1d(width, 1, 1, bias=False)
        self.capacitor = HighPass(1, valve.HIGH_PASS, valve.RATE)

    def signal(self, run: Run, x: Tensor) -> Tensor:
        drawn = run(self.slow, x)  # (B, H, T)
        y = self.spread(x)  # (B, W, T)
        for number, stage in enumerate(self.stages):
            said = stage(run(stage.filter, y), drawn)
            y = y + said if number else said
        return run(self.capacitor, self.gather(y))


class Stage(nn.Module):
    """A tube of the network: filtered (B, 2W, T) through a curve and a gate that the supply (B, H, T) turns."""

    def __init__(self, width: int, hidden: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.width = width
        self.filter = CausalConv1d(width, 2 * width, kernel, dilation=dilation, bias=False)
        self.turn = nn.Conv1d(hidden, 2 * width, 1, bias=False)
        self.mix = nn.Conv1d(width, width, 1, bias=False)

    def forward(self, filtered: Tensor, drawn: Tensor) -> Tensor:
        signal, gate = filtered.split(self.width, dim=1)
        louder, wider = self.turn(drawn).split(self.width, dim=1)
        return self.mix(torch.tanh(signal * (1.0 + louder)) * torch.sigmoid(gate + wider))


class Magnitude(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.abs()


def smoothing(channels: int) -> CausalConv1d:
    """A mean under a Hann window every 16 samples: fixed weights. (B, C, T) -> (B, C, T / 16).

    Long enough for the ripple of a magnitude, at twice the tone's frequency, not to fold: with two hops, not eight,
    a tone of 1.1 kHz had lines 57 dB below it that belong to no harmonic.
    """
    layer = CausalConv1d(channels, channels, 8 * HOP, stride=HOP, groups=channels, bias=False)
    window = torch.hann_window(8 * HOP + 1)[:-1]
    layer.weight.data = (window / window.sum()).repeat(channels, 1, 1)
    layer.weight.requires_grad = False
    return layer


def straight_lines(channels: int) -> ConvTranspose1d:
    """Steps every 16 samples joined by straight lines: fixed weights. (B, C, T) -> (B, C, 16 T)."""
    layer = ConvTranspose1d(channels, channels, 2 * HOP, HOP, groups=channels, bias=False)
    rising = (torch.arange(2 * HOP) + 0.5) / HOP
    layer.weight.data = torch.minimum(rising, 2.0 - rising).repeat(channels, 1, 1)
    layer.weight.requires_grad = False
    return layer


def train(recipe: Recipe, progress: Callable[[float], None] | None = None) -> Drive:
    """A trained model; `progress(share)`. 110 s on one core of 2.6 GHz."""
    torch.set_num_threads(1)  # the same weights on however many cores; and no faster on two
    torch.manual_seed(recipe.seed)
    dry = valve.practice(recipe.seconds, recipe.seed)
    heard, wanted = (_streams(sound, recipe) for sound in (dry, valve.valve(dry)))  # (segments, B, 1, T)
    model = Drive()
    optimiser = torch.optim.Adam(model.parameters(), recipe.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.updates)
    states = model.initial_states(recipe.streams)
    for update in range(recipe.updates):
        place = update % len(heard)
        if place == 0:
            states = model.initial_states(recipe.streams)
        said, *carried = model(heard[place], *states)
        loss = _loss(said, wanted[place])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        states = tuple(state.detach() for state in carried)
        if progress is not None:
            progress((update + 1) / recipe.updates)
    return model.eval()


def _streams(sound: Array, recipe: Recipe) -> Tensor:
    """(N,) cut into streams, and these into segments: (segments, streams, 1, T)."""
    count = sound.size // (recipe.streams * recipe.segment)
    kept = torch.tensor(sound[: count * recipe.streams * recipe.segment], dtype=torch.float32)
    return kept.reshape(recipe.streams, count, 1, recipe.segment).transpose(0, 1).contiguous()


def _loss(said: Tensor, wanted: Tensor) -> Tensor:
    """The mean of each stream's error-to-signal ratio, as it is and with its treble raised, above a floor of -60 dB."""
    raised = [(x[..., 1:] - 0.9 * x[..., :-1]) for x in (said, wanted)]
    plain, bright = (
        ((a - b).square().mean(dim=-1) / (b.square().mean(dim=-1) + floor)).mean()
        for (a, b), floor in (((said, wanted), 1e-6), (raised, 1e-7))
    )
    return plain + bright


@torch.no_grad()
def held_out_errors(model: Drive) -> dict[str, float]:
    """Σ (model - formula)² / Σ formula² in dB, by kind of sound: of another seed, at the level it is staged for."""
    rng, found = np.random.default_rng(HELD_OUT_SEED), {}
    for kind in (valve.strings, valve.speech, valve.tones):
        dry = kind(HELD_OUT_SECONDS, rng)
        dry *= valve.SPEECH_RMS / math.sqrt(float((dry**2).mean()))
        wet = valve.valve(dry)
        said = model.whole(torch.tensor(dry, dtype=torch.float32)[None, None])[0, 0].double().numpy()
        found[kind.__name__] = 10.0 * math.log10(float(np.sum((said - wet) ** 2) / np.sum(wet**2)))
    return found


def card(model: Drive, recipe: Recipe, errors: dict[str, float]) -> str:
    """What the manifest says of how it was made."""
    weights = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    listed = ", ".join(f"{kind} {error:.1f}" for kind, error in errors.items())
    command = f"rtsynth train drive --updates {recipe.updates} --seed {recipe.seed}"
    return f"""\
Learned: the formula of rtsynth/training/valve.py, computed at eight times the rate: a valve stage whose supply sags
over 60 ms and whose bias creeps over 25 ms. 12 dB before the curve; -18 dBFS is where it becomes warm.
Data: {recipe.seconds:g} s made by rtsynth: strummed strings (preset {valve.STRINGS}), syllables drawn from Gaussian
processes, half as many steady tones; peaks from -36 to +3 dBFS. No recording.
Recipe: {command}. {weights} weights, Adam, two minutes of one core.
Error to signal, other sound of the same kinds at -18 dBFS, dB: {listed}.
Limit: loud tones above 2 kHz fold back, 2 to 6 dB less than from a curve at 48 kHz; the formula's 16 to 21 dB less.
"""
