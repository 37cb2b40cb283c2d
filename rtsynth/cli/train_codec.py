"""`rtsynth train codec`: the live encoder of the event codec, or the published scheme's model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.export import Force, need_torch
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import emit, say
from rtsynth.errors import InputError, UsageError

if TYPE_CHECKING:
    from rtsynth.training.ranks import Ranks

Watch = Callable[[int, dict[str, float]], None]  # update, losses by name


@dataclass(frozen=True)
class Asked:
    """What the flags say."""

    data: Path
    out: Path
    updates: int | None
    seed: int
    device: str
    resume: bool
    tensorboard: Path | None


def codec(
    *,
    data: Annotated[Path, Parameter(help="A folder of recordings of speech, of any rate.")],
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="The checkpoint, a .pt file.")],
    scheme: Annotated[
        Literal["live", "article"],
        Parameter(help="live: the encoder of `live codec`; article: the published model, small."),
    ] = "live",
    mended: Annotated[
        bool, Parameter(negative="--no-mended", help="Article: its known faults mended, or as published.")
    ] = True,
    updates: Annotated[
        int | None, Parameter(help="Steps of the optimiser; else 1800 (live), 600 (article).")
    ] = None,
    seed: Annotated[int, Parameter(help="Of the weights at the start, and of what is drawn.")] = 1,
    device: Annotated[str, Parameter(help="cpu, cuda or cuda:N.")] = "cpu",
    resume: Annotated[
        bool, Parameter(show_default=False, negative="", help="Go on from the checkpoint that is there.")
    ] = False,
    tensorboard: Annotated[Path | None, Parameter(help="Losses and sounds into this folder.")] = None,
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """Learn from recordings, every fifth held out. By torchrun: on several processes.

    Ctrl-C loses at most a hundred updates: go on with --resume, by the recipe that the checkpoint holds.
    """
    if (updates is not None and updates < 2) or seed < 0:
        raise UsageError("train codec takes --updates from 2 and --seed from 0")
    if scheme == "live" and not mended:
        raise UsageError(
            "--no-mended is of the published scheme: rtsynth train codec --scheme article --no-mended"
        )
    if out.suffix != ".pt":
        raise UsageError(f"{out}: a checkpoint is a .pt file: -o {out.with_suffix('.pt')}")
    need_torch()
    from rtsynth.target import check_target
    from rtsynth.training.ranks import joined

    check_target(out, force or resume)
    asked = Asked(data, out, updates, seed, device, resume, tensorboard)
    with joined(device) as ranks:
        if not ranks.first:
            talk = Talk(quiet=True)
        found = _live(asked, ranks, talk) if scheme == "live" else _article(asked, mended, ranks, talk)
    if ranks.first:
        _tell(found, out, talk)
    return 0


def _live(asked: Asked, ranks: Ranks, talk: Talk) -> dict[str, Any]:
    from rtsynth.codec.event import RATE
    from rtsynth.training import corpus
    from rtsynth.training.codec import Recipe, Training, train
    from rtsynth.training.curves import SECONDS
    from rtsynth.training.live_losses import held_out_losses, sounding
    from rtsynth.training.renderer import Renderer

    kept, held_out = corpus.recordings(asked.data)
    training = (
        Training.resume(asked.out, asked.device, ranks)
        if asked.resume
        else Training(Recipe.of(asked.updates, asked.seed), asked.device, ranks)
    )
    with progress("Analysing the recordings", talk) as update:
        clips = corpus.load(kept, training.recipe.speeds, update)
    unheard = corpus.load(held_out) if ranks.first else []
    watch, close = None, _nothing
    if asked.tensorboard and ranks.first:
        renderer = Renderer(RATE, SECONDS)
        watch, close = _watching(
            asked.tensorboard,
            unheard[0].samples,
            RATE,
            lambda: sounding(training.network, unheard[0], renderer),
        )
    with progress("Training the live encoder", talk) as update:
        network = train(training, clips, checkpoint=asked.out, progress=update, watch=watch)
    close()
    return {
        "updates": training.update,
        "seconds": training.seconds,
        "recordings_held_out": len(held_out),
        "held_out": held_out_losses(network, unheard) if ranks.first else {},
    }


def _article(asked: Asked, mended: bool, ranks: Ranks, talk: Talk) -> dict[str, Any]:
    from rtsynth.training import article
    from rtsynth.training.article_corpus import sounds_of
    from rtsynth.training.article_training import Training, held_out_loss, recipe_of, sounding, train

    if asked.resume:
        training = Training.load(asked.out, asked.device, ranks)
        if training.recipe.size.mended != mended:
            raise InputError(f"{asked.out} is {'not ' * mended}mended: leave --resume or the flag out")
    else:
        recipe = recipe_of(article.SMALL, mended, asked.updates, asked.seed)
        training = Training(recipe, asked.device, ranks)
    rate = training.recipe.size.rate
    kept, held_out = sounds_of(asked.data, rate)
    watch, close = None, _nothing
    if asked.tensorboard and ranks.first:
        watch, close = _watching(
            asked.tensorboard, held_out[0], rate, lambda: sounding(training, held_out[0])
        )
    with progress("Training the article's scheme", talk) as update:
        train(training, kept, checkpoint=asked.out, progress=update, watch=watch)
    close()
    return {
        "updates": training.done,
        "seconds": training.seconds,
        "recordings_held_out": len(held_out),
        "held_out": {"energy left": held_out_loss(training, held_out)} if ranks.first else {},
    }


def _watching(
    folder: Path, original: Any, rate: int, sound: Callable[[], Any]
) -> tuple[Watch, Callable[[], None]]:
    """What is called after every update, and at the end."""
    from rtsynth.training.curves import Curves

    curves = Curves(folder, original, rate, sound)
    return curves.write, curves.close


def _nothing() -> None:
    """Where no tensorboard is written."""


def _tell(found: dict[str, Any], out: Path, talk: Talk) -> None:
    if talk.json:
        emit({"path": str(out), **found})
        return
    listed = ", ".join(f"{name} {loss:.3f}" for name, loss in found["held_out"].items())
    say(
        talk,
        f"on {found['recordings_held_out']} recordings not trained on: {listed}. "
        f"Next: rtsynth export codec {out} -o {out.with_suffix('.onnx').name}",
    )
    print(out)
