"""`Link`: the shared memory between the audio thread and an inference process; native/link.h says how it works.

The main process creates it and hands its file descriptor down; the worker attaches. It has no name in any file system,
and it outlives the worker: the next one goes on where the last one was killed.
"""

from __future__ import annotations

import os
import weakref
from ctypes import CDLL, c_bool, c_int32, c_int64, c_void_p
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth import native
from rtsynth.errors import RtsynthError

BUCKETS = 1984  # of a histogram, RT_HISTOGRAM_BUCKETS of native/histogram.h
_BYTES = 64384  # what rt_link_size must say
_COUNTERS = 4

_LINK = c_void_p
_SIGNATURES: native.Signatures = {
    "rt_link_create": (c_void_p, [c_int32, c_int64, c_int32]),
    "rt_link_attach": (c_void_p, [c_int32]),
    "rt_link_detach": (None, [_LINK]),
    "rt_link_close": (None, [_LINK, c_int32]),
    "rt_link_size": (c_int64, []),
    "rt_link_hear": (None, [_LINK, c_void_p, c_int32]),
    "rt_link_answer": (c_int32, [_LINK, c_int64, c_void_p, c_void_p, c_int32]),
    "rt_link_await": (c_bool, [_LINK, c_int64, c_int64]),
    "rt_link_wait": (c_int32, [_LINK, c_int64, c_int64]),
    "rt_link_read": (c_int64, [_LINK, c_int64, c_void_p, c_int64]),
    "rt_link_write": (c_int32, [_LINK, c_int64, c_void_p, c_int64]),
    "rt_link_heard_ns": (c_int64, [_LINK, c_int64]),
    "rt_link_count_frame": (None, [_LINK, c_int64, c_int64, c_int64]),
    "rt_link_count": (None, [_LINK, c_int32, c_int64]),
    "rt_link_counters": (None, [_LINK, c_void_p]),
    "rt_link_effort": (c_int64, [_LINK, c_int32, c_void_p]),
    "rt_link_positions": (None, [_LINK, c_void_p]),
    "rt_link_wakes": (c_int64, [_LINK]),
    "rt_link_asleep": (c_int32, [_LINK]),
    "rt_link_capacity": (c_int64, [_LINK]),
    "rt_link_channels": (c_int32, [_LINK]),
    "rt_link_closing": (c_int32, [_LINK]),
}
_SKIPPED, _IDLE, _NAN = 1, 2, 3  # enum rt_link_counter


class Durations(NamedTuple):
    """A raw histogram; `engine.meter.Histogram(*durations)` reads percentiles from it."""

    buckets: NDArray[np.uint64]  # (BUCKETS,) counts
    max: int  # ns


class Measurements(NamedTuple):
    """What the workers of a link have counted since it was made."""

    frames: int  # computed
    skipped: int  # frames left out to catch up
    idle: int  # frames not computed because nothing would have changed
    nan: int  # not-finite samples of the model, replaced by zero
    wall: Durations  # one frame through the model
    cpu: Durations
    turnaround: Durations  # from a frame's last input sample in the ring to its output in the ring


class Positions(NamedTuple):
    """Samples since the link was made; each may have moved on when it is read."""

    in_written: int  # input below is there
    out_start: int  # output from here …
    out_written: int  # … to here is there
    needed: int  # next output position to be played
    reset_at: int  # what was heard before is to be forgotten


