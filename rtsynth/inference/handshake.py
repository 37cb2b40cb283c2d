"""What a worker is told when it is started, and what it answers: one line of JSON each way."""

from __future__ import annotations

import os
from typing import NamedTuple

import msgspec

from rtsynth.errors import RtsynthError

PROGRAM = "rtsynth.inference.worker"  # what a worker runs: a module
PRIORITY = 40  # of a worker, SCHED_FIFO: below the audio thread's 50


class Order(msgspec.Struct, frozen=True):
    """[main → worker] A model, and the stream that it is to answer."""

    fd: int  # of the link's shared memory
    parent: int  # process id of the main process; the worker ends with it
    model: str
    manifest: str | None
    device_rate: float  # hertz
    device: str  # cpu, cuda or auto
    resampling: str
    resuming: bool = False  # a stream is waiting: no long warm-up
    start: dict[str, float] = {}  # what states start as, by name; the others as the manifest says
    program: str = PROGRAM


class Durations(msgspec.Struct, frozen=True):
    """Wall time of the warm-up's frames, ns."""

    frames: int
    p50: int
    p99: int


class Ready(msgspec.Struct, frozen=True, tag_field="answer", tag="ready"):
    """[worker → main] The model is loaded and warm. Lengths are in device samples where not said otherwise."""

    name: str
    framing: int  # produced(n) >= n - framing
    parts: dict[str, int]  # what that is made of
    hop: int  # of a frame, where nothing is resampled; else 1
    lookback: int
    latency: int  # the model's own, at its own rate
    frame: int  # at its own rate
    tail: int  # that may still sound after the input has fallen silent; -1: without bound
    model_rate: float  # hertz
    rate_stated: bool  # False: neither manifest nor file says it, and the device's was taken
    latency_stated: bool
    channels: int
    states: int
    provider: str
    compute_ns: Durations
    memory: int  # bytes resident
    realtime: bool  # it got real-time priority
    flushes_denormals: bool  # numbers too small to be normal count as zero
    began_ns: int  # time.monotonic_ns() when its process began to run, and ...
    ready_ns: int  # ... when it was ready


class Failed(msgspec.Struct, frozen=True, tag_field="answer", tag="failed"):
    """[worker → main] Why it cannot serve: an error's one line, and its class by the exit code."""

    error: str
    exit_code: int


class Ending(NamedTuple):
    """How a worker's process ended, as its parent saw it."""

    code: int  # exit code; negative: the signal
    last_words: str  # the last line of its stderr

    def __str__(self) -> str:
        how = f"killed by signal {-self.code}" if self.code < 0 else f"ended with code {self.code}"
        return f"{how}: {self.last_words}" if self.last_words else how


def ask_for_priority(pid: int) -> bool:
    """Real-time scheduling for a worker (0: for the caller); whether it was granted."""
    try:
        os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError:
        return False
    return True


def encode(message: Order | Ready | Failed) -> bytes:
    """One line, without its end."""
    return msgspec.json.encode(message)


def decode_order(line: str) -> Order:
    return msgspec.json.decode(line, type=Order)


def decode_answer(line: bytes) -> Ready | Failed:
    """Raises RtsynthError where a line is no answer."""
    try:
        return msgspec.json.decode(line, type=Ready | Failed)
    except msgspec.DecodeError as problem:
        raise RtsynthError(f"the model's process answered something else: {line[:200]!r}") from problem


def error_of(failed: Failed) -> RtsynthError:
    """The worker's error, of its own class."""
    kinds: dict[int, type[RtsynthError]] = {kind.exit_code: kind for kind in RtsynthError.__subclasses__()}
    return kinds.get(failed.exit_code, RtsynthError)(failed.error)
