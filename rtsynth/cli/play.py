"""`rtsynth play`: an instrument in real time, from MIDI keyboards or a piece, on a sound device."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rtsynth.cli.display import Display
from rtsynth.cli.flags import (
    TAKE,
    TALK,
    TARGET,
    TUNED,
    AudioOut,
    MidiIn,
    NoLog,
    NoWait,
    PresetName,
    Record,
    Take,
    Talk,
    Target,
    Tuned,
)
from rtsynth.cli.improvising import IMPROVISED, Improvised, check, headline, improvise
from rtsynth.cli.keeping import instrument as described
from rtsynth.cli.keeping import keep_log
from rtsynth.cli.keys import HELP, check_terminal, typed
from rtsynth.cli.loading import load_instrument, load_piece, load_pitches, tags, tuned_text
from rtsynth.cli.performing import FILE_PREFIX, conclude, device_text, midi_text, panic_signal, stop_signals
from rtsynth.cli.render import render_piece
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    from rtsynth.io.midi_files import MidiPiece
    from rtsynth.io.performance import Performance


def play(
    preset: PresetName,
    piece: Annotated[str | None, Parameter(help="A MIDI file; without one, MIDI inputs play.")] = None,
    /,
    *,
    audio_out: AudioOut = None,
    midi_in: MidiIn = "all",
    record: Record = None,
    no_wait: NoWait = False,
    no_log: NoLog = False,
    keys: Annotated[
        bool, Parameter(help="The computer's keyboard plays too, in this terminal.", show_default=False)
    ] = False,
    sync: Annotated[
        bool, Parameter(help="The piece follows the MIDI clock of the inputs.", show_default=False)
    ] = False,
    improvised: Improvised = IMPROVISED,
    take: Take = TAKE,
    tuned: Tuned = TUNED,
    target: Target = TARGET,
    talk: Talk = TALK,
) -> int:
    """Play an instrument in real time, until Ctrl-C or the end of the piece; or let a network play it."""
    check(improvised, piece, midi_in, bool(audio_out and audio_out.startswith(FILE_PREFIX)))
    score = load_piece(piece, talk, beats=sync) if piece else None
    if sync and (score is None or midi_in == "none"):
        raise UsageError(
            "--sync plays a piece to the clock of a MIDI input: name a .mid file, and not --midi-in none"
        )
    if audio_out and audio_out.startswith(FILE_PREFIX):
        if sync:
            raise UsageError("--sync needs a device that plays in real time, not --audio-out file:")
        if keys:
            raise UsageError("--keys is played in real time, not to --audio-out file:. To keep it: --record")
        path = Path(audio_out.removeprefix(FILE_PREFIX))
        return _play_to_file(preset, score, path, record, take, tuned, target, talk)

    if keys:
        check_terminal()

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
            wait_for_device=not no_wait,
            tuning=load_pitches(tuned),
            say=display.say,
        ) as performance,
        stop_signals() as stop,
    ):
        if score is not None:
            (performance.follow if sync else performance.play)(score)
        improvise(performance, improvised, take.seed)
        inputs = performance.listen(midi_in)
        if record is not None:
            performance.record(
                record, subtype=target.subtype, tags=tags(preset, take.seed), force=target.force
            )
        if not no_log:
            keep_log(
                performance,
                instrument.preset.name,
                lambda: (
                    described(preset, take.seed)
                    | {"verb": "play", "piece": piece, "gain_db": take.gain_db, "tuning": tuned_text(tuned)}
                    | {"tags": tags(preset, take.seed)}
                ),
            )
        what = f"{preset}: {score.title}," if score else preset
        heading = f"Playing {what} on {device_text(device, audio_out)}"
        display.headline = lambda: (
            f"{heading} {_timing(performance)}, MIDI: {midi_text(midi_in, inputs)},"
            f"{headline(improvised)} Ctrl-C to stop" + (f"\n{HELP}" if keys else "")
        )
        display.begun = lambda: {
            "device": device.name,
            "rate": sample_rate,
            "block": performance.block,
            "delay_ms": {"device": performance.latency_ms, "total": performance.latency_ms},
        }
        with (
            panic_signal(performance.panic),
            typed(performance.receiver, display.say) if keys else nullcontext(),
        ):
            outcome = performance.run(
                stop, seconds=take.seconds, on_status=display.update, on_device=display.device
            )
    return conclude(outcome, take, talk)


def _play_to_file(
    preset: str,
    score: MidiPiece | None,
    path: Path,
    record: Path | None,
    take: Take,
    tuned: Tuned,
    target: Target,
    talk: Talk,
) -> int:
    """`file:` is the same as `render`: offline, the same bytes."""
    if record is not None:
        raise UsageError("--audio-out file: is a recording already. Leave --record out")
    if score is None and take.seconds is None:
        raise UsageError("--audio-out file: needs a MIDI file to play, or --seconds")
    return render_piece(preset, score, path, take, tuned, target, talk)


def _timing(performance: Performance) -> str:
    rate = performance.engine.sample_rate
    return f"{rate:g} Hz / {performance.block} frames ({performance.latency_ms:.1f} ms)"
