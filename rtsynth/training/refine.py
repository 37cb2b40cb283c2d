"""Analysis by synthesis: events of a recording moved until they sound like it, through the decoder and the quantiser.

The decoder is differentiable (`renderer`), the distance is that of short-time magnitudes (`spectral_distance`), and the
quantiser lies in the loop: forwards its rounding, backwards as if it were not there. Times stay; pitch, envelope, noise
shares and ramps move. A long recording is refined in windows, each from the state that the one before leaves it in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from rtsynth.codec.analysis import LARGEST_LOGIT, STEP, at_codec_rate
from rtsynth.codec.event import LN_F0, RAMP, RATE, SHAPE, SHARES, Events, Kind, check_events
from rtsynth.codec.quantiser import F0_RANGE, LONGEST_GAP, Quantiser
from rtsynth.errors import InputError
from rtsynth.sampler.noise import SEGMENT
from rtsynth.training.renderer import Renderer, states_at
from rtsynth.training.spectral_distance import spectral_distance

_LEVELS = [0, *range(3, 27)]  # of (K, 33): gain and shape
LEVELS = 8  # a file's level is in eighths of a neper
FIRST_RAMP = 2.5  # a ramp starts no nearer than this logit to its ends: from there it can still move
HISTORY = 24  # events before a window that the quantiser's prediction is started from


@dataclass(frozen=True)
class Settings:
    """Of the descent; rates are Adam's. Higher ones, and updates without the quantiser, serve all but a file."""

    free: int = 0  # updates without the quantiser
    bound: int = 80  # updates through it
    pitch: float = 1e-3  # ln hertz
    envelope: float = 2e-2  # ln amplitude
    shares: float = 0.05  # logits
    ramp: float = 6e-2  # logit of its share of the gap
    commitment: float = 0.1  # what (neper² a number) counts by which envelopes are off the quantiser's grid
    last_share: float = 0.05  # of the rates that is left at the end: half a cosine
    window: int = 1500  # control steps that are refined at once: 6 s
    margin: int = 125  # control steps after them that are listened to as well
    seed: int = 1

    @property
    def updates(self) -> int:
        return self.free + self.bound


DEFAULT = Settings()


