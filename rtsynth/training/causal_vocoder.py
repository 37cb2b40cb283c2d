"""The network of the causal vocoder: log-mel frames to a fundamental and three filters, frame by frame.

Two causal stacks of ConvNeXt blocks (Liu et al., arXiv 2201.03545; as in Vocos, arXiv 2306.00814). The first says the
fundamental, as a distribution over a grid; the second, knowing it, by how much the filters of the three sources
(rtsynth/vocoder/excitation.py) differ from the spectral envelope that the mel bands say already. So a network that has
learned nothing is a channel vocoder, and silence stays silent: no filter is more than 52 dB above the envelope.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsynth.training.composing import Network
from rtsynth.training.streaming import CausalConv1d, Layer
from rtsynth.vocoder.excitation import HOP, RATE
from rtsynth.vocoder.inverse_stft import BINS
from rtsynth.vocoder.mel import HIFIGAN, SILENT

Run = Callable[[Layer, Tensor], Tensor]

LOWEST, HIGHEST = 60.0, 550.0  # hertz
CANDIDATES = 192  # fundamentals, 20 cents apart
BESIDE = 4  # candidates on each side of the likeliest that decide with it
LIMIT = 6.0  # nepers, from the envelope
LEAK = 0.02  # of the pulses, where there is no voice
LOUDNESS = math.log(1.24)  # of white noise of deviation 1 over its mel bands' amplitude


class Block(nn.Module):
    """What a frame learns from those before it, channel by channel, and then a layer over its channels. (B, C, T)"""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.past = CausalConv1d(channels, channels, kernel, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.widen = nn.Linear(channels, 3 * channels)
        self.narrow = nn.Linear(3 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.2))

    def signal(self, run: Run, x: Tensor) -> Tensor:
        heard = self.norm(run(self.past, x).transpose(1, 2))
        learned = self.scale * self.narrow(functional.gelu(self.widen(heard), approximate="tanh"))
        return x + learned.transpose(1, 2)


class Stack(nn.Module):
    """(B, inputs, T) -> (B, outputs, T), causal."""

    def __init__(self, inputs: int, width: int, blocks: int, kernel: int, outputs: int) -> None:
        super().__init__()
        self.embed = CausalConv1d(inputs, width, kernel)
        self.first = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, kernel) for _ in range(blocks))
        self.last = nn.LayerNorm(width)
        self.head = nn.Linear(width, outputs)

    def signal(self, run: Run, x: Tensor) -> Tensor:
        y = self.first(run(self.embed, x).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            y = block.signal(run, y)
        return self.head(self.last(y.transpose(1, 2))).transpose(1, 2)


class CausalVocoder(Network):
    """Mel frames (B, 80, T), natural logarithm -> answers (B, FIELDS, T): what `rtsynth.vocoder` makes sound of."""

    def __init__(
        self, width: int = 192, blocks: int = 6, pitch_width: int = 128, pitch_blocks: int = 4
    ) -> None:
        super().__init__()
        bands = HIFIGAN.bands
        self.pitch = Stack(bands, pitch_width, pitch_blocks, 5, CANDIDATES + 1)
        self.filters = Stack(bands + 2, width, blocks, 5, 4 * BINS)
        self.register_buffer("envelope", torch.tensor(interpolation(), dtype=torch.float32), persistent=False)
        grid = torch.linspace(math.log(LOWEST), math.log(HIGHEST), CANDIDATES)
        self.register_buffer("grid", grid[:, None], persistent=False)
        with torch.no_grad():
            self.filters.head.weight.mul_(0.1)
            self.filters.head.bias.zero_()
            self.filters.head.bias[2 * BINS :] = -1.0

    def signal(self, run: Run, x: Tensor) -> Tensor:
        ln_f0, voiced, _ = self.fundamental(run, x)
        return torch.cat([ln_f0, self.filtering(run, x, ln_f0, voiced)], dim=1)

    def fundamental(self, run: Run, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """ln f0 at the frame's end (B, 1, T), whether it is voiced 0 … 1, and the logits (B, CANDIDATES, T)."""
        said = self.pitch.signal(run, scaled(x))
        logits, voiced = said[:, :CANDIDATES], torch.sigmoid(said[:, CANDIDATES:])
        return self.likeliest(logits), voiced, said

    def likeliest(self, logits: Tensor) -> Tensor:
        """The mean of ln f0 around the peak: (B, CANDIDATES, T) -> (B, 1, T)."""
        place = torch.arange(CANDIDATES, device=logits.device)[:, None]
        beside = (place - logits.argmax(dim=1, keepdim=True)).abs() <= BESIDE
        weight = torch.softmax(logits.masked_fill(~beside, -1e4), dim=1)
        return (weight * self.grid).sum(dim=1, keepdim=True)

    def filtering(self, run: Run, x: Tensor, ln_f0: Tensor, voiced: Tensor) -> Tensor:
        """The filters (B, 4 BINS, T): ln |H|, arg H, ln gain of the steady noise, of the noise beside the pulses."""
        centred = (ln_f0 - math.log(180.0)) / 0.4
        heard = torch.cat([scaled(x), centred, voiced], dim=1)
        said = self.filters.signal(run, heard)
        envelope = torch.matmul(self.envelope, x) + LOUDNESS
        level, angle, steady, beside = said.split(BINS, dim=1)
        level, steady, beside = (
            envelope + LIMIT * torch.tanh(gain / LIMIT) for gain in (level, steady, beside)
        )
        # where there is no voice, what pulses, and noise in their time, would have of power is steady noise instead
        gate = LEAK + (1.0 - LEAK) * voiced
        lost = (1.0 - gate.square()) * (torch.exp(2.0 * level) + torch.exp(2.0 * beside))
        steady = 0.5 * torch.log(torch.exp(2.0 * steady) + lost)
        return torch.cat([level + torch.log(gate), angle, steady, beside + torch.log(gate)], dim=1)


def interpolation() -> np.ndarray:
    """(BINS, 80): from ln of the bands to ln of an amplitude at every bin; straight lines between bands' centres."""
    from rtsynth.vocoder.mel import filterbank

    weights = filterbank(HIFIGAN)
    hertz = np.linspace(0.0, RATE / 2, weights.shape[1])
    centres = weights @ hertz / weights.sum(axis=1)
    return np.stack(
        [np.interp(np.arange(BINS) * RATE / (2 * HOP), centres, unit) for unit in np.eye(len(centres))], 1
    )


def scaled(x: Tensor) -> Tensor:
    """Mel frames for a network: 0 where there is silence, which is also what a stream begins with."""
    return (x - SILENT) / 4.0
