"""Which character is being spoken when: from a corpus's segments where it has them, else found in the sound.

Both are hidden Markov models of characters, learned from nothing but the corpus by Viterbi training. With segments
(phones and their ends) every phone belongs to one character, a character has none to three of them, and what is
learned is which phones a letter makes (epsilon scattering: Black, Lenzo & Pagel 1998). Without, every character is one
state with a Gaussian over mel frames, begun as if a sentence were read evenly (the "flat start" of speech recognisers).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Symbols = NDArray[np.int64]

MOST = 3  # phones to a character
ROUNDS = 6
_RARE = 0.1  # added to every count
_FLOOR = 0.05  # of a variance, nepers²


class Segments(NamedTuple):
    """Phones of one recording."""

    phones: NDArray[np.int64]  # (P,)
    ends: Array  # (P,) seconds


def by_segments(sentences: Sequence[Symbols], spoken: Sequence[Segments], symbols: int) -> list[Array]:
    """For each sentence (U,): when each character ends, (U,) seconds."""
    phones = 1 + max(int(one.phones.max()) for one in spoken)
    makes = np.full((symbols, phones), 1.0 / phones)
    many = np.tile([0.3, 0.6, 0.08, 0.02], (symbols, 1))
    counts: list[NDArray[np.int64]] = []
    for _ in range(ROUNDS):
        log_makes, log_many = np.log(makes), np.log(many)
        counts = [
            _scattered(text, said.phones, log_makes, log_many)
            for text, said in zip(sentences, spoken, strict=True)
        ]
        makes, many = np.full_like(makes, _RARE), np.full_like(many, _RARE)
        for text, said, count in zip(sentences, spoken, counts, strict=True):
            np.add.at(makes, (np.repeat(text, count), said.phones), 1.0)
            np.add.at(many, (text, count), 1.0)
        makes /= makes.sum(1, keepdims=True)
        many /= many.sum(1, keepdims=True)
    return [_ends(count, said.ends) for count, said in zip(counts, spoken, strict=True)]


def _ends(count: NDArray[np.int64], ends: Array) -> Array:
    """Phones per character and their ends -> ends of characters: the silent share the time of the one before."""
    last = np.cumsum(count)  # phones up to and with each character
    found = np.where(last > 0, ends[np.maximum(last, 1) - 1], 0.0)
    leaders = np.flatnonzero(count > 0)
    for first, beyond in zip(leaders, [*leaders[1:], count.size], strict=True):
        start = found[first - 1] if first else 0.0
        found[first:beyond] = np.linspace(start, found[first], beyond - first + 1)[1:]
    return found


@njit(cache=True)
def _scattered(text, phones, log_makes, log_many):
    """Viterbi: how many of the phones (P,) each character (U,) makes, in order."""
    length, spoken = text.size, phones.size
    best = np.full((length + 1, spoken + 1), -np.inf)
    chosen = np.zeros((length + 1, spoken + 1), np.int64)
    best[0, 0] = 0.0
    for u in range(length):
        for p in range(spoken + 1):
            if best[u, p] == -np.inf:
                continue
            score = best[u, p]
            for n in range(min(MOST, spoken - p) + 1):
                if n > 0:
                    score += log_makes[text[u], phones[p + n - 1]]
                total = score + log_many[text[u], n]
                if total > best[u + 1, p + n]:
                    best[u + 1, p + n], chosen[u + 1, p + n] = total, n
    count = np.zeros(length, np.int64)
    p = spoken
    for u in range(length, 0, -1):
        count[u - 1] = chosen[u, p]
        p -= count[u - 1]
    return count


def by_sound(sentences: Sequence[Symbols], mels: Sequence[NDArray], symbols: int) -> list[Array]:
    """For each sentence (U,) and its mel frames (T, bands), T >= U: when each character ends, (U,) frames."""
    ends = [np.linspace(0.0, len(mel), len(text) + 1)[1:] for text, mel in zip(sentences, mels, strict=True)]
    for _ in range(2 * ROUNDS):
        means, variances = _gaussians(sentences, mels, ends, symbols)
        ends = [
            _viterbi(_likelihoods(mel, means[text], variances[text])).astype(np.float64)
            for text, mel in zip(sentences, mels, strict=True)
        ]
    return ends


def _gaussians(
    sentences: Sequence[Symbols], mels: Sequence[NDArray], ends: Sequence[Array], symbols: int
) -> tuple[Array, Array]:
    """(symbols, bands) means and variances of the frames that fall to each symbol."""
    bands = mels[0].shape[1]
    count, total, square = np.full((symbols, 1), 1e-9), np.zeros((symbols, bands)), np.zeros((symbols, bands))
    for text, mel, end in zip(sentences, mels, ends, strict=True):
        owner = text[np.minimum(np.searchsorted(end, np.arange(len(mel)) + 0.5), len(text) - 1)]
        np.add.at(count, owner, 1.0)
        np.add.at(total, owner, mel)
        np.add.at(square, owner, mel.astype(np.float64) ** 2)
    means = total / count
    return means, np.maximum(square / count - means**2, _FLOOR)


def _likelihoods(mel: NDArray, means: Array, variances: Array) -> Array:
    """(T, U): ln density of frames (T, bands) under Gaussians (U, bands), a constant left out."""
    precision = 1.0 / variances
    quadratic = mel**2 @ precision.T - 2.0 * mel @ (means * precision).T + (means**2 * precision).sum(1)
    return -0.5 * (quadratic + np.log(variances).sum(1))


@njit(cache=True)
def _viterbi(likelihoods):
    """(T, U), T >= U: the frame where each of the states, one frame long at least and in order, ends."""
    frames, states = likelihoods.shape
    best = np.full(states, -np.inf)
    moved = np.zeros((frames, states), np.bool_)
    best[0] = likelihoods[0, 0]
    for t in range(1, frames):
        for u in range(min(t, states - 1), -1, -1):
            if u > 0 and best[u - 1] > best[u]:
                best[u] = best[u - 1]
                moved[t, u] = True
            best[u] += likelihoods[t, u]
    ends = np.zeros(states, np.int64)
    ends[states - 1] = frames
    u = states - 1
    for t in range(frames - 1, 0, -1):
        if moved[t, u]:
            u -= 1
            ends[u] = t
    return ends
