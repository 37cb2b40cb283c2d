"""`rtsynth play --from`: a network at the instrument, by itself or by turns with the keyboard player."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rtsynth.errors import UsageError

if TYPE_CHECKING:
    from rtsynth.io.performance import Performance

FROM_MIDI = "midi"


@Parameter(name="*")
@dataclass(frozen=True)
class Improvised:
    """What a network is to play."""

    model: Annotated[
        str | None,
        Parameter(name="--from", help="music, or a file of `rtsynth train music`: the network plays."),
    ] = None
    prime: Annotated[
        str | None,
        Parameter(help="midi: it goes on from what you play, when you pause. Or a .mid it begins after."),
    ] = None
    tempo: Annotated[float, Parameter(help="Beats a minute, for --from.")] = 80.0
    temperature: Annotated[float, Parameter(help="For --from: below 1 it dares less, above 1 more.")] = 1.0


IMPROVISED = Improvised()  # what nobody typed


def check(asked: Improvised, piece: str | None, midi_in: str, to_file: bool) -> None:
    """Raises UsageError where the flags contradict each other."""
    if asked.model is None:
        if asked.prime is not None:
            raise UsageError("--prime needs a network that goes on: --from music")
        return
    if piece is not None:
        raise UsageError(
            f"--from {asked.model} plays by itself: leave {piece} out, or let it begin after it: --prime"
        )
    if to_file:
        raise UsageError(
            "--from plays in real time. To a file: rtsynth generate music -o x.mid, then rtsynth render"
        )
    if asked.prime == FROM_MIDI and midi_in == "none":
        raise UsageError("--prime midi listens to MIDI inputs: leave --midi-in none out")
    if not 1.0 <= asked.tempo <= 1000.0:
        raise UsageError(f"--tempo {asked.tempo:g}: it goes from 1 to 1000")


def improvise(performance: Performance, asked: Improvised, seed: int) -> None:
    """Seat the network at the instrument; before the inputs are opened."""
    if asked.model is None:
        return
    from rtsynth.cli.generate_music import primer
    from rtsynth.sequence.music import LOWEST, Composer, on_grid

    composer = Composer(asked.model, seed, asked.temperature)
    by_turns = asked.prime == FROM_MIDI
    if asked.prime is not None and not by_turns:
        for notes in primer(Path(asked.prime), composer):
            composer.hear(notes)
    step_seconds = composer.step_beats * 60.0 / asked.tempo
    performance.improvise(composer, step_seconds, LOWEST, on_grid if by_turns else None)


def headline(asked: Improvised) -> str:
    """What is said of it when the sound begins."""
    if asked.model is None:
        return ""
    return " play, pause, and the network goes on;" if asked.prime == FROM_MIDI else " the network plays;"