class Link:
    """Two rings of samples, addressed by absolute position: output position p answers input position p.

    Each side has one thread. Every method but `wait` returns at once; all of them release the GIL.
    """

    def __init__(self, address: int, fd: int, library: CDLL) -> None:
        self.address = address
        self.fd = fd
        self._library = library
        self.capacity: int = library.rt_link_capacity(address)  # samples, of either ring
        self.channels: int = library.rt_link_channels(address)  # of the out ring
        self._close = weakref.finalize(self, _release, library, address, fd)
        self._close.atexit = False  # an engine may be running on it still; the end of the process unmaps it

    @classmethod
    def create(cls, capacity: int, channels: int = 1, *, library: Path | None = None) -> Link:
        """[main] Rings of at least `capacity` samples; answers of 1 or 2 channels. RtsynthError without memory."""
        found = load(library)
        rounded = 1 << max(0, capacity - 1).bit_length()
        fd = os.memfd_create("rtsynth-link", os.MFD_CLOEXEC)
        address = found.rt_link_create(fd, rounded, channels)
        if not address:
            os.close(fd)
            raise RtsynthError(
                f"no shared memory for {capacity} samples in {channels} channels: free some memory"
            )
        return cls(address, fd, found)

    @classmethod
    def attach(cls, fd: int, *, library: Path | None = None) -> Link:
        """[worker] What another process has created. RtsynthError where it is something else."""
        found = load(library)
        try:
            own = os.dup(fd)
        except OSError as error:
            raise RtsynthError(f"the link to the audio thread is not there: {error.strerror}") from error
        address = found.rt_link_attach(own)
        if not address:
            os.close(own)
            raise RtsynthError(f"the link to the audio thread does not fit this version. {native.REBUILD}")
        return cls(address, own, found)

    def close(self) -> None:
        """Unmap and close; again is harmless, any other use afterwards is not. No loop may still run on it."""
        self._close()

    # ---- the worker's side, one thread ----

    def wait(self, position: int, timeout: float) -> bool:
        """Sleep until input up to `position` (exclusive) is there, at most `timeout` seconds.

        False: it is not, for the time is up, a signal came, or `closing`.
        """
        return bool(self._library.rt_link_wait(self.address, position, round(timeout * 1e9)))

    @property
    def in_written(self) -> int:
        """Input below this position has been written."""
        return self.positions.in_written

    @property
    def out_written(self) -> int:
        """Where the output goes on."""
        return self.positions.out_written

    @property
    def needed(self) -> int:
        """The next output position that will be played; may go back when the delay grows, and be negative."""
        return self.positions.needed

    @property
    def reset_at(self) -> int:
        """What was heard before this position is to be forgotten (message RESET); 0: nothing was."""
        return self.positions.reset_at

    def read(self, position: int, out: NDArray[np.float32]) -> int:
        """Copy input from `position` on to out (n,); returns how many samples are there, -1: overwritten, jump."""
        if out.dtype != np.float32 or out.ndim != 1 or not out.flags.c_contiguous or position < 0:
            raise ValueError(f"out {out.shape} {out.dtype} from {position}: want (n,) float32, C-contiguous")
        return self._library.rt_link_read(self.address, position, out.ctypes.data, len(out))

    def write(self, position: int, samples: NDArray[np.float32]) -> None:
        """Write samples (n, channels) at `position` >= out_written; what is left out will never be played."""
        right_kind = samples.dtype == np.float32 and samples.flags.c_contiguous
        if not right_kind or samples.ndim != 2 or samples.shape[1] != self.channels:
            raise ValueError(
                f"samples {samples.shape} {samples.dtype}: want (n, {self.channels}) float32, contiguous"
            )
        if self._library.rt_link_write(self.address, position, samples.ctypes.data, len(samples)):
            raise ValueError(f"{len(samples)} samples at {position}: the rings are at {self.positions}")

    def heard_ns(self, position: int) -> int:
        """When input up to `position` (exclusive) was there, `time.monotonic_ns`; 0: long ago; 2⁶³-1: it is not."""
        return self._library.rt_link_heard_ns(self.address, position)

    def count_frame(self, wall_ns: int, cpu_ns: int, turnaround_ns: int) -> None:
        """A frame was computed in these times."""
        self._library.rt_link_count_frame(self.address, wall_ns, cpu_ns, turnaround_ns)

    def skipped(self, frames: int = 1) -> None:
        """Count frames left out to catch up."""
        self._library.rt_link_count(self.address, _SKIPPED, frames)

    def idle(self, frames: int = 1) -> None:
        """Count frames not computed because nothing would have changed."""
        self._library.rt_link_count(self.address, _IDLE, frames)

    def nan(self, samples: int) -> None:
        """Count not-finite samples of the model, replaced by zero."""
        self._library.rt_link_count(self.address, _NAN, samples)

    @property
    def closing(self) -> bool:
        """The main process asks the worker to end."""
        return bool(self._library.rt_link_closing(self.address))

    # ---- the main process's side ----

    def close_worker(self) -> None:
        """Ask the worker to end, and wake it; an offline render that waits for it gives up."""
        self._library.rt_link_close(self.address, 1)

    def begin_worker(self) -> None:
        """A worker is about to start, and none is running."""
        self._library.rt_link_close(self.address, 0)

    @property
    def positions(self) -> Positions:
        """Where everything stands. From any thread."""
        positions = np.zeros(5, np.int64)
        self._library.rt_link_positions(self.address, positions.ctypes.data)
        return Positions(*positions.tolist())

    @property
    def wakes(self) -> int:
        """How often the audio thread has woken the worker."""
        return self._library.rt_link_wakes(self.address)

    @property
    def asleep(self) -> bool:
        """The worker sleeps in `wait`, or is about to."""
        return bool(self._library.rt_link_asleep(self.address))

    def measurements(self) -> Measurements:
        """What was counted so far. From any thread, while running."""
        counters = np.zeros(_COUNTERS, np.int64)
        self._library.rt_link_counters(self.address, counters.ctypes.data)
        frames, skipped, idle, nan = counters.tolist()
        wall, cpu, turnaround = map(self._effort, range(3))
        return Measurements(frames, skipped, idle, nan, wall, cpu, turnaround)

    def _effort(self, effort: int) -> Durations:
        buckets = np.zeros(BUCKETS, np.uint64)
        longest = self._library.rt_link_effort(self.address, effort, buckets.ctypes.data)
        return Durations(buckets, longest)


def _release(library: CDLL, address: int, fd: int) -> None:
    library.rt_link_detach(address)
    os.close(fd)


@cache
def load(path: Path | None = None) -> CDLL:
    """The compiled library with the link's functions declared; `path` for a test build."""
    library = native.open_library(path)
    native.declare(library, _SIGNATURES)
    if library.rt_link_size() != _BYTES:
        raise RtsynthError(f"the compiled link does not fit this version of rtsynth. {native.REBUILD}")
    return library
