"""Characters to frames: a reader of the whole sentence, and a decoder that goes over it with a soft window.

A step makes r = 2 mel frames (HiFi-GAN's, `BANDS` each) and two voices of the codec's bank (`VOICE` numbers each), all
normalised. The window has one bump (form "v2"): where a corpus says when each character is spoken, the bump is put
there while learning, so that the recurrences see their inputs beforehand and a sentence is a few large products;
`positions` of one step depend on those of the step before alone, and are learned from there.

B sentences, U characters, S steps, C = 2 · reader.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rtsynth.sequence.spelling import PADDING, SYMBOLS

BANDS, VOICE = 80, 30
TOGETHER = 2  # frames a step: r
PACE, WIDTH = 0.33, 0.8  # characters: how far the bump moves in a step, and its σ, before anything is learned
STATES = ("h1", "c1", "h2", "c2", "kappa", "context", "heard")


@dataclass(frozen=True)
class Sizes:
    embedding: int = 96
    reader: int = 64  # each way
    fed_back: int = 32
    first: int = 160
    second: int = 208


class Said(NamedTuple):
    """Of S steps of B sentences."""

    mel: Tensor  # (S, B, 160): two frames, one after the other
    spread: Tensor  # (S, B, 80): ln of the deviation of each band
    voice: Tensor  # (S, B, 60)
    kappa: Tensor  # (S, B): where the bump stood, characters from 1


class Reader(nn.Module):
    """Symbols (B, U) -> codes (B, U, C); zeros past a sentence's end."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embedding = nn.Embedding(SYMBOLS, sizes.embedding, padding_idx=PADDING)
        self.near = nn.ModuleList(nn.Conv1d(sizes.embedding, sizes.embedding, 5, padding=2) for _ in range(2))
        self.far = nn.LSTM(sizes.embedding, sizes.reader, bidirectional=True, batch_first=True)

    def forward(self, symbols: Tensor, lengths: Tensor | None = None) -> Tensor:
        """`lengths` (B,), on the CPU, where sentences of a batch differ."""
        there = (symbols != PADDING)[:, None].to(self.embedding.weight.dtype)  # (B, 1, U)
        x = self.embedding(symbols).transpose(1, 2)
        for layer in self.near:
            x = there * (x + torch.relu(layer(x)))
        x = x.transpose(1, 2)
        if lengths is None:
            return self.far(x)[0]
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.far(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class SpeechNetwork(nn.Module):
    """Training's whole network; `Step` makes one step of it."""

    def __init__(self, sizes: Sizes = Sizes()) -> None:
        super().__init__()
        self.sizes = sizes
        codes = 2 * sizes.reader
        self.reader = Reader(sizes)
        self.fed_back = nn.Linear(BANDS, sizes.fed_back)
        self.first = nn.LSTM(sizes.fed_back + codes, sizes.first)
        self.pace = nn.Linear(sizes.first, 1)
        nn.init.constant_(self.pace.bias, math.log(math.expm1(PACE)))
        self.width = nn.Parameter(torch.tensor(WIDTH))  # σ of the bump, one for all
        self.second = nn.LSTM(sizes.first + codes, sizes.second)
        self.mel = nn.Linear(sizes.second + codes, TOGETHER * BANDS)
        self.spread = nn.Linear(sizes.second + codes, BANDS)
        self.voice = nn.Linear(sizes.second + codes, TOGETHER * VOICE)

    def forward(
        self, symbols: Tensor, lengths: Tensor, before: Tensor, positions: Tensor, forget: float = 0.0
    ) -> Said:
        """symbols (B, U), lengths (B,), before (S, B, 80): the frame before each step; positions (S, B): of the bump.

        `forget`: the share of steps that are not told the frame before, and of what is made of it.
        """
        codes = self.reader(symbols, lengths)
        stood = functional.pad(positions, (0, 0, 1, 0))  # κ before each step, zero at first
        seen = functional.pad(look(codes, stood[1:-1], self.width), (0, 0, 0, 0, 1, 0))  # by the step before
        h1 = self.first(torch.cat((self.remembered(before, forget), seen), -1))[0]
        kappa = stood[:-1] + functional.softplus(self.pace(h1)[..., 0])
        context = look(codes, kappa, self.width)
        h2 = self.second(torch.cat((h1, context), -1))[0]
        return Said(*self.heads(h2, context), kappa)

    def remembered(self, before: Tensor, forget: float = 0.0) -> Tensor:
        """(…, 80) -> (…, fed_back)."""
        if forget:
            before = before * (torch.rand_like(before[..., :1]) >= forget)
        return functional.dropout(torch.relu(self.fed_back(before)), forget, training=forget > 0.0)

    def heads(self, h2: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = torch.cat((h2, context), -1)
        return self.mel(x), self.spread(x.detach()), self.voice(x)


def look(codes: Tensor, kappa: Tensor, width: Tensor) -> Tensor:
    """Codes (B, U, C) under bumps at kappa (S, B), `width` wide -> (S, B, C): SoftWindow's, with one bump."""
    positions = torch.arange(1, codes.shape[1] + 1, dtype=codes.dtype, device=codes.device)
    far = (kappa[..., None] - positions) / width
    phi = torch.exp(-0.5 * far.square()) / (math.sqrt(2.0 * math.pi) * width)  # (S, B, U)
    return torch.bmm(phi.transpose(0, 1), codes).transpose(0, 1)
