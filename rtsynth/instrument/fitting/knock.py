"""Short modes: what the onset of a note has beside its partials, as modes that are gone within a second.

They are looked for in the first third of a second of what the long modes leave, in bands around its strongest
stretches. Short modes are wide and reach into each other's bands, so after each round the amplitudes of all of them
are solved for together.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.fitting.attack import rise
from rtsynth.instrument.fitting.group import Group, Kind
from rtsynth.instrument.fitting.recording import Array
from rtsynth.instrument.fitting.subband import Onset, Transform, bands_around

SEARCHED = 0.35  # seconds after the onset
LONGEST_T60 = 1.2  # seconds
SHORT = Kind(most=2, damping=(3.0 * math.log(10.0) / LONGEST_T60, 150.0), even=True)
HALF_WIDTH = 60.0  # hertz
BANDS = 20  # a round
RIDGE = 1e-3  # of the Gram matrix's diagonal: keeps modes of one frequency from cancelling each other


def strongest_bands(residual: Transform) -> Group:
    """Bands without modes yet, around the stretches with most energy, none overlapping."""
    energy = np.cumsum(np.abs(residual.spectrum) ** 2)
    half = max(1, round(HALF_WIDTH / residual.spacing))
    centres = np.arange(half, energy.size - half)
    energy = energy[centres + half] - energy[centres - half]
    chosen: list[float] = []
    while len(chosen) < BANDS and energy.size and energy.max() > 0.0:
        i = int(np.argmax(energy))
        chosen.append(float(centres[i]) * residual.spacing)
        energy[max(0, i - 2 * half) : i + 2 * half] = 0.0
    return Group(bands_around(chosen, HALF_WIDTH, residual), SHORT)


def solve_amplitudes(groups: list[Group], target: Array, times: Array, onset: Onset) -> None:
    """Give all modes of `groups` their amplitudes by least squares on target (N,), at times (N,) since the onset."""
    poles = np.concatenate([group.poles[group.used] for group in groups])
    sounding = times >= onset.start - 1e-9
    since = times[sounding] - onset.start
    ring = np.exp(poles[:, None] * since) * rise(times[sounding], onset)
    design = np.concatenate([ring.real, -ring.imag])
    gram = design @ design.T
    gram[np.diag_indices_from(gram)] *= 1.0 + RIDGE
    gram[np.diag_indices_from(gram)] += 1e-300
    parts = np.linalg.solve(gram, design @ target[sounding])
    amplitude = parts[: poles.size] + 1j * parts[poles.size :]
    for group, part in zip(groups, np.split(amplitude, _ends(groups)), strict=True):
        group.amplitude[group.used] = part


def _ends(groups: list[Group]) -> NDArray[np.int64]:
    return np.cumsum([int(group.count.sum()) for group in groups])[:-1]
