"""Sources for the engine's tests, from native/test/probe.c: they log their calls, and fail to order."""

from __future__ import annotations

import ctypes
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from rtsynth.source import Loop


class Fault(IntEnum):
    """What a probe does wrong; enum fault of native/test/probe.c."""

    NONE = 0
    NOT_A_NUMBER = 1
    BURN = 2
    SLEEP = 3
    ALLOCATE = 4
    LOCK = 5
    CALL_SYSTEM = 6
    WAKE = 7  # a futex: the one system call that a source with a worker may make
    WAIT = 8


class Applied(NamedTuple):
    """A message the probe was handed."""

    time: int  # the sample it was applied at
    stamp: int  # its own time
    number: int  # -1 for a reset


class Probe:
    """Noise at the level of the latest note-on's velocity; a fault at every `every`-th sample but the
    first.
    """

    latency = 0
    tail = 0

    def __init__(
        self,
        library: ctypes.CDLL,
        fault: Fault = Fault.NONE,
        every: int = 1 << 40,
        fault_ns: int = 0,
        log_capacity: int = 100_000,
    ) -> None:
        self._library = library
        self._log_capacity = log_capacity
        self._state = library.probe_new(fault, every, fault_ns, log_capacity)
        self.prepared: tuple[float, int] | None = None

    def __del__(self) -> None:
        self._library.probe_free(self._state)

    def prepare(self, sample_rate: float, max_block: int) -> None:
        self.prepared = (sample_rate, max_block)

    def reset(self) -> None:
        raise AssertionError("the engine resets by message")

    @property
    def loop(self) -> Loop:
        address = ctypes.cast(self._library.probe_loop, ctypes.c_void_p).value
        assert address is not None
        return Loop(address, self._state)

    @property
    def active_voices(self) -> int:
        return int(self._library.probe_level(self._state) > 0)

    @property
    def faults(self) -> int:
        return self._library.probe_faults(self._state)

    @property
    def resets(self) -> int:
        return self._library.probe_resets(self._state)

    def _log(self) -> np.ndarray:
        entries = np.zeros((self._log_capacity + 1, 4), np.int64)
        count = self._library.probe_log(self._state, entries.ctypes.data)
        assert count <= self._log_capacity, "the probe's log overflowed"
        return entries[:count]

    @property
    def applied(self) -> list[Applied]:
        """The messages, in the order they came."""
        return [Applied(time, stamp, n) for time, frames, stamp, n in self._log().tolist() if frames < 0]

    @property
    def calls(self) -> list[tuple[int, int]]:
        """(first sample, frames) of every call of the loop."""
        return [(time, frames) for time, frames, _, _ in self._log().tolist() if frames >= 0]


class Constant:
    """Adds `level` to both channels for ever; or runs another loop of native/test/probe.c."""

    latency = 0
    tail = -1
    active_voices = 0

    def __init__(self, library: ctypes.CDLL, level: float, loop: str = "constant_loop") -> None:
        self._loop = getattr(library, loop)
        self._level = np.array([level], np.float32)

    def prepare(self, sample_rate: float, max_block: int) -> None:
        """Nothing to prepare."""

    def reset(self) -> None:
        """Nothing to reset."""

    @property
    def loop(self) -> Loop:
        address = ctypes.cast(self._loop, ctypes.c_void_p).value
        assert address is not None
        return Loop(address, self._level.ctypes.data)

    @property
    def level(self) -> float:
        return float(self._level[0])

    @level.setter
    def level(self, level: float) -> None:
        self._level[0] = level


class Echo:
    """Hears, and plays it `latency` samples later: as it was on the left, upside down on the right."""

    tail = 0
    active_voices = 0

    def __init__(self, library: ctypes.CDLL, latency: int = 0) -> None:
        self._library = library
        self.latency = latency
        self._state = library.echo_new(latency)

    def __del__(self) -> None:
        self._library.echo_free(self._state)

    def prepare(self, sample_rate: float, max_block: int) -> None:
        """Nothing to prepare."""

    def reset(self) -> None:
        raise AssertionError("the engine resets by message")

    @property
    def loop(self) -> Loop:
        address = ctypes.cast(self._library.echo_loop, ctypes.c_void_p).value
        assert address is not None
        return Loop(address, self._state, hears=True)
