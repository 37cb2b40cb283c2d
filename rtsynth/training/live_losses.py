"""What the live encoder learns from: the analysis of what it hears, and the sound that its events make."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rtsynth.codec.event import SHAPE
from rtsynth.codec.live import STEPS
from rtsynth.codec.quantiser import Quantiser
from rtsynth.sampler.noise import SEGMENT
from rtsynth.training.corpus import Batch, Clip, stretch
from rtsynth.training.features import FRAME
from rtsynth.training.live_encoder import HIGHEST, LOWEST, PITCHES, Answers, LiveEncoder, numbers
from rtsynth.training.renderer import Renderer, states_at
from rtsynth.training.spectral_distance import spectral_distance

UNHEARD = 4  # frames at the front of a stretch that no loss looks at: the memory is still empty
Losses = dict[str, Tensor]


def analysis_losses(said: Answers, batch: Batch) -> Losses:
    """How far the answers are from the analysis: of loud frames more, of the pitch where there is a voice."""
    weight = batch.weight.clone()  # (B, K)
    weight[:, :UNHEARD] = 0.0
    voiced = weight * torch.sigmoid(-batch.logits[:, 0])
    pitch = -(functional.log_softmax(said.pitches, 1) * pitch_shares(batch.ln_f0)).sum(1)
    envelope = (said.envelope - batch.envelope).abs().mean(1)
    shares = (torch.sigmoid(said.logits) - torch.sigmoid(batch.logits)).abs().mean(1)
    return {
        "pitch": _mean(pitch, voiced),
        "envelope": _mean(envelope, weight),
        "shares": _mean(shares, weight),
    }


def pitch_shares(ln_f0: Tensor) -> Tensor:
    """(B, K) as shares of the two classes it lies between, (B, 64, K)."""
    place = ((ln_f0 - LOWEST) / (HIGHEST - LOWEST) * (PITCHES - 1)).clamp(0.0, PITCHES - 1.0)
    classes = torch.arange(PITCHES, device=ln_f0.device)[:, None]
    return (1.0 - (place[:, None] - classes).abs()).clamp(min=0.0)


def sound_losses(
    said: Answers, batch: Batch, renderer: Renderer, quantiser: Quantiser | None, first: int = 0
) -> Losses:
    """Spectral distance of what the events sound like from what they are of; the noise from segment `first` on.

    Through a quantiser, also how far it moves levels and shapes: without that, answers that are rounded to something
    good wander off, and are bad where nothing rounds them.
    """
    rows, losses = numbers(said), {}
    if quantiser is not None:
        rounded = quantised(rows, quantiser, batch.level)
        apart = (rows - rounded.detach()).abs()
        losses["rounding"] = (apart[:, 0] + apart[:, 1:][:, SHAPE].mean(1))[:, UNHEARD:].mean()
        rows = rounded
    sound = render(rows, renderer, first)
    heard = UNHEARD * FRAME
    losses["sound"] = spectral_distance(sound[:, heard:], batch.wanted[:, heard:])
    return losses


def render(rows: Tensor, renderer: Renderer, first: int = 0) -> Tensor:
    """(B, 384 K) at 16 kHz of events (B, 33, K) every 6 steps; the voice begins where the first one goes."""
    targets = torch.cat([rows[:, :1], rows[:, 2:]], 1).transpose(1, 2)  # (B, K, 32): gain in the ramp's place
    count = targets.shape[1]
    times = (STEPS * torch.arange(count, device=rows.device, dtype=rows.dtype)).expand(len(rows), -1)
    ends = renderer.ends(count * FRAME // SEGMENT).to(rows.device)
    return renderer(states_at(times, rows[:, 1], targets, ends, targets[:, 0]), first)


def quantised(rows: Tensor, quantiser: Quantiser, level: Tensor) -> Tensor:
    """(B, 33, K) as the decoder gets them, gains re level (B,); gradients pass as if they had not been touched."""
    given = rows.detach().transpose(1, 2).cpu().double().numpy()  # (B, K, 33)
    gaps, base = np.full((*given.shape[:2], 2), STEPS), level.cpu().double().numpy()[:, None]
    _, decoded = quantiser.encode_sequence(gaps, given[..., 0] - base, given[..., 1:])
    decoded[..., 0] += base
    return rows + (torch.from_numpy(decoded).transpose(1, 2).to(rows) - rows.detach())


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / (weight.sum() + 1e-6)


@torch.no_grad()
def sounding(network: LiveEncoder, clip: Clip, renderer: Renderer) -> np.ndarray:
    """What the network's events make of a recording's beginning, as far as the renderer has noise: (N,)."""
    frames = min(renderer.noise.shape[1], clip.samples.size) // FRAME
    heard = stretch(clip, 0, frames).heard[None].to(network.classes.device)
    rows = numbers(network.describe(lambda layer, x: layer.whole(x), heard)).cpu()
    return render(rows, renderer)[0].clamp(-1.0, 1.0).numpy()


@torch.no_grad()
def held_out_losses(network: LiveEncoder, clips: Sequence[Clip]) -> dict[str, float]:
    """The analysis losses over whole recordings, not louder or quieter than they are."""
    found: list[dict[str, float]] = []
    for clip in clips:
        part = stretch(clip, 0, clip.steps // STEPS)
        batch = Batch(*(column[None] for column in part)).to(str(network.classes.device))
        said = network.describe(lambda layer, x: layer.whole(x), batch.heard)
        found.append({name: float(loss) for name, loss in analysis_losses(said, batch).items()})
    return {name: sum(row[name] for row in found) / len(found) for name in found[0]}
