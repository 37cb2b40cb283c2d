"""The stated law of a held note: its covariance and its mean, float64.

Everything that the voices' loop does to a held note's gains and pitch is written here a second time, in NumPy, as the
specification: `Preset.kernel` and `Preset.mean` are what the loop is tested against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError
from rtsynth.instrument import curves
from rtsynth.instrument.preset import Curve, Preset
from rtsynth.instrument.rows import (
    FIRST,
    GRID,
    SINGLE,
    Channel,
    Rows,
    nyquist_fade,
    refuse_ripple,
    rows_of_key,
)
from rtsynth.kernels.algebra import Kernel
from rtsynth.kernels.kicked import KickedCosines
from rtsynth.kernels.nonstationary import BentRows, GainedBands, GainedRows
from rtsynth.kernels.spectral_mixture import DampedCosines, TwoPoleBands
from rtsynth.kernels.two_regime import seed_crossover, seed_gain

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

FULL_SCALE_16 = 32768.0  # the seed's gain is in steps of 16-bit samples


@dataclass(frozen=True)
class HeldNote:
    """One held note; see `Preset.kernel` for the fields."""

    preset: Preset
    note: int
    velocity: float = 1.0
    sample_rate: float = 48000.0
    alias: bool = False
    knob: float | None = None  # the variance knob, 0…1
    bend: tuple[tuple[float, float], ...] = ()

    @cached_property
    def rows(self) -> Rows:
        return rows_of_key(self.preset, self.note, self.sample_rate, self.alias)

    @property
    def variance(self) -> Array:
        """(K,): of the rows' start. The innovations form starts from its settled law, wherever the knob stands."""
        untouched = self.knob is None or self.preset.form == "innovations"
        return self.rows.variance if untouched else np.full(len(self.rows), self.knob)

    def kernel(self, channel: Channel) -> Kernel:
        """The covariance: of the rows of one pole and, where there are any, of the bands."""
        singles, bands = (np.flatnonzero(self.rows.pole == pole) for pole in (SINGLE, FIRST))
        if not bands.size:
            return self._kernel_of_singles(singles, channel)
        rows = self.rows.take(bands)
        law = TwoPoleBands(rows.frequency, np.sqrt(2.0) * rows.damping / (2.0 * np.pi), self.sample_rate)
        of_bands = GainedBands(law, self.gains(channel, bands))
        return self._kernel_of_singles(singles, channel) + of_bands if singles.size else of_bands

    def _kernel_of_singles(self, singles: Indices, channel: Channel) -> Kernel:
        rows = self.rows.take(singles)
        fields = rows.frequency, rows.damping, rows.settled**2, self.variance[singles]
        block = self.preset.form == "block"
        law = KickedCosines(*fields, GRID / self.sample_rate) if block else DampedCosines(*fields)
        gains = self.gains(channel, singles)
        return BentRows(law, gains, self.turned(singles)) if self.moves else GainedRows(law, gains)

    def mean(self, channel: Channel) -> Callable[[Array], Array]:
        """Times (N,) s → (N,)."""
        every = np.arange(len(self.rows))
        gains, turned = self.gains(channel, every), self.turned(every)
        start = np.sqrt(1.0 - self.variance) * (self.rows.mean_re + 1j * self.rows.mean_im)

        def at(t: Array) -> Array:
            t = np.asarray(t, float)
            turns = turned(t) if self.moves else t[:, None]
            decay = np.multiply.outer(t, -self.rows.damping)
            return (gains(t) * (start * np.exp(decay + 2j * np.pi * self.rows.frequency * turns)).real).sum(
                axis=1
            )

        return at

    # --- gains --------------------------------------------------------------------------------------------------------

    def gains(self, channel: Channel, rows: Indices) -> Callable[[Array], Array]:
        """Straight lines between grid points: times (N,) s → (N, K)."""
        at = self.grid_gains(channel)

        def gains(t: Array) -> Array:
            position = np.asarray(t, float) * self.sample_rate / GRID
            j = np.floor(position + 1e-9).astype(np.intp)
            part = np.maximum(position - j, 0.0)[:, None]
            first = int(j.min(initial=0))
            on_grid = at(np.arange(first, int(j.max(initial=0)) + 2))[:, rows]
            return (1.0 - part) * on_grid[j - first] + part * on_grid[j - first + 1]

        return gains

    def grid_gains(self, channel: Channel) -> Callable[[Indices], Array]:
        """Gains of the rows at grid points j (J,) → (J, K)."""
        rows, envelope = self.rows, self.preset.envelope
        level, mix = level_and_mix(self.preset, self.sample_rate)
        gain = {"left": rows.left, "right": rows.right, "mid": 0.5 * (rows.left + rows.right)}[channel]
        gain = gain * np.exp(rows.tilt * (self.velocity - 1.0))
        attack = envelope.attack_ms * 1e-3 * self.sample_rate

        def at(j: Indices) -> Array:
            held = np.minimum(j, level.size - 1)
            rise = (
                np.sin(0.5 * np.pi * np.minimum(j * GRID / attack, 1.0)) ** 2 if attack else np.ones(j.size)
            )
            share = np.sqrt(rows.before + mix[held][:, None] * (rows.after - rows.before))
            return (level[held] * rise)[:, None] * share * gain * self._fade(j) * self._moved(j)

        return at

    def _fade(self, j: Indices) -> Array:
        """Below Nyquist, at the pitch of the segment that ends at grid point j; bands stay where they are."""
        if self.alias:
            return np.ones((1, 1))
        frequency = self.rows.frequency * (self._ratios(np.maximum(j - 1, 0)) if self.moves else 1.0)
        return np.where(self.rows.pole == SINGLE, nyquist_fade(frequency, self.sample_rate), 1.0)

    def _moved(self, j: Indices) -> Array:
        """What the recorded layers' motions make of each row's gain, (J, K)."""
        gains = np.ones((j.size, len(self.rows)))
        for number, motion in enumerate(self.rows.motions):
            mine = self.rows.motion == number
            rises, drawn = mine & (self.rows.curve < 0), mine & (self.rows.curve >= 0)
            gains[:, rises] = motion.rise(np.asarray(j * GRID, float), self.sample_rate)[:, None]
            place = curves.place(np.asarray(j * GRID / self.sample_rate), motion.loop)
            gains[:, drawn] = curves.straight(motion.times, motion.gains, place)[:, self.rows.curve[drawn]]
        return gains

    # --- pitch --------------------------------------------------------------------------------------------------------

    @property
    def moves(self) -> bool:
        """Whether any row's pitch leaves its own frequency."""
        return any(ratio != 1.0 for _, ratio in self.bend) or any(
            motion.bends for motion in self.rows.motions
        )

    def turned(self, rows: Indices) -> Callable[[Array], Array]:
        """Seconds that rows (K,) have turned at their own frequency: times (N,) s → (N, K). Pitch moves by segments."""

        def turned(t: Array) -> Array:
            position = np.asarray(t, float) * self.sample_rate / GRID
            segment = np.floor(position + 1e-9).astype(np.intp)
            ratios = self._ratios(np.arange(int(segment.max(initial=0)) + 1))[:, rows]
            before = np.concatenate([np.zeros((1, rows.size)), np.cumsum(ratios, axis=0)])
            part = (position - segment)[:, None]
            turns: Array = (before[segment] + part * ratios[segment]) * (GRID / self.sample_rate)
            return turns

        return turned

    def _ratios(self, segments: Indices) -> Array:
        """Pitch over its own of each row in segments (S,) → (S, K): the wheel's, and a line's own in mid-segment."""
        ratios = np.ones((segments.size, len(self.rows)))
        single = self.rows.pole == SINGLE
        for seconds, ratio in self.bend:
            reached = np.round(seconds * self.sample_rate) <= segments * GRID
            ratios[np.ix_(reached, single)] = ratio
        for number, motion in enumerate(self.rows.motions):
            lines = (self.rows.motion == number) & (self.rows.curve >= 0) & single
            place = curves.place(np.asarray((segments + 0.5) * (GRID / self.sample_rate)), motion.loop)
            ratios[:, lines] *= curves.ratio(np.interp(place, motion.times, motion.cents))[:, None]
        return ratios


