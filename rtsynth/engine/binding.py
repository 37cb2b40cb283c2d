"""The binding to the compiled engine: finds it, declares its functions, refuses one of another layout.

The library is a plain shared object without any Python in it (native/engine.h), so ctypes suffices, and
every call into it releases the GIL. What both sides must agree on is compared number by number when it is
loaded (`rt_layout`).
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_float, c_int32, c_int64, c_ulong, c_void_p
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth import native
from rtsynth.errors import RtsynthError
from rtsynth.messages import MESSAGE

LATE_BLOCK = np.dtype([(name, np.int64) for name in ("time", "wall_ns", "cpu_ns", "lateness_ns", "cause")])
LIAISON = np.dtype(
    [
        ("host_blocks", np.int64),
        ("host_block", np.int32),
        ("paced", np.int32),
        ("late_worker", np.int64),
        ("hurried", np.int64),
    ]
)
LEDGER_CAPACITY = 1024
ALL_CHANNELS = -1
HISTOGRAM_BITS = 6  # log2 of the buckets of an octave
HISTOGRAM_BUCKETS = 1984
DURATIONS = ("wall", "cpu", "lateness", "interval")  # in the order of enum rt_duration
COUNTERS = 14
MAX_SOURCES = 64

_ENGINE = c_void_p
_SIGNATURES: native.Signatures = {
    "rt_engine_create": (c_void_p, [ctypes.c_double, c_int32, c_int64, c_int64]),
    "rt_engine_destroy": (None, [_ENGINE]),
    "rt_engine_add_source": (c_int32, [_ENGINE, c_void_p, c_void_p]),
    "rt_engine_add_hearing_source": (c_int32, [_ENGINE, c_void_p, c_void_p]),
    "rt_engine_set_liaison": (None, [_ENGINE, c_int32, c_void_p]),
    "rt_engine_hear": (None, [_ENGINE, c_void_p, c_int64]),
    "rt_engine_send": (c_int64, [_ENGINE, c_void_p, c_int64]),
    "rt_engine_fade": (None, [_ENGINE, c_int32, c_int64]),
    "rt_engine_time": (c_int64, [_ENGINE]),
    "rt_engine_time_at": (c_int64, [_ENGINE, c_int64]),
    "rt_engine_latest_block": (c_int32, [_ENGINE]),
    "rt_engine_stamp": (c_int64, [_ENGINE, c_int64]),
    "rt_engine_fade_from_silence": (None, [_ENGINE, c_int64]),
    "rt_engine_record": (None, [_ENGINE, c_int32]),
    "rt_engine_read_recording": (c_int64, [_ENGINE, c_void_p, c_int64]),
    "rt_engine_open_journal": (c_int32, [_ENGINE, c_int64, c_int64]),
    "rt_engine_read_journal": (c_int64, [_ENGINE, c_void_p, c_int64]),
    "rt_engine_read_heard": (c_int64, [_ENGINE, c_void_p, c_int64]),
    "rt_engine_journal_lost": (None, [_ENGINE, c_void_p]),
    "rt_engine_replay": (None, [_ENGINE]),
    "rt_engine_meter": (None, [_ENGINE, c_void_p]),
    "rt_engine_heard_meter": (c_float, [_ENGINE]),
    "rt_engine_counters": (c_float, [_ENGINE, c_void_p]),
    "rt_engine_heard": (c_float, [_ENGINE]),
    "rt_engine_histogram": (c_int64, [_ENGINE, c_int32, c_void_p]),
    "rt_engine_ledger": (c_int32, [_ENGINE, c_void_p]),
    "rt_engine_reset_report": (None, [_ENGINE]),
    "rt_engine_process": (None, [_ENGINE, c_void_p, c_void_p, c_int32]),
    "rt_engine_process_pairs": (None, [_ENGINE, c_void_p, c_int32]),
    "rt_portaudio_begin": (c_int32, [_ENGINE, c_int32, c_int32, c_int32]),
    "rt_portaudio_end": (None, [_ENGINE]),
    "rt_portaudio_callback": (c_int32, [c_void_p, c_void_p, c_ulong, c_void_p, c_ulong, _ENGINE]),
    "rt_null_start": (c_int32, [_ENGINE, c_int32]),
    "rt_null_stop": (None, [_ENGINE]),
    "rt_null_realtime": (c_int32, [_ENGINE]),
    "rt_counter_name": (c_char_p, [c_int32]),
    "rt_layout": (c_int32, [POINTER(POINTER(c_int64))]),
}


def _layout(message: np.dtype = MESSAGE) -> list[int]:
    """What `rt_layout` of native/engine.c must say, from the Python side's own types."""
    return [
        *_offsets(message),
        *_offsets(LATE_BLOCK),
        LEDGER_CAPACITY,
        HISTOGRAM_BITS,
        HISTOGRAM_BUCKETS,
        len(DURATIONS),
        COUNTERS,
        MAX_SOURCES,
        *_offsets(LIAISON),
    ]


def _offsets(record: np.dtype) -> list[int]:
    assert record.fields is not None
    return [record.itemsize, *(record.fields[name][1] for name in record.names or ())]


def check_layout(library: ctypes.CDLL, expected: list[int] | None = None) -> None:
    """Raise RtsynthError when `library` was built from other sources than this Python code."""
    numbers = POINTER(c_int64)()
    count = library.rt_layout(ctypes.byref(numbers))
    if numbers[:count] != (_layout() if expected is None else expected):
        raise RtsynthError(f"the compiled engine does not fit this version of rtsynth. {native.REBUILD}")


@cache
def load(path: Path | None = None) -> ctypes.CDLL:
    """The compiled engine with its functions declared; `path` for a test build instead of the installed one.

    Raises RtsynthError when it is missing, cannot be loaded, or has another layout.
    """
    library = native.open_library(path)
    native.declare(library, _SIGNATURES)
    check_layout(library)
    return library


def counter_names(library: ctypes.CDLL) -> list[str]:
    """Names of the counters, in the order of enum rt_counter."""
    return [library.rt_counter_name(i).decode() for i in range(COUNTERS)]


def address_of(array: NDArray) -> int:
    """Address of an array's first element, for a `void *` argument."""
    return array.ctypes.data
