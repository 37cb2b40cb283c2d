"""`rtsynth live MODEL`: what a microphone hears, or a file in its place, answered in real time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from rtsynth.cli.answering import EARS, Answerer, Ears, answer, model_recipe
from rtsynth.cli.flags import TAKE, TALK, TARGET, Take, Talk, Target
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    from rtsynth.codec.live import LiveCodec
    from rtsynth.inference.live import LiveModel

KNOBS = (
    "controllers: 91 wet, 64 (pedal) freeze, 16 transpose, 17 formants, 18 noise, 19 density; "
    "a key plays the latest sound, 20 or a program change one before it, 66 keeps them"
)

app = App(
    name="live", help="Answer a microphone, or a file, in real time: a streaming model, or the GP vocoder."
)
app.command(
    "rtsynth.cli.live_vocoder:vocoder", name="vocoder", help="A neural vocoder on its own mel frames."
)

Bands = Annotated[int, Parameter(help="Bands of noise, from 70 Hz to 12 kHz.")]
Variance = Annotated[
    float, Parameter(help="Share of the power drawn anew: 1 all, 0 as heard. Controller 1 moves it.")
]
Model = Annotated[str, Parameter(help="A streaming .onnx model, or the name of one that ships (drive).")]
Manifest = Annotated[
    str | None,
    Parameter(help="Its description: a .toml file, or a name that ships (gtcrn). Else the one beside it."),
]
Wet = Annotated[
    float, Parameter(help="1: the model alone; 0: what was heard, as late. Controller 91 moves it.")
]
Density = Annotated[
    float,
    Parameter(
        help="Of a codec: the share of its events that is played, 0.1 to 1 (all). Controller 19 moves it."
    ),
]
Bias = Annotated[
    float, Parameter(help="Of a network that draws, as waveform does: above 0 tidier. What it draws: --seed.")
]
Policy = Annotated[
    Literal["dry", "hold", "silence"], Parameter(help="What sounds while the model is late or restarting.")
]
Ahead = Annotated[
    float | None, Parameter(help="Milliseconds the model is given for a frame; else 4 times what it took.")
]
On = Annotated[Literal["cpu", "cuda", "auto"], Parameter(name="--device", help="What the model runs on.")]
Resampling = Annotated[
    Literal["polyphase", "soxr"],
    Parameter(help="Where rates differ: polyphase (3 ms each way) or soxr (37 ms each way)."),
]


@app.command
def gp(
    *,
    bands: Bands = 48,
    variance: Variance = 1.0,
    ears: Ears = EARS,
    take: Take = TAKE,
    target: Target = TARGET,
    talk: Talk = TALK,
) -> int:
    """The GP vocoder: bands of noise, drawn as strong as what is heard; until Ctrl-C or the end of the file."""
    from rtsynth.cli.loading import announce_compiling
    from rtsynth.speech.live import Vocoder

    vocoder = Vocoder(bands, variance=variance, seed=take.seed)
    made = f"live gp, {vocoder.count} bands, variance {vocoder.variance:g}, seed {vocoder.seed}"
    announce_compiling(talk)
    recipe = {"kind": "gp", "bands": bands, "variance": variance, "seed": take.seed}
    answerer = Answerer(vocoder, made, lambda: {"vocoder": vocoder.latency}, recipe)
    return answer(answerer, ears, take, target, talk)


@app.command
def thru(*, ears: Ears = EARS, take: Take = TAKE, target: Target = TARGET, talk: Talk = TALK) -> int:
    """The control: what is heard, unchanged and at once. What crackles here is the machine's or the device's."""
    from rtsynth.engine.thru import Thru

    return answer(Answerer(Thru(), "live thru", dict, {"kind": "thru"}), ears, take, target, talk)


@app.default
def model(
    model: Model,
    /,
    *,
    manifest: Manifest = None,
    wet: Wet = 1.0,
    density: Density = 1.0,
    bias: Bias = 0.0,
    policy: Policy = "dry",
    ahead_ms: Ahead = None,
    device: On = "cpu",
    resampling: Resampling = "polyphase",
    ears: Ears = EARS,
    take: Take = TAKE,
    target: Target = TARGET,
    talk: Talk = TALK,
) -> int:
    """A streaming model with explicit state, in a process of its own; until Ctrl-C or the end of the file."""
    from rtsynth.cli.output import warn
    from rtsynth.inference.live import LiveModel
    from rtsynth.inference.manifest import load_manifest
    from rtsynth.sequence.waveform import MOST_BIAS, choices

    described = load_manifest(model, manifest)
    records = described.answers == "records"
    if density != 1.0 and not records:
        raise UsageError(
            f"{model} has no events, and so no density. Next: rtsynth live codec --density {density:g}"
        )
    start = choices(described, take.seed, bias)
    if not 0.0 <= bias <= MOST_BIAS or (bias and "bias" not in start):
        raise UsageError(
            f"--bias {bias:g}: want 0 to {MOST_BIAS:g}, and a network that draws: rtsynth live waveform"
        )
    source = LiveModel(
        model,
        manifest=manifest,
        device=device,
        wet=1.0 if records else wet,
        policy="silence" if records else policy,
        ahead_ms=ahead_ms,
        resampling=resampling,
        start=start,
        say=warn,
    )
    name = Path(model).stem
    try:
        answerer = (
            _codec_answerer(source, name, wet, density, take, talk)
            if records
            else _answerer(source, ", ".join([f"live {name}", *(f"{k} {v:g}" for k, v in start.items())]))
        )
        return answer(answerer, ears, take, target, talk)
    finally:
        source.close()


def _codec_answerer(
    model: LiveModel, name: str, wet: float, density: float, take: Take, talk: Talk
) -> Answerer:
    """Of a model that answers with events: the decoder plays them in the callback."""
    from rtsynth.cli import models
    from rtsynth.cli.loading import announce_compiling
    from rtsynth.codec.decoder import Decoder
    from rtsynth.codec.live import LiveCodec, nominal

    announce_compiling(talk)
    codec = LiveCodec(model, Decoder(seed=take.seed), wet=wet, density=density)
    rates = "{:.1f} events/s, {:.2f} kb/s".format(*nominal(density))
    return Answerer(
        codec,
        made=f"live {name}, wet {wet:g}, density {density:g}, seed {take.seed}",
        delays=lambda: codec.delays,
        recipe=model_recipe(name, wet=wet, density=density, seed=take.seed),
        remarks=lambda: [*models.remarks(model), f"density {density:g}: {rates}", KNOBS],
        measured=lambda: {"model": models.as_json(model), "codec": codec.measured()},
        table=lambda: [*models.rows(model), *_events(codec)],
    )


def _events(codec: LiveCodec) -> list[tuple[str, str]]:
    told = codec.measured()
    rates = f"{told['events_per_second']:.1f}/s, {told['bits_per_second'] / 1e3:.2f} kb/s"
    rows = [("events played", f"{told['events']} ({rates})")]
    troubles = {"events left out for the density": "thinned", "events that no decoder plays": "refused",
                "times without events": "outages"}  # fmt: skip
    return rows + [(label, str(told[name])) for label, name in troubles.items() if told[name]]


def _answerer(source: LiveModel, made: str) -> Answerer:
    from rtsynth.cli import models

    return Answerer(
        source,
        made=made,
        delays=lambda: source.delays,
        recipe=model_recipe(Path(source.manifest.file).stem, made=made),
        remarks=lambda: models.remarks(source),
        measured=lambda: {"model": models.as_json(source)},
        table=lambda: models.rows(source),
    )
