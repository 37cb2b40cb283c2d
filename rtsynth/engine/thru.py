"""The control: a source that answers with what it hears, at once; native/thru.h."""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_float, c_int32, c_void_p

from rtsynth import native
from rtsynth.source import Loop

_SIGNATURES: native.Signatures = {
    "rt_thru_loop": (None, [c_void_p, c_void_p, c_int32, c_void_p, c_void_p, c_void_p, c_int32]),
}


class _Record(Structure):
    """`rt_thru` of native/thru.h."""

    _fields_ = [("gain", c_float), ("active", c_int32)]


class Thru:
    """What comes in goes out, `gain` (linear) times as loud, without delay and without work: the control of `live`."""

    latency = 0  # samples
    tail = 0

    def __init__(self, gain: float = 1.0) -> None:
        self._record = _Record(gain, 0)

    def prepare(self, sample_rate: float, max_block: int = 0) -> None:
        """[main thread] Nothing to pay for, at any rate."""

    def reset(self) -> None:
        """[main thread, not while running] It has no state."""
        self._record.active = 0

    @property
    def loop(self) -> Loop:
        """The compiled loop."""
        library = native.open_library()
        native.declare(library, _SIGNATURES)
        address = ctypes.cast(library.rt_thru_loop, c_void_p).value
        assert address is not None
        return Loop(address, ctypes.addressof(self._record), hears=True)

    @property
    def active_voices(self) -> int:
        """1 while anything is heard."""
        return int(self._record.active)
