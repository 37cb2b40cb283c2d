"""Struck and plucked sound as strikes: at every onset a few groups of eight damped modes, each with a burst of noise.

Matching pursuit over onsets (Mallat and Zhang, Matching pursuits with time-frequency dictionaries, 1993), with a
dictionary that is fitted and not stored: what the strikes so far leave of the sound is taken up to the next onset, its
modes are fitted as those of an instrument's note (rtsynth/instrument/fitting), put into slots (slots.py), and what they
leave is noise (bursts.py). What may have been let go is fitted twice, ringing on and damped (dampers.py): the nearer
stays. Strikes of one onset share its time, and are in voices 0, 1, 2, …, loudest first.

The residual is that of the sum of all events, never of one: `residual_energy`. No event is kept that does not lower it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from rtsynth.codec.bursts import (
    NO_BURST,
    Bursts,
    burst_vector,
    fit_bursts,
    joined,
)
from rtsynth.codec.dampers import NO_DAMPER, Damper, find_knee, fit_damper
from rtsynth.codec.event import BURST, CONTROL, DAMPED_AFTER, DAMPED_T60, EVENT, MODES, Events, Kind
from rtsynth.codec.onsets import APART, find_onsets
from rtsynth.codec.slots import Atoms, grouped, in_slots, ringing, vector_of, weights
from rtsynth.codec.strike_residual import LEAD, Left, Strikes, around, checked, start_of, strikes_of
from rtsynth.instrument.fitting.modes import fit_modes
from rtsynth.instrument.fitting.pitch import fundamental
from rtsynth.instrument.fitting.recording import ONSET_LEVEL, SILENT, Array, Recording
from rtsynth.instrument.fitting.views import Heard

MOST = 16  # strikes an onset
LONGEST = 6.0  # seconds after an onset that are fitted
EARLY = 0.003  # seconds: a fit looks for the start of its modes in the 5 ms from here on
SHORTEST = 0.05  # seconds of sound that a fit needs
LEAST_WEIGHT = 0.5  # cells: what accounts for less is no mode of a strike


def encode_strikes(
    samples: ArrayLike,
    sample_rate: float,
    *,
    most: int = MOST,
    progress: Callable[[float], None] = lambda share: None,
) -> Events:
    """The strikes (K,) of samples (N,), linear, at most `most` an onset; none of silence.

    InputError for what is no sound: not one channel, not numbers, a rate below 4 kHz.
    """
    x = checked(samples, sample_rate)
    strikes: list[Strikes] = []
    for begin, end in pairwise([*_begins(x, sample_rate), x.size]):
        strikes.append(_at(x, sample_rate, begin, end, strikes, most))
        progress(end / x.size)
    return np.concatenate([np.zeros(0, EVENT), *(s.events for s in strikes)])


def _begins(x: Array, sample_rate: float) -> Iterator[int]:
    """Onsets, the sound's own beginning among them where it is loud before the first one."""
    if x.size < SHORTEST * sample_rate or np.ptp(x) < 2.0 * SILENT:
        return
    onsets = find_onsets(x, sample_rate)
    first = int(np.argmax(np.abs(x) > ONSET_LEVEL * np.abs(x).max()))
    if onsets.size == 0 or onsets[0] - first > APART * sample_rate:
        onsets = np.concatenate([[first], onsets])
    last = -x.size
    for onset in onsets.tolist():
        early = max(0, onset - round(EARLY * sample_rate))
        if early - last >= SHORTEST * sample_rate and x.size - early >= SHORTEST * sample_rate:
            last = early
            yield early


# ---- one onset ----


def _at(x: Array, rate: float, begin: int, end: int, before: list[Strikes], most: int) -> Strikes:
    """The strikes of the onset at sample `begin`; the next one is at `end`."""
    last = min(end, begin + round(LONGEST * rate))
    left = around(x, rate, begin, before)
    heard = left.wave[begin - left.first : last - left.first]
    if np.ptp(heard) < 2.0 * SILENT:
        return strikes_of(np.zeros(0, EVENT))
    older = joined([s.bursts_at(begin / rate) for s in before])
    note = _Note(begin, last, end, end < x.size, most)
    free, found = copy(left), copy(left)
    ringing_on = _struck(free, older, note)
    if (knee := find_knee(heard, rate)) is None:
        return ringing_on
    let_go = _struck(found, older, replace(note, last=begin + round(knee * rate)), knee)
    nearer = found.distance_db(begin, end) < free.distance_db(begin, end)
    return let_go if nearer else ringing_on


@dataclass(frozen=True)
class _Note:
    """Samples of the whole sound: where it begins, what is fitted ends, and the next one begins, if there is one."""

    begin: int
    last: int
    end: int
    followed: bool
    most: int  # strikes


def _struck(left: Left, older: Bursts, note: _Note, knee: float | None = None) -> Strikes:
    """The strikes of a note beside `older` bursts, taken off what is left; let go after `knee` seconds, if ever."""
    rate, first = left.rate, max(left.first, note.begin - round(LEAD * left.rate))
    fitted = left.wave[first - left.first : note.last - left.first]
    recording = Recording(fitted.copy(), rate, note.begin - first, "sound")
    modes = fit_modes(recording, fundamental(recording))
    time = round((note.begin / rate + modes.start) / CONTROL)
    if note.followed and knee is None:
        modes = left.damped(modes, note.begin, note.end)
    start = start_of(time * CONTROL, rate)
    atoms = in_slots(modes, (start - note.begin) / rate)
    groups = grouped(atoms, weights(_audible(atoms, rate), recording), note.most, LEAST_WEIGHT)
    tonal = sum(
        (ringing(g, rate, left.wave.size, start - left.first) for g in groups), np.zeros(left.wave.size)
    )
    heard = Heard(
        recording.samples, tonal[first - left.first : note.last - left.first], rate, recording.onset
    )
    bursts, damper = fit_bursts(heard, note.most, older), NO_DAMPER
    if knee is not None:
        begin, end = ((at - left.first) / rate for at in (start, note.end))
        knee -= (start - note.begin) / rate
        damper = fit_damper(knee, begin, end, left.wave, tonal, left.frames, rate)
    elif note.followed:
        bursts = left.fading(bursts, start)
    return left.lowering(_events(time, groups, bursts, damper))


def _audible(atoms: Atoms, rate: float) -> Atoms:
    """Nothing at or beyond Nyquist, where cells have no place."""
    inside = atoms.frequency < 0.499 * rate
    return replace(
        atoms,
        amplitude=np.where(inside, atoms.amplitude, 0.0),
        frequency=np.minimum(atoms.frequency, 0.499 * rate),
    )


def _events(time: int, groups: list[Atoms], bursts: Bursts, damper: Damper) -> Events:
    """A strike for every group and burst there is, in voices 0, 1, …"""
    out = np.zeros(max(len(groups), len(bursts)), EVENT)
    out["time"], out["kind"], out["voice"] = time, Kind.STRIKE, np.arange(len(out))
    nothing = Atoms(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
    for k, event in enumerate(out):
        atoms = groups[k] if k < len(groups) else nothing
        levels = [*atoms.amplitude, *bursts.level[k : k + 1]]
        event["gain"] = max(np.log(max(levels)), -60.0)
        event["vector"][MODES] = vector_of(atoms, event["gain"])
        event["vector"][BURST] = burst_vector(bursts, k, event["gain"]) if k < len(bursts) else NO_BURST
        if damper is not NO_DAMPER:
            event["vector"][[DAMPED_AFTER, DAMPED_T60]] = damper.after, np.log(damper.t60)
    return out