def level_and_mix(preset: Preset, sample_rate: float) -> Array:
    """Level and mix of the two regimes at the grid points since a note's start, (2, n); the last point is held."""
    envelope = preset.envelope
    seconds = 3.0 if "seed" in (envelope.level, envelope.crossover) else 0.0
    if isinstance(envelope.level, Curve):
        seconds = max(seconds, envelope.level.times[-1])
    t = np.arange(int(np.ceil(seconds * sample_rate / GRID)) + 1) * (GRID / sample_rate)
    level, mix = np.ones_like(t), np.zeros_like(t)
    if envelope.level == "seed":
        level = seed_gain(t) / FULL_SCALE_16
    elif isinstance(envelope.level, Curve):
        level = np.interp(t, envelope.level.times, envelope.level.values)
    if envelope.crossover == "seed":
        mix = seed_crossover(t)
    return np.stack([level, mix])


def problems(preset: Preset) -> list[str]:
    """What a valid file may still get wrong: keys without a sounding row, levels no limiter should have to catch."""
    found = []
    try:
        refuse_ripple(preset)
    except InputError as error:
        found.append(str(error))
    loudest = float(level_and_mix(preset, 48000.0)[0].max())
    for note in (21, 60, 108):
        power = loudest**2 * _power(rows_of_key(preset, note, 48000.0))
        if power == 0:
            found.append(f"key {note} has no sounding row")
        elif power > 1:
            found.append(
                f"key {note} has {10 * np.log10(power):.0f} dB of power above full scale: lower gain_db"
            )
    return found


def _power(rows: Rows) -> float:
    """Of the left channel at the start, or where the curves of recorded layers and the regimes have most."""
    mean_power = rows.mean_re**2 + rows.mean_im**2
    start = np.where(rows.pole == SINGLE, rows.variance + (1.0 - rows.variance) * mean_power, 1.0)
    still = rows.left**2 * start * ((rows.curve < 0) & (rows.pole <= FIRST))
    power = max(float((still * rows.before).sum()), float((still * rows.after).sum()))
    for number, motion in enumerate(rows.motions):
        drawn = (rows.motion == number) & (rows.curve >= 0) & (rows.pole <= FIRST)
        curved = (motion.gains[:, rows.curve[drawn]] * rows.left[drawn]) ** 2
        power += float(curved.sum(axis=1).max())
    return power
