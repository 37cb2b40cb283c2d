"""`rtsynth train`: the recipes of the models that are shipped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.export import Force, Out, need_torch, tell
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import emit, say
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtsynth.training.codec import Recipe, Training
    from rtsynth.training.corpus import Clip
    from rtsynth.training.ranks import Ranks

app = App(name="train", help="Train a model by its recipe, and export it.")


@app.command
def drive(
    *,
    out: Out,
    updates: Annotated[
        int, Parameter(help="Steps of the optimiser; 650 take two minutes of one core.")
    ] = 650,
    seed: Annotated[int, Parameter(help="Of the weights at the start and the sound learned from.")] = 1,
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """A valve stage with a supply that sags, learned from a formula: the model `drive` that is shipped."""
    if updates < 1 or seed < 0:
        raise UsageError("train drive takes --updates from 1 and --seed from 0")
    need_torch()
    from rtsynth.training.drive import Recipe, card, held_out_errors, train
    from rtsynth.training.export import check_out, export_module

    check_out(out, force)
    recipe = Recipe(seed=seed, updates=updates)
    with progress("Training drive", talk) as update:
        model = train(recipe, update)
    errors = held_out_errors(model)
    model.card = card(model, recipe, errors)
    exported = export_module(model, "drive", out)
    if talk.json:
        emit({"held_out_error_db": errors, **exported.as_dict()})
        return 0
    listed = ", ".join(f"{kind} {error:.1f} dB" for kind, error in errors.items())
    say(talk, f"error to signal on sound not heard before: {listed}")
    tell(exported, talk)
    return 0


@app.command
def codec(
    *,
    data: Annotated[Path, Parameter(help="A folder of recordings of speech, of any rate.")],
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="The checkpoint, a .pt file.")],
    updates: Annotated[
        int, Parameter(help="Steps of the optimiser; a third of them on the analysis alone.")
    ] = 4500,
    seed: Annotated[int, Parameter(help="Of the weights at the start, and of what is drawn.")] = 1,
    device: Annotated[str, Parameter(help="cpu, cuda or cuda:N.")] = "cpu",
    resume: Annotated[
        bool, Parameter(show_default=False, negative="", help="Go on from the checkpoint that is there.")
    ] = False,
    tensorboard: Annotated[Path | None, Parameter(help="Losses and sounds into this folder.")] = None,
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """The live encoder of the codec: learned from recordings, every fifth held out. By torchrun: on several processes.

    Ctrl-C loses at most a hundred updates: go on with --resume.
    """
    if updates < 2 or seed < 0:
        raise UsageError("train codec takes --updates from 2 and --seed from 0")
    if out.suffix != ".pt":
        raise UsageError(f"{out}: a checkpoint is a .pt file: -o {out.with_suffix('.pt')}")
    need_torch()
    from rtsynth.target import check_target
    from rtsynth.training.codec import Recipe
    from rtsynth.training.ranks import joined

    check_target(out, force or resume)
    recipe = Recipe(seed=seed, analysed_updates=updates // 3, sounding_updates=updates - updates // 3)
    with joined(device) as ranks:
        if not ranks.first:
            talk = Talk(quiet=True)
        return _train_codec(recipe, data, out, device, resume, tensorboard, ranks, talk)


def _train_codec(
    recipe: Recipe,
    data: Path,
    out: Path,
    device: str,
    resume: bool,
    tensorboard: Path | None,
    ranks: Ranks,
    talk: Talk,
) -> int:
    from rtsynth.training import corpus
    from rtsynth.training.codec import Training, train
    from rtsynth.training.live_losses import held_out_losses

    kept, held_out = corpus.recordings(data)
    training = Training.resume(out, device, ranks) if resume else Training(recipe, device, ranks)
    with progress("Analysing the recordings", talk) as update:
        clips = corpus.load(kept, training.recipe.speeds, update)
    unheard = corpus.load(held_out) if ranks.first else []
    watch, close = _watching(training, tensorboard if ranks.first else None, unheard)
    with progress("Training the live encoder", talk) as update:
        network = train(training, clips, checkpoint=out, progress=update, watch=watch)
    close()
    if not ranks.first:
        return 0
    losses = held_out_losses(network, unheard)
    if talk.json:
        emit({"path": str(out), "updates": training.update, "seconds": training.seconds, "held_out": losses})
        return 0
    listed = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
    say(
        talk,
        f"on {len(unheard)} recordings not trained on: {listed}. Next: rtsynth export codec {out} -o codec.onnx",
    )
    print(out)
    return 0


def _watching(
    training: Training, folder: Path | None, unheard: list[Clip]
) -> tuple[Callable[[int, dict[str, float]], None] | None, Callable[[], None]]:
    """What is called after every update, and at the end."""
    if folder is None:
        return None, lambda: None
    from rtsynth.training.curves import Curves

    curves = Curves(folder, unheard[0])
    return lambda update, losses: curves.write(update, losses, training.network), curves.close
