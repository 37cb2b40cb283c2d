"""The article's scheme as a stream: windows half a window apart, each taken apart event by event.

The networks are two functions, given (`Networks`); everything between them is here: spectra, what is removed, what may
be picked, where an event sounds. All the sound of an event lies in the window it was found in, so half a window is
final as soon as the window after it begins. Delay: a window, and a frame to fill its last column.

Mended, an event is kept only if the residual's energy falls, at the best of four gains; so it falls at every step.
The energy is Σ (|X| - |S(Σ events)|)², over the window.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.event import CONTROL, EVENT, Events, Kind, in_order

Sound = NDArray[np.float32]
Magnitudes = NDArray[np.float32]  # (bins, frames)

GAINS = (1.0, 0.5, 0.25, 0.125)  # of the switch's amplitude, tried
LEAST = 1e-26  # amplitude, -520 dB: an event's gain is a number
LONG_AGO = -(1 << 30)  # frame
TRIES = 16  # picks in a window that do not help, before it is left

Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 22)]


class Scheme(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a trained model besides its networks; it stands in the encoder's file."""

    schema: Literal[1]
    rate: Count  # hertz
    window: Count  # samples, as all that follow
    frame: Count
    hop: Count
    event: Count
    burst: Count
    steps: Count  # events a window at most
    refractory: Annotated[int, msgspec.Meta(ge=0, le=1 << 16)]  # frames
    mended: bool
    generator: str  # sha256 of its file
    card: str = ""

    @property
    def frames(self) -> int:
        return self.window // self.hop

    @property
    def half(self) -> int:
        """Frames from one window to the next."""
        return self.frames // 2

    @property
    def control_steps(self) -> float:
        """In a hop."""
        return self.hop / self.rate / CONTROL

    @property
    def latency(self) -> int:
        """Samples from one that is heard to the last that its half window's events need."""
        return self.window + self.frame - self.hop


class Networks(Protocol):
    def pick(self, residual: Magnitudes, free: NDArray[np.float32]) -> tuple[int, float, NDArray[np.float32]]:
        """(bins, frames), (frames,) 1 or 0 -> frame, amplitude, vector (32,)."""

    def generate(self, vector: NDArray[np.float32], noise: Sound) -> tuple[Sound, float]:
        """(32,), (burst,) in ±1 -> wave (event,), samples by which it is later."""


@dataclass(frozen=True)
class Player:
    """Vectors to sound in its place."""

    scheme: Scheme
    networks: Networks
    seed: int
    fresh: np.random.Generator  # the article's noise: never twice the same

    def place(self, vector: NDArray[np.float32], frame: int) -> tuple[int, NDArray[np.float64]]:
        """First sample, and samples at amplitude 1, of an event at a frame: what lies in the frame's window."""
        scheme = self.scheme
        chance = np.random.default_rng([self.seed, frame]) if scheme.mended else self.fresh
        noise = (2.0 * chance.random(scheme.burst, np.float32) - 1.0).astype(np.float32)
        wave, shift = self.networks.generate(vector, noise)
        late = _delayed(wave.astype(np.float64), scheme.hop + shift, 2 * scheme.hop)
        start, begin = (frame - 1) * scheme.hop, frame // scheme.half * scheme.half * scheme.hop
        first, last = max(start, begin), min(start + late.size, begin + scheme.window)
        return first, late[first - start : last - start]


def player(scheme: Scheme, networks: Networks, seed: int) -> Player:
    return Player(scheme, networks, seed, np.random.default_rng(seed))


