"""A source that plays what Python makes, ahead of time: native/tape.h.

tape = Tape(48000.0)
with Engine([tape], 48000.0) as engine: …
    tape.write(samples)      # from one thread, as many as there is room for
    tape.end()
"""

from __future__ import annotations

import ctypes
import weakref
from ctypes import c_int32, c_int64, c_void_p
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rtsynth import native
from rtsynth.errors import RtsynthError
from rtsynth.source import Loop

_SIGNATURES: native.Signatures = {
    "rt_tape_create": (c_void_p, [c_int64]),
    "rt_tape_destroy": (None, [c_void_p]),
    "rt_tape_reset": (None, [c_void_p]),
    "rt_tape_write": (c_int64, [c_void_p, c_void_p, c_int64]),
    "rt_tape_end": (None, [c_void_p]),
    "rt_tape_over": (c_int32, [c_void_p]),
    "rt_tape_counts": (None, [c_void_p, c_void_p]),
    "rt_tape_active": (c_int32, [c_void_p]),
    "rt_tape_loop": (None, [c_void_p, c_void_p, c_int32, c_void_p, c_void_p, c_int32]),
}


class Counts(NamedTuple):
    """What the audio thread has counted since the last reset."""

    played: int  # samples
    waited: int  # samples of silence in between, because nothing was there yet
    outages: int  # times that happened


class Tape:
    """Samples at the engine's rate, one channel; at least `ahead` of them may wait to be played."""

    latency = 0  # samples
    tail = 0

    def __init__(self, ahead: int = 1 << 17) -> None:
        self._library = native.open_library()
        native.declare(self._library, _SIGNATURES)
        self.ahead = 1 << max(8, (ahead - 1).bit_length())  # samples
        found = self._library.rt_tape_create(self.ahead)
        if not found:
            raise RtsynthError(f"no memory for a tape of {ahead} samples")
        self._tape: int = found
        weakref.finalize(self, self._library.rt_tape_destroy, found)

    def prepare(self, sample_rate: float, max_block: int = 0) -> None:
        """[main thread] Nothing to pay for; what was written is kept."""

    def reset(self) -> None:
        """[main thread, not while running, nothing being written] Empty, from the beginning."""
        self._library.rt_tape_reset(self._tape)

    def write(self, samples: ArrayLike) -> int:
        """(n,): as many of the first as there is room for are taken; how many. From one thread."""
        given = np.ascontiguousarray(samples, np.float32)
        return int(self._library.rt_tape_write(self._tape, given.ctypes.data, given.size))

    def end(self) -> None:
        """Nothing more will be written."""
        self._library.rt_tape_end(self._tape)

    @property
    def over(self) -> bool:
        """Whether the end is known, and has been played."""
        return bool(self._library.rt_tape_over(self._tape))

    @property
    def counts(self) -> Counts:
        """From any thread, while running."""
        found = np.zeros(len(Counts._fields), np.int64)
        self._library.rt_tape_counts(self._tape, found.ctypes.data)
        return Counts(*found.tolist())

    @property
    def loop(self) -> Loop:
        """The compiled loop, as long as the tape lives."""
        address = ctypes.cast(self._library.rt_tape_loop, c_void_p).value
        assert address is not None
        return Loop(address, self._tape)

    @property
    def active_voices(self) -> int:
        """1 while something is played."""
        return int(self._library.rt_tape_active(self._tape))
