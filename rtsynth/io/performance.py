"""A performance: a source in real time on a device, played by MIDI inputs or a piece, or hearing; perhaps recorded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.engine import Engine, Report, session_files
from rtsynth.engine.session_log import SessionLog
from rtsynth.io.devices import Device
from rtsynth.io.duet import Composer, Duet, OnGrid
from rtsynth.io.feeder import Feeder
from rtsynth.io.heard_file import HeardFile
from rtsynth.io.midi_clock import Clock, Follower
from rtsynth.io.midi_files import MidiPiece
from rtsynth.io.midi_ports import MidiInputs
from rtsynth.io.midi_tuning import TuningDecoder
from rtsynth.io.narration import Narration
from rtsynth.io.outlet import FADE_SECONDS, Outlet
from rtsynth.io.panic import panic
from rtsynth.io.recording import Recorded, Recording
from rtsynth.io.rendering import with_gain
from rtsynth.io.streams import Hearing
from rtsynth.messages import MESSAGE, Kind, message
from rtsynth.source import Source

TICK_SECONDS = 0.1
FIRST_TICK_SECONDS = 0.005  # until a piece is first heard
ENDING_SECONDS = 0.5  # how long the fade is waited for: a device that has gone does not play it
TAIL_CAP_SECONDS = 60.0  # as long as rendering waits for a sound to die away
QUIET = 1e-4  # -80 dB


class Presence(Enum):
    """What becomes of a device while it is in use."""

    GONE = "gone"
    BACK = "back"


class Ending(Enum):
    """Why a performance ended."""

    OVER = "over"  # the piece, the file that is heard, or the time given, is over
    INTERRUPTED = "interrupted"
    DEVICE_GONE = "device gone"


@dataclass(frozen=True)
class Status:
    """A look at a running performance."""

    seconds: float  # played so far
    level: float  # peak since the last look, linear
    voices: int
    report: Report
    heard: float = 0.0  # peak of what came in since the last look, linear


@dataclass(frozen=True)
class Outcome:
    """What became of a performance."""

    ending: Ending
    seconds: float
    voices: int  # the most seen at once
    report: Report
    recorded: Recorded | None
    outages: int = 0  # times the device went
    away_seconds: float = 0.0  # how long it was waited for, together
    log: Path | None = None  # of what was played, where one was kept


class Performance:
    """Opens `device` for `source` when it is made; `run` starts the sound and returns when it is over.

    `block` is what the null device asks for at once; a sound device chooses its own. A source that hears gets
    `heard` (n,) float32 at the sample rate, or the input `hearing`, or silence. A device that goes is waited for,
    unless `wait_for_device` is false: the engine stands still, with all its state, and fades in again. `tuning` (128,)
    is the pitch of every key, until tuning messages say otherwise. `say` gets one line for each thing worth telling,
    from any thread. Use it as a context manager. Raises DeviceError and RateError.
    """

    def __init__(
        self,
        source: Source,
        device: Device,
        *,
        sample_rate: float,
        block: int = 64,
        gain_db: float = 0.0,
        heard: NDArray[np.float32] | None = None,
        hearing: Hearing | None = None,
        wait_for_device: bool = True,
        tuning: NDArray[np.float64] | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.engine = Engine([source], sample_rate, heard=heard)
        self._source = source
        self._heard_frames = None if heard is None else len(heard)
        self._wait_for_device = wait_for_device
        self._outages = 0
        self._away_seconds = 0.0
        self._say = say
        self._inputs: MidiInputs | None = None
        self._feeder: Feeder | Duet | Narration | None = None
        self._duet: Duet | None = None
        self._follower: Follower | None = None
        self._tuning = TuningDecoder(tuning)
        self._recording: Recording | None = None
        self._log: SessionLog | None = None
        self._heard_file: HeardFile | None = None
        self._voices = 0
        self.engine.send(with_gain(np.concatenate([np.empty(0, MESSAGE), *self._tuning.start()]), gain_db))
        self._outlet = Outlet(self.engine, device, hearing, block=block, say=say)

    @property
    def latency_ms(self) -> float:
        """Of the device, as the driver says: from a block's computation to its sound, and where an input is heard,
        from there on; a block on the null device.
        """
        return self._outlet.latency_ms

    @property
    def block(self) -> int:
        """Frames the device asks for at once; 0 where that is not known before it runs."""
        return self._outlet.block

    def listen(self, wanted: str) -> MidiInputs:
        """Play what arrives on MIDI inputs, named as in `MidiInputs`."""
        self._inputs = MidiInputs(
            self.receiver, wanted, say=self._say, tuning=self._tuning, follower=self._follower
        )
        return self._inputs

    def play(self, piece: MidiPiece) -> None:
        """Play a piece from the first sample on."""
        self._feeder = Feeder(self.engine, piece.at_rate(self.engine.sample_rate))

    def follow(self, piece: MidiPiece) -> None:
        """Play a piece, its times in beats, along with the MIDI clock of the inputs: before `listen`."""
        if self._inputs is not None:
            raise RuntimeError("follow(piece) before listen()")
        self._follower = Follower(self.engine, piece, Clock())

    def improvise(
        self, composer: Composer, step_seconds: float, lowest: int, on_grid: OnGrid | None = None
    ) -> None:
        """Let a composer play, as `Duet` says; before `listen`, which it overhears."""
        self._feeder = self._duet = Duet(self.engine, composer, step_seconds, lowest, on_grid)

    def narrate(self, narration: Narration) -> None:
        """Let what is made meanwhile be played; it is over when the narration is."""
        self._feeder = narration

    @property
    def receiver(self) -> Engine | Duet:
        """What is played by hand goes here: the engine, or a composer that overhears it."""
        return self._duet or self.engine

    def panic(self) -> None:
        """Silence every note, whatever holds it, and put pedals and wheels at rest. From any thread."""
        panic(self.engine)

    def record(self, path: str | Path, *, subtype: str | None, tags: dict[str, str], force: bool) -> None:
        """Write all that is heard to a file; raises what `Recording` raises."""
        self._recording = Recording(self.engine, path, subtype=subtype, tags=tags, force=force, say=self._say)

    def log(self, name: str, header: dict[str, Any], heard: HeardFile | None = None) -> Path:
        """Keep a log of every message in the user's state folder, and with `heard` all that is heard; its path.

        `header` says how the source was made (see SessionLog). Raises OSError where it cannot be written.
        """
        path = session_files.new_path(name)
        hear = None if heard is None else heard.write
        self._log = SessionLog(self.engine, path, header, hear=hear, say=self._say)
        self._heard_file = heard
        session_files.prune()
        return path

    def run(
        self,
        stop: Event,
        *,
        seconds: float | None = None,
        on_status: Callable[[Status], None] = lambda status: None,
        on_device: Callable[[Presence, str], None] = lambda presence, name: None,
    ) -> Outcome:
        """Play until `stop` is set, the piece has died away, `seconds` have passed, or the device is gone for good.

        `on_device` is told when it goes and when it is back.
        """
        self._start()
        try:
            ending = self._watch(stop, seconds, on_status, on_device)
        finally:
            self._end()
        recorded = self._recording.stop() if self._recording else None
        played = self.engine.time / self.engine.sample_rate
        report = self.engine.report()
        log = self._end_log(ending, report)
        return Outcome(ending, played, self._voices, report, recorded, self._outages, self._away_seconds, log)

    def _end_log(self, ending: Ending | None, report: Report) -> Path | None:
        if self._log is None:
            return None
        self._log.stop(
            ending=ending.value if ending else "error",
            late={cause.name.lower(): count for cause, count in report.late.items()},
            late_messages=report.late_messages,
            nan_samples=report.nan_samples,
            peak=report.peak,
        )
        if self._heard_file:
            self._heard_file.close()
        return self._log.path if self._log.problem is None and self._log.path.exists() else None

    def _start(self) -> None:
        if self._recording:
            self._recording.start()
        if self._log:
            self._log.start()
        if self._feeder:
            self._feeder.start()
        self._outlet.start()
        if self._inputs:
            self._inputs.start()

    def _watch(
        self,
        stop: Event,
        seconds: float | None,
        on_status: Callable[[Status], None],
        on_device: Callable[[Presence, str], None],
    ) -> Ending:
        heard = self._feeder is None or self._duet is not None
        while not stop.wait(TICK_SECONDS if heard else FIRST_TICK_SECONDS):
            status = self._status()
            heard = heard or status.level > 0
            on_status(status)
            if self._outlet.has_gone():
                on_device(Presence.GONE, self._outlet.name)
                if not self._outlet.let_go() or not self._wait_for_device:
                    self._say(f"{self._outlet.name} has stopped: was it unplugged? List: rtsynth devices")
                    return Ending.DEVICE_GONE
                ending = self._await_device(stop, seconds)
                if ending is not None:
                    return ending
                on_device(Presence.BACK, self._outlet.name)
            if self._is_over(seconds) or self._has_died_away(status):
                return Ending.OVER
        return Ending.INTERRUPTED

    def _is_over(self, seconds: float | None) -> bool:
        played = self.engine.time / self.engine.sample_rate
        return seconds is not None and played + self._away_seconds >= seconds

    def _await_device(self, stop: Event, seconds: float | None) -> Ending | None:
        """Look for the device until it is back and sounds (None), or there is a reason to end."""
        self._outages += 1
        if self._inputs and self._outlet.is_jack:
            self._inputs.leave_jack()
        self._say(f"{self._outlet.name} has gone: waiting for it to come back, Ctrl-C to stop")
        latest = time.monotonic()
        while not stop.wait(self._outlet.look_seconds):
            back = self._outlet.come_back()
            now = time.monotonic()
            self._away_seconds += now - latest
            latest = now
            if back:
                self._say(f"{self._outlet.name} is back")
                if self._inputs and self._outlet.is_jack:
                    self._inputs.rejoin_jack()
                return None
            if self._is_over(seconds):
                return Ending.OVER
        return Ending.INTERRUPTED

    def _status(self) -> Status:
        voices = self.engine.active_voices
        self._voices = max(self._voices, voices)
        played = self.engine.time / self.engine.sample_rate
        level, heard = max(self.engine.meter()), self.engine.heard_meter()
        return Status(played, level, voices, self.engine.report(), heard)

    def _has_died_away(self, status: Status) -> bool:
        last_time = self._last_time()
        if last_time is None or self.engine.time <= last_time:
            return False
        if status.voices == 0 and status.level < QUIET:
            return True
        cap = TAIL_CAP_SECONDS * self.engine.sample_rate
        tail = cap if self._source.tail < 0 else min(cap, self._source.latency + self._source.tail)
        return self.engine.time > last_time + tail

    def _last_time(self) -> int | None:
        """The last sample that a piece or a file brings anything at; None while that is open."""
        heard = self._heard_frames
        if self._feeder is None:
            return None if heard is None else heard + self._source.latency
        if not self._feeder.done:
            return None
        return max(self._feeder.last_time, heard or 0)

    def _end(self) -> None:
        """Fade out, end every note, and give the device back."""
        if self._inputs:
            self._inputs.stop()
        if self._feeder:
            self._feeder.stop()
        if self._outlet.running:
            self._fade_out()
        self._outlet.stop()

    def _fade_out(self) -> None:
        rate = self.engine.sample_rate
        faded_out = self.engine.time + self.block + round(FADE_SECONDS * rate)
        self.engine.fade_out(FADE_SECONDS)
        self.engine.send(message(Kind.RESET, time=faded_out))
        deadline = time.monotonic() + ENDING_SECONDS
        while self.engine.time <= faded_out and time.monotonic() < deadline:
            time.sleep(1e-3)
        time.sleep(2e-3 * self.latency_ms)  # what the device still holds

    def close(self) -> None:
        """Give everything back, a recording closed. Again is harmless."""
        if self._recording:
            self._recording.stop()
        if self._inputs:
            self._inputs.stop()
        if self._feeder:
            self._feeder.stop()
        self._outlet.close()
        self._end_log(None, self.engine.report())
        self.engine.close()

    def __enter__(self) -> Performance:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
