"""`rtsynth train waveform`: a recurrent network that says raw sound, ten samples at a time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.export import Force, need_torch, tell
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import emit, say
from rtsynth.errors import UsageError


def waveform(
    *,
    data: Annotated[Path, Parameter(help="A folder of recordings, of any rate.")],
    out: Annotated[
        Path, Parameter(name=["--out", "-o"], help="The network, an .onnx file; .toml and .pt beside it.")
    ],
    cell: Annotated[Literal["tanh", "gru", "lstm"], Parameter(help="Of about 169,000 weights each.")] = "gru",
    updates: Annotated[
        int, Parameter(help="Steps of the optimiser; a third more follow, on its own draws.")
    ] = 3000,
    seconds: Annotated[
        float, Parameter(help="Stop after so much processor time; --resume goes on.")
    ] = math.inf,
    seed: Annotated[int, Parameter(help="Of the weights at the start, and of all that is drawn.")] = 1,
    device: Annotated[str, Parameter(help="cpu, cuda or cuda:N.")] = "cpu",
    resume: Annotated[
        bool, Parameter(show_default=False, negative="", help="Go on from the .pt that is there.")
    ] = False,
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """Raw sound at 16 kHz: 20 samples in, a mixture over the next 10 out. Loss in nats for 10 samples not learned from.

    Every fifth recording is held out. Hear it: rtsynth generate waveform; answer it: rtsynth live FILE.onnx.
    """
    if updates < 1 or seed < 0 or not seconds > 0:
        raise UsageError("train waveform takes --updates from 1, --seed from 0 and --seconds above 0")
    need_torch()
    from rtsynth.training.export import check_out
    from rtsynth.training.music import checked_device
    from rtsynth.training.waveform import Recipe, Training, load, train
    from rtsynth.training.waveform_stream import export_waveform

    check_out(out, force or resume)
    checked_device(device)
    kept, held_out = load(data)
    checkpoint = out.with_suffix(".pt")
    if resume:
        training = Training.resume(checkpoint, kept, device)
    else:
        training = Training(Recipe.of(cell, updates, seed), kept, device)
    with progress(f"Training {training.recipe.cell}", talk) as update:
        train(training, checkpoint=checkpoint, progress=update, seconds=seconds)
    exported, nats = export_waveform(training, held_out, out)
    if talk.json:
        done = {"updates": training.update, "seconds": training.seconds, "held_out_nats": nats}
        emit(done | exported.as_dict())
        return 0
    if not training.done:
        say(talk, f"stopped after {training.update} of {training.recipe.total} updates: go on with --resume")
    say(talk, f"{nats:.2f} nats for 10 samples, on {len(held_out)} recordings not trained on")
    tell(exported, talk)
    return 0
