"""Compiles native/ and native/test/ for the tests: all visible, and once with clocks that the tests move."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from ctypes import c_double, c_float, c_int32, c_int64, c_uint64, c_ulong, c_void_p
from pathlib import Path

NATIVE = Path(__file__).parents[2] / "native"
FLAGS = ["-O3", "-std=c11", "-pthread", "-fPIC", "-shared", "-ffp-contract=off", "-Wall", "-Werror"]
COMPILER = shutil.which("cc")

ENGINE_SOURCES = sorted(NATIVE.glob("*.c"))
TEST_SOURCES = [NATIVE / "test" / name for name in ("probe.c", "ring_stress.c", "virtual_clock.c")]

_SIGNATURES: dict[str, tuple[type | None, list[type]]] = {
    "probe_new": (c_void_p, [c_int64] * 4),
    "probe_free": (None, [c_void_p]),
    "probe_faults": (c_int64, [c_void_p]),
    "probe_resets": (c_int64, [c_void_p]),
    "probe_level": (c_float, [c_void_p]),
    "probe_log": (c_int64, [c_void_p, c_void_p]),
    "echo_new": (c_void_p, [c_int64]),
    "echo_free": (None, [c_void_p]),
    "ring_stress": (c_uint64, [c_uint64] * 4),
    "ring_new": (c_void_p, [c_uint64]),
    "rt_ring_write": (c_uint64, [c_void_p, c_void_p, c_uint64]),
    "rt_ring_read": (c_uint64, [c_void_p, c_void_p, c_uint64]),
    "rt_ring_free": (None, [c_void_p]),
    "rt_gain_init": (None, [c_void_p, c_double]),
    "rt_gain_set": (None, [c_void_p, c_double]),
    "rt_gain_apply": (None, [c_void_p, c_void_p, c_void_p, c_int32]),
    "rt_limiter_init": (None, [c_void_p, c_double]),
    "rt_limiter_apply": (None, [c_void_p, c_void_p, c_void_p, c_int32]),
    "rt_histogram_bucket": (c_int32, [c_int64]),
    "rt_dll_init": (None, [c_void_p, c_double]),
    "rt_dll_update": (None, [c_void_p, c_int64, c_int64, c_int32]),
    "rt_dll_sample_at": (c_double, [c_void_p, c_int64]),
    "rt_process_run": (None, [c_void_p, c_void_p, c_int32, c_void_p]),
    "rt_portaudio_callback": (c_int32, [c_void_p, c_void_p, c_ulong, c_void_p, c_ulong, c_void_p]),
    "rt_now_ns": (c_int64, []),
    "virtual_advance": (None, [c_int64] * 2),
}


def compile_library(path: Path, sources: list[Path], *flags: str) -> Path:
    """Compile C sources to a shared library at `path`; the compiler's own words when it does not."""
    assert COMPILER is not None
    command = [COMPILER, *FLAGS, *flags, *map(str, sources), "-o", str(path), "-lm", "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return path


def load_tests(path: Path) -> ctypes.CDLL:
    """A test library with the functions above declared, as far as it has them."""
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _SIGNATURES.items():
        if hasattr(library, name):
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    return library
