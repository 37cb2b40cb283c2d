"""The engine: sources in, audio out, through whichever driver calls it. A thin owner of native/engine.h.

All that runs per block is compiled; Python sends messages, reads measurements, and may be busy with
anything else.
"""

from __future__ import annotations

import atexit
import ctypes
import errno
import os
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.engine import binding
from rtsynth.engine.meter import Cause, Histogram, LateBlock, Report
from rtsynth.errors import RateError, RtsynthError, UsageError
from rtsynth.messages import ALL_SOURCES, MESSAGE, Kind, Messages
from rtsynth.source import Loop, Source

MESSAGE_CAPACITY = 1 << 14  # messages the ring holds
RECORD_CAPACITY = 1 << 19  # frames, 11 s at 48 kHz: what a slow disk may be behind
JOURNAL_CAPACITY = 1 << 16  # messages, 13 s of 5000 a second

_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """No native thread may still run the sources' loops while the interpreter takes them down."""
    for engine in list(_engines):
        engine.close()


class Engine:
    """Runs sources in one of its drivers: `process` (offline), the null driver, or the PortAudio callback.

    The engine prepares its sources, so that their rate and block length cannot differ from its own; they
    must not be prepared again while it lives. `max_block` is the most samples a source is asked for at
    once, whatever the host's block. Sources that hear get `heard` (n,) float32 from sample 0 on and then
    silence, in every driver; with None, what the PortAudio stream brings, or silence where there is none. With
    `replay` the messages are a journal, and the NaN guard's own resets are taken from it. Use it as a context
    manager, or call `close`; close an audio stream on it first.

    Errors: RateError for a sample rate or block it cannot run at, UsageError for too many sources.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        sample_rate: float,
        *,
        max_block: int = 256,
        heard: NDArray[np.float32] | None = None,
        replay: bool = False,
        library: Path | None = None,
    ) -> None:
        if heard is not None and (
            heard.dtype != np.float32 or heard.ndim != 1 or not heard.flags.c_contiguous
        ):
            raise ValueError(f"heard {heard.shape} {heard.dtype}: want (n,) float32, C-contiguous")
        if len(sources) > binding.MAX_SOURCES:
            raise UsageError(f"{len(sources)} sources: the engine mixes at most {binding.MAX_SOURCES}")
        self._closed = False
        self._library = binding.load(library)
        self._names = binding.counter_names(self._library)
        self.sources = tuple(sources)
        self.sample_rate = float(sample_rate)
        self._sending = threading.Lock()  # the ring takes one writer at a time
        self._reading = threading.Lock()  # reports and their reset exclude each other
        self._recording = threading.Lock()  # and the record ring one reader
        self._null_running = False
        native = self._library.rt_engine_create(
            self.sample_rate, max_block, MESSAGE_CAPACITY, RECORD_CAPACITY
        )
        if not native:
            raise RateError(
                f"the engine cannot run at {sample_rate} Hz in blocks of up to {max_block} samples"
            )
        self._native: int = native
        # Freed with the object, not by close(): another thread may be inside a call at that moment.
        weakref.finalize(self, self._library.rt_engine_destroy, native).atexit = False
        _engines.add(self)
        for source in self.sources:
            source.prepare(self.sample_rate, max_block)
            self._add(source.loop)
        self._heard = heard  # C reads it for as long as this engine lives
        if replay:
            self._library.rt_engine_replay(native)
        if heard is not None:
            self._library.rt_engine_hear(native, binding.address_of(heard), len(heard))

    def _add(self, loop: Loop) -> None:
        add = self._library.rt_engine_add_hearing_source if loop.hears else self._library.rt_engine_add_source
        index = add(self._native, loop.address, loop.state)
        if loop.liaison:
            self._library.rt_engine_set_liaison(self._native, index, loop.liaison)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the null driver. Again is harmless; any other use afterwards raises RtsynthError."""
        if not self._closed:
            self.stop_null()
        self._closed = True

    @property
    def _handle(self) -> int:
        if self._closed:
            raise RtsynthError("the engine is closed")
        return self._native

    # ---- messages and time ----

    def send(self, messages: Messages) -> int:
        """Queue messages (n,) of dtype MESSAGE; returns how many fitted, always the first ones. From any
        thread.

        A message plays at its `time`, to the sample; if that has passed, at once, and is counted; a
        negative time means at once. The queue takes MESSAGE_CAPACITY at a time and empties with every
        block.
        """
        messages = np.ascontiguousarray(np.atleast_1d(messages))
        if messages.dtype != MESSAGE:
            raise TypeError(f"messages of dtype {messages.dtype}: want {MESSAGE}")
        self._check_addresses(messages)
        with self._sending:
            return self._library.rt_engine_send(self._handle, binding.address_of(messages), len(messages))

    def _check_addresses(self, messages: Messages) -> None:
        source, gain = messages["source"], messages["value"][messages["kind"] == Kind.GAIN]
        wrong = (source != ALL_SOURCES) & ((source < 0) | (source >= len(self.sources)))
        if wrong.any():
            raise ValueError(f"a message for source {source[wrong][0]}: there are {len(self.sources)}")
        if not (np.isfinite(gain) & (gain >= 0)).all():
            raise ValueError("a gain must be finite and not negative")

    @property
    def time(self) -> int:
        """The first sample that no block has claimed yet."""
        return self._library.rt_engine_time(self._handle)

    def time_at(self, monotonic_ns: int) -> int:
        """The sample that `time.monotonic_ns()` falls on; `time` while no stream runs. From any thread."""
        return self._library.rt_engine_time_at(self._handle, monotonic_ns)

    def stamp(self, monotonic_ns: int | None = None) -> int:
        """When to play what arrived at `monotonic_ns` (now, if None): one host block later, to the sample."""
        now = time.monotonic_ns() if monotonic_ns is None else monotonic_ns
        return self._library.rt_engine_stamp(self._handle, now)

    @property
    def latest_block(self) -> int:
        """Frames of the latest host block; 0 before any."""
        return self._library.rt_engine_latest_block(self._handle)

    def fade_out(self, seconds: float) -> None:
        """Fade the output to silence and leave it there. From any thread, or a signal handler."""
        self._library.rt_engine_fade(self._handle, 0, round(seconds * self.sample_rate))

    def fade_in(self, seconds: float) -> None:
        """Undo `fade_out`."""
        self._library.rt_engine_fade(self._handle, 1, round(seconds * self.sample_rate))

    def fade_from_silence(self, seconds: float) -> None:
        """Before a driver starts: what it plays first is faded in."""
        self._check_idle("fade_from_silence")
        self._library.rt_engine_fade_from_silence(self._handle, round(seconds * self.sample_rate))

    # ---- drivers, one at a time ----

    def _check_idle(self, action: str) -> None:
        if self._null_running:
            raise RtsynthError(f"the null driver is running: stop_null() before {action}()")

    def process(self, out: NDArray[np.float32]) -> None:
        """Offline: fill out (frames, 2) float32, C-contiguous. Zero frames only deliver the messages due
        now.
        """
        if out.dtype != np.float32 or out.ndim != 2 or out.shape[1] != 2 or not out.flags.c_contiguous:
            raise ValueError(f"out {out.shape} {out.dtype}: want (frames, 2) float32, C-contiguous")
        self._check_idle("process")
        self._library.rt_engine_process_pairs(self._handle, binding.address_of(out), len(out))

    def start_null(self, period: int) -> None:
        """Run in real time without a device: a native thread computes `period` samples at a time and drops
        them.

        It asks for real-time priority and goes on without (see `Report.realtime_priority`).
        """
        error = self._library.rt_null_start(self._handle, period)
        if error == errno.EBUSY:
            raise RtsynthError("the null driver is running already")
        if error == errno.EINVAL:
            raise RateError(f"the null driver cannot run in blocks of {period} samples")
        if error:
            raise RtsynthError(f"the null driver cannot start: {os.strerror(error)}")
        self._null_running = True

    def stop_null(self) -> None:
        """Stop the null driver after the block it is in; it may be started again."""
        self._library.rt_null_stop(self._handle)
        self._null_running = False

    def begin_stream(self, channels: int = 2, inputs: int = 0, heard_input: int | None = None) -> None:
        """Before a PortAudio stream with this many output and input channels starts; either may be 0, not both.

        One output gets the mean of left and right, a third is silent. Sources hear input number `heard_input`,
        from 0; with None the mean of all.
        """
        self._check_idle("begin_stream")
        number = binding.ALL_CHANNELS if heard_input is None else heard_input
        if self._library.rt_portaudio_begin(self._handle, channels, inputs, number):
            raise UsageError(
                f"{channels} output channels, {inputs} input channels, input {number} heard: "
                "want at most 64, at least one, and one that is there"
            )

    def end_stream(self) -> None:
        """After that stream has been stopped."""
        self._library.rt_portaudio_end(self._handle)

    @property
    def address(self) -> int:
        """Of the rt_engine, for a driver that starts itself on it (rt_jack_start); nothing else may run then."""
        self._check_idle("start a stream")
        return self._handle

    @property
    def portaudio_callback(self) -> tuple[int, int]:
        """Addresses of the PaStreamCallback (float32, interleaved) and of its user data."""
        callback = ctypes.cast(self._library.rt_portaudio_callback, ctypes.c_void_p).value
        assert callback is not None
        return callback, self._handle

    @property
    def hears(self) -> bool:
        """Whether a source hears, and wants a stream with input: no `heard` stands in for it."""
        return self._heard is None and any(source.loop.hears for source in self.sources)

    # ---- measurements ----

    @property
    def active_voices(self) -> int:
        """Voices sounding now in all sources."""
        return sum(source.active_voices for source in self.sources)

    def meter(self) -> tuple[float, float]:
        """Peak of left and right since the last call, linear, after the limiter."""
        peaks = np.zeros(2, np.float32)
        self._library.rt_engine_meter(self._handle, binding.address_of(peaks))
        return float(peaks[0]), float(peaks[1])

    def heard_meter(self) -> float:
        """Peak of what came in since the last call, linear; 0 where no source hears."""
        return self._library.rt_engine_heard_meter(self._handle)

    def report(self) -> Report:
        """What was measured so far. From any thread, while running."""
        with self._reading:
            values = np.zeros(binding.COUNTERS, np.int64)
            peak = self._library.rt_engine_counters(self._handle, binding.address_of(values))
            heard_peak = self._library.rt_engine_heard(self._handle)
            wall, cpu, lateness, interval = map(self._histogram, range(len(binding.DURATIONS)))
            ledger = self._ledger()
        counters: dict[str, Any] = dict(zip(self._names, values.tolist(), strict=True))
        return Report(
            budget_ns=round(self.latest_block * 1e9 / self.sample_rate),
            wall=wall,
            cpu=cpu,
            lateness=lateness,
            interval=interval,
            peak=peak,
            heard_peak=heard_peak if any(source.loop.hears for source in self.sources) else None,
            ledger=ledger,
            realtime_priority=bool(self._library.rt_null_realtime(self._handle)),
            **counters,
        )

    def _histogram(self, duration: int) -> Histogram:
        buckets = np.zeros(binding.HISTOGRAM_BUCKETS, np.uint64)
        longest = self._library.rt_engine_histogram(self._handle, duration, binding.address_of(buckets))
        return Histogram(buckets, longest)

    def _ledger(self) -> tuple[LateBlock, ...]:
        entries = np.zeros(binding.LEDGER_CAPACITY, binding.LATE_BLOCK)
        count = self._library.rt_engine_ledger(self._handle, binding.address_of(entries))
        return tuple(
            LateBlock(time, wall_ns, cpu_ns, lateness_ns, Cause(cause))
            for time, wall_ns, cpu_ns, lateness_ns, cause in entries[:count].tolist()
        )

    def reset_report(self) -> None:
        """Measure anew from the next block on."""
        with self._reading:
            self._library.rt_engine_reset_report(self._handle)

    # ---- recording ----

    def record(self, on: bool) -> None:
        """Start or stop putting what is played into the record ring (11 s at 48 kHz; see `Recorder`)."""
        self._library.rt_engine_record(self._handle, int(on))

    def read_recording(self, max_frames: int) -> NDArray[np.float32]:
        """Take what was recorded, oldest first: (n, 2) float32 with n <= max_frames."""
        pairs = np.empty((max_frames, 2), np.float32)
        with self._recording:
            count = self._library.rt_engine_read_recording(
                self._handle, binding.address_of(pairs), max_frames
            )
        return pairs[:count]

    def open_journal(self, heard: bool = False) -> None:
        """Before a driver starts: keep every message as it is applied, for `read_journal`; with `heard`, all that the
        sources hear too (11 s at 48 kHz at a time).
        """
        self._check_idle("open_journal")
        heard_capacity = RECORD_CAPACITY if heard else 0
        if self._library.rt_engine_open_journal(self._handle, JOURNAL_CAPACITY, heard_capacity):
            raise RtsynthError("the engine has a journal already, or no memory for one")

    def read_journal(self, count: int = JOURNAL_CAPACITY) -> Messages:
        """Take what was applied, in that order: (n,) with n <= count, `time` the sample where it was. Engine's own
        messages, GAIN and FADE, are among them, and the RESET of a source that broke.
        """
        messages = np.empty(count, MESSAGE)
        with self._recording:
            found = self._library.rt_engine_read_journal(self._handle, binding.address_of(messages), count)
        return messages[:found]

    def read_heard(self, count: int = 1 << 14) -> NDArray[np.float32]:
        """Take what was heard, oldest first: (n,) with n <= count."""
        samples = np.empty(count, np.float32)
        with self._recording:
            found = self._library.rt_engine_read_heard(self._handle, binding.address_of(samples), count)
        return samples[:found]

    @property
    def journal_lost(self) -> tuple[int, int]:
        """Messages and heard samples that the journal had no room for: read it more often."""
        lost = np.zeros(2, np.int64)
        self._library.rt_engine_journal_lost(self._handle, binding.address_of(lost))
        return int(lost[0]), int(lost[1])
