"""`rtsynth play`: an instrument in real time, from MIDI keyboards or a piece, on a sound device."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from rtsynth.cli import INTERRUPTED
from rtsynth.cli.display import Display
from rtsynth.cli.flags import (
    TAKE,
    TALK,
    TARGET,
    AudioOut,
    MidiIn,
    PresetName,
    Record,
    Take,
    Talk,
    Target,
)
from rtsynth.cli.loading import load_instrument, load_piece, tags
from rtsynth.cli.measurements import as_json, table_text, warn_of_limiting
from rtsynth.cli.output import emit, say
from rtsynth.cli.render import render_piece
from rtsynth.errors import DeviceError, UsageError

if TYPE_CHECKING:
    from rtsynth.io.devices import Device
    from rtsynth.io.midi_files import MidiPiece
    from rtsynth.io.midi_ports import MidiInputs
    from rtsynth.io.performance import Outcome, Performance

FILE_PREFIX = "file:"


def play(
    preset: PresetName,
    piece: Annotated[str | None, Parameter(help="A MIDI file; without one, MIDI inputs play.")] = None,
    /,
    *,
    audio_out: AudioOut = None,
    midi_in: MidiIn = "all",
    record: Record = None,
    take: Take = TAKE,
    target: Target = TARGET,
    talk: Talk = TALK,
) -> int:
    """Play an instrument in real time, until Ctrl-C or the end of the piece."""
    score = load_piece(piece, talk) if piece else None
    if audio_out and audio_out.startswith(FILE_PREFIX):
        return _play_to_file(
            preset, score, Path(audio_out.removeprefix(FILE_PREFIX)), record, take, target, talk
        )

    from rtsynth.io.devices import choose_rate, find_output
    from rtsynth.io.performance import Performance

    device = find_output(audio_out)
    sample_rate = choose_rate(device, take.rate)
    instrument = load_instrument(preset, take.seed, talk)
    with (
        Display(talk) as display,
        Performance(
            instrument,
            device,
            sample_rate=sample_rate,
            block=take.block,
            gain_db=take.gain_db,
            say=display.say,
        ) as performance,
        _stop_signals() as stop,
    ):
        inputs = performance.listen(midi_in)
        if score is not None:
            performance.play(score)
        if record is not None:
            performance.record(
                record, subtype=target.subtype, tags=tags(preset, take.seed), force=target.force
            )
        what = f"{preset}: {score.title}," if score else preset
        heading = f"Playing {what} on {_device_text(device, audio_out)}"
        display.headline = lambda: (
            f"{heading} {_timing(performance)}, MIDI: {_midi_text(midi_in, inputs)}, Ctrl-C to stop"
        )
        outcome = performance.run(stop, seconds=take.seconds, on_status=display.update)
    return _conclude(outcome, take, talk)


def _play_to_file(
    preset: str,
    score: MidiPiece | None,
    path: Path,
    record: Path | None,
    take: Take,
    target: Target,
    talk: Talk,
) -> int:
    """`file:` is the same as `render`: offline, the same bytes."""
    if record is not None:
        raise UsageError("--audio-out file: is a recording already. Leave --record out")
    if score is None and take.seconds is None:
        raise UsageError("--audio-out file: needs a MIDI file to play, or --seconds")
    return render_piece(preset, score, path, take, target, talk)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C, a closed terminal or a polite kill sets; a second Ctrl-C interrupts at once."""
    stop = threading.Event()

    def on_signal(number: int, frame: Any) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    names = ("SIGINT", "SIGTERM", "SIGHUP")  # not every system has the last
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _device_text(device: Device, asked_for: str | None) -> str:
    if not device.is_null:
        return device.name
    if asked_for is not None:
        return "null"
    from rtsynth.io.portaudio import install_hint, portaudio

    reason = "no sound card found" if portaudio() else f"no PortAudio: {install_hint()}"
    return f"null, in silence ({reason}),"


def _timing(performance: Performance) -> str:
    rate = performance.engine.sample_rate
    return f"{rate:g} Hz / {performance.block} frames ({performance.latency_ms:.1f} ms)"


def _midi_text(wanted: str, inputs: MidiInputs) -> str:
    if wanted == "none":
        return "none"
    if not inputs.available:
        return "none (no MIDI system here: rtsynth doctor)"
    return f"{wanted} ({', '.join(inputs.names) or 'nothing connected yet'})"


def _conclude(outcome: Outcome, take: Take, talk: Talk) -> int:
    """Print what was measured; the exit code is that of the first thing that went wrong."""
    from rtsynth.io.performance import Ending

    recorded = outcome.recorded
    if recorded is not None:
        say(talk, f"Recorded {recorded.path} ({recorded.seconds:.1f} s)")
    if recorded is not None and recorded.rescued is not None:
        say(talk, f"The rest is in {recorded.rescued} ({recorded.rescued_seconds:.1f} s)")
    warn_of_limiting(outcome.report, take.gain_db)
    if talk.json:
        emit(_as_json(outcome))
    elif not talk.quiet:
        print(table_text(outcome.report, outcome.voices))
    if outcome.ending is Ending.DEVICE_GONE:
        return DeviceError.exit_code
    if recorded is not None and not recorded.whole:
        return 1
    return INTERRUPTED if outcome.ending is Ending.INTERRUPTED else 0


def _as_json(outcome: Outcome) -> dict[str, Any]:
    recorded = outcome.recorded
    files = None
    if recorded is not None:
        files = {
            "path": str(recorded.path),
            "seconds": recorded.seconds,
            "rescued": str(recorded.rescued) if recorded.rescued else None,
            "rescued_seconds": recorded.rescued_seconds,
            "lost_seconds": recorded.lost_seconds,
        }
    measured = as_json(outcome.report, outcome.voices)
    return {
        "event": "end",
        "ending": outcome.ending.value,
        "seconds": outcome.seconds,
        "recorded": files,
        **measured,
    }
