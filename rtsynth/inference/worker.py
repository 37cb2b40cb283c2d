"""The inference process: `python -m rtsynth.inference.worker ORDER`, started by `InferenceProcess`.

It loads one model, says in one line that it is ready or why not, and then answers the link until it is asked to end or
its parent has gone. Little is imported here: what it takes to start is how long a stream goes without after a crash.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import time
from collections.abc import Callable

import numpy as np

from rtsynth import native
from rtsynth.errors import RtsynthError
from rtsynth.inference.handshake import (
    Durations,
    Failed,
    Order,
    Ready,
    ask_for_priority,
    decode_order,
    encode,
)
from rtsynth.inference.link import Link
from rtsynth.inference.manifest import load_manifest, started
from rtsynth.inference.model import FrameModel, StreamingModel
from rtsynth.inference.pipeline import Pipeline
from rtsynth.inference.serving import ProcessLoop, percentile, warm_up

LISTEN_SECONDS = 0.5  # how often it looks whether its parent is still there, where nothing comes in
WARM_UP_SECONDS, WARM_UP_FRAMES = 0.1, 20
RESUMING_FRAMES = 3  # where a stream is waiting
PR_SET_PDEATHSIG = 1


def main(line: str, load: Callable[[Order], FrameModel] | None = None) -> int:
    """Serve the model of an order, which `load` makes: without it, a network that takes sound."""
    began_ns = time.monotonic_ns()
    order = decode_order(line)
    report = _claim_stdout()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's affair
    _end_with_parent()
    try:
        loop, link, ready = _load(order, load or load_model, began_ns)
    except RtsynthError as error:
        _say(report, Failed(str(error), error.exit_code))
        return error.exit_code
    gc.collect()
    gc.freeze()  # what is loaded stays: no collection looks at it again
    _say(report, ready)
    while not link.closing:
        if not loop.turn(LISTEN_SECONDS) and os.getppid() != order.parent:
            break
    return 0


def load_model(order: Order) -> FrameModel:
    manifest = started(load_manifest(order.model, order.manifest), order.start)
    return StreamingModel(manifest, device=order.device)


def _load(
    order: Order, load: Callable[[Order], FrameModel], began_ns: int
) -> tuple[ProcessLoop, Link, Ready]:
    flushes = _flush_denormals()
    model = load(order)
    pipeline = Pipeline(model, order.device_rate, resampling=order.resampling)
    realtime = ask_for_priority(
        0
    )  # what is measured now is what will be: and loading needs no hurry the first time
    seconds, least = (0.0, RESUMING_FRAMES) if order.resuming else (WARM_UP_SECONDS, WARM_UP_FRAMES)
    durations = warm_up(pipeline, seconds, least)[1:]
    link = Link.attach(order.fd)
    os.close(order.fd)
    ready = Ready(
        name=model.manifest.name,
        framing=pipeline.framing,
        parts=pipeline.parts._asdict(),
        hop=pipeline.hop,
        lookback=pipeline.lookback,
        latency=model.latency,
        frame=model.frame,
        tail=tail(pipeline, order.device_rate),
        model_rate=model.sample_rate or order.device_rate,
        rate_stated=bool(model.sample_rate),
        latency_stated=model.manifest.latency is not None,
        channels=model.channels,
        states=len(model.states),
        provider=model.provider,
        compute_ns=Durations(len(durations), percentile(durations, 50), percentile(durations, 99)),
        memory=_resident(),
        realtime=realtime,
        flushes_denormals=flushes,
        began_ns=began_ns,
        ready_ns=time.monotonic_ns(),
    )
    return ProcessLoop(link, pipeline, order.device_rate), link, ready


def tail(pipeline: Pipeline, device_rate: float) -> int:
    """Device samples that may still sound once the input has fallen silent, its latency apart; -1: without bound."""
    model = pipeline.model
    inside = model.manifest.tail
    if inside is None and model.states:
        return -1
    return pipeline.lookback + round((inside or 0) * device_rate / (model.sample_rate or device_rate))


def _claim_stdout() -> int:
    """A descriptor for the one line; whatever else prints goes to stderr."""
    report = os.dup(1)
    os.dup2(2, 1)
    return report


def _say(report: int, answer: Ready | Failed) -> None:
    os.write(report, encode(answer) + b"\n")
    os.close(report)


def _end_with_parent() -> None:
    """Even where it is killed: the kernel sees to it. What had gone before is found by `getppid`."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def _flush_denormals() -> bool:
    """Let numbers too small to be normal count as zero in this thread; whether they do."""
    library = native.open_library()
    native.declare(library, {"rt_flush_this_thread": (None, [])})
    library.rt_flush_this_thread()
    return bool(np.float32(1e-38) * np.float32(1e-3) == 0)


def _resident() -> int:
    """Bytes of memory in use."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
