"""`rtsynth train vocoder`: the causal low-latency vocoder, from recordings to a file that `vocode` and `say` take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.export import Force, need_torch
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import emit, say
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    from rtsynth.training.causal_corpus import Take
    from rtsynth.training.ranks import Ranks


@dataclass(frozen=True)
class Asked:
    """What the flags say."""

    data: Path
    others: tuple[Path, ...]
    credit: tuple[str, ...]
    out: Path
    updates: int | None
    seconds: float
    seed: int
    device: str
    resume: bool

    @property
    def checkpoint(self) -> Path:
        return self.out.with_suffix(".pt")


def vocoder(
    *,
    data: Annotated[Path, Parameter(help="A folder of recordings, of any rate; every fifth is held out.")],
    out: Annotated[
        Path, Parameter(name=["--out", "-o"], help="The network, an .onnx file; a .pt beside it.")
    ],
    others: Annotated[
        list[Path] | None,
        Parameter(
            name="--also", help="A folder of other sounds, heard less often, none held out; repeatable."
        ),
    ] = None,
    credit: Annotated[
        list[str] | None, Parameter(help="A line for the card: whose recordings these are; repeatable.")
    ] = None,
    updates: Annotated[
        int | None,
        Parameter(help="Steps of the optimiser, a third of them on the fundamental; else the recipe's."),
    ] = None,
    seconds: Annotated[float, Parameter(help="Stop after so long; --resume goes on.")] = math.inf,
    seed: Annotated[int, Parameter(help="Of the weights at the start, and of what is drawn.")] = 1,
    device: Annotated[str, Parameter(help="cpu, cuda or cuda:N.")] = "cpu",
    resume: Annotated[
        bool, Parameter(show_default=False, negative="", help="Go on from the .pt that is there.")
    ] = False,
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """A vocoder that answers log-mel frames 256 samples late: its fundamental first, then its filters.

    By torchrun: on several processes. Ctrl-C loses at most 200 updates: go on with --resume.
    """
    if (updates or 2) < 2 or seed < 0 or not seconds > 0:
        raise UsageError("train vocoder takes --updates from 2, --seed from 0 and --seconds above 0")
    need_torch()
    from rtsynth.training.ranks import joined
    from rtsynth.training.stepping import check_onnx

    check_onnx(out, force or resume)
    asked = Asked(data, tuple(others or ()), tuple(credit or ()), out, updates, seconds, seed, device, resume)
    with joined(device) as ranks:
        found = _train(asked, ranks, talk if ranks.first else Talk(quiet=True))
    if ranks.first:
        _tell(found, talk)
    return 0


def _train(asked: Asked, ranks: Ranks, talk: Talk) -> dict[str, Any]:
    from rtsynth.training import causal_corpus
    from rtsynth.training.causal_export import card, export_vocoder, held_out
    from rtsynth.training.causal_training import Recipe, Training, train
    from rtsynth.training.corpus import all_recordings, recordings

    training = (
        Training.resume(asked.checkpoint, asked.device, ranks)
        if asked.resume
        else Training(Recipe.of(asked.updates, asked.seed), asked.device, ranks)
    )
    kept, unheard = recordings(asked.data)
    others = [path for folder in asked.others for path in all_recordings(folder)]
    takes: list[Take] = []
    if not training.done:
        with progress("Analysing the recordings", talk) as update:
            takes = causal_corpus.takes(kept, others, update)
    with progress("Training the vocoder", talk) as update:
        network = train(training, takes, checkpoint=asked.checkpoint, seconds=asked.seconds, progress=update)
    if not ranks.first:
        return {}
    figures = held_out(network, unheard)
    lines = [*_described(asked, len(kept), len(others)), *asked.credit]
    exported = export_vocoder(network, asked.out, card=card(training, lines, figures))
    return {
        **exported.as_dict(),
        "updates": training.update,
        "of": training.recipe.updates,
        "seconds": training.seconds,
        "held_out": figures._asdict(),
    }


def _described(asked: Asked, kept: int, others: int) -> Sequence[str]:
    folders = ", ".join(folder.name for folder in asked.others)
    return [f"{kept} recordings of {asked.data.name}", *([f"{others} of {folders}"] if others else [])]


def _tell(found: dict[str, Any], talk: Talk) -> None:
    if talk.json:
        emit(found)
        return
    if found["updates"] < found["of"]:
        say(talk, f"stopped after {found['updates']} of {found['of']} updates: go on with --resume")
    figures = found["held_out"]
    say(
        talk,
        f"on recordings not learned from: mel L1 {figures['mel_l1']:.3f}, "
        f"fundamental {figures['cents']:.0f} cents off (median). Next: rtsynth vocode in.wav --model {found['path']}",
    )
    print(found["path"])
