"""What reads the recurrent state and says which keys sound next: each key for itself, or all of them jointly.

Both: `nll(features (N, F), notes (N, 88)) -> (N,)` nats, `draw(features, draws, temperature) -> notes`, each (N, 88).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rtsynth.sequence.music import KEYS

MOST_NOTES = 16  # in a step that is drawn; none of the corpora has more than 15


class Independent(nn.Module):
    """Given the state, each key sounds or not for itself: 88 logistic outputs (Chung et al. 2014)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.out = nn.Linear(features, KEYS)
        nn.init.constant_(self.out.bias, -3.0)  # about as rare as notes are

    def nll(self, features: Tensor, notes: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(self.out(features), notes, reduction="none").sum(
            -1
        )

    def draw(self, features: Tensor, draws: Tensor, temperature: Tensor) -> Tensor:
        return (draws < torch.sigmoid(self.out(features) / temperature)).to(draws.dtype)


class Joint(nn.Module):
    """Each key given the state and the keys below that sound (RNN-NADE, Boulanger-Lewandowski et al. 2012).

        a_k = U s + c + Σ_{j<k} v_j w_j,   P(v_k = 1 | v_<k, s) = σ(b_k + V_k·e(tanh a_k) + B_k·s)

    e: a residual layer. a_k changes only where a note sounds: so a step of n notes needs n + 1 hidden vectors, not 88,
    and drawing goes from note to note.
    """

    def __init__(self, features: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.condition = nn.Linear(features, width)
        self.below = nn.Embedding(KEYS + 1, width, padding_idx=KEYS)  # w; the last: no note
        self.deeper = nn.Linear(width, width)
        self.out = nn.Linear(width, KEYS)
        self.bias = nn.Linear(features, KEYS, bias=False)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.below.weight[:KEYS], std=1.0 / math.sqrt(width))
        nn.init.constant_(self.out.bias, -3.0)

    def nll(self, features: Tensor, notes: Tensor) -> Tensor:
        order, count = sounding_keys(notes)
        sums = torch.cumsum(self.below(order), dim=1)  # (N, P, W)
        entering = self.condition(features)[:, None] + functional.pad(sums, (0, 0, 1, 0))  # (N, P + 1, W)
        said = self._logits(entering) + self.bias(features)[:, None]  # (N, P + 1, 88): given each prefix
        logits = said.gather(1, count[:, None])[:, 0]  # each key given the notes below it
        return functional.binary_cross_entropy_with_logits(logits, notes, reduction="none").sum(-1)

    def draw(self, features: Tensor, draws: Tensor, temperature: Tensor) -> Tensor:
        """Every key sounds where draws < P, from the lowest up; after MOST_NOTES no other does."""
        condition, bias = self.condition(features), self.bias(features)
        keys = torch.arange(KEYS, device=draws.device)
        notes = torch.zeros_like(draws)
        last = draws.new_full((draws.shape[0], 1), -1.0)
        for _ in range(MOST_NOTES):
            chance = torch.sigmoid((self._logits(condition) + bias) / temperature)
            sounds = ((draws < chance) & (keys > last)).to(draws.dtype)
            first = torch.argmax(sounds, dim=1)  # the lowest of those above the last
            hit = sounds * functional.one_hot(first, KEYS).to(draws.dtype)  # zeros where there is none
            notes = notes + hit
            any_ = hit.sum(1, keepdim=True)
            last = any_ * first[:, None] + (1.0 - any_) * KEYS
            condition = condition + hit @ self.below.weight[:KEYS]
        return notes

    def _logits(self, entering: Tensor) -> Tensor:
        hidden = torch.tanh(entering)
        hidden = hidden + functional.relu(self.deeper(self.dropout(hidden)))
        return self.out(self.dropout(hidden))


def sounding_keys(notes: Tensor) -> tuple[Tensor, Tensor]:
    """notes (N, 88) -> keys that sound from the lowest up, (N, P), 88 where there are fewer; notes below each key."""
    on = notes > 0.5
    count = torch.cumsum(on, dim=1) - on.to(torch.int64)  # (N, 88)
    most = int(on.sum(1).max().clamp_min(1))
    keys = torch.arange(KEYS, device=notes.device).expand_as(count)
    listed = torch.where(on, keys, torch.full_like(keys, KEYS))
    return listed.sort(dim=1).values[:, :most], count
