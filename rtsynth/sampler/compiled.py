"""How loops are compiled, and where the machine code is kept between runs.

numba stamps its cache by the file a function is written in, not by the files it calls into; a change in `noise.py`
would leave a stale `process`. So the cache folder itself is
named by a digest of every file of this room, which holds all loops.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import platformdirs
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# Contraction to FMA and free order of sums within one expression; NaN and infinity keep their meaning (the guards test
# for them). A segment is always computed whole, so the order of a sum never depends on the device's blocks.
FAST = {"contract", "reassoc", "nsz", "arcp"}


def _digest() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def cache_directory() -> Path:
    """The folder of this build's machine code; `NUMBA_CACHE_DIR` moves it."""
    base = os.environ.get("NUMBA_CACHE_DIR") or platformdirs.user_cache_dir("rtsynth")
    return Path(base) / f"loops-{_digest()}"


def is_cached(*names: str) -> bool:
    """Whether these loops (none named: any) were compiled on this machine before: else preparing takes seconds."""
    # numba names a file by where the function is written: "bank._draw_loop.locals.draw-30.py311.1.nbc".
    patterns = [f"**/*[._]{name}_loop.*.nbc" for name in names] or ["**/*.nbc"]
    return all(any(cache_directory().glob(pattern)) for pattern in patterns)


_numba: Any = numba  # its annotations lack what its manual documents


@contextmanager
def _own_cache_directory() -> Iterator[None]:
    """numba reads its cache folder when a function is decorated; the user's own functions must not move with ours."""
    before = _numba.config.CACHE_DIR
    _numba.config.CACHE_DIR = str(cache_directory())
    try:
        yield
    finally:
        _numba.config.CACHE_DIR = before


def inner(function: Callable) -> Callable:
    """A loop called from other loops: compiled with them, not cached by itself."""
    return numba.njit(fastmath=FAST, error_model="numpy", boundscheck=False)(function)


def callback(signature: Any) -> Callable:
    """A loop that C calls by its address; no exception can leave it (error_model numpy, no bounds check)."""

    def decorate(function: Callable) -> Any:
        with _own_cache_directory():
            return _numba.cfunc(signature, fastmath=FAST, error_model="numpy", boundscheck=False, cache=True)(
                function
            )

    return decorate


def _bitcast(source: Any, target: Any, target_type: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], target_type)

    return target(source), generate


def _bits_of(typing_context, number):
    """The 32 bits of a float32, as uint32."""
    return _bitcast(types.float32, types.uint32, ir.IntType(32))


def _float_of(typing_context, bits):
    """The float32 with these 32 bits."""
    return _bitcast(types.uint32, types.float32, ir.FloatType())


bits_of: Any = intrinsic(_bits_of)
float_of: Any = intrinsic(_float_of)
