"""The live GP vocoder: what it costs, when it answers, and how much of what was said is understood.

    python bench/live.py [--folder ../shared/data/speech_ljspeech] [--clips 3] [--seconds 30] [--json]

Cost: on the null device at 48 kHz, real time, from a histogram of every block; and the processor's time over the
sound's, as fast as it goes. Latency: stated, and measured by clicks. STOI: mean over clips, resampled to 48 kHz,
each against what is played `latency` samples later. Ends with 6 when a limit of the specification is missed.
Needs pystoi.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.engine import Engine, render
from rtsynth.errors import ThresholdError
from rtsynth.io.hearing import read_heard
from rtsynth.messages import MESSAGE
from rtsynth.speech import measures
from rtsynth.speech.live import DEFAULT_BANDS, Vocoder

RATE = 48000
CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "speech_ljspeech"
MOST_REAL_TIME, MOST_LATENCY_MS, LEAST_STOI = 0.15, 25.0, 0.75
BLOCKS = (16, 64, 256)  # frames
BANDS = (16, 24, 32, 40, 48, 64)
VARIANCES = (1.0, 0.75, 0.5, 0.25, 0.1, 0.0)
CLICKS, APART = 4000, 2880  # samples between two clicks: 60 ms

Heard = NDArray[np.float32]


def answer(heard: Heard, bands: int = DEFAULT_BANDS, variance: float = 1.0) -> tuple[Heard, int]:
    """What is played (n,) at the times of what it answers, and how much later that is, in samples."""
    vocoder = Vocoder(bands, variance=variance)
    vocoder.prepare(RATE)
    frames = len(heard) + vocoder.latency
    out = render(vocoder, np.empty(0, MESSAGE), frames, sample_rate=RATE, heard=heard)
    return out[vocoder.latency :, 0], vocoder.latency


def cost(heard: Heard, seconds: float, block: int) -> dict[str, Any]:
    """CPU microseconds a block in real time, and the share of one core when nothing waits."""
    with Engine([Vocoder()], RATE, heard=np.tile(heard, 1 + round(seconds * RATE / len(heard)))) as engine:
        engine.start_null(block)
        time.sleep(seconds)
        engine.stop_null()
        report = engine.report()
    out = np.empty((block, 2), np.float32)
    with Engine([Vocoder()], RATE, heard=heard) as engine:
        start = time.thread_time()
        for _ in range(len(heard) // block):
            engine.process(out)
        share = (time.thread_time() - start) / (len(heard) / RATE)
    percentiles = {f"p{q:g}": report.cpu.percentile(q) / 1e3 for q in (50, 99, 99.9)}
    return {
        "block": block,
        "blocks": report.blocks,
        "budget_us": report.budget_ns / 1e3,
        **percentiles,
        "max": report.cpu.max / 1e3,
        "late_engine": report.late_engine,
        "real_time_factor": share,
    }


def measured_latency() -> tuple[float, float, int]:
    """The centre of the energy that answers a click, drawn and kept, in samples; and what is stated."""
    clicks = np.zeros(CLICKS * APART, np.float32)
    clicks[::APART] = 1
    centres = []
    for variance in (1.0, 0.0):
        played, stated = answer(clicks, variance=variance)
        power = (np.roll(played, APART // 2).reshape(-1, APART).astype(float) ** 2).mean(axis=0)
        centres.append(stated + float((power * np.arange(APART)).sum() / power.sum()) - APART // 2)
    return centres[0], centres[1], stated


def understood(clips: list[Heard], **options: float) -> float:
    """Mean STOI over clips."""
    return float(
        np.mean([measures.intelligibility(clip, answer(clip, **options)[0], RATE) for clip in clips])
    )  # type: ignore[arg-type]


def measure(clips: list[Heard], seconds: float) -> dict[str, Any]:
    """All figures."""
    drawn, kept, stated = measured_latency()
    return {
        "latency": {"stated": stated, "ms": 1e3 * stated / RATE, "drawn": drawn, "kept": kept},
        "cost": [cost(np.concatenate(clips), seconds, block) for block in BLOCKS],
        "stoi_by_bands": {count: understood(clips, bands=count) for count in BANDS},
        "stoi_by_variance": {variance: understood(clips, variance=variance) for variance in VARIANCES},
    }


def print_table(found: dict[str, Any]) -> None:
    latency = found["latency"]
    print(f"latency   stated {latency['stated']} samples ({latency['ms']:.1f} ms)", end="")
    print(f", measured by clicks {latency['drawn']:.1f} drawn, {latency['kept']:.1f} kept\n")
    print("frames  budget µs   CPU µs p50     p99   p99.9     max   share of a core   blocks")
    for row in found["cost"]:
        times = "".join(f"{row[name]:8.0f}" for name in ("p50", "p99", "p99.9", "max"))
        share, blocks = row["real_time_factor"], row["blocks"]
        print(f"{row['block']:6d}  {row['budget_us']:9.0f}   {times:>32}   {share:15.3f}   {blocks}")
    for name, label in (("stoi_by_bands", "bands"), ("stoi_by_variance", "variance")):
        print(f"\n{label:10}" + "".join(f"{key:>7g}" for key in found[name]))
        print(f"{'STOI':10}" + "".join(f"{value:7.3f}" for value in found[name].values()))


def missed(found: dict[str, Any]) -> list[str]:
    """What is not as specified."""
    worst = max(row["real_time_factor"] for row in found["cost"] if row["block"] == 64)
    stoi, latency_ms = found["stoi_by_variance"][1.0], found["latency"]["ms"]
    limits = [
        (worst > MOST_REAL_TIME, f"real-time factor {worst:.3f} > {MOST_REAL_TIME}"),
        (latency_ms > MOST_LATENCY_MS, f"latency {latency_ms:.1f} ms > {MOST_LATENCY_MS:g} ms"),
        (stoi < LEAST_STOI, f"STOI {stoi:.3f} < {LEAST_STOI}"),
    ]
    return [text for fails, text in limits if fails]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=CLIPS)
    parser.add_argument("--clips", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=30.0, help="real time, for each block size")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    paths = sorted(arguments.folder.glob("*.wav"))[: arguments.clips]
    found = measure([read_heard(path, RATE) for path in paths], arguments.seconds)
    print(json.dumps(found)) if arguments.json else print_table(found)
    for text in missed(found):
        print(f"missed: {text}", file=sys.stderr)
    return ThresholdError.exit_code if missed(found) else 0


if __name__ == "__main__":
    sys.exit(main())
