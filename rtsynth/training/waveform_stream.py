"""The raw-speech network as a stream: 16 steps to a frame of 10 ms, draws made inside the graph.

Its specification is rtsynth/sequence/waveform.py, in NumPy. States `seed`, `bias` and `alone` come out as they went in,
so that whoever plays the file chooses them. At `alone` = 0, as a state starts, it listens for ever: there the export
compares a stream with a whole. Fed its own draws it is chaotic, and the last bit of a sum becomes another sound in half
a second; there one frame is compared at a time, from the same states.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rtsynth.errors import ThresholdError
from rtsynth.inference.schema import Manifest
from rtsynth.inference.steppers import PlainStepper
from rtsynth.sequence.cells import parameter_count
from rtsynth.sequence.mixture import LOG_DEVIATION
from rtsynth.sequence.waveform import (
    AUDIBLE,
    COMPONENTS,
    DRAWS,
    FADING,
    FRAME,
    HEARD,
    KEYS,
    LOUDEST,
    PRIME,
    RATE,
    SAID,
    SEED_KEYS,
)
from rtsynth.training.export import Exported, export_module
from rtsynth.training.waveform import Floats, Training, Waveform, nats

STEPS = FRAME // SAID
ALONE, ALONE_TOLERANCE = (
    50,
    1e-3,
)  # frames fed their own draws, and what the file may differ by, of full scale


class WaveformStream(nn.Module):
    """(1, 1, 160) -> (1, 1, 160) at 16 kHz, and states; rtsynth/training/contract.py."""

    frame, sample_rate, channels, latency = FRAME, RATE, 1, 0
    title = "Raw speech"
    description = (
        "Goes on by itself when you fall silent, sample after sample: the sound of speech, without words."
    )
    licence, credit = "MIT", "The rtsynth developers"
    card = ""
    endless = True  # what was measured of its past and its tail holds while it listens

    def __init__(self, network: Waveform) -> None:
        super().__init__()
        self.network = network
        cells = ("h", "c")[: network.cell.states]
        self.state_names = (*cells, "past", "count", "level", "alone", "seed", "bias")

    def initial_states(self) -> tuple[Tensor, ...]:
        cells = self.network.cell.start(1)
        count, alone, seed = (torch.zeros(1, dtype=torch.int64) for _ in range(3))
        return (*cells, torch.zeros(1, HEARD), count, torch.zeros(1), alone, seed, torch.zeros(1))

    def forward(self, frame: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        cell = tuple(states[:-6])
        past, count, level, alone, seed, bias = states[-6:]
        scale = self.network.scale
        full = 1.0 / scale
        level = torch.maximum(frame.abs().amax(dim=(0, 2)), FADING * level)
        listens = (level >= AUDIBLE) | (alone == 0) | (count < STEPS * (alone - 1))
        limit = torch.where(listens, full, full.clamp(max=LOUDEST))  # (1,)
        heard = torch.clamp(frame[0] / scale, -full, full)  # (1, 160)
        uniform, normals = draws(seed, count)
        said = []
        for n in range(STEPS):
            cell = self.network.cell.step(past, cell)
            drawn = self._draw(self.network.readout(cell[0])[0], uniform[n], normals[n], bias)
            said.append(torch.clamp(drawn, -limit, limit)[None])  # (1, 10)
            fed = torch.where(listens, heard[:, n * SAID : (n + 1) * SAID], said[-1])
            past = torch.cat([past[:, SAID:], fed], dim=1)
        out = (torch.cat(said, dim=1) * scale)[None]
        return (out, *cell, past, count + STEPS, level, alone + 0, seed + 0, bias + 0.0)

    def _draw(self, raw: Tensor, uniform: Tensor, normals: Tensor, bias: Tensor) -> Tensor:
        """(420,) of the network, (), (10,) -> (10,): `mixture.draw` for one row."""
        width = COMPONENTS * SAID
        logits, means, log_deviations = raw.split([COMPONENTS, width, width])
        passed = torch.cumsum(torch.softmax(logits * (1.0 + bias), dim=0), dim=0) <= uniform
        chosen = passed.to(torch.int64).sum().clamp(max=COMPONENTS - 1)[None]
        mean = means.reshape(COMPONENTS, SAID).index_select(0, chosen)[0]
        log_deviation = log_deviations.reshape(COMPONENTS, SAID).index_select(0, chosen)[0]
        return mean + torch.exp(log_deviation.clamp(*LOG_DEVIATION) - bias) * normals

    def whole(self, x: Tensor) -> Tensor:
        """(1, 1, N) -> (1, 1, N): frame by frame from a fresh start."""
        states, said = self.initial_states(), []
        for frame in nn.functional.pad(x, (0, -x.shape[-1] % FRAME)).split(FRAME, dim=-1):
            out, *carried = self(frame, *states)
            states = tuple(carried)
            said.append(out)
        return torch.cat(said, dim=-1)[..., : x.shape[-1]]


def export_waveform(training: Training, held_out: Sequence[Floats], out: Path) -> tuple[Exported, float]:
    """Write `out` and its manifest; and the loss of what was written, nats for 10 samples not trained on."""
    network = rounded(training.network)
    loss = nats(network, held_out)
    stream = WaveformStream(network)
    stream.card = card(training, loss)
    exported = export_module(stream, "waveform", out)
    try:
        check_alone(stream, exported.manifest)
    except ThresholdError:
        out.unlink()
        out.with_suffix(".toml").unlink()
        raise
    return exported, loss


@torch.no_grad()
def check_alone(stream: WaveformStream, manifest: Manifest) -> float:
    """The largest difference of a frame fed its own draws, of full scale, both from the same states.

    ThresholdError above 1e-3. A sum's last bit may choose another component: about once in 500 checks.
    """
    stepper = PlainStepper(manifest)
    states = dict(zip(stream.state_names, stream.initial_states(), strict=True)) | {
        "alone": torch.tensor([1])
    }
    silence, worst = torch.zeros(1, 1, FRAME), 0.0
    for _ in range(ALONE):
        stepper.start([state.numpy() for state in states.values()])
        answer = stepper.step(silence.numpy())
        said, *after = stream(silence, *states.values())
        states = dict(zip(states, after, strict=True))
        worst = max(worst, float(np.abs(said.numpy() - answer).max()))
    if not worst <= ALONE_TOLERANCE:
        raise ThresholdError(
            f"waveform is not exported: a frame left alone differs from the module by {worst:.1e}"
        )
    return worst


@torch.no_grad()
def rounded(network: Waveform) -> Waveform:
    """A copy on the processor whose weights float16 holds exactly, so that the file is half as long."""
    copied = copy.deepcopy(network).cpu().eval()
    for weight in copied.parameters():
        weight.copy_(weight.half().float())
    return copied


def card(training: Training, loss: float) -> str:
    """What the manifest says of how it was made."""
    recipe, network = training.recipe, training.network
    points = training.curve[:: max(1, len(training.curve) // 6)]
    falling = ", ".join(f"{point['loss']:.2f} at {point['update']:.0f}" for point in points)
    cell, scale = f"{recipe.cell} of {network.cell.hidden} units", float(network.scale)
    count = parameter_count(recipe.cell, HEARD, network.cell.hidden)
    done = f"{training.update} updates of {recipe.streams} × {recipe.steps} steps"
    return f"""\
