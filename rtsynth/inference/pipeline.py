"""From samples at the device's rate, in pieces of any size, through a model, back to samples at the device's rate.

resample → frame → model step (spectra and overlap-add within) → drop its delay → resample. Positions are absolute:
output sample p answers input sample p, so what is late is late by availability alone, and `framing` says by how much:
n samples in give no fewer than n - framing out, whatever the pieces. It is counted, not measured: counts depend on
totals, never on data.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, gcd
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import RateError, UsageError
from rtsynth.inference.model import FrameModel
from rtsynth.inference.records import Records
from rtsynth.inference.resampling import (
    LARGEST_TERM,
    QUANTUM,
    Polyphase,
    Resampler,
    Samples,
    Soxr,
    Through,
)
from rtsynth.inference.stillness import Stillness

COUNTED = 1 << 18  # device samples over which libsoxr's answers are counted


class Parts(NamedTuple):
    """What `framing` is made of, in device samples."""

    framing: int  # waiting for a frame to fill
    resampling: int  # there and back
    model: int  # the network's own delay, and its spectra's


class Pipeline:
    """One model on one stream. All positions and lengths are in device samples where not said otherwise."""

    def __init__(self, model: FrameModel, device_rate: float, *, resampling: str = "polyphase") -> None:
        self.model = model
        self._waiting: Samples = np.zeros(0, np.float32)  # model samples that do not fill a frame yet
        ratio = Fraction(model.sample_rate or device_rate) / Fraction(device_rate)
        self._up, self._down = ratio.numerator, ratio.denominator  # model samples a device sample
        self._inward = _resampler(self._up, self._down, resampling)
        self._countable = not isinstance(self._inward, Soxr)
        self._outward = [self._way_out(resampling) for _ in range(model.channels)]
        resampled = ratio != 1
        self.hop: int = 1 if resampled else model.frame
        self.framing: int = self._count()
        self.parts: Parts = self._split()
        self.lookback: int = self._reach() + int(resampled)
        self._stillness = Stillness(model)
        self.computed = 0  # frames
        self.rested = 0  # frames not computed, because nothing would have changed
        self._silent = np.zeros((model.frame, model.channels), np.float32)
        self._silent.setflags(write=False)  # it is handed out
        self.restart(0)

    # --- the stream

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n,) → (m, channels), m ≥ 0: the same samples whatever the pieces, as soon as they can be told."""
        self._taken += len(samples)
        waiting = np.concatenate((self._waiting, self._inward.push(samples)))
        frame = self.model.frame
        answers = [self._step(waiting[i : i + frame]) for i in range(0, len(waiting) - frame + 1, frame)]
        self._waiting = waiting[len(answers) * frame :]
        if not answers:
            return np.zeros((0, self.model.channels), np.float32)
        sound = answers[0] if len(answers) == 1 else np.concatenate(answers)
        channels = [way.push(sound[:, c]) for c, way in enumerate(self._outward)]
        return channels[0].reshape(-1, 1) if len(channels) == 1 else np.stack(channels, axis=1)

    def reset(self) -> None:
        """Silence, from position 0."""
        self.model.reset()
        self.restart(0)

    def restart(self, position: int) -> None:
        """Input goes on at `position`, after silence; the model's states are kept.

        Frames lie where they would have lain without it, so the first answer stands at the first frame that begins at
        `position` or after it (`self.position`). libsoxr can begin only where the two rates meet: frames begin there.
        """
        if self._countable:
            begin = ceil(Fraction(position * self._up, self._down * self.model.frame)) * self.model.frame
        else:
            begin = -(-position // self._down) * self._up
        self._taken = position
        self._waiting = np.zeros(0, np.float32)
        self._surplus = self.model.latency  # model samples that answer what came before `begin`
        self._begin = begin  # model samples
        self._inward.restart(position, begin)
        for way in self._outward:
            way.restart(begin, -(-begin * self._down // self._up))
        self.model.clear_edges()
        self._stillness.restart()

    @property
    def position(self) -> int:
        """Of the next output sample."""
        return self._outward[0].given

    @property
    def wanted(self) -> int:
        """How many more input samples until the next answer comes out (libsoxr: can come out); at least 1."""
        if isinstance(self._inward, Soxr):
            return self._inward.wanted
        frame = self.model.frame
        enough = self._outward[0].needed(self.position + 1) + self.model.latency  # model samples
        steps = max(self._next_frame_end(), self._begin + ceil((enough - self._begin) / frame) * frame)
        return max(1, self._inward.needed(steps) - self._taken)

    @property
    def converged(self) -> bool:
        """Silence in, silence out, states standing still: until a sound comes in, nothing changes."""
        return self._stillness.settled

    @property
    def not_finite(self) -> int:
        """Samples of the model (at its rate) that were NaN or infinite, and came out as zeros."""
        return self.model.not_finite

    def _next_frame_end(self) -> int:
        """End of the frame that is being filled, model samples."""
        return self._inward.given - len(self._waiting) + self.model.frame

    def _step(self, frame: Samples) -> Samples:
        """(frame,) → (frame, channels), or less while the model's delay is dropped."""
        if self._stillness.rests(frame):
            self.rested += 1
            sound = self._silent
        else:
            self.computed += 1
            sound = self.model.step(frame)
            self._stillness.see(frame, sound)
        if self._surplus:
            dropped = min(self._surplus, len(sound))
            self._surplus -= dropped
            return sound[dropped:]
        return sound

    # --- counting

    def _count(self) -> int:
        """The most by which output can be behind: just before the input that completes a frame, over a whole period."""
        frame, inward, outward = self.model.frame, self._inward, self._outward[0]
        lag = self.model.latency
        if self._countable:
            started = (lag + outward.reach) // frame + 2  # frames until answers flow
            frames = started + self._up // gcd(frame * self._down, self._up)
        else:
            frames = max(4, COUNTED * self._up // (frame * self._down))
        most = max(
            inward.needed((k + 1) * frame) - 1 - outward.ready(max(0, k * frame - lag)) for k in range(frames)
        )
        # libsoxr's pattern need not repeat within what was counted; it wanders by less than a quantum
        return most if self._countable else most + QUANTUM

    def _split(self) -> Parts:
        model = round(Fraction(self.model.latency * self._down, self._up))
        if self._up == self._down:
            return Parts(self.framing - model, 0, model)
        frame = max(0, round(Fraction(self.model.frame * self._down, self._up)) - 1)
        return Parts(frame, self.framing - model - frame, model)

    def _way_out(self, resampling: str) -> Resampler:
        model = self.model
        if model.manifest.answers == "sound" or self._up == self._down:
            return _resampler(self._down, self._up, resampling)
        if not self._countable:
            raise UsageError(f"{model.manifest.name} answers with records: take --resampling polyphase")
        return Records(self._down, self._up, model.frame, model.latency)

    def _reach(self) -> int:
        """How far before a position it must be restarted for that position to be as if never interrupted."""
        spectral = self.model.manifest.stft.n_fft - 1 if self.model.manifest.stft else 0
        inside = self.model.frame - 1 + spectral + self._outward[0].reach  # model samples
        return self._inward.reach + ceil(Fraction(inside * self._down, self._up))


def _resampler(up: int, down: int, kind: str) -> Resampler:
    if kind not in ("polyphase", "soxr"):
        raise UsageError(f"no resampling '{kind}'. There are polyphase and soxr")
    if up == down:
        return Through()
    if kind == "soxr":
        return Soxr(up, down)
    if max(up, down) > LARGEST_TERM:
        raise RateError(
            f"rates in the ratio {up}:{down} have too little in common; open the device at the model's rate"
        )
    return Polyphase(up, down)