class HalfWindows:
    """Sound in pieces of any length -> events, as soon as they can be known; it holds two windows, whatever comes.

    `level`: the amplitude that the networks are given as 1. `watch` is called with every residual (bins, frames) and
    the window's first frame, for pictures.
    """

    def __init__(
        self,
        scheme: Scheme,
        networks: Networks,
        *,
        level: float = 1.0,
        seed: int = 1,
        watch: Callable[[int, Magnitudes], None] | None = None,
    ) -> None:
        self.scheme, self.level, self.watch = scheme, level, watch
        self._networks, self._player = networks, player(scheme, networks, seed)
        self._frame = 0  # where the window begins
        self._total = 0  # samples heard, ever
        self._heard = np.zeros(0)  # from the window's first sample on
        self._said = np.zeros(scheme.latency)  # as long: what events have put there
        self._taken = np.zeros((scheme.frame // 2, scheme.half))  # as published: off its first half, before
        self._last = LONG_AGO  # frame of the last event of the windows before
        self.energies: list[list[float]] = []  # of each window's residual: before, and after each event

    def push(self, samples: Sound) -> Events:
        """More sound, (N,) at the scheme's rate: the events that it settles."""
        self._total += samples.size
        self._heard = np.concatenate([self._heard, samples / self.level])
        found = [np.zeros(0, EVENT)]
        while self._heard.size >= self.scheme.latency:
            found.append(self._next())
        return np.concatenate(found)

    def finish(self) -> Events:
        """The events of what is left; the article's leaves its last window, and so the last half of it."""
        scheme, found = self.scheme, [np.zeros(0, EVENT)]
        total = -(-self._total // scheme.hop)  # frames
        while self._frame < (total if scheme.mended else total - scheme.frames):
            found.append(self._next())
        return np.concatenate(found)

    def _next(self) -> Events:
        """The window's events; then the next one is the window."""
        scheme, half = self.scheme, self.scheme.half * self.scheme.hop
        heard = np.zeros(scheme.latency)
        heard[: self._heard.size] = self._heard[: heard.size]
        target = np.abs(spectrum(heard, scheme))
        found = self._mended(target) if scheme.mended else self._as_published(target)
        self._frame += scheme.half
        self._heard = self._heard[half:]
        self._said = np.concatenate([self._said[half:], np.zeros(half)])
        return in_order(np.array(found, EVENT))

    def _mended(self, target: NDArray[np.float64]) -> list[tuple]:
        scheme, failed = self.scheme, 0
        found: list[tuple] = []
        picked = [self._last]
        said = spectrum(self._said, scheme)
        free = self._free(self._last - self._frame)
        residual = target - np.abs(said)
        energies = [float(np.sum(residual**2))]
        while len(found) < scheme.steps and failed < TRIES:
            frame, amplitude, vector = self._networks.pick(_float(residual), free)
            if amplitude <= 0.0:
                break
            free *= self._free(frame)
            first, sound = self._player.place(vector, self._frame + frame)
            where, change = self._change(first, sound)
            gains = [self._gain(share * amplitude) for share in GAINS]
            left = [target[:, where] - np.abs(said[:, where] + self._amount(g) * change) for g in gains]
            best = int(np.argmin([np.sum(part**2) for part in left]))
            if np.sum(left[best] ** 2) >= np.sum(residual[:, where] ** 2):
                failed += 1
                continue
            said[:, where] += self._amount(gains[best]) * change
            residual[:, where] = left[best]
            begin = first - self._frame * scheme.hop
            self._said[begin : begin + sound.size] += self._amount(gains[best]) * sound
            found.append(self._event(frame, gains[best], vector))
            picked.append(self._frame + frame)
            self._note(energies, residual)
        self.energies.append(energies)
        self._last = max(picked)
        return found

    def _as_published(self, target: NDArray[np.float64]) -> list[tuple]:
        """Magnitudes of single events are taken off, whatever that does; what windows left in common stays taken."""
        scheme = self.scheme
        found: list[tuple] = []
        residual = target.copy()
        residual[:, : scheme.half] -= self._taken
        energies = [float(np.sum(residual**2))]
        for _ in range(scheme.steps):
            frame, amplitude, vector = self._networks.pick(_float(residual), self._free(LONG_AGO))
            if amplitude > 0.0:
                first, sound = self._player.place(vector, self._frame + frame)
                where, change = self._change(first, amplitude * sound)
                residual[:, where] -= np.abs(change)
                found.append(self._event(frame, self._gain(amplitude), vector))
            self._note(energies, residual)
        self.energies.append(energies)
        self._taken = target[:, scheme.half :] - residual[:, scheme.half :]
        return found

    def _gain(self, amplitude: float) -> np.float32:
        """An event's, ln of its amplitude re full scale."""
        return np.float32(math.log(max(amplitude * self.level, LEAST)))

    def _amount(self, gain: np.float32) -> float:
        """The amplitude that it says, as the networks hear it."""
        return math.exp(gain) / self.level

    def _note(self, energies: list[float], residual: NDArray[np.float64]) -> None:
        energies.append(float(np.sum(residual**2)))
        if self.watch is not None:
            self.watch(self._frame, _float(residual))

    def _free(self, picked: int) -> NDArray[np.float32]:
        """(frames,): 1 in the first half, but beside a picked frame."""
        frames = np.arange(self.scheme.frames)
        near = np.abs(frames - picked) <= self.scheme.refractory if self.scheme.refractory else False
        return _float((frames < self.scheme.half) & ~np.asarray(near))

    def _event(self, frame: int, gain: np.float32, vector: NDArray[np.float32]) -> tuple:
        return round((self._frame + frame) * self.scheme.control_steps), Kind.CODE, 0, gain, vector

    def _change(self, first: int, sound: NDArray[np.float64]) -> tuple[slice, NDArray[np.complex128]]:
        """Frames of the window that samples from `first` on are in, and their spectra."""
        scheme, begin = self.scheme, first - self._frame * self.scheme.hop
        lowest = max(0, (begin - scheme.frame) // scheme.hop + 1)
        highest = min(scheme.frames, (begin + sound.size - 1) // scheme.hop + 1)
        wide = np.zeros((highest - 1 - lowest) * scheme.hop + scheme.frame)
        offset = begin - lowest * scheme.hop
        kept = sound[: wide.size - offset]
        wide[offset : offset + kept.size] = kept
        return slice(lowest, highest), spectrum(wide, scheme)


def spectrum(sound: NDArray[np.float64], scheme: Scheme) -> NDArray[np.complex128]:
    """(bins, frames) of the frames that fit: periodic Hann, scaled by 1/√frame, without Nyquist's bin."""
    phase = 2.0 * np.pi * np.arange(scheme.frame) / scheme.frame
    parts = np.lib.stride_tricks.sliding_window_view(sound, scheme.frame)[:: scheme.hop]
    return np.fft.rfft(parts * (0.5 - 0.5 * np.cos(phase)), norm="ortho")[:, :-1].T


def _delayed(wave: NDArray[np.float64], delay: float, longest: int) -> NDArray[np.float64]:
    """(L,) -> (L + longest,), later by `delay` samples, 0 to `longest`, no whole number of them."""
    n = 1 << (wave.size + longest - 1).bit_length()
    turn = np.exp(-2j * np.pi * delay / n * np.arange(n // 2 + 1))
    return np.fft.irfft(np.fft.rfft(wave, n) * turn, n)[: wave.size + longest]


def _float(x: NDArray) -> NDArray[np.float32]:
    return np.ascontiguousarray(x, np.float32)
