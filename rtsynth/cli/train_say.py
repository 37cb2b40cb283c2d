"""`rtsynth train say`: reading aloud, from a corpus in LJ Speech's format to a network that `rtsynth say` runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.export import Force, need_torch
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import emit
from rtsynth.cli.output import say as tell
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    from rtsynth.training.ranks import Ranks
    from rtsynth.training.speech import Recipe
    from rtsynth.training.speech_corpus import Clip


def say(
    *,
    data: Annotated[Path, Parameter(help="A folder with metadata.csv and wavs/, as LJ Speech's.")],
    out: Annotated[
        Path,
        Parameter(name=["--out", "-o"], help="The network, an .onnx file; a .pt and the analysis beside it."),
    ],
    updates: Annotated[
        int, Parameter(help="Steps of the optimiser; 3300 take ten minutes of one idle core.")
    ] = 3300,
    seconds: Annotated[float, Parameter(help="Stop after so long; --resume goes on.")] = math.inf,
    seed: Annotated[int, Parameter(help="Of the weights at the start, and of what is drawn.")] = 1,
    device: Annotated[str, Parameter(help="cpu, cuda or cuda:N.")] = "cpu",
    resume: Annotated[
        bool, Parameter(show_default=False, negative="", help="Go on from the .pt that is there.")
    ] = False,
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """Letters to mel frames and to the codec's voice; every fifth recording (or 100) held out. By torchrun: on several.

    Where DIR/segments.csv says when each phone is spoken, it is believed; else that is found in the sound.
    """
    if updates < 1 or seed < 0 or not seconds > 0:
        raise UsageError("train say takes --updates from 1, --seed from 0, --seconds above 0")
    need_torch()
    from rtsynth.target import check_target
    from rtsynth.training.ranks import joined
    from rtsynth.training.speech import Recipe
    from rtsynth.training.stepping import check_onnx

    check_onnx(out, force or resume)
    check_target(out.with_suffix(".pt"), force or resume)
    with joined(device) as ranks:
        if not ranks.first:
            talk = Talk(quiet=True)
        clips = _clips(data, out.with_suffix(".features.npz"), resume, ranks, talk)
        return _train(
            Recipe(seed=seed, updates=updates), clips, data, out, seconds, device, resume, ranks, talk
        )


def _clips(data: Path, kept: Path, resume: bool, ranks: Ranks, talk: Talk) -> list[Clip]:
    """The corpus, analysed; once, by the first process."""
    from rtsynth.training import speech_corpus

    if ranks.first and not (resume and kept.is_file()):
        with progress("Analysing the recordings", talk) as update:
            speech_corpus.save(kept, speech_corpus.load(data, update))
    ranks.wait()
    return speech_corpus.restore(kept)


def _train(
    recipe: Recipe,
    clips: list[Clip],
    data: Path,
    out: Path,
    seconds: float,
    device: str,
    resume: bool,
    ranks: Ranks,
    talk: Talk,
) -> int:
    from rtsynth.training.speech import Training, train
    from rtsynth.training.speech_corpus import credit
    from rtsynth.training.speech_export import card_of, export, load_network

    checkpoint = out.with_suffix(".pt")
    training = (
        Training.resume(checkpoint, clips, device, ranks)
        if resume
        else Training(recipe, clips, device, ranks)
    )
    with progress("Training say", talk) as update:
        train(training, checkpoint=checkpoint, seconds=seconds, progress=update)
    if not ranks.first:
        return 0
    losses = training.held_out_losses()
    network, scale, state = load_network(checkpoint)
    error = export(network, scale, out, card_of(state, network, credit(data), losses))
    if talk.json:
        told = {"path": str(out), "updates": training.update, "seconds": training.seconds}
        emit({**told, "held_out": losses, "error": error})
        return 0
    listed = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
    tell(talk, f"on {len(training.held_out)} recordings not trained on: {listed}")
    if not training.done:
        tell(talk, f"stopped after {training.update} of {training.recipe.updates}: go on with --resume")
    tell(talk, f'Next: rtsynth say "Good morning." --model {out}')
    print(out)
    return 0
