"""`rtsynth generate music`: what a network plays, as a MIDI file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rtsynth.cli.export import Force
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import emit, say
from rtsynth.errors import InputError, UsageError

if TYPE_CHECKING:
    from rtsynth.sequence.music import Composer, Notes

VELOCITY, CHANNEL = 80, 0
MOST_STEPS = 100_000


def music(
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="A .mid file.")],
    model: Annotated[
        str, Parameter(help="A network of `rtsynth train music`: a shipped one, or its file.")
    ] = "music",
    steps: Annotated[int, Parameter(help="How many it plays.")] = 64,
    tempo: Annotated[float, Parameter(help="Beats a minute.")] = 80.0,
    temperature: Annotated[float, Parameter(help="Below 1 it dares less, above 1 more.")] = 1.0,
    seed: Annotated[int, Parameter(help="One seed, one piece.")] = 1,
    prime: Annotated[Path | None, Parameter(help="A .mid file that it hears first and continues.")] = None,
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """Music out of a network, after silence or after a piece of yours; the file holds both, held notes joined."""
    if not 1 <= steps <= MOST_STEPS or not 1.0 <= tempo <= 1000.0:
        raise UsageError(f"generate music takes --steps from 1 to {MOST_STEPS} and --tempo from 1 to 1000")
    from rtsynth.io.midi_writing import check_midi_target, write_midi
    from rtsynth.sequence.music import Composer, joined

    check_midi_target(out, force)
    composer = Composer(model, seed, temperature)
    heard = primer(prime, composer)
    roll = _played(composer, heard, steps)
    seconds = composer.step_beats * 60.0 / tempo
    notes = [(begin, end, int(key), VELOCITY, CHANNEL) for begin, end, key in joined(roll, seconds).tolist()]
    write_midi(out, notes, force)
    if talk.json:
        emit(
            {"path": str(out), "notes": len(notes), "heard_steps": len(heard), "seconds": len(roll) * seconds}
        )
        return 0
    say(talk, f"{len(notes)} notes in {len(roll) * seconds:.1f} s. Hear it: rtsynth play piano {out}")
    print(out)
    return 0


def primer(prime: Path | None, composer: Composer) -> Notes:
    """The piece to be continued, (T, 88) on the network's grid."""
    import numpy as np

    from rtsynth.sequence.music import KEYS, on_grid

    if prime is None:
        return np.zeros((0, KEYS), bool)
    from rtsynth.io.midi_files import read_midi
    from rtsynth.io.midi_notes import sounding

    roll = on_grid(sounding(read_midi(prime, beats=True)), composer.step_beats)
    if not len(roll):
        raise InputError(f"{prime} holds no note of a piano's keys to continue from")
    if len(roll) > MOST_STEPS:
        raise InputError(f"{prime} is {len(roll)} steps long; at most {MOST_STEPS} are heard")
    return roll


def _played(composer: Composer, heard: Notes, steps: int) -> Notes:
    import numpy as np

    for notes in heard:
        composer.hear(notes)
    return np.concatenate([heard, *(composer.step()[None] for _ in range(steps))])
