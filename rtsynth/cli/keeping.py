"""Logs of what is played: how `play` and `live` tell one what they play, and how that is made again from it."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtsynth.cli.output import warn
from rtsynth.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from rtsynth.engine.session_log import Take as Kept
    from rtsynth.io.heard_file import HeardFile
    from rtsynth.io.performance import Performance
    from rtsynth.source import Source

Description = dict[str, Any]


def keep_log(
    performance: Performance, name: str, describe: Callable[[], Description], heard: HeardFile | None = None
) -> None:
    """Log what is played under `name`; where that cannot be, say so and play."""
    from rtsynth import __version__
    from rtsynth.engine.provenance import build

    try:
        began = {"began": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "version": __version__, "build": build()}
        performance.log(name, began | describe(), heard)
    except OSError as problem:
        warn(f"no log is kept: {problem}. To play without one: --no-log")


def instrument(preset: str, seed: int) -> Description:
    """The header's part about an instrument: the preset as it lies on the disk, its files kept beside the log."""
    from rtsynth.engine.session_files import keep_file
    from rtsynth.instrument.preset_content import content

    told, files = content(preset, keep_file)
    return {"source": {"kind": "instrument", "preset": told, "seed": seed}, "files": files}


def known_file(path: str, channel: int | None) -> Description:
    """The header's part about a file that is heard."""
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return {"path": str(Path(path).resolve()), "channel": channel, "sha256": digest}


def listened_to(path: Path) -> Description:
    """The same about a file that is written from what is heard: both its channels have it."""
    return {"path": str(path.resolve()), "channel": 1}


# ---- and back ----


def source_of(take: Kept) -> Source:
    """The source that was played, as it began. Raises InputError where it cannot be made."""
    told = take.header.get("source", {})
    kind = told.get("kind")
    if kind == "instrument":
        from rtsynth.engine.session_files import kept_file
        from rtsynth.instrument import Instrument
        from rtsynth.instrument.preset_content import restore

        preset = restore(told["preset"], take.header.get("files", {}), kept_file)
        return Instrument(preset, seed=told["seed"])
    if kind == "gp":
        from rtsynth.speech.live import Vocoder

        return Vocoder(told["bands"], variance=told["variance"], seed=told["seed"])
    if kind == "thru":
        from rtsynth.engine.thru import Thru

        return Thru()
    raise InputError(f"{take.path}: {told.get('why') or f'nothing here plays {kind!r}'}")


def heard_in(take: Kept) -> NDArray[np.float32] | None:
    """What was heard, at the take's rate; None where that was nothing. Raises InputError where it was not kept."""
    told = take.header.get("heard")
    if told is None:
        return None
    if told == "input":
        raise InputError(
            f"{take.path}: what the input heard was not kept. Next time: rtsynth live --record-input heard.wav"
        )
    from rtsynth.io.hearing import read_heard

    path = Path(told["path"])
    if not path.is_file():
        raise InputError(f"{take.path}: what was heard is not there any more: {path}")
    if "sha256" in told and hashlib.sha256(path.read_bytes()).hexdigest() != told["sha256"]:
        raise InputError(f"{path} is not the file that was heard: it has changed since")
    return read_heard(path, take.rate, told["channel"])


def warn_of_doubts(take: Kept) -> None:
    """What stands between this rendering and the sound that was heard."""
    from rtsynth.engine.provenance import build

    if take.header.get("build") != build():
        warn(f"{take.path.name} was played by another build of rtsynth: samples may differ")
    if take.end is None:
        warn(
            f"{take.path.name} has no end: the process was killed. {take.frames / take.rate:.1f} s are known"
        )
    if take.lost or (take.end or {}).get("lost_heard"):
        warn(
            f"{take.lost} messages, {(take.end or {}).get('lost_heard', 0)} heard samples are missing in the log"
        )
    if late := (take.end or {}).get("late", {}).get("worker"):
        warn(f"the model's worker was late {late} times, which is not made again: those moments differ")


def warn_of_unused(**asked: bool) -> None:
    """A log has its own rate, seed and so on: say which of them was asked for, typed or in a settings file."""
    if unused := [f"--{name}" for name, was in asked.items() if was]:
        warn(f"a log has its own {', '.join(unused)}: rendered as it was played")
