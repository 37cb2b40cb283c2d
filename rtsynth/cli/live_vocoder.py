"""`rtsynth live vocoder`: what a microphone hears, as mel frames, said again by a vocoder."""

from __future__ import annotations

from rtsynth.cli.answering import EARS, Answerer, Ears, answer, model_recipe
from rtsynth.cli.flags import TAKE, TALK, TARGET, Take, Talk, Target
from rtsynth.cli.live import Ahead, On, Policy, Resampling, Wet
from rtsynth.cli.vocode import Model


def vocoder(
    *,
    model: Model = "vocoder",
    wet: Wet = 1.0,
    policy: Policy = "dry",
    ahead_ms: Ahead = None,
    device: On = "cpu",
    resampling: Resampling = "polyphase",
    ears: Ears = EARS,
    take: Take = TAKE,
    target: Target = TARGET,
    talk: Talk = TALK,
) -> int:
    """A vocoder in a process of its own: its frames are taken of what is heard; until Ctrl-C or the end of the file."""
    from rtsynth.cli import models
    from rtsynth.cli.output import warn
    from rtsynth.vocoder.live import LiveVocoder

    source = LiveVocoder(
        model,
        device=device,
        wet=wet,
        policy=policy,
        ahead_ms=ahead_ms,
        resampling=resampling,
        say=warn,
    )
    try:
        return answer(
            Answerer(
                source,
                made=f"live vocoder {source.manifest.name}",
                delays=lambda: source.delays,
                recipe=model_recipe(str(model), wet=wet),
                remarks=lambda: models.remarks(source),
                measured=lambda: {"model": models.as_json(source)},
                table=lambda: models.rows(source),
            ),
            ears,
            take,
            target,
            talk,
        )
    finally:
        source.close()
