"""What strikes leave of a sound: a waveform where modes were subtracted, and in it the energy that bursts explain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.codec.bursts import DIPS, LOUDER, NO_BURST, Bursts, bursts_of, cells_of, fading
from rtsynth.codec.dampers import AFTER, NO_DAMPER, Damper, distance_db
from rtsynth.codec.event import ABSENT, BURST, CONTROL, DAMPED_AFTER, DAMPED_T60, EVENT, MODES, Events
from rtsynth.codec.slots import Atoms, atoms_of, ringing
from rtsynth.errors import InputError
from rtsynth.instrument.fitting.metrics import Frames, cell_frames, erb_triangles
from rtsynth.instrument.fitting.modes import Modes
from rtsynth.instrument.fitting.recording import LOWEST_RATE, Array

LEAD = 0.02  # seconds before an onset that are looked at
LEAST_GAIN = 1e-6  # of what an onset finds: an event that takes less off is none
SEEN = 6.0  # seconds after an onset over which an event must lower the residual
GONE = 1e-5  # of full scale: what is softer than this sounds no more


def residual_energy(samples: ArrayLike, sample_rate: float, events: Events) -> float:
    """What the strikes leave of samples (N,): Σ |energy of (samples - all modes) - energy expected of all bursts|.

    Over cells of 40 ms every 20 ms in 40 ERB bands, those of ENV: noise has no waveform to subtract, only an energy.
    The mean of the samples does not count. InputError as `encode_strikes`.
    """
    left = Left(checked(samples, sample_rate), sample_rate, 0)
    for one in by_time(events):
        left.take(one)
    return left.energy()


@dataclass(frozen=True, eq=False)
class Strikes:
    """All strikes of one time, and what they are in hertz and seconds."""

    events: Events
    atoms: Atoms
    bursts: Bursts
    damper: Damper = NO_DAMPER

    @property
    def time(self) -> float:
        """Seconds."""
        return float(self.events["time"][0]) * CONTROL if len(self.events) else 0.0

    def bursts_at(self, seconds: float) -> Bursts:
        """What is left of the bursts at a time."""
        since = seconds - self.time
        left = self.bursts.at(since)
        if self.damper is NO_DAMPER or not len(left):
            return left
        gain = np.sqrt(self.damper.power(np.array([since])))
        faster = 1.0 / (1.0 / left.t60 + 1.0 / self.damper.t60) if since >= self.damper.after else left.t60
        return replace(left, level=left.level * gain, t60=faster)

    def sample(self, rate: float) -> int:
        """Where the decoder starts them."""
        return start_of(self.time, rate)


def start_of(seconds: float, rate: float) -> int:
    """The sample nearest to a time: where the decoder starts what begins then."""
    return int(np.floor(seconds * rate + 0.5))


def strikes_of(events: Events) -> Strikes:
    return Strikes(events, atoms_of(events), bursts_of(events), damper_of(events))


def damper_of(events: Events) -> Damper:
    """The damper of strikes (N,) of one time: they are one note's."""
    damped = events[events["vector"][:, DAMPED_AFTER] > 0.0]
    if not len(damped):
        return NO_DAMPER
    after, ln_t60 = damped["vector"][0, [DAMPED_AFTER, DAMPED_T60]].astype(float)
    return Damper(after, float(np.exp(ln_t60)))


def by_time(events: Events) -> Iterator[Strikes]:
    """Those of one time, and of one damper."""
    dampers = events["vector"][:, DAMPED_AFTER : DAMPED_T60 + 1].astype(float)
    keys = np.concatenate([events["time"][:, None], dampers], axis=1)
    for key in np.unique(keys, axis=0):
        yield strikes_of(events[(keys == key).all(axis=1)])


def checked(samples: ArrayLike, sample_rate: float) -> Array:
    x = np.asarray(samples, np.float64)
    if x.ndim != 1:
        raise InputError(f"strikes are encoded from samples (N,) of one channel, not from {x.shape}")
    if not (np.isfinite(sample_rate) and sample_rate >= LOWEST_RATE):
        raise InputError(f"a sample rate of {sample_rate:g} Hz is too low; {LOWEST_RATE:g} Hz is the least")
    if not np.isfinite(x).all():
        raise InputError("the sound has samples that are not numbers; export it again from its source")
    return x - np.mean(x) if x.size else x


