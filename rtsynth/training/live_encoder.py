"""The live encoder: sound in, one retarget event every 24 ms, 25 ms after the moment at which it acts; as a stream.

It keeps to the contract of docs/export.md with frames of 384 samples at 16 kHz. What comes out takes the place of
sound: at the front of each frame stand the numbers of one event (`rtsynth.codec.live`), zeros follow. So the pipeline,
the link, the worker's restarts and the comparison of an export are those of every model. Event k acts at sample
384 k - 16, the `latency` of 16 being said as any network says its own, and knows the sound up to 384 (k + 1):
400 samples of look-ahead, and nothing is added to that.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsynth.codec.event import RATE
from rtsynth.codec.live import NUMBERS, STEPS
from rtsynth.training.composing import Network, Run
from rtsynth.training.features import AGO, BANDS, COUNT, FRAME, Features
from rtsynth.training.streaming import GRU

LOOK_AHEAD = 400  # samples, 25 ms: from an event's moment to the last sample it knows
PITCHES = 64  # classes of ln f0 …
LOWEST, HIGHEST = math.log(60.0), math.log(500.0)  # … between these
BESIDE = 2  # classes on either side of the likeliest that its mean is taken over
QUIETEST, LOUDEST = -14.0, 2.0  # ln amplitude of an envelope
MOST_LOGIT = 6.0
HEADS = (PITCHES, 24, 5, 1)  # ln f0, envelope, noise shares, ramp
LEVELS = len(AGO) * BANDS  # features that are levels: the envelope begins as a line through them


class Answers(NamedTuple):
    """What the network says of K frames, before it is an event."""

    pitches: Tensor  # (B, 64, K) logits of the classes
    ln_f0: Tensor  # (B, K)
    envelope: Tensor  # (B, 24, K) ln amplitude at event.KNOTS
    logits: Tensor  # (B, 5, K) of the noise's share at event.SHARE_KNOTS
    ramp: Tensor  # (B, K) control steps, 1 … 6


def numbers(said: Answers) -> Tensor:
    """(B, 33, K): gain and vector of a retarget event, as rtsynth/codec/event.py has them."""
    gain = said.envelope.mean(1, keepdim=True)
    rows = [gain, said.ramp[:, None], said.ln_f0[:, None], said.envelope - gain, said.logits]
    return torch.cat([*rows, torch.zeros_like(gain)], 1)


class LiveEncoder(Network):
    """(1, 1, 384) -> (1, 1, 384) at 16 kHz, and states; `describe` is what training looks at."""

    frame, sample_rate, channels, latency = FRAME, float(RATE), 1, LOOK_AHEAD - FRAME
    state_names = ("heard", "memory")
    title = "Live speech encoder"
    description = "Speech as 42 retarget events a second, each 25 ms after the moment at which it acts."
    licence, credit, answers = "MIT", "The rtsynth developers", "records"
    card = ""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.features = Features()
        self.layers = nn.Sequential(
            nn.Conv1d(COUNT, width, 1), nn.ELU(), nn.Conv1d(width, width, 1), nn.ELU()
        )  # pointwise
        self.memory = GRU(width, width)
        self.heads = nn.Conv1d(2 * width, sum(HEADS), 1)
        self.line = nn.Conv1d(LEVELS, 24, 1)
        self.register_buffer("classes", torch.linspace(LOWEST, HIGHEST, PITCHES), persistent=False)
        with torch.no_grad():
            self.heads.bias[-1] = 2.0  # ramps begin near their longest
            self.line.weight *= 0.1
            self.line.bias.fill_(-6.0)

    def describe(self, run: Run, x: Tensor) -> Answers:
        """x (B, 1, 384 K)."""
        heard = run(self.features, x)  # (B, COUNT, K)
        hidden = self.layers(heard)
        remembered = run(self.memory, hidden)
        pitches, envelope, logits, ramp = self.heads(torch.cat([hidden, remembered], 1)).split(HEADS, 1)
        return Answers(
            pitches,
            self._mean(pitches),
            (envelope + self.line(heard[:, :LEVELS])).clamp(QUIETEST, LOUDEST),
            MOST_LOGIT * torch.tanh(logits / MOST_LOGIT),
            1.0 + (STEPS - 1.0) * torch.sigmoid(ramp[:, 0]),
        )

    def signal(self, run: Run, x: Tensor) -> Tensor:
        said = numbers(self.describe(run, x))
        mark = torch.ones_like(said[:, :1])
        marked = torch.cat([mark, said, mark], 1)  # (B, NUMBERS, K)
        padded = functional.pad(marked, (0, 0, 0, FRAME - NUMBERS))
        return padded.transpose(1, 2).flatten(1)[:, None]

    def whole(self, x: Tensor) -> Tensor:
        """Sample n answers sample n: as the frames, without their latency."""
        count = x.shape[-1]
        longer = functional.pad(x, (0, self.latency + -(count + self.latency) % FRAME))
        return super().whole(longer)[..., self.latency : self.latency + count]

    def _mean(self, pitches: Tensor) -> Tensor:
        """ln f0 (B, K): the mean of the classes about the likeliest; octaves away there is nothing to average."""
        likeliest = pitches.argmax(1, keepdim=True)
        number = torch.arange(PITCHES, device=pitches.device)[:, None]
        near = ((number - likeliest).abs() <= BESIDE).to(pitches.dtype)
        weights = near * torch.exp(pitches - pitches.amax(1, keepdim=True))
        return (weights * self.classes[:, None]).sum(1) / weights.sum(1)
