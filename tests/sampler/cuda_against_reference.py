"""The GPU's bank against the NumPy reference: prints one JSON object of what was found.

Run by test_cuda.py in a process of its own: NUMBA_ENABLE_CUDASIM=1, for numba's simulator, must be set before numba is
imported. Sizes are the simulator's, where a voice and segment takes a tenth of a second.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy as np

from rtsynth.sampler.cuda import CudaBank, Rows
from rtsynth.sampler.noise import SEGMENT
from tests.sampler import reference

RATE = 48000.0

Array = Any


class Voice:
    """One voice by the reference, in double precision."""

    def __init__(self, rng: np.random.Generator, rows: Rows, serial: int) -> None:
        count = sum(rows)
        self.rows = rows
        hertz, damping = rng.uniform(50, 9000, count), rng.uniform(1, 100, count)
        self.step = np.exp((-damping + 2j * np.pi * hertz) / RATE)
        self.keys = np.stack(reference.keys(7, serial, count))
        self.levels = rng.uniform(-1, 1, (2, count))
        self.x = rng.standard_normal(count) + 1j * rng.standard_normal(count)
        self.course = rng.uniform(0, 1, 2)

    def play(self, goals: Array) -> Array:
        """All its segments, (2, 32 segments); goals (segments, 2)."""
        n, x, now = self.rows.ringing, self.x, self.course
        out = []
        for segment, goal in enumerate(goals):
            still = np.zeros_like(self.levels)
            noise = reference.rows_drawn(self.keys[0, n:], self.keys[1, n:], SEGMENT * segment, SEGMENT)
            rung, rest = reference.ringing(self.step[:n], x[:n], self.levels[:, :n], still[:, :n])
            heard, alive = reference.noisy(self.step[n:], 1.0, noise, x[n:], self.levels[:, n:], still[:, n:])
            ramp = now[:, None] + (goal - now)[:, None] / SEGMENT * np.arange(SEGMENT)
            out.append((rung + heard) * ramp)
            x, now = np.concatenate([rest, alive]), goal
        return np.concatenate(out, axis=1)


def play(voices: list[Voice], offsets: list[int], goals: Array, blocks: list[int]) -> Array:
    """The GPU's bank in blocks of these sizes; goals (segments, V, 2) count from each voice's start."""
    bank = CudaBank(len(voices), voices[0].rows, np.stack([voice.step for voice in voices]), max(blocks))
    for v, voice in enumerate(voices):
        arrays = voice.keys[None], voice.levels[None], voice.x[None], voice.course[None]
        bank.start(v, np.array([v]), *arrays, offset=offsets[v])
    begun, starts, out = np.zeros(len(voices), int), np.array(offsets), []
    for frames in blocks:
        count = np.maximum(0, -(-(frames - starts) // SEGMENT))
        for v in range(len(voices)):
            bank.goals[: count[v], v] = goals[begun[v] : begun[v] + count[v], v]
        out.append(bank.process(frames, moving=True).copy())
        begun, starts = begun + count, starts + SEGMENT * count - frames
    return np.concatenate(out, axis=1)


def against_the_reference(rows: Rows, offsets: list[int], frames: int) -> float:
    """The largest difference from the reference, in parts of the largest sample."""
    rng = np.random.default_rng(1)
    voices = [Voice(rng, rows, serial) for serial in range(len(offsets))]
    goals = rng.uniform(0, 1, (frames // SEGMENT, len(voices), 2))
    expected = np.zeros((2, frames))
    for v, (voice, offset) in enumerate(zip(voices, offsets, strict=True)):
        expected[:, offset:] += voice.play(goals[:, v])[:, : frames - offset]
    difference = play(voices, offsets, goals, [frames]) - expected
    return float(np.abs(difference).max() / np.abs(expected).max())


def draws_differ() -> float:
    """Rows that forget at once (λ = 0) are heard as their noise, so the draws themselves can be compared."""
    rows = Rows(0, 66)
    voice = Voice(np.random.default_rng(2), rows, 3)
    voice.step[:] = 0.0
    voice.levels[...] = 0.0
    voice.levels[0, 5] = voice.levels[1, 65] = 1.0  # one row of the first window, one of the second
    voice.course[...] = 1.0
    heard = play([voice], [0], np.ones((1, 1, 2)), [SEGMENT])
    drawn = reference.rows_drawn(voice.keys[0], voice.keys[1], 0, SEGMENT)[:-1, 0].astype(np.float32)
    return float(np.abs(heard[:, 1:] - drawn[:, [5, 65]].T).max())


def blocks_differ() -> float:
    """The same voices in blocks of one size and of several, down to less than a segment."""
    rng = np.random.default_rng(3)
    rows = Rows(3, 4)
    voices = [Voice(rng, rows, serial) for serial in range(2)]
    goals = rng.uniform(0, 1, (3, 2, 2))
    whole = play(voices, [0, 37], goals, [80])
    pieces = play(voices, [0, 37], goals, [7, 5, 48, 20])
    return float(np.abs(whole - pieces).max()) + (0.0 if np.abs(whole).max() > 0.1 else np.inf)


def main() -> None:
    sys.setswitchinterval(1e-5)  # the simulator's threads wait for each other all the time
    warnings.simplefilter("ignore", RuntimeWarning)  # words wrap around: that is what a hash does
    found = {
        "ringing": against_the_reference(Rows(40, 0), [0], 2 * SEGMENT),
        "both": against_the_reference(Rows(3, 33), [0, 11], 2 * SEGMENT),
        "draws": draws_differ(),
        "blocks": blocks_differ(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
