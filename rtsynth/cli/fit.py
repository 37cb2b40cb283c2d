"""`rtsynth fit`: recorded notes become an instrument, with a page that shows how well."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import columns, emit, say, warn
from rtsynth.errors import UsageError
from rtsynth.target import check_target

if TYPE_CHECKING:
    from rtsynth.instrument.fitting.evaluation import Score
    from rtsynth.instrument.fitting.recording import Recording

NO_ROOM = "Leave out the noise of the room: better to play, further from the recording."


def fit(
    recordings: Annotated[list[Path], Parameter(help="One recorded note a file: .wav, .flac, .ogg, .mp3, …")],
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="The preset to write, a .toml file.")],
    report: Annotated[Path | None, Parameter(help="A page that compares recording and model.")] = None,
    keys: Annotated[str | None, Parameter(help="MIDI keys, comma-separated; else heard.")] = None,
    velocities: Annotated[str | None, Parameter(help="0…1, comma-separated; else by level.")] = None,
    modes: Annotated[int, Parameter(help="Most modes a voice plays.")] = 256,
    bands: Annotated[int, Parameter(help="Bands of noise.")] = 32,
    scatter: Annotated[float, Parameter(help="0…1: unevenness drawn for predicted keys.")] = 0.0,
    no_room: Annotated[bool, Parameter(name="--no-room", show_default=False, help=NO_ROOM)] = False,
    title: Annotated[str | None, Parameter(help="Else the preset's name.")] = None,
    licence: Annotated[str, Parameter(help="Of the recordings, kept in the preset.")] = "",
    credit: Annotated[str, Parameter(help="Whom the recordings are owed to.")] = "",
    force: Annotated[bool, Parameter(name=["--force", "-f"], show_default=False, help="Overwrite.")] = False,
    talk: Talk = TALK,
) -> int:
    """Fit an instrument to recorded notes: one, or several over pitch and loudness."""
    from rtsynth.cli.page import check_page
    from rtsynth.instrument.fitting.evaluation import evaluate
    from rtsynth.instrument.fitting.instrument import fit_instrument
    from rtsynth.instrument.fitting.recording import prepare
    from rtsynth.instrument.fitting.writing import Label, write_preset
    from rtsynth.io.audio_files import read_audio

    _check_target(out, force)
    if not 0.0 <= scatter <= 1.0 or modes < 1 or not 3 <= bands <= 128:
        raise UsageError("fit takes --scatter 0…1, --modes from 1 and --bands 3…128")
    if report is not None:
        check_page(report, force)
    heard = [prepare(*read_audio(path), path.name) for path in recordings]
    for recording in heard:
        for text in recording.warnings:
            warn(f"{recording.name}: {text}")
    with progress(f"Fitting {_named(heard)}", talk) as update:
        fitted = fit_instrument(
            heard,
            keys=_numbers("keys", keys),
            velocities=_numbers("velocities", velocities),
            bands=bands,
            scatter=scatter,
            room=not no_room,
            progress=update,
        )
    label = Label(
        name=_name(out),
        title=title or out.stem,
        licence=licence,
        credit=credit,
        description=f"Fitted to {_named(heard)}.",
    )
    preset = write_preset(out, label, fitted.instrument, modes)
    scores = evaluate(preset, fitted)
    if report is not None:
        from rtsynth.cli.fit_page import write_report

        write_report(report, preset, fitted, scores)
        say(talk, f"Report: {report}")
    _tell(out, scores, talk)
    return 0


def _named(recordings: list[Recording]) -> str:
    names = [recording.name for recording in recordings]
    return (
        ", ".join(names) if len(names) < 4 else f"{names[0]}, {names[1]} and {len(names) - 2} more recordings"
    )


def _check_target(out: Path, force: bool) -> None:
    if out.suffix != ".toml":
        raise UsageError(f"{out}: a preset is a .toml file: -o {out.with_suffix('.toml')}")
    for path in (out, out.with_suffix(".npz")):
        check_target(path, force)


def _numbers(flag: str, text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--{flag} {text}: numbers with commas between them, e.g. 60,72") from None


def _name(out: Path) -> str:
    """A preset's name from its file's: lower case, digits, hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", out.stem.lower()).strip("-") or "fitted"


def _tell(out: Path, scores: list[Score], talk: Talk) -> None:
    if talk.json:
        emit({"path": str(out), "notes": [score.as_dict() for score in scores]})
        return
    headings: tuple[str, ...] = ("recording", "key", "modes", "ENV", "ONE", "ATT", "VALLEY dB")
    say(talk, columns([headings, *(score.as_row() for score in scores)]))
    print(out)
