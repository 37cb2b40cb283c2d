"""A live model left running: does it leak, lose its numbers, or work harder in silence than in sound?

    python bench/soak.py --minutes 30
    python bench/soak.py --model my.onnx --minutes 2 --json

On the null driver, 20 s of noisy speech and 20 s of silence in turns. Every 10 s: memory of both processes, their
processor time, descriptors. Ends with 6 where memory grows, descriptors are lost, a number is not finite, or silence
costs more than 1.1 times what sound does.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import time
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from inference import RATE, WEIGHTS, Model
from numpy.typing import NDArray
from processes import cpu_seconds, descriptors, resident

from rtsynth.engine import Engine, Histogram
from rtsynth.errors import RtsynthError, ThresholdError
from rtsynth.inference.live import LiveModel

TICK_SECONDS = 10
SOUND_TICKS, SILENT_TICKS = 2, 2
SETTLING_TICKS = 3  # not counted, nor is the first fifth: the first of everything takes its place
CLIPS = WEIGHTS.parent / "speech_ljspeech"
MOST_SILENCE_RATIO = 1.1
SIGNIFICANT_ERRORS = (
    3.0  # standard errors: memory that grows by more is growing (one chance in 740, one-sided) …
)
LEAST_GROWTH = 100.0  # … if by more than this, bytes a second: 360 kB an hour


class Tick(NamedTuple):
    """What was seen at one."""

    seconds: float  # of the stream
    sounding: bool  # what came in since the tick before
    main_bytes: int
    worker_bytes: int
    descriptors: int
    main_share: float  # of a core, since the tick before
    worker_share: float
    frame_us: float  # CPU of the frames computed since the tick before, their median; 0: none was


def heard(minutes: float) -> NDArray[np.float32]:
    """Speech in noise, or noise alone where there is no speech, and silence, in turns."""
    tick = round(TICK_SECONDS * RATE)
    sound = np.random.default_rng(1).normal(0, 0.02, SOUND_TICKS * tick).astype(np.float32)
    paths = sorted(CLIPS.glob("*.wav"))[:4]
    if paths:
        from rtsynth.io.hearing import read_heard

        speech = np.concatenate([read_heard(path, RATE) for path in paths])
        sound += 0.5 * np.resize(speech, len(sound))
    turn = np.concatenate([sound, np.zeros(SILENT_TICKS * tick, np.float32)])
    return np.resize(turn, round((minutes + 1) * 60 * RATE))


def soak(model: Model, block: int, minutes: float) -> dict[str, Any]:
    source = LiveModel(model[0], manifest=model[1])
    count = ceil(minutes * 60 / TICK_SECONDS)
    log = np.zeros(
        (count, len(Tick._fields))
    )  # laid out now: a list of ticks would grow by 50 bytes a second
    with contextlib.closing(source), Engine([source], RATE, heard=heard(minutes)) as engine:
        engine.start_null(block)
        main, worker = os.getpid(), source.worker or 0
        used = cpu_seconds(main), cpu_seconds(worker)
        frames = frame_times(source)
        for number in range(1, count + 1):
            while engine.time < number * TICK_SECONDS * RATE:
                time.sleep(0.05)
            now = cpu_seconds(main), cpu_seconds(worker)
            sounding = (number - 1) % (SOUND_TICKS + SILENT_TICKS) < SOUND_TICKS
            shares = [(after - before) / TICK_SECONDS for after, before in zip(now, used, strict=True)]
            memory = resident(main), resident(worker)
            before, frames = frames, frame_times(source)
            frame_us = frames.since(before).percentile(50) / 1e3
            log[number - 1] = engine.time / RATE, sounding, *memory, descriptors(main), *shares, frame_us
            used = now
        engine.stop_null()
        report, measured, latency = engine.report(), source.measurements(), source.latency
    ticks = [Tick(*row) for row in log.tolist()]
    counted = ticks[max(SETTLING_TICKS, len(ticks) // 5) :]
    return {
        "minutes": minutes,
        "latency_ms": 1e3 * latency / RATE,
        "blocks": report.blocks,
        "late": {cause.name.lower(): count for cause, count in report.late.items()},
        "concealed_s": measured.played.concealed / RATE,
        "frames": measured.computed.frames,
        "idle_frames": measured.computed.idle,
        "skipped_frames": measured.computed.skipped,
        "restarts": measured.restarts,
        "nan": {"engine": report.nan_samples, "model": measured.computed.nan},
        "descriptors": {"first": counted[0].descriptors, "last": counted[-1].descriptors},
        "memory": {
            who: growth(
                [tick.seconds for tick in counted], [getattr(tick, f"{who}_bytes") for tick in counted]
            )
            for who in ("main", "worker")
        },
        "share_of_a_core": {
            what: {
                who: float(
                    np.mean([getattr(tick, f"{who}_share") for tick in counted if tick.sounding == sounding])
                )
                for who in ("main", "worker")
            }
            for what, sounding in (("sound", True), ("silence", False))
        },
        "frame_us": {
            what: float(
                np.median([tick.frame_us for tick in counted if tick.sounding == sounding and tick.frame_us])
            )
            for what, sounding in (("sound", True), ("silence", False))
            if any(tick.frame_us for tick in counted if tick.sounding == sounding)
        },
        "ticks": [tick._asdict() for tick in ticks],
    }


def frame_times(source: LiveModel) -> Histogram:
    return Histogram(*source.measurements().computed.cpu)


def growth(seconds: list[float], sizes: list[int]) -> dict[str, float]:
    """Bytes a second by least squares, and its standard error."""
    t, y = np.array(seconds) - np.mean(seconds), np.array(sizes) - np.mean(sizes)
    slope = (t @ y) / (t @ t)
    error = np.sqrt(((y - slope * t) ** 2).sum() / max(1, len(t) - 2) / (t @ t))
    return {"bytes": sizes[-1], "slope": float(slope), "error": float(error)}


def verdict(found: dict[str, Any]) -> list[str]:
    """What is not as it should be."""
    wrong = []
    for who, memory in found["memory"].items():
        if memory["slope"] > max(LEAST_GROWTH, SIGNIFICANT_ERRORS * memory["error"]):
            wrong.append(f"memory of the {who} process grows by {memory['slope']:.0f} bytes a second")
    if any(found["nan"].values()):
        wrong.append(f"not-finite samples: {found['nan']}")
    if found["descriptors"]["last"] > found["descriptors"]["first"]:
        wrong.append(f"descriptors are lost: {found['descriptors']}")
    sound, silence = (sum(found["share_of_a_core"][what].values()) for what in ("sound", "silence"))
    if silence > MOST_SILENCE_RATIO * sound:
        wrong.append(f"silence costs {silence / sound:.2f} times what sound does")
    frames = found["frame_us"]
    if frames.get("silence", 0) > MOST_SILENCE_RATIO * frames["sound"]:
        wrong.append(
            f"a frame of silence takes {frames['silence']:.0f} µs, one of sound {frames['sound']:.0f}"
        )
    return wrong


def show(found: dict[str, Any]) -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{found['minutes']:g} min, {found['blocks']} blocks, latency {found['latency_ms']:.1f} ms")
    print(f"late blocks   {found['late']}, {found['concealed_s']:.2f} s played without the model")
    print(f"frames        {found['frames']}, idle {found['idle_frames']}, skipped {found['skipped_frames']}")
    print(f"not finite    {found['nan']}; restarts {found['restarts']}; descriptors {found['descriptors']}")
    for who, memory in found["memory"].items():
        slope = f"{memory['slope']:+.0f} ± {memory['error']:.0f} bytes a second"
        print(f"memory {who:7}{memory['bytes'] / 1e6:7.1f} MB, {slope}")
    for what, shares in found["share_of_a_core"].items():
        frame = f", a frame {found['frame_us'][what]:.0f} µs of CPU" if what in found["frame_us"] else ""
        print(f"{what:14}{shares['main']:.2%} + {shares['worker']:.2%} of a core (main + worker){frame}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--model", type=Path, default=WEIGHTS / "gtcrn_stream" / "gtcrn.onnx")
    parser.add_argument("--manifest")
    parser.add_argument("--block", type=int, default=64, help="samples")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if arguments.minutes * 60 < (SETTLING_TICKS + 2 * (SOUND_TICKS + SILENT_TICKS)) * TICK_SECONDS:
        parser.error("--minutes: at least 2")
    manifest = arguments.manifest or ("gtcrn" if arguments.model.stem == "gtcrn" else None)
    found = soak((arguments.model, manifest), arguments.block, arguments.minutes)
    print(json.dumps(found)) if arguments.json else show(found)
    for line in verdict(found):
        print(f"soak: {line}", file=sys.stderr)
    return ThresholdError.exit_code if verdict(found) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RtsynthError as error:
        print(f"soak: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
