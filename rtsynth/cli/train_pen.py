"""`rtsynth train pen`: handwriting, from fonts of single strokes or from drawings."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.export import Force, need_torch
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import emit, say
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    from rtsynth.training.pen import Source


def pen(
    *,
    fonts: Annotated[
        Path | None, Parameter(help="A folder with the Hershey fonts futural.jhf and scripts.jhf.")
    ] = None,
    text: Annotated[
        Path | None, Parameter(help="Whose words are written, UTF-8; without it: random characters.")
    ] = None,
    drawings: Annotated[
        Path | None, Parameter(help="Instead: Omniglot's strokes_….zip; no text is learned then.")
    ] = None,
    out: Annotated[
        Path, Parameter(name=["--out", "-o"], help="The network, an .onnx file; a checkpoint .pt beside it.")
    ],
    updates: Annotated[int, Parameter(help="Steps of the optimiser; 800 take 12 minutes of one core.")] = 800,
    seed: Annotated[int, Parameter(help="Of the weights at the start, and of every line.")] = 1,
    blind: Annotated[
        bool, Parameter(show_default=False, help="Show it no text, to see what the window is good for.")
    ] = False,
    device: Annotated[str, Parameter(help="cpu, cuda or cuda:N.")] = "cpu",
    resume: Annotated[
        bool, Parameter(show_default=False, help="Go on from the checkpoint that is there.")
    ] = False,
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """A pen that writes what it reads, in hands without end. Ctrl-C loses at most fifty updates: --resume."""
    if (fonts is None) == (drawings is None):
        raise UsageError("train pen learns from --fonts FOLDER or from --drawings FILE.zip: give one of them")
    if updates < 1 or seed < 0:
        raise UsageError("train pen takes --updates from 1 and --seed from 0")
    need_torch()
    from rtsynth.target import check_target
    from rtsynth.training.pen import Recipe, Training, train
    from rtsynth.training.pen_export import card, export_pen
    from rtsynth.training.pen_scores import score
    from rtsynth.training.stepping import check_onnx
    from rtsynth.training.strokes import styles

    checkpoint = out.with_suffix(".pt")
    check_onnx(out, force or resume)
    check_target(checkpoint, force or resume)
    learned, unseen, data = _sources(fonts, text, drawings)
    recipe = Recipe(seed=seed, updates=updates, reads=fonts is not None and not blind)
    training = Training.resume(checkpoint, learned, device) if resume else Training(recipe, learned, device)
    with progress("Training the pen", talk) as update:
        train(training, checkpoint, update)
    training.network.cpu()
    scores = score(training.network, unseen)
    samples = styles(fonts) if fonts is not None and training.recipe.reads else {}
    error = export_pen(training, out, card(training, scores, data), samples)
    if talk.json:
        found = {"path": str(out), "updates": training.update, "seconds": training.seconds}
        emit({**found, "held_out": asdict(scores), "error": error})
        return 0
    say(talk, f"on lines not trained on: {scores}")
    shown = '"write this"' if training.recipe.reads else "--points 300"
    say(talk, f"Next: rtsynth generate pen {shown} --model {out} -o out.svg")
    print(out)
    return 0


def _sources(fonts: Path | None, text: Path | None, drawings: Path | None) -> tuple[Source, Source, str]:
    """What is learned from, what is not, and how both are called."""
    from rtsynth.training.strokes import STYLES, drawn, written

    if fonts is not None:
        words = f"the words of {text.name}" if text else "random characters"
        data = f"{words}, set in the fonts {' and '.join(STYLES.values())} in random hands"
        return written(fonts, text), written(fonts, text, held_out=True), data
    assert drawings is not None
    return drawn(drawings), drawn(drawings, held_out=True), "rows of characters drawn by 16 people, no text"
