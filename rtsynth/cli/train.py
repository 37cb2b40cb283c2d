"""`rtsynth train`: the recipes of the models that are shipped."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.export import Force, Out, need_torch, tell
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import emit, say
from rtsynth.errors import UsageError

CODEC = "The codec's live encoder, or the published model. By torchrun: on several processes."

app = App(name="train", help="Train a model by its recipe, and export it.")
app.command("rtsynth.cli.train_hifigan:hifigan", name="hifigan", help="HiFi-GAN by its authors' recipe.")
app.command("rtsynth.cli.train_codec:codec", name="codec", help=CODEC)
app.command(
    "rtsynth.cli.train_vocoder:vocoder", name="vocoder", help="Mel frames to sound, with little delay."
)
app.command("rtsynth.cli.train_music:music", name="music", help="A network that plays on: RNN or RNN-NADE.")
app.command("rtsynth.cli.train_pen:pen", name="pen", help="A pen that writes what it reads.")
app.command("rtsynth.cli.train_text:text", name="text", help="A network that goes on writing a text.")
app.command("rtsynth.cli.train_waveform:waveform", name="waveform", help="A network that says raw sound.")
app.command("rtsynth.cli.train_say:say", name="say", help="A network that reads aloud.")


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
