"""The live codec: how late it answers, what it costs, and what is understood of it at every density. One table.

    python bench/live_codec.py [--clips DIR] [--json]

Of the sorted recordings of DIR every fifth is heard, which the shipped model was not trained on. Cost: processor time
of a frame of 24 ms, on one thread: the way to the model's rate, features and network (encode), and the decoder's
samples at 48 kHz (decode), over all frames. Latency: as stated for the device's rate, and measured: from one sample on
the sound is replaced by noise, and the earliest sample of the answer that differs says how far the codec looked ahead.
STOI (16 kHz, one delay taken off for all) of the events that a density leaves, through the quantiser "live-59"; needs
pystoi. Ends with 6 when a limit is missed: 30 ms; 0.3 of real time at the 99th percentile; STOI 0.88 at density 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from codec_scores import aligned, common_lag, dist
from numpy.typing import NDArray

from rtsynth.codec.decoder import Decoder, render_events
from rtsynth.codec.event import CONTROL
from rtsynth.codec.live import NUMBERS, STEPS, encode_live, events_of, nominal, thinned
from rtsynth.codec.quantiser import Quantiser
from rtsynth.engine import Engine
from rtsynth.errors import ThresholdError
from rtsynth.inference.manifest import load_manifest
from rtsynth.inference.model import StreamingModel
from rtsynth.inference.pipeline import Pipeline
from rtsynth.io.audio_files import read_audio

Sound = NDArray[np.float32]

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "speech_ljspeech"
HELD_OUT = 5  # every so many
RATE = 48000
FRAME = round(STEPS * CONTROL * RATE)
DENSITIES = (1.0, 0.7, 0.5, 0.3, 0.1)
CUTS = 40  # places where the future is replaced
MOST_MS, MOST_SHARE, LEAST_STOI = 30.0, 0.3, 0.88


def clips_of(folder: Path, rate: int) -> list[Sound]:
    paths = sorted(p for p in folder.iterdir() if p.suffix in (".wav", ".flac"))[::HELD_OUT]
    return [soxr.resample(x.mean(axis=1), own, rate).astype(np.float32) for x, own in map(read_audio, paths)]


def cost(model: StreamingModel, clips: list[Sound]) -> dict[str, dict[str, float]]:
    """Processor time of every frame as a share of it: encode, decode, both."""
    model.reset()
    pipeline, decoder = Pipeline(model, RATE), Decoder()
    out = np.empty((FRAME, 2), np.float32)
    rows = []
    with Engine([decoder], RATE) as engine:
        for frame in np.concatenate(clips)[: sum(map(len, clips)) // FRAME * FRAME].reshape(-1, FRAME):
            start = time.thread_time_ns()
            answer = pipeline.push(frame)[:, 0]
            encoded = time.thread_time_ns()
            for at in np.flatnonzero(answer[: len(answer) - NUMBERS + 1] == 1.0)[:1]:
                event = events_of(answer[None, at : at + NUMBERS])
                event["time"] = round(decoder.time / (CONTROL * RATE))
                decoder.push(event)
            middle = time.thread_time_ns()
            engine.process(out)
            rows.append((encoded - start, time.thread_time_ns() - middle))
    encode, decode = np.array(rows[50:]).T / (1e9 * STEPS * CONTROL)  # the first pay for caches
    shares = {"encode": encode, "decode": decode, "both": encode + decode}
    return {
        name: {"p50": float(np.median(x)), "p99": float(np.quantile(x, 0.99)), "max": float(x.max())}
        for name, x in shares.items()
    }


def stated(model: StreamingModel) -> dict[str, int]:
    """Delays by cause, device samples, without the worker's time and the device's."""
    parts = Pipeline(model, RATE).parts._asdict()
    return {**parts, "record": NUMBERS - 1}


def look_ahead(model: StreamingModel, clip: Sound) -> float:
    """Milliseconds from the first sample of the answer that differs to the first of the future replaced, the worst."""
    rng = np.random.default_rng(1)
    heard = clip[: 4 * 16000]
    seconds = heard.size / 16000
    plain = render_events(encode_live(model, heard), 16000, seconds)
    worst = -np.inf
    for cut in rng.integers(8000, heard.size - 4000, CUTS).tolist():
        other = heard.copy()
        other[cut:] = 0.5 * rng.standard_normal(heard.size - cut)
        answer = render_events(encode_live(model, other), 16000, seconds)
        worst = max(worst, (cut - int(np.flatnonzero(answer != plain)[0])) / 16.0)
    return worst


def understood(model: StreamingModel, clips: list[Sound], density: float) -> dict[str, float]:
    """STOI and dist at 16 kHz, means over clips; events and kilobits a second."""
    from pystoi import stoi

    quantiser, answers = Quantiser.load("live-59"), []
    for clip in clips:
        events = encode_live(model, clip)
        level = np.ceil(8.0 * events["gain"].max()) / 8.0  # as in a file
        coded = quantiser.quantise(thinned(events, density), level)
        answers.append(render_events(coded, 16000, clip.size / 16000).astype(float))
    originals = [clip.astype(float) for clip in clips]
    lag = common_lag(originals, answers, longest=0.03)
    pairs = [(x, aligned(y, lag, x.size)) for x, y in zip(originals, answers, strict=True)]
    rate, kilobits = nominal(density)
    return {
        "density": density,
        "events_per_second": rate,
        "kilobits_per_second": kilobits,
        "stoi": float(np.mean([stoi(x, y, 16000) for x, y in pairs])),
        "dist": float(np.mean([dist(x, y) for x, y in pairs])),
    }


def measure(folder: Path) -> dict[str, Any]:
    """All figures."""
    model = StreamingModel(load_manifest("codec"))
    delays = stated(model)
    clips = clips_of(folder, 16000)
    return {
        "clips": len(clips),
        "seconds": sum(map(len, clips)) / 16000,
        "delays": delays,
        "stated_ms": 1e3 * sum(delays.values()) / RATE,
        "look_ahead_ms": look_ahead(model, clips[0]),
        "cost": cost(model, clips_of(folder, RATE)),
        "densities": [understood(model, clips, density) for density in DENSITIES],
    }


def print_table(found: dict[str, Any]) -> None:
    parts = ", ".join(f"{name} {count}" for name, count in found["delays"].items())
    print(f"{found['clips']} clips, {found['seconds']:.0f} s")
    print(f"latency   {found['stated_ms']:.1f} ms stated ({parts} samples at 48 kHz)")
    print(f"look-ahead {found['look_ahead_ms']:.1f} ms measured, the future replaced at {CUTS} places\n")
    print("share of real time     p50     p99     max")
    for name, share in found["cost"].items():
        print(f"{name:18}" + "".join(f"{share[q]:8.3f}" for q in ("p50", "p99", "max")))
    print("\ndensity    ev/s    kb/s    STOI    dist")
    for row in found["densities"]:
        print(
            f"{row['density']:7.2f}{row['events_per_second']:8.1f}{row['kilobits_per_second']:8.2f}", end=""
        )
        print(f"{row['stoi']:8.3f}{row['dist']:8.2f}")


def missed(found: dict[str, Any]) -> list[str]:
    """What is not as asked."""
    share, stoi = found["cost"]["both"]["p99"], found["densities"][0]["stoi"]
    limits = [
        (found["stated_ms"] > MOST_MS, f"latency {found['stated_ms']:.1f} ms > {MOST_MS:g} ms"),
        (found["look_ahead_ms"] > found["stated_ms"], "it looks further ahead than it says"),
        (share > MOST_SHARE, f"{share:.3f} of real time > {MOST_SHARE:g}"),
        (stoi < LEAST_STOI, f"STOI {stoi:.3f} < {LEAST_STOI:g}"),
    ]
    return [text for fails, text in limits if fails]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not arguments.clips.is_dir():
        print(f"live_codec: no recordings in {arguments.clips}: skipped", file=sys.stderr)
        return 0
    found = measure(arguments.clips)
    print(json.dumps(found)) if arguments.json else print_table(found)
    for text in missed(found):
        print(f"missed: {text}", file=sys.stderr)
    return ThresholdError.exit_code if missed(found) else 0


if __name__ == "__main__":
    sys.exit(main())
