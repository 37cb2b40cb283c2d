"""`rtsynth train hifigan`: HiFi-GAN by its authors' recipe, their checkpoints in and out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.export import Force, need_torch
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import emit, say
from rtsynth.errors import InputError, UsageError

if TYPE_CHECKING:
    from rtsynth.training.ranks import Ranks


@dataclass(frozen=True)
class Asked:
    """What the flags say."""

    data: Path
    config: Path
    out: Path
    steps: int
    every: int
    resume: Path | None
    fine_tune: Path | None
    device: str


def hifigan(
    *,
    data: Annotated[Path, Parameter(help="A folder of recordings, of any rate; every fifth is held out.")],
    config: Annotated[Path, Parameter(help="A config.json, as its authors have them.")],
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="A folder for checkpoints g_… and do_….")],
    steps: Annotated[
        int, Parameter(help="Of the optimisers, those of --resume counted in; published: 2500000.")
    ] = 500_000,
    every: Annotated[int, Parameter(help="Steps from one checkpoint to the next.")] = 1000,
    resume: Annotated[
        Path | None, Parameter(help="Go on from a folder's newest checkpoint, or from a generator's file.")
    ] = None,
    fine_tune: Annotated[
        Path | None, Parameter(help="A folder of mel frames NAME.npy that a model gave the recordings.")
    ] = None,
    device: Annotated[str, Parameter(help="cpu, cuda or cuda:N.")] = "cpu",
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """Generator, period and scale discriminators, all losses, as published. By torchrun: on several processes.

    A checkpoint goes both ways between this and the authors' own program; Ctrl-C loses what came after the latest.
    """
    if steps < 1 or every < 1:
        raise UsageError("train hifigan takes --steps and --every from 1")
    need_torch()
    from rtsynth.training.ranks import joined

    _check_folder(out, force or resume is not None)
    asked = Asked(data, config, out, steps, every, resume, fine_tune, device)
    with joined(device) as ranks:
        if not ranks.first:
            talk = Talk(quiet=True)
        found = _train(asked, ranks, talk)
    if ranks.first:
        _tell(found, config, talk)
    return 0


def _check_folder(out: Path, force: bool) -> None:
    """Make the folder, if it is not there; UsageError where it holds checkpoints that nobody asked to go on from."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file: -o names a folder")
    if not out.parent.is_dir():
        raise InputError(f"there is no folder {out.parent}. Make it first: mkdir -p {out.parent}")
    out.mkdir(exist_ok=True)
    if any(out.glob("g_*")) and not force:
        raise UsageError(
            f"{out} holds checkpoints. Go on from them: --resume {out}; or add others to them: -f"
        )


def _train(asked: Asked, ranks: Ranks, talk: Talk) -> dict[str, Any]:
    from rtsynth.training import hifigan_corpus
    from rtsynth.training.corpus import recordings
    from rtsynth.training.hifigan_training import Training, held_out_error, train
    from rtsynth.training.music import checked_device
    from rtsynth.vocoder.hifigan import read_config

    config = read_config(asked.config)
    checked_device(asked.device)
    kept, held_out = recordings(asked.data)
    training = Training(config, asked.device, ranks)
    if asked.resume is not None:
        training.resume(asked.resume)
    with progress("Reading the recordings", talk) as update:
        clips = hifigan_corpus.load(kept, config, asked.fine_tune, update)
    unheard = hifigan_corpus.load(held_out, config, asked.fine_tune) if ranks.first else []
    latest: dict[str, float] = {}
    with progress("Training HiFi-GAN", talk) as update:
        path = train(
            training,
            clips,
            asked.steps,
            asked.out,
            every=asked.every,
            progress=update,
            watch=lambda _, losses: latest.update(losses),
        )
    if not ranks.first:
        return {}
    return {
        "path": str(path),
        "steps": training.steps,
        "epoch": training.epoch,
        "losses": latest,
        "recordings_held_out": len(unheard),
        "held_out_mel": held_out_error(training.generator, unheard),
    }


def _tell(found: dict[str, Any], config: Path, talk: Talk) -> None:
    if talk.json:
        emit(found)
        return
    losses = ", ".join(f"{name} {loss:.3f}" for name, loss in found["losses"].items())
    say(talk, f"after {found['steps']} steps: {losses}")
    say(
        talk,
        f"mel frames of {found['recordings_held_out']} recordings not trained on: {found['held_out_mel']:.3f} apart. "
        f"Next: rtsynth export hifigan {found['path']} --config {config} -o hifigan.onnx",
    )
    print(found["path"])
