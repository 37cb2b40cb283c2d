"""Raw sound by a recurrent network: 20 samples in, a mixture over the next 10 out, a draw of it fed back.

`SlowGenerator` is the specification of what `rtsynth train waveform` exports, one step after the other in NumPy. While
there is sound to hear the network is fed that, and what comes out is what it expected next; when the sound falls silent
it is fed its own draws. Draws depend on the seed and on the number of the step alone: whatever pieces a stream is cut
into, and however often it is played, it is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError
from rtsynth.inference.manifest import load_manifest, started
from rtsynth.inference.model import StreamingModel
from rtsynth.inference.schema import Manifest
from rtsynth.sequence import mixture
from rtsynth.sequence.cells import Gru, Lstm, State, Tanh

Array = NDArray[Any]

RATE = 16000  # hertz
HEARD, SAID, COMPONENTS = 20, 10, 20  # samples a step hears and says; Gaussians it says them by
HIDDEN = {"tanh": 400, "gru": 227, "lstm": 195}  # of about 169,000 weights each: Chung et al. 2014
FRAME = 160  # samples: 16 steps, 10 ms

MOST_BIAS = 100.0  # from there on every draw is the mode
LOUDEST = (
    4.0  # deviations of what it was trained on: draws that are fed back are held within, or it may run away
)
AUDIBLE = 0.005  # peak, re full scale: -46 dB. From there on the network listens …
FADING = (
    0.316  # … and for as long after, frame by frame, as a peak that falls by 10 dB a frame stays above it
)

PRIME = 2**31 - 1
KEYS = (0x3243F6A8, 0x05A308D3, 0x13198A2E, 0x03707344)  # digits of π: one a round
SEED_KEYS = (0x24E92F8F, 0x1B873593, 0x4CF5AD43, 0x2C1B3C6D)  # what a seed is multiplied with, one a round
DRAWS = SAID + 1  # uniform numbers a step: one chooses the component, the others make SAID normals


@dataclass(frozen=True)
class Parameters:
    """A trained network: its cell, the layer that reads it, and the deviation of the sound it was trained on."""

    cell: Tanh | Gru | Lstm
    W: Array  # (K (1 + 2·10), H)
    b: Array  # (K (1 + 2·10),)
    scale: float


class SlowGenerator:
    """States of a stream; `frame` after frame. bias ≥ 0: tidier draws.

    alone: the frame, counted from 1, from which on it goes on by itself in silence; 0: it listens for ever.
    """

    def __init__(self, parameters: Parameters, seed: int = 0, bias: float = 0.0, alone: int = 1) -> None:
        self._parameters, self._seed, self._bias = parameters, seed, bias
        self._state: State = parameters.cell.start()
        self._past = np.zeros(HEARD)  # the samples before the next step, in units of the scale
        self._count = 0  # steps
        self._level = 0.0  # the peak that still counts as heard
        self._alone = alone

    def frame(self, heard: Array) -> Array:
        """(160,) in, full scale ±1 -> (160,)."""
        self._level = max(float(np.abs(heard).max()), FADING * self._level)
        number = self._count * SAID // FRAME + 1
        listens = self._level >= AUDIBLE or self._alone == 0 or number < self._alone
        return np.concatenate([self._step(part, listens) for part in heard.reshape(-1, SAID)])

    def _step(self, heard: Array, listens: bool) -> Array:
        """(10,) that are heard now -> (10,) that were expected."""
        parameters = self._parameters
        self._state = parameters.cell.step(self._past, self._state)
        mixed = mixture.diagonal(parameters.W @ self._state[0] + parameters.b, SAID, self._bias)
        uniform, normals = draws(self._seed, self._count, 1)
        full = 1.0 / parameters.scale
        limit = full if listens else min(LOUDEST, full)
        said = np.clip(mixture.draw(mixed, uniform[0], normals[0]), -limit, limit)
        fed = np.clip(heard / parameters.scale, -full, full) if listens else said
        self._past = np.concatenate([self._past[SAID:], fed])
        self._count += 1
        return said * parameters.scale


def load(model: str) -> Manifest:
    """A network of `rtsynth train waveform`: a shipped one by its name, or its file. InputError for another."""
    manifest = load_manifest(model)
    if not {"seed", "bias", "alone"} <= {state.input for state in manifest.states or ()}:
        raise InputError(f"{model} makes no sound by itself: a network of rtsynth train waveform is wanted")
    return manifest


def choices(manifest: Manifest, seed: int, bias: float) -> dict[str, float]:
    """What states of a model that draws start as, those of these three that it has: in silence it goes on by itself."""
    has = {state.input for state in manifest.states or ()}
    wanted = {"seed": float(seed % PRIME), "bias": bias, "alone": 1.0}
    return {name: value for name, value in wanted.items() if name in has}


def continued(
    manifest: Manifest,
    heard: Array,
    count: int,
    *,
    seed: int = 0,
    bias: float = 0.0,
    progress: Callable[[float], None] | None = None,
) -> Array:
    """What was heard, (N,) at 16 kHz, all of it listened to, and `count` samples in which it goes on: (N + count,)."""
    primed = -(-len(heard) // FRAME)  # frames
    model = StreamingModel(started(manifest, choices(manifest, seed, bias) | {"alone": primed + 1}))
    ahead = primed * FRAME - len(heard)
    primer = np.concatenate([np.zeros(ahead), heard]).astype(np.float32).reshape(-1, FRAME)
    for frame in primer:
        model.step(frame)
    frames, silence = -(-count // FRAME), np.zeros(FRAME, np.float32)
    parts = [primer.reshape(-1)[ahead:]]
    for number in range(frames):
        parts.append(model.step(silence)[:, 0])
        if progress is not None:
            progress((number + 1) / frames)
    return np.concatenate(parts)[: len(heard) + count]


def draws(seed: int, first: int, steps: int) -> tuple[Array, Array]:
    """Of the steps from `first` on: a uniform number each, (steps,), and standard normals, (steps, 10)."""
    uniform = uniforms(seed, first, steps)
    radius = np.sqrt(-2.0 * np.log(uniform[:, 1 : 1 + SAID // 2]))
    angle = 2.0 * np.pi * uniform[:, 1 + SAID // 2 :]
    return uniform[:, 0], np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def uniforms(seed: int, first: int, steps: int) -> Array:
    """(steps, 11) in 0…1, without 0: the number of each passed through four rounds of (x + key)⁵ modulo 2³¹ - 1.

    A permutation, since 5 does not divide 2³¹ - 2: MiMC (Albrecht et al. 2016), of which a graph needs +, × and modulo
    of 64-bit integers alone. Numbers repeat after 34 hours.
    """
    x = (first * DRAWS + np.arange(steps * DRAWS, dtype=np.int64)) % PRIME
    for key, times in zip(KEYS, SEED_KEYS, strict=True):
        x = (x + key + (seed % PRIME) * times) % PRIME
        x = (x * x % PRIME) ** 2 % PRIME * x % PRIME
    return ((x + 0.5) / PRIME).reshape(steps, DRAWS)
