"""Flags that several verbs share, each with one name and one help text; frozen values, grouped by use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

PresetName = Annotated[str, Parameter(help="Name of a preset (rtsynth presets list), or a TOML file.")]
AudioOut = Annotated[
    str | None, Parameter(name="--audio-out", help="NAME or INDEX (rtsynth devices), null, or file:x.wav.")
]
AudioIn = Annotated[
    str | None, Parameter(name="--audio-in", help="NAME or INDEX (rtsynth devices), null, or file:x.wav.")
]
MidiIn = Annotated[
    str, Parameter(name="--midi-in", help="NAME, all, none, virtual or virtual:NAME (rtsynth devices).")
]
Record = Annotated[
    Path | None, Parameter(name="--record", help="Write what is heard to this .wav, .rf64 or .aiff file.")
]


def _switch(*names: str, help: str) -> Parameter:
    """A flag without a value, off unless typed."""
    return Parameter(name=names, help=help, show_default=False)


NoWait = Annotated[
    bool, _switch("--no-wait", help="End with 3 when the device goes; else it is waited for, the sound kept.")
]
NoLog = Annotated[
    bool, _switch("--no-log", help="Keep no log of what is played (rtsynth log, rtsynth render last).")
]


@Parameter(name="*")
@dataclass(frozen=True)
class Take:
    """How it is to sound; together with the preset and the piece, all that decides the samples."""

    rate: Annotated[float | None, Parameter(help="Sample rate in Hz; else the device's, or 48000.")] = None
    block: Annotated[int, Parameter(help="Frames computed at once; a sound device chooses its own.")] = 64
    seed: Annotated[int, Parameter(help="One seed, one take: the same seed gives the same bits.")] = 1
    gain_db: Annotated[float, Parameter(help="Master gain in dB.")] = 0.0
    seconds: Annotated[float | None, Parameter(help="Stop after this long, whatever still sounds.")] = None


@Parameter(name="*")
@dataclass(frozen=True)
class Tuned:
    """What the keys sound at, until MIDI tuning messages say otherwise."""

    tuning: Annotated[Path | None, Parameter(help="A scale: a Scala .scl file.")] = None
    kbm: Annotated[Path | None, Parameter(help="On which keys its degrees lie: a .kbm file.")] = None
    a4: Annotated[float | None, Parameter(help="Hertz of the A above middle C; else the preset's.")] = None


@Parameter(name="*")
@dataclass(frozen=True)
class Target:
    """How an audio file is written."""

    subtype: Annotated[str | None, Parameter(help="PCM_16, PCM_24 (for .wav and .flac), FLOAT, …")] = None
    force: Annotated[bool, _switch("--force", "-f", help="Overwrite a file that is there.")] = False


@Parameter(name="*")
@dataclass(frozen=True)
class Talk:
    """How much is said, and in which form."""

    json: Annotated[bool, _switch("--json", help="Results as JSON, one object a line, on stdout.")] = False
    quiet: Annotated[bool, _switch("--quiet", "-q", help="Only results, warnings, errors.")] = False
    verbose: Annotated[bool, _switch("--verbose", "-v", help="Say more.")] = False


TAKE, TARGET, TALK, TUNED = Take(), Target(), Talk(), Tuned()  # what nobody typed