Learned: the next 10 samples of speech out of the 20 before them and a state ({cell}, {count} weights),
as a mixture of {COMPONENTS} diagonal Gaussians. Task and sizes: Chung et al. 2014, arXiv 1412.3555.
Data: a folder of recordings at 16 kHz but every fifth, up to {recipe.gain_db:g} dB louder or quieter. Shipped: 16 clips
of LJ Speech (Keith Ito, Linda Johnson; public domain), 2 minutes of one voice.
Recipe: rtsynth train waveform --data FOLDER --cell {recipe.cell} --updates {recipe.updates} --seed {recipe.seed}
Done: {done}, {training.seconds / 60:.1f} minutes of one core.
The last {recipe.own_updates} of them with {100 * recipe.own:g} % of what it hears drawn from its own guesses: without
them the loss is lower, and it runs away to full scale when it is left alone.
Held out: {loss:.2f} nats for 10 samples in units of {scale:.4f}, the deviation of what was trained on.
Curve, louder and quieter, nats: {falling}.
Limit: it babbles. The sound of a voice for tens of milliseconds, no words; noise within each 10 samples is white.
"""


def draws(seed: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Seed and number of the first step, (1,) whole -> (16, 1) uniform, (16, 10) normal: as in `sequence.waveform`."""
    x = torch.remainder(count * DRAWS + torch.arange(STEPS * DRAWS), PRIME)
    chosen = torch.remainder(seed, PRIME)
    for key, times in zip(KEYS, SEED_KEYS, strict=True):
        x = torch.remainder(x + key + chosen * times, PRIME)
        square = torch.remainder(x * x, PRIME)
        x = torch.remainder(torch.remainder(square * square, PRIME) * x, PRIME)
    uniform = ((x.double() + 0.5) / PRIME).reshape(STEPS, DRAWS)
    radius = torch.sqrt(-2.0 * torch.log(uniform[:, 1 : 1 + SAID // 2]))
    angle = 2.0 * math.pi * uniform[:, 1 + SAID // 2 :]
    normals = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)
    return uniform[:, :1].float(), normals.float()
