"""`rtsynth live MODEL`: what a microphone hears, or a file in its place, answered in real time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from rtsynth.cli.display import Display, progress
from rtsynth.cli.flags import TAKE, TALK, TARGET, AudioIn, AudioOut, MidiIn, Record, Take, Talk, Target
from rtsynth.cli.loading import announce_compiling
from rtsynth.cli.output import say
from rtsynth.cli.performing import FILE_PREFIX, conclude, device_text, midi_text, stop_signals
from rtsynth.cli.render import DEFAULT_RATE, tell
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtsynth.io.devices import Device
    from rtsynth.io.performance import Performance
    from rtsynth.io.streams import Hearing
    from rtsynth.speech.live import Vocoder

app = App(name="live", help="Answer a microphone, or a file, in real time.")

HEADPHONES = "Use headphones: what the microphone hears of the loudspeakers comes back, louder each time."

Bands = Annotated[int, Parameter(help="Bands of noise, from 70 Hz to 12 kHz.")]
Variance = Annotated[
    float, Parameter(help="Share of the power drawn anew: 1 all, 0 as heard. Controller 1 moves it.")
]
Channel = Annotated[int | None, Parameter(help="The input's channel, from 1; without it, their mean.")]


@app.command
def gp(
    *,
    audio_in: AudioIn = None,
    audio_out: AudioOut = None,
    channel: Channel = None,
    bands: Bands = 48,
    variance: Variance = 1.0,
    midi_in: MidiIn = "all",
    record: Record = None,
    take: Take = TAKE,
    target: Target = TARGET,
    talk: Talk = TALK,
) -> int:
    """The GP vocoder: bands of noise, drawn as strong as what is heard; until Ctrl-C or the end of the file."""
    from rtsynth.speech.live import Vocoder

    vocoder = Vocoder(bands, variance=variance, seed=take.seed)
    if audio_out and audio_out.startswith(FILE_PREFIX):
        path = Path(audio_out.removeprefix(FILE_PREFIX))
        return _answer_to_file(vocoder, audio_in, channel, path, record, take, target, talk)

    from rtsynth.io.devices import find_output
    from rtsynth.io.performance import Performance

    device = find_output(audio_out)
    sample_rate, heard, hearing = _open_ears(audio_in, channel, device, take)
    announce_compiling(talk)
    with (
        Display(talk) as display,
        Performance(
            vocoder,
            device,
            sample_rate=sample_rate,
            block=take.block,
            gain_db=take.gain_db,
            heard=heard,
            hearing=hearing,
            say=display.say,
        ) as performance,
        stop_signals() as stop,
    ):
        inputs = performance.listen(midi_in)
        if record is not None:
            performance.record(record, subtype=target.subtype, tags=_tags(vocoder), force=target.force)
        if hearing is not None and hearing.device.default_input and device.default:
            say(talk, HEADPHONES)
        heading = f"Answering {_input_text(audio_in, hearing)} on {device_text(device, audio_out)}"
        display.headline = lambda: (
            f"{heading} {_timing(vocoder, performance)}, MIDI: {midi_text(midi_in, inputs)}, Ctrl-C to stop"
        )
        outcome = performance.run(stop, seconds=take.seconds, on_status=display.update)
        device_ms = performance.latency_ms
    return conclude(outcome, take, talk, latency=_latency(vocoder, sample_rate), device_latency_ms=device_ms)


def _open_ears(
    audio_in: str | None, channel: int | None, device: Device, take: Take
) -> tuple[float, NDArray[np.float32] | None, Hearing | None]:
    """The rate to run at, and what is heard there: a file, an input, or with neither silence."""
    from rtsynth.io.devices import NULL_NAME, choose_rate, choose_shared_rate, find_input
    from rtsynth.io.hearing import read_heard
    from rtsynth.io.streams import Hearing

    if audio_in and audio_in.startswith(FILE_PREFIX):
        rate = choose_rate(device, take.rate)
        return rate, read_heard(audio_in.removeprefix(FILE_PREFIX), rate, channel), None
    if audio_in == NULL_NAME:
        return choose_rate(device, take.rate), None, None
    microphone = find_input(audio_in, device)
    return choose_shared_rate(device, microphone, take.rate), None, Hearing(microphone, channel)


def _answer_to_file(
    vocoder: Vocoder,
    audio_in: str | None,
    channel: int | None,
    path: Path,
    record: Path | None,
    take: Take,
    target: Target,
    talk: Talk,
) -> int:
    """Offline, as fast as it goes: the same bytes as in real time, and for every block size."""
    if record is not None:
        raise UsageError("--audio-out file: is a recording already. Leave --record out")
    if audio_in is None or not audio_in.startswith(FILE_PREFIX):
        raise UsageError(
            "--audio-out file: is written faster than real time, and needs --audio-in file:x.wav. "
            f"To keep what a microphone says: --audio-out null --record {path}"
        )
    import numpy as np

    from rtsynth.io.hearing import read_heard
    from rtsynth.io.rendering import render_file
    from rtsynth.messages import MESSAGE

    sample_rate = take.rate or DEFAULT_RATE
    heard = read_heard(audio_in.removeprefix(FILE_PREFIX), sample_rate, channel)
    announce_compiling(talk)
    with progress(f"Rendering {path.name}", talk) as update:
        rendered = render_file(
            vocoder,
            np.empty(0, MESSAGE),
            path,
            sample_rate=sample_rate,
            seconds=take.seconds,
            block=take.block,
            gain_db=take.gain_db,
            heard=heard,
            subtype=target.subtype,
            tags=_tags(vocoder),
            force=target.force,
            progress=update,
        )
    latency = _latency(vocoder, sample_rate)
    say(talk, f"It answers {latency['samples']} samples ({latency['ms']:.1f} ms) after what it heard")
    tell(rendered, take, talk, latency=latency)
    return 0


def _input_text(audio_in: str | None, hearing: Hearing | None) -> str:
    if hearing is not None:
        channel = "" if hearing.channel is None else f", channel {hearing.channel},"
        return f"{hearing.device.name}{channel}"
    return "silence" if audio_in == "null" else Path(str(audio_in).removeprefix(FILE_PREFIX)).name


def _timing(vocoder: Vocoder, performance: Performance) -> str:
    rate = performance.engine.sample_rate
    own_ms = _latency(vocoder, rate)["ms"]
    return (
        f"{rate:g} Hz / {performance.block} frames "
        f"({own_ms:.1f} ms vocoder + {performance.latency_ms:.1f} ms device)"
    )


def _latency(vocoder: Vocoder, sample_rate: float) -> dict[str, float]:
    return {"samples": vocoder.latency, "ms": 1e3 * vocoder.latency / sample_rate}


def _tags(vocoder: Vocoder) -> dict[str, str]:
    """Tags of an audio file, from which it can be made again."""
    from rtsynth import __version__

    made = f"live gp, {vocoder.count} bands, variance {vocoder.variance:g}, seed {vocoder.seed}"
    return {"software": f"rtsynth {__version__}", "comment": made}
