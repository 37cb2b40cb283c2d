"""Music as a piano roll, step by step: what a network of `rtsynth train music` plays, and what it has heard.

A roll is (T, 88) of 0 and 1: row t holds the keys that sound in step t, column 0 the lowest A (MIDI 21).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError, UsageError
from rtsynth.sequence.network import StepNetwork, load

KEYS, LOWEST = 88, 21  # keys of a piano, and the MIDI number of the first
COOLEST, HOTTEST = 0.05, 5.0  # temperatures

Notes = NDArray[np.bool_]  # (88,)
Sounding = NDArray[np.float64]  # (N, 3): begin and end, in beats or seconds, and MIDI key


class Composer:
    """Draws music from a network: what it hears decides what it plays next. The same seed plays the same.

    temperature: below 1 it dares less, above 1 more; every key's odds are raised to its reciprocal.
    """

    def __init__(
        self, network: StepNetwork | str | Path = "music", seed: int = 1, temperature: float = 1.0
    ) -> None:
        if not COOLEST <= temperature <= HOTTEST:
            raise UsageError(f"a temperature of {temperature:g}: it goes from {COOLEST:g} to {HOTTEST:g}")
        if seed < 0:
            raise UsageError("a seed is 0 or more")
        self.network = network if isinstance(network, StepNetwork) else load(network, "music")
        _check(self.network)
        self.step_beats = _beats(self.network)
        self.temperature = temperature
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        """Nothing heard, and the draws from their beginning."""
        self.network.reset()
        self._rng = np.random.Generator(np.random.Philox(self._seed))
        self._last: Notes | None = None

    def hear(self, notes: NDArray) -> None:
        """One step that was played, by whomever: keys that sound, (88,)."""
        if self._last is not None:
            self.network.step(heard=self._last)
        self._last = np.array(notes, bool).reshape(KEYS)

    def step(self) -> Notes:
        """The next step, (88,), drawn from what the network makes of all the steps before; it is heard too.

        Where nothing was heard it begins after a step of silence.
        """
        heard = np.zeros(KEYS, bool) if self._last is None else self._last
        draws = self._rng.random(KEYS, np.float32)
        said = self.network.step(heard=heard, draws=draws, temperature=self.temperature)
        self._last = said["notes"][0] > 0.5
        return self._last.copy()


def _check(network: StepNetwork) -> None:
    wanted = {"heard": (1, KEYS), "draws": (1, KEYS), "temperature": (1, 1)}
    if network.inputs != wanted or network.outputs.get("notes") != (1, KEYS):
        raise InputError(
            f"{network.path}: a network for music takes {', '.join(wanted)} and gives notes, (1, {KEYS})"
        )


def _beats(network: StepNetwork) -> float:
    """How long a step is."""
    beats = network.settings.get("step_beats", 0.5)
    if not isinstance(beats, int | float) or not 0.01 <= beats <= 64:
        raise InputError(f"{network.path}: a step of {beats!r} beats")
    return float(beats)


def on_grid(sounding: Sounding, step: float) -> Notes:
    """Notes -> (T, 88), `step` in their unit: each from the step nearest its begin to that nearest its end, or one.

    Keys that no piano has are left out.
    """
    kept = sounding[(sounding[:, 2] >= LOWEST) & (sounding[:, 2] < LOWEST + KEYS)]
    first = np.rint(kept[:, 0] / step).astype(int)
    last = np.maximum(np.rint(kept[:, 1] / step).astype(int), first + 1)
    roll = np.zeros((last.max(initial=0), KEYS), bool)
    for begin, end, key in zip(first, last, kept[:, 2].astype(int) - LOWEST, strict=True):
        roll[begin:end, key] = True
    return roll


def joined(roll: Notes, step: float) -> Sounding:
    """(T, 88) -> notes in order, `step` in their unit: a key that sounds in steps next to each other is held."""
    edges = np.diff(np.pad(roll.astype(np.int8), ((1, 1), (0, 0))), axis=0)  # (T + 1, 88)
    keys, begins = np.nonzero(edges.T == 1)
    ends = np.nonzero(edges.T == -1)[1]
    notes = np.stack([begins * step, ends * step, keys + LOWEST], axis=1).astype(float)
    return notes[np.lexsort((notes[:, 2], notes[:, 0]))]
