"""The voices of an instrument: allocation, pedals and envelopes are native/voices.c; this binds it to a bank."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Array, Structure, c_double, c_int32, c_void_p

import numpy as np
from numpy.typing import NDArray

from rtsynth import native
from rtsynth.errors import RtsynthError
from rtsynth.instrument.preset import Controllers
from rtsynth.source import Loop

COUNTS = ("notes", "active", "steals", "cuts", "bad_voices")  # enum rt_voices_count
GESTURES = ("modulation", "channel_pressure", "key_pressure", "timbre")  # enum rt_gesture
DESTINATIONS = ("none", "variance", "vibrato", "brightness", "level")  # enum rt_destination


class VoicesConfig(Structure):
    """`rt_voices_config` of native/voices.h."""

    _fields_ = [
        ("bank", c_void_p),
        ("bank_state", c_void_p),
        ("segments", c_void_p),
        ("release", c_void_p),
        ("level", c_void_p),
        ("mix", c_void_p),
        ("attack", c_double),
        ("sample_rate", c_double),
        ("a4", c_double),
        ("vibrato_hz", c_double),
        ("routes", c_int32 * len(GESTURES)),
        ("curve_points", c_int32),
        ("slots", c_int32),
        ("polyphony", c_int32),
        ("per_key", c_int32),
        ("half_pedal", c_int32),
        ("wide", c_int32),
        ("reserved", c_int32),
    ]


_SIGNATURES: native.Signatures = {
    "rt_voices_create": (c_void_p, [POINTER(VoicesConfig)]),
    "rt_voices_destroy": (None, [c_void_p]),
    "rt_voices_reset": (None, [c_void_p]),
    "rt_voices_counts": (None, [c_void_p, c_void_p]),
    "rt_voices_loop": (None, [c_void_p, c_void_p, c_int32, c_void_p, c_void_p, c_int32]),
    "rt_voices_layout": (None, [c_void_p]),
}


def routes(controllers: Controllers) -> Array[c_int32]:
    """Where a preset sends each gesture, as `VoicesConfig` has it."""
    chosen = (DESTINATIONS.index(getattr(controllers, gesture)) for gesture in GESTURES)
    return (c_int32 * len(GESTURES))(*chosen)


def library() -> ctypes.CDLL:
    """The compiled library with the functions of the voices; RtsynthError when it is of other sources."""
    from rtsynth.sampler.noise import SEGMENT

    found = native.open_library()
    native.declare(found, _SIGNATURES)
    sizes = np.zeros(2, np.int64)
    found.rt_voices_layout(sizes.ctypes.data)
    if sizes.tolist() != [ctypes.sizeof(VoicesConfig), SEGMENT]:
        raise RtsynthError(f"the compiled voices do not fit this version of rtsynth. {native.REBUILD}")
    return found


class Voices:
    """One instrument's voices in C. Keeps what the config points to alive; freed with the object."""

    def __init__(self, config: VoicesConfig, *keep: object) -> None:
        self._library = library()
        self._wide = bool(config.wide)
        self._keep = (config, *keep)
        self._address = self._library.rt_voices_create(ctypes.byref(config))
        if not self._address:
            raise MemoryError("no memory for the voices")

    def __del__(self) -> None:
        if getattr(self, "_address", None):
            self._library.rt_voices_destroy(self._address)

    @property
    def loop(self) -> Loop:
        """What the engine calls."""
        address = ctypes.cast(self._library.rt_voices_loop, c_void_p).value
        assert address is not None
        return Loop(address, self._address)

    def reset(self) -> None:
        """[main thread, not while running] Silence; the next note is number 0."""
        self._library.rt_voices_reset(self._address)

    def counts(self) -> dict[str, int]:
        """Notes started, voices active now, steals, cuts, voices stopped for not being finite."""
        counts = np.zeros(len(COUNTS), np.int64)
        self._library.rt_voices_counts(self._address, counts.ctypes.data)
        return dict(zip(COUNTS, counts.tolist(), strict=True))

    def run(self, messages: NDArray[np.void], left: NDArray, right: NDArray) -> None:
        """The loop without an engine: `messages` are due now, then left and right (frames,) are added to.

        float32, or float64 where the voices are wide; contiguous, of one length. ValueError where they are not.
        """
        real = np.float64 if self._wide else np.float32
        for plane in (left, right):
            if plane.dtype != real or not plane.flags.c_contiguous or plane.shape != (left.size,):
                raise ValueError(
                    f"planes: want contiguous {np.dtype(real).name} of one length ({left.size},)"
                )
        self._library.rt_voices_loop(
            self._address, messages.ctypes.data, messages.size, left.ctypes.data, right.ctypes.data, left.size
        )
