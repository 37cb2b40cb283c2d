"""A file player and a recorder as JACK clients (native/test/tape.c), which know when each of their samples was."""

from __future__ import annotations

import ctypes
from ctypes import c_char_p, c_int32, c_int64, c_void_p
from pathlib import Path

import numpy as np

from tests.engine import build

_SIGNATURES = {
    "tape_open": (c_void_p, [c_char_p, c_int32, c_int32, c_int64, c_void_p, c_int64]),
    "tape_run": (None, [c_void_p]),
    "tape_position": (c_int64, [c_void_p]),
    "tape_first_frame": (c_int64, [c_void_p]),
    "tape_gaps": (c_int64, [c_void_p]),
    "tape_xruns": (c_int64, [c_void_p]),
    "tape_close": (None, [c_void_p]),
}


def compile_library(folder: Path) -> ctypes.CDLL:
    path = build.compile_library(folder / "tape.so", [build.NATIVE / "test" / "tape.c"])
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Tape:
    """A client `name`: its first port plays `samples` (n,) float32, or fills them, from `run` on.

    Its `latency` in frames is what it tells the server of the way between its port and the air or the ear.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        name: str,
        samples: np.ndarray,
        *,
        plays: bool,
        channels: int = 1,
        latency: int = 0,
    ) -> None:
        assert samples.dtype == np.float32
        self._library = library
        self._latency = -latency if plays else latency
        self.samples = samples  # the client's own memory
        self._native = library.tape_open(
            name.encode(), plays, channels, latency, samples.ctypes.data, len(samples)
        )
        assert self._native, "no JACK server"

    def run(self) -> None:
        self._library.tape_run(self._native)

    @property
    def over(self) -> bool:
        return self._library.tape_position(self._native) >= len(self.samples)

    @property
    def first_frame(self) -> int:
        """The server's frame time when the first sample was in the air, or reached the ear."""
        return self._library.tape_first_frame(self._native) + self._latency

    @property
    def gaps(self) -> int:
        return self._library.tape_gaps(self._native)

    @property
    def xruns(self) -> int:
        return self._library.tape_xruns(self._native)

    def close(self) -> None:
        if self._native:
            self._library.tape_close(self._native)
        self._native = None

    def __enter__(self) -> Tape:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
