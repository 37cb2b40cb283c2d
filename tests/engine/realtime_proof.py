"""Prove a source real-time safe: the audio callback, 10⁶ times, under a malloc hook and a seccomp filter.

What runs is the installed engine, not a build for tests. `prove_in_subprocess("module:factory")` starts
this module as a script with the hook preloaded; the factory is called with that folder and returns (source,
messages, span): a source, its messages in order of time, and after how many samples to repeat them.

    python -m tests.engine.realtime_proof --factory module:factory --blocks 1000000 --frames 16 --folder DIR
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from ctypes import c_int64, c_void_p
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rtsynth.engine import Engine, Report
from rtsynth.engine.binding import load
from rtsynth.messages import Messages
from rtsynth.source import Source
from tests.engine import build

RATE = 48000.0
ROOT = Path(__file__).parents[2]

Factory = Callable[[Path], tuple[Source, Messages, int]]


@dataclass(frozen=True)
class Proof:
    """What the audio thread did that it must not, in `blocks` calls of the callback."""

    blocks: int
    messages: int  # sent while it ran
    allocations: int  # calls of malloc, calloc, realloc, free, posix_memalign, …
    locks: int  # calls of pthread_mutex_lock
    system_calls: (
        int  # other than clock_gettime, and FUTEX_WAKE where it may; -1 where the kernel has no seccomp
    )
    system_call: int  # number of the latest of them
    major_faults: int  # pages fetched from disk
    peak: float  # largest |sample| before the limiter: that it sounded at all
    nan_samples: int

    @property
    def holds(self) -> bool:
        return not (self.allocations or self.locks or self.system_calls or self.major_faults)


class _Run(ctypes.Structure):
    """struct proof of native/test/proof.c."""

    _fields_ = [
        ("callback", c_void_p),
        ("send", c_void_p),
        ("engine", c_void_p),
        ("messages", c_void_p),
        ("count", c_int64),
        ("span", c_int64),
        ("blocks", c_int64),
        ("frames", c_int64),
        ("trap_system_calls", c_int64),
        ("may_wake", c_int64),
        ("sent", c_int64),
        ("trapped", c_int64),
        ("trapped_number", c_int64),
        ("major_faults", c_int64),
    ]


def prove(
    folder: Path, make: Factory, blocks: int, frames: int, may_wake: bool, journal: bool = False
) -> Proof:
    """Run `blocks` blocks under the hook and as many again under the filter; malloc_hook.so must be
    preloaded.
    """
    hook = ctypes.CDLL(str(folder / "malloc_hook.so"))
    hook.hook_allocations.restype = hook.hook_locks.restype = c_int64
    counted, report = _run(folder, make, blocks, frames, trap=False, may_wake=may_wake, journal=journal)
    allocations, locks = hook.hook_allocations(), hook.hook_locks()
    trapped, _ = _run(folder, make, blocks, frames, trap=True, may_wake=may_wake, journal=journal)
    return Proof(
        blocks=blocks,
        messages=counted.sent,
        allocations=allocations,
        locks=locks,
        system_calls=trapped.trapped,
        system_call=trapped.trapped_number,
        major_faults=counted.major_faults,
        peak=report.peak,
        nan_samples=report.nan_samples,
    )


def _run(
    folder: Path, make: Factory, blocks: int, frames: int, *, trap: bool, may_wake: bool, journal: bool
) -> tuple[_Run, Report]:
    source, messages, span = make(folder)
    messages = np.ascontiguousarray(messages)
    library = ctypes.CDLL(str(folder / "proof.so"))
    with Engine([source], RATE) as engine:
        engine.begin_stream(2, inputs=int(engine.hears))
        if journal:
            engine.open_journal(heard=True)
        callback, engine_address = engine.portaudio_callback
        run = _Run(
            callback=callback,
            send=ctypes.cast(load().rt_engine_send, c_void_p).value,
            engine=engine_address,
            messages=messages.ctypes.data,
            count=len(messages),
            span=span,
            blocks=blocks,
            frames=frames,
            trap_system_calls=int(trap),
            may_wake=int(may_wake),
        )
        error = library.proof_run(ctypes.byref(run))
        if error:
            raise OSError(error, os.strerror(error))
        report = engine.report()
    assert report.blocks == (blocks if run.trapped >= 0 else 0)
    return run, report


def compile_proof(folder: Path) -> None:
    """Build the hook and the runner into `folder`."""
    build.compile_library(folder / "malloc_hook.so", [build.NATIVE / "test" / "malloc_hook.c"])
    build.compile_library(folder / "proof.so", [build.NATIVE / "test" / "proof.c"])


def prove_in_subprocess(
    factory: str,
    folder: Path,
    *,
    blocks: int = 1_000_000,
    frames: int = 16,
    may_wake: bool = False,
    journal: bool = False,
    timeout: float = 600.0,
) -> Proof:
    """The proof of what "module:function" makes; `folder` holds what `compile_proof` built.

    `may_wake`: it has a worker, so that FUTEX_WAKE is a system call it may make. `journal`: it keeps one, which nobody
    reads.
    """
    command = [sys.executable, "-m", "tests.engine.realtime_proof", "--factory", factory]
    command += ["--blocks", str(blocks), "--frames", str(frames), "--folder", str(folder)]
    command += ["--may-wake"] if may_wake else []
    command += ["--journal"] if journal else []
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"LD_PRELOAD": str(folder / "malloc_hook.so")},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Proof(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--factory", required=True, help="module:function returning (source, messages, span)")
    parser.add_argument("--blocks", type=int, default=1_000_000)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--folder", type=Path, required=True, help="where compile_proof built the libraries")
    parser.add_argument(
        "--may-wake", action="store_true", help="let FUTEX_WAKE through, for a source with a worker"
    )
    parser.add_argument("--journal", action="store_true", help="keep a journal that nobody reads")
    arguments = parser.parse_args()
    module, name = arguments.factory.split(":")
    make: Factory = getattr(importlib.import_module(module), name)
    proof = prove(
        arguments.folder, make, arguments.blocks, arguments.frames, arguments.may_wake, arguments.journal
    )
    print(json.dumps(asdict(proof)))


if __name__ == "__main__":
    main()
