"""A performance: a source in real time on a device, played by MIDI inputs or a piece, or hearing; perhaps recorded."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from threading import Event

import numpy as np
from numpy.typing import NDArray

from rtsynth.engine import Engine, Report
from rtsynth.io.devices import Device
from rtsynth.io.feeder import Feeder
from rtsynth.io.midi_files import MidiPiece
from rtsynth.io.midi_ports import MidiInputs
from rtsynth.io.recording import Recorded, Recording
from rtsynth.io.rendering import with_gain
from rtsynth.io.streams import Hearing, Stream, open_output
from rtsynth.messages import MESSAGE, Kind, message
from rtsynth.source import Source

TICK_SECONDS = 0.1
FIRST_TICK_SECONDS = 0.005  # until a piece is first heard
FADE_SECONDS = 0.010
ENDING_SECONDS = 0.5  # how long the fade is waited for: a device that has gone does not play it
TAIL_CAP_SECONDS = 60.0  # as long as rendering waits for a sound to die away
QUIET = 1e-4  # -80 dB


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


@dataclass(frozen=True)
class Outcome:
    """What became of a performance."""

    ending: Ending
    seconds: float
    voices: int  # the most seen at once
    report: Report
    recorded: Recorded | None


class Performance:
    """Opens `device` for `source` when it is made; `run` starts the sound and returns when it is over.

    `block` is what the null device asks for at once; a sound device chooses its own. A source that hears gets
    `heard` (n,) float32 at the sample rate, or the input `hearing`, or silence. `say` gets one line for each thing
    worth telling, from any thread. Use it as a context manager. Raises DeviceError and RateError.
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
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.engine = Engine([source], sample_rate, heard=heard)
        self._source = source
        self._heard_frames = None if heard is None else len(heard)
        self._device = device if hearing is None or not device.is_null else hearing.device
        self._block = block
        self._say = say
        self._stream: Stream | None = None
        self._inputs: MidiInputs | None = None
        self._feeder: Feeder | None = None
        self._recording: Recording | None = None
        self._voices = 0
        self.engine.send(with_gain(np.empty(0, MESSAGE), gain_db))
        if hearing is not None or not device.is_null:
            self._stream = open_output(self.engine, device, hearing)

    @property
    def latency_ms(self) -> float:
        """Of the device, as the driver says: from a block's computation to its sound, and where an input is heard,
        from there on; a block on the null device.
        """
        if self._stream is not None:
            return 1e3 * self._stream.latency
        return 1e3 * self._block / self.engine.sample_rate

    @property
    def block(self) -> int:
        """Frames the device asks for at once; 0 where that is not known before it runs."""
        return self._block if self._stream is None else self.engine.latest_block

    def listen(self, wanted: str) -> MidiInputs:
        """Play what arrives on MIDI inputs, named as in `MidiInputs`."""
        self._inputs = MidiInputs(self.engine, wanted, say=self._say)
        return self._inputs

    def play(self, piece: MidiPiece) -> None:
        """Play a piece from the first sample on."""
        self._feeder = Feeder(self.engine, piece.at_rate(self.engine.sample_rate))

    def record(self, path: str | Path, *, subtype: str | None, tags: dict[str, str], force: bool) -> None:
        """Write all that is heard to a file; raises what `Recording` raises."""
        self._recording = Recording(self.engine, path, subtype=subtype, tags=tags, force=force, say=self._say)

    def run(
        self,
        stop: Event,
        *,
        seconds: float | None = None,
        on_status: Callable[[Status], None] = lambda status: None,
    ) -> Outcome:
        """Play until `stop` is set, the piece has died away, `seconds` have passed, or the device is gone."""
        self._start()
        try:
            ending = self._watch(stop, seconds, on_status)
        finally:
            self._end()
        recorded = self._recording.stop() if self._recording else None
        played = self.engine.time / self.engine.sample_rate
        return Outcome(ending, played, self._voices, self.engine.report(), recorded)

    def _start(self) -> None:
        if self._recording:
            self._recording.start()
        if self._feeder:
            self._feeder.start()
        if self._stream is not None:
            self._stream.start()
        else:
            self.engine.start_null(self._block)
        if self._inputs:
            self._inputs.start()

    def _watch(self, stop: Event, seconds: float | None, on_status: Callable[[Status], None]) -> Ending:
        heard = self._feeder is None
        while not stop.wait(TICK_SECONDS if heard else FIRST_TICK_SECONDS):
            status = self._status()
            heard = heard or status.level > 0
            on_status(status)
            if self._stream is not None and self._stream.finished:
                self._say(f"{self._device.full_name} has stopped: was it unplugged? List: rtsynth devices")
                return Ending.DEVICE_GONE
            if (seconds is not None and status.seconds >= seconds) or self._has_died_away(status):
                return Ending.OVER
        return Ending.INTERRUPTED

    def _status(self) -> Status:
        voices = self.engine.active_voices
        self._voices = max(self._voices, voices)
        played = self.engine.time / self.engine.sample_rate
        return Status(played, max(self.engine.meter()), voices, self.engine.report())

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
        rate = self.engine.sample_rate
        faded_out = self.engine.time + self.block + round(FADE_SECONDS * rate)
        self.engine.fade_out(FADE_SECONDS)
        self.engine.send(message(Kind.RESET, time=faded_out))
        deadline = time.monotonic() + ENDING_SECONDS
        while self.engine.time <= faded_out and time.monotonic() < deadline:
            time.sleep(1e-3)
        time.sleep(2e-3 * self.latency_ms)  # what the device still holds
        if self._stream is not None:
            self._stream.stop()
        else:
            self.engine.stop_null()

    def close(self) -> None:
        """Give everything back, a recording closed. Again is harmless."""
        if self._recording:
            self._recording.stop()
        if self._inputs:
            self._inputs.stop()
        if self._feeder:
            self._feeder.stop()
        if self._stream is not None:
            self._stream.close()
        self.engine.close()

    def __enter__(self) -> Performance:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
