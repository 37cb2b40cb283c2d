"""The compiled C library: finds it and opens it. Free to every room; each room declares the functions it calls.

It is a plain shared object without any Python in it (native/), so ctypes suffices, and every call releases the GIL.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from rtsynth.errors import RtsynthError

REBUILD = "Build it in rtsynth's folder: pip install --force-reinstall --no-deps ."

Signatures = dict[str, tuple[type | None, list]]


def find() -> Path:
    """Path of the library; RtsynthError when it was not built."""
    folder = Path(__file__).parent
    for suffix in EXTENSION_SUFFIXES:
        path = folder / f"_native{suffix}"
        if path.exists():
            return path
    raise RtsynthError(
        f"the compiled library is missing (rtsynth/_native). {REBUILD} "
        "(it needs a C compiler: apt install build-essential, dnf install gcc, …)"
    )


@cache
def open_library(path: Path | None = None) -> ctypes.CDLL:
    """The library; `path` for a test build instead of the installed one."""
    path = find() if path is None else path
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise RtsynthError(f"the compiled library cannot be used: {error}. {REBUILD}") from error


def declare(library: ctypes.CDLL, signatures: Signatures) -> None:
    """Set result and argument types of functions; RtsynthError where the library does not have one."""
    try:
        for name, (result, arguments) in signatures.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except AttributeError as error:
        raise RtsynthError(f"the compiled library cannot be used: {error}. {REBUILD}") from error
