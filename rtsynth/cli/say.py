"""`rtsynth say`: written English aloud, on a device while it is being made, or to a file."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from rtsynth.cli.display import Display, progress
from rtsynth.cli.flags import TAKE, TALK, TARGET, AudioOut, NoWait, Record, Take, Talk, Target
from rtsynth.cli.output import emit, warn
from rtsynth.cli.output import say as tell
from rtsynth.cli.performing import FILE_PREFIX, conclude, device_text, stop_signals
from rtsynth.errors import InputError, UsageError

if TYPE_CHECKING:
    from rtsynth.cli.mouths import Mouth
    from rtsynth.cli.saying import Saying
    from rtsynth.vocoder.stream import Vocoder

BANK_RATE = 48000.0  # hertz, of a file by the bank's voice; a vocoder has a rate of its own

Voice = Literal["vocoder", "gp"]


def say(
    text: Annotated[str | None, Parameter(help="What to say; without it, what comes in on stdin.")] = None,
    /,
    *,
    out: Annotated[
        Path | None, Parameter(name=["--out", "-o"], help="An audio file instead of a device.")
    ] = None,
    voice: Annotated[
        Voice, Parameter(help="vocoder: a neural one; gp: the codec's bank, noise drawn anew by the seed.")
    ] = "vocoder",
    model: Annotated[str, Parameter(help="A file of `rtsynth train say`, or one that ships.")] = "say",
    vocoder: Annotated[str, Parameter(help="A vocoder's .onnx file, or one that ships.")] = "vocoder",
    bias: Annotated[
        float | None,
        Parameter(
            help="Draw the frames: 0 as varied as what was learned, 3 hardly; without it the likeliest."
        ),
    ] = None,
    speed: Annotated[float, Parameter(help="0.5 … 2: how fast to go through the text.")] = 1.0,
    audio_out: AudioOut = None,
    record: Record = None,
    no_wait: NoWait = False,
    take: Take = TAKE,
    target: Target = TARGET,
    talk: Talk = TALK,
) -> int:
    """Say English text: letters to frames to sound. It sounds before the first sentence is finished."""
    if audio_out and audio_out.startswith(FILE_PREFIX):
        if out is not None:
            raise UsageError("-o is a file already: leave --audio-out file: out")
        out = Path(audio_out.removeprefix(FILE_PREFIX))
    if out is not None:
        if record is not None:
            raise UsageError(f"{out} is a recording already. Leave --record out")
        from rtsynth.io.patch import check_audio_target

        check_audio_target(out, target.force)
    from rtsynth.cli.saying import Manner, Saying
    from rtsynth.sequence.speech import Speaker

    written = _text(text)
    loaded = _vocoder(vocoder) if voice == "vocoder" else None
    saying = Saying(Speaker(model), written, Manner(take.seed, bias, speed))
    if saying.unknown:
        shown = [c if c.isprintable() else f"U+{ord(c):04X}" for c in saying.unknown[:30]]
        warn(f"left out what is not read: {' '.join(shown)}")
    made = f"say, voice {voice}, model {model}, speed {speed:g}, seed {take.seed}"
    if out is not None:
        written_file = _vocoder_to_file if loaded is not None else _bank_to_file
        return written_file(saying, loaded, out, made, take, target, talk)
    from rtsynth.cli import mouths

    mouth = mouths.tape(saying, loaded) if loaded is not None else mouths.bank(saying, take.seed)
    return _play(mouth, saying, audio_out, record, no_wait, made, take, target, talk)


def _text(given: str | None) -> str:
    """What was typed, or what comes in on stdin."""
    if given is not None:
        return given
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError('say what? rtsynth say "Some text.", or a text on stdin')
    try:
        found = sys.stdin.read()
        found.encode()  # Python may let bytes that are no text pass as surrogates
    except UnicodeError:
        raise InputError("what comes in on stdin is no text in UTF-8: iconv -t UTF-8 makes it so") from None
    return found


def _vocoder(name: str) -> Vocoder:
    from rtsynth.vocoder.mel import HIFIGAN
    from rtsynth.vocoder.stream import load_vocoder

    loaded = load_vocoder(name)
    if loaded.mel != HIFIGAN:
        raise InputError(
            f"{name} takes other mel frames than HiFi-GAN's, which `say` makes. --vocoder vocoder"
        )
    return loaded


def _play(
    mouth: Mouth,
    saying: Saying,
    audio_out: str | None,
    record: Path | None,
    no_wait: bool,
    made: str,
    take: Take,
    target: Target,
    talk: Talk,
) -> int:
    """On a device, while it is made."""
    from rtsynth.io.devices import choose_rate, find_output
    from rtsynth.io.performance import Performance

    device = find_output(audio_out)
    with (
        Display(talk) as display,
        Performance(
            mouth.source,
            device,
            sample_rate=choose_rate(device, take.rate),
            block=take.block,
            gain_db=take.gain_db,
            wait_for_device=not no_wait,
            say=display.say,
        ) as performance,
        stop_signals() as stop,
    ):
        narration = mouth.narration(performance.engine)
        performance.narrate(narration)
        if record is not None:
            performance.record(record, subtype=target.subtype, tags=_tags(made), force=target.force)
        where = device_text(device, audio_out)
        display.headline = lambda: f"Saying it on {where}, Ctrl-C to stop"
        display.begun = lambda: {"device": device.name, "rate": performance.engine.sample_rate}
        outcome = performance.run(
            stop, seconds=take.seconds, on_status=display.update, on_device=display.device
        )
        narration.check()
    _warn_of_cuts(saying)
    return conclude(outcome, take, talk, **saying.as_dict(), **mouth.measured())


def _vocoder_to_file(
    saying: Saying, vocoder: Vocoder | None, out: Path, made: str, take: Take, target: Target, talk: Talk
) -> int:
    from rtsynth.io.audio_files import AudioWriter
    from rtsynth.io.narration import resampled

    assert vocoder is not None
    rate, begun = take.rate or vocoder.sample_rate, time.perf_counter()
    left = None if take.seconds is None else round(take.seconds * rate)
    gain = 10.0 ** (take.gain_db / 20.0)
    with (
        AudioWriter(
            out, rate, subtype=target.subtype, tags=_tags(made), force=target.force, whole=True
        ) as writer,
        progress(f"Saying to {out.name}", talk) as update,
    ):
        for samples in resampled(saying.sound(vocoder), vocoder.sample_rate, rate):
            kept = samples if left is None else samples[: max(0, left - writer.frames)]
            writer.write(gain * kept[:, None].repeat(2, axis=1))
            update(saying.share)
            if left is not None and writer.frames >= left:
                break
    if writer.clipped:
        warn(f"{writer.clipped} samples were cut at full scale: lower --gain-db, or use --subtype FLOAT")
    return _tell(saying, out, writer.seconds, time.perf_counter() - begun, writer.peak, talk)


def _bank_to_file(
    saying: Saying, vocoder: Vocoder | None, out: Path, made: str, take: Take, target: Target, talk: Talk
) -> int:
    """All events first, then the bank, as fast as it goes: the same samples for every block size."""
    import numpy as np

    from rtsynth.cli.loading import announce_compiling
    from rtsynth.codec.decoder import Decoder
    from rtsynth.io.rendering import render_file
    from rtsynth.messages import MESSAGE

    announce_compiling(talk)
    begun = time.perf_counter()
    events = np.concatenate(list(saying.events()))
    with progress(f"Saying to {out.name}", talk) as update:
        rendered = render_file(
            Decoder(events, take.seed, seconds=saying.seconds),
            np.empty(0, MESSAGE),
            out,
            sample_rate=take.rate or BANK_RATE,
            seconds=saying.seconds if take.seconds is None else take.seconds,
            block=take.block,
            gain_db=take.gain_db,
            subtype=target.subtype,
            tags=_tags(made),
            force=target.force,
            progress=update,
        )
    if rendered.clipped:
        warn(f"{rendered.clipped} samples were cut at full scale: lower --gain-db, or use --subtype FLOAT")
    took = time.perf_counter() - begun
    return _tell(saying, out, rendered.seconds, took, rendered.report.peak, talk)


def _tell(saying: Saying, out: Path, seconds: float, took: float, peak: float, talk: Talk) -> int:
    _warn_of_cuts(saying)
    if talk.json:
        emit({"path": str(out), "seconds": seconds, "took": took, "peak": peak, **saying.as_dict()})
        return 0
    tell(talk, f"{seconds:.1f} s in {took:.1f} s ({seconds / max(took, 1e-9):.0f} × real time)")
    print(out)
    return 0


def _warn_of_cuts(saying: Saying) -> None:
    if saying.cut_short:
        warn(f"{saying.cut_short} sentences were cut short: the window did not reach their end")


def _tags(made: str) -> dict[str, str]:
    from rtsynth import __version__

    return {"software": f"rtsynth {__version__}", "comment": made}
