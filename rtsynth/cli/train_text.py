"""`rtsynth train text`: characters, from a text file to a network that writes on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.export import Force, need_torch
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import emit, say
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    from rtsynth.training.text import Training


def text(
    *,
    data: Annotated[Path, Parameter(help="A text file, UTF-8; its last tenth is the test.")],
    out: Annotated[
        Path, Parameter(name=["--out", "-o"], help="The network, an .onnx file; a checkpoint .pt beside it.")
    ],
    updates: Annotated[
        int, Parameter(help="Steps of the optimiser; 6000 take 15 minutes of one idle core.")
    ] = 6000,
    hidden: Annotated[int, Parameter(help="Units of a layer.")] = 512,
    layers: Annotated[int, Parameter(help="LSTMs, one on top of the other.")] = 1,
    seed: Annotated[int, Parameter(help="Of the weights at the start, and of what is left out.")] = 1,
    dynamic: Annotated[
        bool,
        Parameter(show_default=False, help="Score the test once more, learning from it on the way: slow."),
    ] = False,
    device: Annotated[str, Parameter(help="cpu, cuda or cuda:N.")] = "cpu",
    resume: Annotated[
        bool, Parameter(show_default=False, help="Go on from the checkpoint that is there.")
    ] = False,
    force: Force = False,
    talk: Talk = TALK,
) -> int:
    """An LSTM over characters. Ctrl-C loses at most a hundred updates: go on with --resume."""
    if updates < 1 or hidden < 1 or layers < 1 or seed < 0:
        raise UsageError("train text takes --updates, --hidden and --layers from 1, --seed from 0")
    need_torch()
    from rtsynth.target import check_target
    from rtsynth.training.stepping import check_onnx
    from rtsynth.training.text import Recipe, Training, read_text, static_bits, train
    from rtsynth.training.text_export import card, export_text

    checkpoint = out.with_suffix(".pt")
    check_onnx(out, force or resume)
    check_target(checkpoint, force or resume)
    said = read_text(data)
    recipe = Recipe(seed=seed, updates=updates, hidden=hidden, layers=layers)
    training = Training.resume(checkpoint, said, device) if resume else Training(recipe, said, device)
    with progress("Training text", talk) as update:
        train(training, checkpoint, update)
    training.network.cpu()
    scores = {"static": static_bits(training.network, training.unseen)}
    if dynamic:
        scores["dynamic"] = _dynamic(training, talk)
    error = export_text(training, out, card(training, scores, data.name))
    if talk.json:
        found = {"path": str(out), "updates": training.update, "seconds": training.seconds}
        emit({**found, "bits_per_character": scores, "error": error})
        return 0
    listed = ", ".join(f"{name} {bits:.3f}" for name, bits in scores.items())
    say(talk, f"bits per character of the {len(training.unseen)} held out: {listed}")
    say(talk, f'Next: rtsynth generate text --model {out} --prime "Once"')
    print(out)
    return 0


def _dynamic(training: Training, talk: Talk) -> float:
    from rtsynth.training.dynamic import dynamic_bits

    with progress("Dynamic evaluation", talk) as update:
        return dynamic_bits(training.network, training.learned, training.unseen, progress=update)
