"""Waking the inference process: what it costs the audio thread, and how soon the worker is there.

    python bench/wake.py [--blocks 5000] [--frames 64] [--json]

A block of `frames` at 48 kHz in real time, SCHED_FIFO 50 where it may be; the worker is another process, SCHED_FIFO 40,
and waits for every block: on the link's futex (what rtsynth does), on an eventfd (a write for every block), or looking
every 100 µs. "nobody" is the control: the same call without anybody waiting. Last, rtsynth's own worker side, in
Python: `Link.wait`. The rounds are interleaved, so that what disturbs the machine disturbs all of them. Needs a C
compiler.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
import time
from ctypes import c_int32, c_int64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.inference.link import Link

RATE = 48000
ROUNDS = 4
WAYS = {"nobody": 0, "futex": 1, "poll every 100 µs": 2, "eventfd": 3}
PYTHON = "futex, Link.wait in Python"
NATIVE = Path(__file__).resolve().parents[1] / "native"
SOURCES = [
    Path(__file__).with_name("wake.c"),
    *(NATIVE / name for name in ("link.c", "bell.c", "histogram.c")),
]

WORKER = """
import os, sys, time
import numpy as np
from rtsynth.inference.link import Link
link, blocks, frames = Link.attach(int(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
try: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(40))
except PermissionError: pass
waits = np.zeros(blocks, np.int64)
for block in range(blocks):
    while not link.wait((block + 1) * frames, 1.0): pass
    now = time.monotonic_ns()
    waits[block] = now - link.heard_ns((block + 1) * frames)
    if block == 0: begun = time.process_time_ns()
print(time.process_time_ns() - begun)
sys.stdout.flush(); sys.stdout.buffer.write(waits.tobytes())
"""

Times = NDArray[np.int64]


def compiled(folder: Path) -> ctypes.CDLL:
    path = folder / "wake.so"
    command = [
        "cc",
        "-O3",
        "-std=c11",
        "-fPIC",
        "-shared",
        "-pthread",
        *map(str, SOURCES),
        "-o",
        str(path),
        "-lm",
    ]
    subprocess.run(command, check=True)
    library = ctypes.CDLL(str(path))
    library.wake_measure.restype = c_int64
    library.wake_measure.argtypes = [c_int32, c_int64, c_int32, c_int64, c_void_p, c_void_p]
    library.rt_link_hear.argtypes = [c_void_p, c_void_p, c_int32]
    return library


def measure(library: ctypes.CDLL, way: int, blocks: int, frames: int) -> tuple[Times, Times, float]:
    """Of every block: ns of the audio side's call, ns until the worker was there; and the worker's share of a core."""
    call, wake = np.zeros(blocks, np.int64), np.zeros(blocks, np.int64)
    period = round(frames * 1e9 / RATE)
    cpu = library.wake_measure(way, blocks, frames, period, call.ctypes.data, wake.ctypes.data)
    if cpu < 0:
        raise SystemExit("the worker did not notice every block")
    return call, wake, cpu / (blocks * period)


def measure_python(library: ctypes.CDLL, blocks: int, frames: int) -> tuple[Times, Times, float]:
    """The same with a worker in Python; the call is timed from Python, so only its wake is worth reading."""
    link = Link.create(1 << 17)
    arguments = [sys.executable, "-c", WORKER, str(link.fd), str(blocks), str(frames)]
    with subprocess.Popen(arguments, pass_fds=[link.fd], stdout=subprocess.PIPE) as worker:
        while not link.asleep:
            time.sleep(0.01)
        samples, due = np.zeros(frames, np.float32), time.monotonic()
        for _ in range(blocks):
            due += frames / RATE
            time.sleep(max(0.0, due - time.monotonic()))
            library.rt_link_hear(link.address, samples.ctypes.data, frames)
        assert worker.stdout is not None
        cpu = int(worker.stdout.readline())
        wake = np.frombuffer(worker.stdout.read(), np.int64)
    link.close()
    return np.zeros(blocks, np.int64), wake, cpu / (blocks * frames / RATE * 1e9)


def row(way: str, call: Times, wake: Times, share: float) -> dict[str, Any]:
    figures: dict[str, Any] = {"way": way, "blocks": len(wake), "worker_percent_of_a_core": 100 * share}
    for name, times in (("call", call), ("wake", wake)):
        if times.any():
            figures |= {f"{name}_p{q:g}_us": float(np.percentile(times, q)) / 1e3 for q in (50, 99, 99.9)}
            figures[f"{name}_max_us"] = float(times.max()) / 1e3
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=5000, help="of each way")
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    blocks = arguments.blocks // ROUNDS
    found: dict[str, list[tuple[Times, Times, float]]] = {way: [] for way in [*WAYS, PYTHON]}
    with tempfile.TemporaryDirectory() as folder:
        library = compiled(Path(folder))
        for _ in range(ROUNDS):
            for way, number in WAYS.items():
                found[way].append(measure(library, number, blocks, arguments.frames))
            found[PYTHON].append(measure_python(library, blocks, arguments.frames))
    rows = []
    for way, rounds in found.items():
        calls, wakes, shares = zip(*rounds, strict=True)
        rows.append(row(way, np.concatenate(calls), np.concatenate(wakes), float(np.mean(shares))))
    if arguments.json:
        print(json.dumps({"frames": arguments.frames, "rate": RATE, "rows": rows}, indent=1))
        return
    print(
        f"{'µs, blocks of ' + str(arguments.frames):28}  {'call p50':>9} {'p99':>7} {'p99.9':>7} {'max':>7}",
        end="",
    )
    print(f"  {'there p50':>9} {'p99':>7} {'p99.9':>7} {'max':>8}  {'worker CPU':>10}")
    for figures in rows:
        print(f"{figures['way']:28}", end="")
        for name in ("call", "wake"):
            for q, width in (("p50", 10), ("p99", 7), ("p99.9", 7), ("max", 7)):
                value = figures.get(f"{name}_{q}_us")
                print(f" {'' if value is None else f'{value:.1f}':>{width}}", end="")
            print(" ", end="")
        print(f" {figures['worker_percent_of_a_core']:8.2f} %")


if __name__ == "__main__":
    main()
