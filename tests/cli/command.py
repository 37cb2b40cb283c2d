"""Running the command line as users do: a process of its own, its streams and its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import mido

PATIENCE = 120.0  # seconds; the first run of all compiles
PROGRAM = (sys.executable, "-m", "rtsynth")
ROOT = Path(__file__).parents[2]


def environment(**more: str) -> dict[str, str]:
    """This process's environment, with the checkout importable from every folder."""
    return os.environ | {"PYTHONPATH": str(ROOT)} | more


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line of an error; fails where there is more or less."""
        (line,) = self.err.splitlines()
        assert line.startswith("rtsynth: ")
        return line


Inside = Callable[..., Done]  # the same as `rtsynth`, in this process: the fixture `inside`


def rtsynth(*arguments: object, program: Sequence[str] = PROGRAM) -> Done:
    """Run `rtsynth ARGUMENTS` to its end."""
    command = [*program, *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment()
    )
    return Done(done.returncode, done.stdout, done.stderr)


def write_piece(path: Path, notes: Sequence[int] = (60, 64, 67), seconds: float = 0.2) -> Path:
    """A MIDI file of notes one after the other."""
    track = mido.MidiTrack()
    for note in notes:
        track.append(mido.Message("note_on", note=note, velocity=90))
        track.append(mido.Message("note_off", note=note, time=round(seconds * 960)))
    mido.MidiFile(tracks=[track]).save(path)
    return path
