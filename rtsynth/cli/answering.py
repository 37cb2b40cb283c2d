"""What every `live` verb does with its source: open ears and mouth, say the delay as a sum, answer until it is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rtsynth.cli.display import Display, progress
from rtsynth.cli.flags import (
    TAKE,
    TALK,
    TARGET,
    AudioIn,
    AudioOut,
    MidiIn,
    NoLog,
    NoWait,
    Record,
    Take,
    Talk,
    Target,
)
from rtsynth.cli.output import say
from rtsynth.cli.performing import FILE_PREFIX, conclude, device_text, midi_text, panic_signal, stop_signals
from rtsynth.cli.render import DEFAULT_RATE, tell
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtsynth.io.devices import Device
    from rtsynth.io.performance import Performance
    from rtsynth.io.streams import Hearing
    from rtsynth.source import Source

HEADPHONES = "Use headphones: what the microphone hears of the loudspeakers comes back, louder each time."

Channel = Annotated[int | None, Parameter(help="The input's channel, from 1; without it, their mean.")]

RecordInput = Annotated[
    Path | None,
    Parameter(
        help="Write what the input hears to this .wav file: rtsynth render last then answers it again."
    ),
]


@Parameter(name="*")
@dataclass(frozen=True)
class Ears:
    """What is heard, and where it is answered."""

    audio_in: AudioIn = None
    audio_out: AudioOut = None
    channel: Channel = None
    midi_in: MidiIn = "all"
    record: Record = None
    no_wait: NoWait = False
    no_log: NoLog = False
    record_input: RecordInput = None

    @property
    def file_out(self) -> Path | None:
        """The file to be written instead of a device, if that is what was asked for."""
        if self.audio_out and self.audio_out.startswith(FILE_PREFIX):
            return Path(self.audio_out.removeprefix(FILE_PREFIX))
        return None

    @property
    def file_in(self) -> str | None:
        """The file to be heard instead of a device."""
        if self.audio_in and self.audio_in.startswith(FILE_PREFIX):
            return self.audio_in.removeprefix(FILE_PREFIX)
        return None


EARS = Ears()


@dataclass(frozen=True)
class Answerer:
    """A source that hears, and how to speak of it."""

    source: Source
    made: str  # how it was made, for the tags of files
    delays: Callable[[], dict[str, int]]  # by cause, in samples; their sum is the source's latency
    recipe: dict[str, Any]  # how it is made again from a log; with `why` in it: why it is not
    remarks: Callable[[], list[str]] = list  # lines to say once, when it begins
    measured: Callable[[], dict[str, Any]] = dict  # what it measured itself, for --json
    table: Callable[[], list[tuple[str, str]]] = list  # the same as rows

    @property
    def tags(self) -> dict[str, str]:
        """Tags of an audio file, from which it can be made again."""
        from rtsynth import __version__

        return {"software": f"rtsynth {__version__}", "comment": self.made}


def answer(
    answerer: Answerer, ears: Ears = EARS, take: Take = TAKE, target: Target = TARGET, talk: Talk = TALK
) -> int:
    """Answer a microphone in real time, or a file; the exit code."""
    if ears.file_out is not None:
        return _answer_to_file(answerer, ears, ears.file_out, take, target, talk)
    return _answer_live(answerer, ears, take, target, talk)


def _answer_live(answerer: Answerer, ears: Ears, take: Take, target: Target, talk: Talk) -> int:
    from rtsynth.io.devices import find_output
    from rtsynth.io.performance import Performance

    if ears.record_input is not None and ears.no_log:
        raise UsageError("--record-input keeps what a log needs beside it: leave --no-log out")
    device = find_output(ears.audio_out)
    sample_rate, heard, hearing = _open_ears(ears, device, take)
    with (
        Display(talk) as display,
        Performance(
            answerer.source,
            device,
            sample_rate=sample_rate,
            block=take.block,
            gain_db=take.gain_db,
            heard=heard,
            hearing=hearing,
            wait_for_device=not ears.no_wait,
            say=display.say,
        ) as performance,
        stop_signals() as stop,
    ):
        inputs = performance.listen(ears.midi_in)
        if ears.record is not None:
            performance.record(ears.record, subtype=target.subtype, tags=answerer.tags, force=target.force)
        if not ears.no_log:
            _keep_log(performance, answerer, ears, take, target, display.say)
        if hearing is not None and hearing.device.default_input and device.default:
            say(talk, HEADPHONES)
        for remark in answerer.remarks():
            say(talk, remark)
        heading = f"Answering {_input_text(ears, hearing)} on {device_text(device, ears.audio_out)}"
        midi = f"MIDI: {midi_text(ears.midi_in, inputs)}"
        display.headline = lambda: f"{heading} {_timing(answerer, performance)}, {midi}, Ctrl-C to stop"
        display.measured = answerer.measured
        display.begun = lambda: {
            "device": device.name,
            "input": _input_text(ears, hearing),
            "rate": sample_rate,
            "block": performance.block,
            "delay_ms": delays_ms(answerer, performance),
        }
        with panic_signal(performance.panic):
            outcome = performance.run(
                stop, seconds=take.seconds, on_status=display.update, on_device=display.device
            )
        told = {
            "latency": _latency(answerer, sample_rate),
            "device_latency_ms": performance.latency_ms,
            "delay_ms": delays_ms(answerer, performance),
            **answerer.measured(),
        }
    return conclude(outcome, take, talk, rows=answerer.table(), **told)


def model_recipe(model: str, **settings: Any) -> dict[str, Any]:
    """Of an answerer in a process of its own, for a log that is only to be read."""
    why = (
        "a model's delay hangs on how long its process took, so its answer is not made again. "
        "To keep what it heard and said: --record-input and --record"
    )
    return {"kind": "model", "model": model, **settings, "why": why}


def _keep_log(
    performance: Performance,
    answerer: Answerer,
    ears: Ears,
    take: Take,
    target: Target,
    say: Callable[[str], None],
) -> None:
    from rtsynth.cli.keeping import keep_log, known_file, listened_to
    from rtsynth.io.devices import NULL_NAME
    from rtsynth.io.heard_file import HeardFile

    file = None
    if ears.record_input is not None:
        file = HeardFile(ears.record_input, performance.engine.sample_rate, force=target.force, say=say)
        heard: Any = listened_to(ears.record_input)
    elif ears.file_in is not None:
        heard = known_file(ears.file_in, ears.channel)
    else:
        heard = None if ears.audio_in == NULL_NAME else "input"
    about = {"verb": "live", "source": answerer.recipe, "heard": heard, "gain_db": take.gain_db}
    keep_log(performance, answerer.recipe["kind"], lambda: about | {"tags": answerer.tags}, file)


def _open_ears(
    ears: Ears, device: Device, take: Take
) -> tuple[float, NDArray[np.float32] | None, Hearing | None]:
    """The rate to run at, and what is heard there: a file, an input, or with neither silence."""
    from rtsynth.io.devices import NULL_NAME, choose_rate, choose_shared_rate, find_input
    from rtsynth.io.hearing import read_heard
    from rtsynth.io.streams import Hearing

    if ears.file_in is not None:
        rate = choose_rate(device, take.rate)
        return rate, read_heard(ears.file_in, rate, ears.channel), None
    if ears.audio_in == NULL_NAME:
        return choose_rate(device, take.rate), None, None
    microphone = find_input(ears.audio_in, device)
    return choose_shared_rate(device, microphone, take.rate), None, Hearing(microphone, ears.channel)


def _answer_to_file(
    answerer: Answerer, ears: Ears, path: Path, take: Take, target: Target, talk: Talk
) -> int:
    """Offline, as fast as it goes: the same samples as in real time, and for every block size."""
    if ears.record is not None or ears.record_input is not None:
        raise UsageError("--audio-out file: is a recording already. Leave --record and --record-input out")
    if ears.file_in is None:
        raise UsageError(
            "--audio-out file: is written faster than real time, and needs --audio-in file:x.wav. "
            f"To keep what a microphone says: --audio-out null --record {path}"
        )
    import numpy as np

    from rtsynth.io.hearing import read_heard
    from rtsynth.io.rendering import render_file
    from rtsynth.messages import MESSAGE

    sample_rate = take.rate or DEFAULT_RATE
    heard = read_heard(ears.file_in, sample_rate, ears.channel)
    with progress(f"Rendering {path.name}", talk) as update:
        rendered = render_file(
            answerer.source,
            np.empty(0, MESSAGE),
            path,
            sample_rate=sample_rate,
            seconds=take.seconds,
            block=take.block,
            gain_db=take.gain_db,
            heard=heard,
            subtype=target.subtype,
            tags=answerer.tags,
            force=target.force,
            progress=update,
        )
    latency = _latency(answerer, sample_rate)
    for remark in answerer.remarks():
        say(talk, remark)
    say(talk, f"It answers {latency['samples']} samples ({latency['ms']:.1f} ms) after what it heard")
    tell(rendered, take, talk, latency=latency, **answerer.measured())
    return 0


def _input_text(ears: Ears, hearing: Hearing | None) -> str:
    if hearing is not None:
        channel = "" if hearing.channel is None else f", channel {hearing.channel},"
        return f"{hearing.device.name}{channel}"
    return "silence" if ears.file_in is None else Path(ears.file_in).name


def delays_ms(answerer: Answerer, performance: Performance) -> dict[str, float]:
    """What the delay to the ear is made of, in milliseconds: the device first, their sum last."""
    rate = performance.engine.sample_rate
    parts = {"device": performance.latency_ms}
    parts |= {name: 1e3 * samples / rate for name, samples in answerer.delays().items() if samples}
    return parts | {"total": sum(parts.values())}


def _timing(answerer: Answerer, performance: Performance) -> str:
    *parts, (_, total) = delays_ms(answerer, performance).items()
    listed = " + ".join(f"{name} {ms:.1f}" for name, ms in parts)
    amount = f"{listed} = {total:.1f} ms" if len(parts) > 1 else f"{listed} ms"
    return f"{performance.engine.sample_rate:g} Hz / {performance.block} frames, {amount} to the ear"


def _latency(answerer: Answerer, sample_rate: float) -> dict[str, float]:
    samples = answerer.source.latency
    return {"samples": samples, "ms": 1e3 * samples / sample_rate}