def refine(
    samples: ArrayLike,
    rate: float,
    events: Events,
    *,
    quantiser: Quantiser | None = None,
    settings: Settings = DEFAULT,
    progress: Callable[[float], None] | None = None,
) -> Events:
    """The retarget events (K,) of one voice, moved nearer to samples (N,) or (N, channels) at `rate` hertz.

    With a `quantiser` it is what it makes of them that comes near; they are returned as they are, to be written by it.
    """
    out = check_events(events).copy()
    if ((out["kind"] != Kind.RETARGET) | (out["voice"] != out["voice"][:1])).any():
        raise InputError("only the retarget events of one voice can be refined")
    sound = at_codec_rate(samples, rate)
    steps = -(-sound.size // STEP)
    wanted = torch.from_numpy(np.pad(sound, (0, steps * STEP - sound.size)).astype(np.float32))
    renderer = Renderer(RATE, seconds=2.0 * (settings.window + settings.margin) * STEP / RATE)
    begin, start = 0, None
    while begin < steps:
        last = begin + settings.window + settings.margin >= steps
        end = steps if last else begin + settings.window
        heard = steps if last else end + settings.margin
        first, beyond = np.searchsorted(out["time"], [begin, heard])
        if beyond > first:
            part = _Part(out, first, beyond, begin, heard, start)
            part.descend(wanted[begin * STEP : heard * STEP], renderer, quantiser, settings)
            out[first:beyond] = part.events()
            start = part.state(end, quantiser)
        begin = end
        if progress is not None:
            progress(begin / steps)
    return out


def file_level(events: Events) -> float:
    """What a file of these events takes as their level: gains are coded relative to it."""
    return math.ceil(LEVELS * float(events["gain"].max(initial=-60.0))) / LEVELS


class _Part:
    """Events `first` … `beyond` - 1 of all, on their way, heard from step `begin` to step `heard`."""

    def __init__(
        self, out: Events, first: int, beyond: int, begin: int, heard: int, start: Tensor | None
    ) -> None:
        self.all, self.first, self.begin, self.heard, self.start = out, first, begin, heard, start
        self.mine = out[first:beyond].copy()
        self.history = out[max(0, first - HISTORY) : first]
        times = self.mine["time"]
        following = out["time"][beyond] if beyond < len(out) else heard
        gaps = np.minimum(np.append(times[1:], following) - times, LONGEST_GAP).astype(np.float32)
        self.times = torch.from_numpy((times - begin).astype(np.float64))[None]
        self.gaps = torch.from_numpy(gaps)
        given = torch.from_numpy(self.mine["vector"].copy())
        share = (given[:, RAMP] - 1.0) / (self.gaps - 1.0).clamp_min(1.0)
        self.pitch = given[:, LN_F0].clone().requires_grad_()
        self.envelope = (
            given[:, SHAPE] + torch.from_numpy(self.mine["gain"].copy())[:, None]
        ).requires_grad_()
        self.shares = given[:, SHARES].clone().requires_grad_()
        self.ramp = torch.logit(share, 1e-6).clamp(-FIRST_RAMP, FIRST_RAMP).requires_grad_()

    def numbers(self) -> Tensor:
        """(K, 33): gain, vector."""
        gain = self.envelope.mean(1, keepdim=True)
        ramp = 1.0 + (self.gaps - 1.0).clamp_min(0.0) * self.ramp.sigmoid()
        shares = self.shares.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
        pitch = self.pitch.clamp(*F0_RANGE)[:, None]
        return torch.cat([gain, ramp[:, None], pitch, self.envelope - gain, shares, 0.0 * gain], 1)

    def events(self) -> Events:
        """As they are now."""
        out, numbers = self.mine.copy(), self.numbers().detach().numpy()
        out["gain"], out["vector"] = numbers[:, 0], numbers[:, 1:]
        return out

    def decoded(self, quantiser: Quantiser) -> Tensor:
        """(K, 33) as a decoder gets them; gradients pass as if they had not been touched."""
        now = self.events()
        others = np.delete(self.all, slice(self.first, self.first + len(now)))
        level = max(file_level(now), file_level(others))
        given = quantiser.quantise(np.concatenate([self.history, now]), level)[-len(now) :]
        rounded = torch.from_numpy(np.concatenate([given["gain"][:, None], given["vector"]], 1))
        numbers = self.numbers()
        return numbers + (rounded - numbers).detach()

    def states(self, at: Tensor, numbers: Tensor) -> Tensor:
        """(1, T, 32) at steps (T,) after `begin`, of numbers (K, 33)."""
        targets = torch.cat([numbers[:, :1], numbers[:, 2:]], 1)[None]
        return states_at(self.times, numbers[None, :, 1], targets, at, self.start)

    def state(self, step: int, quantiser: Quantiser | None) -> Tensor:
        """(1, 32) at a step."""
        at = torch.tensor([step - self.begin], dtype=torch.float64)
        return self.states(at, self.heard_as(quantiser))[:, 0].detach()

    def heard_as(self, quantiser: Quantiser | None) -> Tensor:
        """(K, 33) that a decoder plays."""
        return self.numbers() if quantiser is None else self.decoded(quantiser)

    def descend(
        self, wanted: Tensor, renderer: Renderer, quantiser: Quantiser | None, settings: Settings
    ) -> None:
        """Move them, so that they sound like `wanted` (N,)."""
        segments = wanted.numel() // SEGMENT
        groups = [
            {"params": [getattr(self, name)], "lr": getattr(settings, name)}
            for name in ("pitch", "envelope", "shares", "ramp")
        ]
        optimiser = torch.optim.Adam(groups)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda update: _cosine(update, settings))
        offsets = np.random.default_rng(settings.seed)
        for update in range(settings.updates):
            by = quantiser if update >= settings.free else None
            numbers = self.heard_as(by)
            states = self.states(renderer.ends(segments), numbers)
            # Another stretch of noise each time: what is fitted is its level, not one take of it.
            loss = spectral_distance(renderer(states, int(offsets.integers(segments))), wanted[None])
            off = (numbers.detach() - self.numbers())[:, _LEVELS]
            loss = loss + settings.commitment * off.square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()


def _cosine(update: int, settings: Settings) -> float:
    turn = 0.5 * (1.0 + math.cos(math.pi * update / settings.updates))
    return settings.last_share + (1.0 - settings.last_share) * turn
