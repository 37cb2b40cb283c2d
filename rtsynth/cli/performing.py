"""What `play` and `live` share: stopping by a signal, saying where it sounds, and what is left when it is over."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from rtsynth.cli import INTERRUPTED, latest
from rtsynth.cli.flags import Take, Talk
from rtsynth.cli.measurements import as_json, table_text, warn_of_limiting
from rtsynth.cli.output import emit, say
from rtsynth.errors import DeviceError

if TYPE_CHECKING:
    from rtsynth.io.devices import Device
    from rtsynth.io.midi_ports import MidiInputs
    from rtsynth.io.performance import Outcome

FILE_PREFIX = "file:"


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
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


@contextmanager
def panic_signal(panic: Callable[[], None]) -> Iterator[None]:
    """`panic` is called, on a thread of its own, for each SIGUSR1: kill -USR1 PID, where there is that signal."""
    number = getattr(signal, "SIGUSR1", None)
    if number is None:
        yield
        return
    asked: SimpleQueue[bool] = SimpleQueue()  # a signal handler may put into it, whatever it interrupts

    def serve() -> None:
        while asked.get():
            panic()

    thread = threading.Thread(target=serve, name="rtsynth-panic", daemon=True)
    thread.start()
    before = signal.signal(number, lambda *_: asked.put(True))
    try:
        yield
    finally:
        signal.signal(number, before)
        asked.put(False)
        thread.join()


def device_text(device: Device, asked_for: str | None) -> str:
    """The output's name; for the null device, why it is that."""
    if not device.is_null:
        return device.name
    if asked_for is not None:
        return "null"
    from rtsynth.io.portaudio import install_hint, portaudio

    reason = "no sound card found" if portaudio() else f"no PortAudio: {install_hint()}"
    return f"null, in silence ({reason}),"


def midi_text(wanted: str, inputs: MidiInputs) -> str:
    """Which MIDI inputs were asked for, and which there are."""
    if wanted == "none":
        return "none"
    if not inputs.available:
        return "none (no MIDI system here: rtsynth doctor)"
    return f"{wanted} ({', '.join(inputs.names) or 'nothing connected yet'})"


def conclude(
    outcome: Outcome, take: Take, talk: Talk, rows: Sequence[tuple[str, str]] = (), **more: Any
) -> int:
    """Print what was measured, and `rows` below it; in JSON with `more`. The exit code is that of the first thing that
    went wrong.
    """
    from rtsynth.io.performance import Ending

    recorded = outcome.recorded
    if recorded is not None:
        say(talk, f"Recorded {recorded.path} ({recorded.seconds:.1f} s)")
    if recorded is not None and recorded.rescued is not None:
        say(talk, f"The rest is in {recorded.rescued} ({recorded.rescued_seconds:.1f} s)")
    latest.keep(outcome)
    warn_of_limiting(outcome.report, take.gain_db)
    if talk.json:
        emit(_as_json(outcome) | more)
    elif not talk.quiet:
        print(table_text(outcome.report, outcome.voices, [*_outages(outcome), *rows, *_log(outcome)]))
    if outcome.ending is Ending.DEVICE_GONE:
        return DeviceError.exit_code
    if recorded is not None and not recorded.whole:
        return 1
    return INTERRUPTED if outcome.ending is Ending.INTERRUPTED else 0


def _outages(outcome: Outcome) -> list[tuple[str, str]]:
    if not outcome.outages:
        return []
    return [("device gone", f"{outcome.outages} times, {outcome.away_seconds:.1f} s")]


def _log(outcome: Outcome) -> list[tuple[str, str]]:
    return [("log", f"{outcome.log.name} (again: rtsynth render last -o take.wav)")] if outcome.log else []


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
        "outages": outcome.outages,
        "away_seconds": outcome.away_seconds,
        "recorded": files,
        "log": str(outcome.log) if outcome.log else None,
        **measured,
    }
