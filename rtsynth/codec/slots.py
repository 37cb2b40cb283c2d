"""Modes in the slots of strikes: a strike has no number for a mode's phase, its slot is the phase.

The mode in slot m of a strike begins as sin(2π f t + m π/4). A mode of any phase is the sum of two in neighbouring
slots, both with amplitudes ≥ 0; where the smaller of the two is not heard, it is left out. So the order of eight modes,
which would otherwise say nothing, carries their phases: with all phases 0 the same modes are 2 dB further from a piano.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.event import ABSENT, MODE_COUNT, MODES, Events
from rtsynth.instrument.fitting.modes import Modes, heard_cells, sound
from rtsynth.instrument.fitting.recording import Array, Recording

STEP = 2.0 * np.pi / MODE_COUNT  # radians from slot to slot
LN_T60 = np.log(3.0 * np.log(10.0))  # ln t60 = LN_T60 - ln damping
ATTACK, ATTACK_WEIGHT = 0.1, 10.0  # seconds after the onset, and how much more what is heard there counts


@dataclass(frozen=True, eq=False)
class Atoms:
    """A modes that begin at one time: Im amplitude exp((-damping + 2πi frequency) t + i STEP slot)."""

    frequency: Array  # (A,) hertz
    damping: Array  # (A,) 1/s
    amplitude: Array  # (A,) linear, ≥ 0
    slot: NDArray[np.int64]  # (A,) 0 … 7

    def __len__(self) -> int:
        return self.frequency.size

    def __getitem__(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Atoms:
        return Atoms(self.frequency[which], self.damping[which], self.amplitude[which], self.slot[which])

    def modes(self) -> Modes:
        """The same with complex amplitudes."""
        return Modes(self.frequency, self.damping, -1j * self.amplitude * np.exp(1j * STEP * self.slot))


def in_slots(modes: Modes, seconds: float) -> Atoms:
    """Two atoms a mode, as they are `seconds` after the modes' own onset; the attack is taken for none.

    Back in time a mode grows by at most its amplitude again.
    """
    poles = -modes.damping + 2j * np.pi * modes.frequency
    shift = seconds - modes.start
    growth = np.minimum(np.exp(-modes.damping * shift), 2.0)
    amplitude = 1j * modes.amplitude * growth * np.exp(1j * poles.imag * shift)
    slot = np.floor(np.angle(amplitude) / STEP)
    beyond = np.angle(amplitude) - STEP * slot
    upper = np.abs(amplitude) * np.sin(beyond) / np.sin(STEP)
    lower = np.abs(amplitude) * np.cos(beyond) - upper * np.cos(STEP)
    slots = np.concatenate([slot, slot + 1]).astype(np.int64) % MODE_COUNT
    parts = np.maximum(np.concatenate([lower, upper]), 0.0)
    return Atoms(np.tile(modes.frequency, 2), np.tile(modes.damping, 2), parts, slots)


def weights(atoms: Atoms, recording: Recording) -> Array:
    """How much of a recording each atom (A,) accounts for, in cells of ENV, those of the attack counting more."""
    early = recording.samples[: recording.onset + round(ATTACK * recording.sample_rate)]
    modes = atoms.modes()
    return heard_cells(modes, recording) + ATTACK_WEIGHT * heard_cells(
        modes, replace(recording, samples=early)
    )


def grouped(atoms: Atoms, weight: Array, most: int, least: float) -> list[Atoms]:
    """At most `most` groups, a slot once in each, heaviest first; nothing that weighs less than `least`."""
    order = np.argsort(-weight, kind="stable")
    order = order[weight[order] > least]
    slot = atoms.slot[order]
    rank = np.zeros(order.size, np.int64)
    for m in range(MODE_COUNT):
        rank[slot == m] = np.arange(np.count_nonzero(slot == m))
    return [atoms[order[rank == group]] for group in range(min(most, rank.max(initial=-1) + 1))]


def vector_of(atoms: Atoms, gain: float) -> NDArray[np.float32]:
    """The 24 numbers of at most eight atoms in different slots, amplitudes re `gain`, ln amplitude."""
    out = np.tile(np.array([0.0, 0.0, ABSENT], np.float32), (MODE_COUNT, 1))
    level = np.log(np.maximum(atoms.amplitude, 1e-300)) - gain
    out[atoms.slot] = np.stack([np.log(atoms.frequency), LN_T60 - np.log(atoms.damping), level], axis=1)
    out[out[:, 2] <= ABSENT] = 0.0, 0.0, ABSENT
    return out.ravel()


def atoms_of(events: Events) -> Atoms:
    """The atoms of strikes (N,) that begin at one time."""
    modes = events["vector"][:, MODES].reshape(-1, MODE_COUNT, 3).astype(np.float64)
    level = modes[..., 2] + events["gain"][:, None]
    slot = np.broadcast_to(np.arange(MODE_COUNT), level.shape)
    there = modes[..., 2] > ABSENT
    frequency, t60 = np.exp(modes[there][:, :2].T)
    return Atoms(frequency, np.exp(LN_T60) / t60, np.exp(level[there]), slot[there])


def ringing(atoms: Atoms, sample_rate: float, samples: int, begin: float) -> Array:
    """Samples (samples,) of atoms that begin at `begin`, a time in samples that may be negative or no whole number."""
    if begin >= 0.0:
        modes = atoms.modes()
        return sound(replace(modes, start=begin / sample_rate), sample_rate, samples)
    modes = atoms.modes()
    poles = -modes.damping + 2j * np.pi * modes.frequency
    later = modes.amplitude * np.exp(-poles * begin / sample_rate)
    return sound(replace(modes, amplitude=later), sample_rate, samples)