class Left:
    """What strikes leave of a stretch of sound from sample `first` on: a waveform, and cells of noise explained."""

    def __init__(self, wave: Array, rate: float, first: int) -> None:
        self.heard, self.wave, self.rate, self.first = wave, wave, rate, first
        self.frames: Frames = cell_frames(rate)
        self._triangles = erb_triangles(self.frames.n_fft, rate).T
        self.noise = np.zeros((self.frames.count(wave.size), self._triangles.shape[1]))

    def take(self, strikes: Strikes) -> None:
        """Strikes have been found."""
        self.wave = self.wave - self._sound(strikes)
        self.noise = self.noise + self._cells(strikes)

    def damped(self, modes: Modes, begin: int, end: int) -> Modes:
        """Modes that are gone sooner where they would be louder than what is heard after sample `end`, the next onset.

        A note may have been damped by then, and all that is known of its modes is how they began.
        """
        from scipy.ndimage import maximum_filter1d

        middles = (np.arange(len(self.noise)) * self.frames.hop + self.first) / self.rate
        later = middles > end / self.rate
        if not later.any():
            return modes
        cells = maximum_filter1d(self.frames.power(self.wave)[later] @ self._triangles, DIPS, axis=0)
        bins = np.minimum(np.round(modes.frequency * self.frames.n_fft / self.rate), len(self._triangles) - 1)
        into = self._triangles[bins.astype(np.int64)]  # (M, bands)
        where = into.argmax(axis=1)
        peak = into.max(axis=1) * np.sum(self.frames.window**2) * self.frames.n_fft / 4.0
        excess = np.log(np.abs(modes.amplitude) ** 2 * peak / (cells[:, where] + 1e-300) + 1e-300)
        least = excess / (2.0 * (middles[later] - begin / self.rate)[:, None])
        return replace(modes, damping=np.maximum(modes.damping, np.quantile(least, 1.0 - LOUDER, axis=0)))

    def fading(self, bursts: Bursts, start: int) -> Bursts:
        """Bursts that begin at sample `start`, none louder than what is heard later."""
        middles = (np.arange(len(self.noise)) * self.frames.hop + self.first - start) / self.rate
        cells = self.frames.power(self.wave) @ self._triangles
        return fading(bursts, cells, self.frames, self.rate, middles)

    def energy(self) -> float:
        return self._energy(self.wave, self.noise)

    def lowering(self, events: Events) -> Strikes:
        """Those of the events that lower the energy, loudest first; one whose modes or burst alone does, with that."""
        energy, kept = self.energy(), []
        least = LEAST_GAIN * energy
        for event in events[np.argsort(-_loudness(events), kind="stable")]:
            for part in _parts(event):
                strikes = strikes_of(part)
                wave, noise = self.wave - self._sound(strikes), self.noise + self._cells(strikes)
                if (lower := self._energy(wave, noise)) < energy - least:
                    self.wave, self.noise, energy = wave, noise, lower
                    kept.append(part)
                    break
        found = np.concatenate([np.zeros(0, EVENT), *kept])
        found["voice"] = np.arange(len(found))
        return strikes_of(found)

    def distance_db(self, begin: int, end: int) -> float:
        """Mean |dB| between what is heard from sample `begin` on and what has been found; from `end` on, where others
        begin, only by how much that is too loud.
        """
        last = min(end + round(AFTER * self.rate), self.first + self.wave.size)
        at = np.arange(len(self.noise)) * self.frames.hop + self.first
        near = (at >= begin) & (at < last)
        heard, left = (
            self.frames.power(x)[near] @ self._triangles for x in (self.heard, self.heard - self.wave)
        )
        return distance_db(left + self.noise[near], heard, float(heard.max()), at[near] > end)

    def _begin(self, strikes: Strikes) -> int:
        return strikes.sample(self.rate) - self.first

    def _sound(self, strikes: Strikes) -> Array:
        begin, atoms = self._begin(strikes), strikes.atoms
        still = atoms.amplitude * np.exp(np.minimum(atoms.damping * begin / self.rate, 0.0)) > GONE
        if not still.any():
            return np.zeros(self.wave.size)
        free = ringing(atoms[still], self.rate, self.wave.size, begin)
        if strikes.damper is NO_DAMPER:
            return free
        since = (np.arange(self.wave.size) - begin) / self.rate
        return free * np.sqrt(strikes.damper.power(since))

    def _cells(self, strikes: Strikes) -> Array:
        begin = self._begin(strikes)
        still = strikes.bursts.at(-begin / self.rate).level > GONE
        free = cells_of(strikes.bursts[still], self.frames, self.rate, len(self.noise), begin)
        since = (np.arange(len(self.noise)) * self.frames.hop - begin) / self.rate
        return free * strikes.damper.power(since)[:, None]

    def _energy(self, wave: Array, noise: Array) -> float:
        return float(np.sum(np.abs(self.frames.power(wave) @ self._triangles - noise)))


def around(x: Array, rate: float, begin: int, before: list[Strikes]) -> Left:
    """What strikes leave from before an onset to when hardly anything of it sounds; frames are those of the whole."""
    frames = cell_frames(rate)
    early = max(0, begin - frames.window.size - round(LEAD * rate))
    first = early // frames.hop * frames.hop
    left = Left(x[first : begin + round(SEEN * rate)], rate, first)
    for strikes in before:
        left.take(strikes)
    return left


def _loudness(events: Events) -> NDArray[np.float64]:
    """Energy (K,) of each strike from its start to its end, about."""
    out = np.zeros(len(events))
    for k in range(len(events)):
        one = strikes_of(events[k : k + 1])
        out[k] = np.sum(one.atoms.amplitude**2 / one.atoms.damping) + np.sum(
            one.bursts.level**2 * one.bursts.t60
        )
    return out


def _parts(event: Events) -> Iterator[Events]:
    """The strike, its modes without its burst, and its burst without its modes, as arrays (1,)."""
    whole = np.array([event], EVENT)
    yield whole
    alone = whole.copy()
    alone["vector"][:, BURST] = NO_BURST
    yield alone
    burst = whole.copy()
    burst["vector"][:, 2 : MODES.stop : 3] = ABSENT
    yield burst
