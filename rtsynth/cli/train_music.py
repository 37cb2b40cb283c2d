"""`rtsynth train music`: a recurrent network that guesses the next step of a piano roll."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.export import Force, need_torch
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import emit, say
from rtsynth.errors import UsageError


def music(
    *,
    data: Annotated[Path, Parameter(help="A .mat of piano rolls, or a folder of .mid files.")],
    out: Annotated[
        Path, Parameter(name=["--out", "-o"], help="The network, an .onnx file; a .pt beside it.")
    ],
    cell: Annotated[
        Literal["tanh", "gru", "lstm", "joint"],
        Parameter(help="joint: a GRU whose keys are drawn one given the others; else each key for itself."),
    ] = "joint",
    hidden: Annotated[
        int | None, Parameter(help="Units; else the recipe's (tanh 100, gru 46, lstm 36).")
    ] = None,
    updates: Annotated[int | None, Parameter(help="Steps of the optimiser; else the recipe's.")] = None,
    seconds: Annotated[
        float, Parameter(help="Stop after so much processor time; --resume goes on.")
    ] = math.inf,
    beats: Annotated[
        float, Parameter(help="A step in beats: 1 for JSB_Chorales, 0.5 for the other sets.")
    ] = 0.5,
    seed: Annotated[int, Parameter(help="Of the weights at the start, and of all that is drawn.")] = 1,
    device: Annotated[str, Parameter(help="cpu, cuda or cuda:N.")] = "cpu",
    resume: Annotated[
        bool, Parameter(show_default=False, negative="", help="Go on from the .pt that is there.")
    ] = False,
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """A recurrent network that hears music step by step and plays on. Loss in nats a step, on pieces not learned from.

    Files of a folder are put on a grid of --beats; of every ten, the fifth is for validation, the tenth for the test.
    """
    sizes = [count for count in (hidden, updates) if count is not None]
    if min(sizes, default=1) < 1 or seed < 0 or not seconds > 0 or not 0.01 <= beats <= 64:
        raise UsageError(
            "train music takes --hidden, --updates from 1, --seed from 0, --seconds above 0, --beats 0.01 to 64"
        )
    need_torch()
    from rtsynth.training.music import Training, checked_device
    from rtsynth.training.music_export import export_music, losses
    from rtsynth.training.music_recipes import recipe
    from rtsynth.training.rolls import read_rolls
    from rtsynth.training.stepping import check_onnx

    check_onnx(out, force)
    checked_device(device)
    rolls = read_rolls(data, beats)
    checkpoint = out.with_suffix(".pt")
    if resume:
        training = Training.resume(checkpoint, rolls, device)
    else:
        training = Training(recipe(cell, rolls.steps, hidden, updates, seed), rolls, device)
    with progress(f"Training on {rolls.name}", talk) as update:
        model = training.run(update, checkpoint, seconds)
    found = losses(model, rolls)
    error = export_music(training, out, beats, found)
    if talk.json:
        nats = {name: loss._asdict() for name, loss in found.items()}
        emit(
            {
                "path": str(out),
                "updates": training.update,
                "seconds": training.seconds,
                "nll": nats,
                "error": error,
            }
        )
        return 0
    test = found["test"]
    if training.update < training.recipe.updates:
        say(
            talk,
            f"stopped after {training.update} of {training.recipe.updates} updates: go on with --resume -f",
        )
    say(talk, f"test: {test.pooled:.3f} nats a step, {test.per_sequence:.3f} as a mean over pieces")
    print(out)
    return 0
