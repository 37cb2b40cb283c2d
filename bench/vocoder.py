"""Vocoders on LJ Speech: how near a recording's mel frames come back, how it sounds, and what a step takes.

    python bench/vocoder.py                           # the official V2 beside the one that ships: a minute
    python bench/vocoder.py --model hifigan.onnx --json

Copy synthesis, streamed step by step. mel L1: mean |difference| of natural-log mel frames (80 bands, 0 to 8 kHz). OVR:
DNSMOS P.835, and by how much it lies below the originals'. STOI: beside the originals. "not trained on": every fifth
clip, which no recipe here learns from. Time: processor time of a step in one thread, of 1, 4 and 8 frames.
The thresholds are of the official V2, and it ends with 6 where one is missed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from codec_scores import RATE as SCORED
from codec_scores import ovr
from numpy.typing import NDArray
from pystoi import stoi

from rtsynth.errors import InputError, ThresholdError
from rtsynth.io.audio_files import read_audio
from rtsynth.vocoder.mel import mel_frames
from rtsynth.vocoder.stream import Vocoder, load_vocoder

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
CHECKPOINT, CONFIG = (SHARED / "weights/hifigan_v2" / name for name in ("generator_v2", "config_v2.json"))
CLIPS = SHARED / "speech_ljspeech"
STEPS = (1, 4, 8)  # frames
MOST_MEL_L1 = 0.32  # nepers
MOST_OVR_LOSS = 0.15
LEAST_SPEED = 10.0  # × real time, in steps of 4 frames
MOST_STREAM_ERROR = 1e-4
HELD_OUT = 5

Array = NDArray[np.float64]


def exported(folder: Path, frames: int) -> tuple[Path, float]:
    """The official V2 as a stream, and how far it is from the whole."""
    from rtsynth.training.hifigan_export import export_hifigan
    from rtsynth.vocoder.hifigan import read_config

    path = folder / f"v2-{frames}.onnx"
    found = export_hifigan(CHECKPOINT, read_config(CONFIG), path, frames=frames, runs=3)
    return path, found.error


def quality(vocoder: Vocoder, clips: list[tuple[str, Array, float]]) -> dict[str, Any]:
    """Of every clip, and their means."""
    rows = []
    for number, (name, samples, rate) in enumerate(clips):
        mel = mel_frames(samples, rate, vocoder.mel)
        said = vocoder.vocode(mel).astype(np.float64)
        again = mel_frames(said, vocoder.sample_rate, vocoder.mel)
        original, copy = (
            soxr.resample(x, r, SCORED) for x, r in ((samples, rate), (said, vocoder.sample_rate))
        )
        count = min(original.size, copy.size)
        rows.append(
            {
                "clip": name,
                "held_out": number % HELD_OUT == 0,
                "mel_l1": float(np.abs(again - mel).mean()),
                "ovr": ovr(copy),
                "ovr_original": ovr(original),
                "stoi": float(stoi(original[:count], copy[:count], SCORED)),
            }
        )
    return {"clips": rows, "all": means(rows), "held_out": means([r for r in rows if r["held_out"]])}


def means(rows: list[dict[str, Any]]) -> dict[str, float]:
    names = ("mel_l1", "ovr", "ovr_original", "stoi")
    return {name: statistics.fmean(row[name] for row in rows) for name in names}


def speed(vocoder: Vocoder, steps: int = 200) -> dict[str, float]:
    """Processor time of steps, ms: quartiles; and × real time at the median."""
    frames = (
        np.random.default_rng(1)
        .normal(-5, 2, (vocoder.mel.bands, vocoder.frames_per_step))
        .astype(np.float32)
    )
    vocoder.reset()
    taken = []
    for _ in range(steps):
        begun = time.thread_time()
        vocoder.step(frames)
        taken.append(1e3 * (time.thread_time() - begun))
    lasts = 1e3 * vocoder.frames_per_step * vocoder.hop / vocoder.sample_rate
    quick, median, slow = np.percentile(taken[10:], [25, 50, 99])
    return {"p25_ms": quick, "p50_ms": median, "p99_ms": slow, "times_real_time": lasts / median}


def measured(models: list[str], clips: list[tuple[str, Array, float]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if CHECKPOINT.is_file():
            paths = {frames: exported(Path(folder), frames) for frames in STEPS}
            vocoders = {frames: Vocoder(path) for frames, (path, _) in paths.items()}
            found["HiFi-GAN V2, official"] = {
                **about(vocoders[4]),
                "stream_error": max(error for _, error in paths.values()),
                "speed": {frames: speed(vocoder) for frames, vocoder in vocoders.items()},
                **quality(vocoders[4], clips),
            }
        for model in models:
            vocoder = load_vocoder(model)
            found[vocoder.name] = {
                **about(vocoder),
                "speed": {vocoder.frames_per_step: speed(vocoder)},
                **quality(vocoder, clips),
            }
    return found


def about(vocoder: Vocoder) -> dict[str, float]:
    return {"latency": vocoder.latency, "latency_ms": 1e3 * vocoder.latency / vocoder.sample_rate}


def misses(found: dict[str, Any]) -> list[str]:
    """What the official V2 should do, and does not."""
    v2 = found.get("HiFi-GAN V2, official")
    if v2 is None:
        return []
    mean, four = v2["all"], v2["speed"][4]["times_real_time"]
    told = {
        f"mel L1 {mean['mel_l1']:.3f}, at most {MOST_MEL_L1}": mean["mel_l1"] <= MOST_MEL_L1,
        f"OVR {mean['ovr']:.2f}, originals {mean['ovr_original']:.2f}": mean["ovr_original"] - mean["ovr"]
        <= MOST_OVR_LOSS,
        f"{four:.1f} × real time, at least {LEAST_SPEED:g}": four >= LEAST_SPEED,
        f"stream {v2['stream_error']:.1e} from the whole": v2["stream_error"] <= MOST_STREAM_ERROR,
        f"latency {v2['latency']}, not 3258": v2["latency"] == 3258,
    }
    return [text for text, holds in told.items() if not holds]


def table(found: dict[str, Any]) -> str:
    lines = [
        "| vocoder | latency | mel L1: all / not trained on | OVR (originals) | not trained on | STOI | "
        "step: frames, p50, p99 ms, × real time |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in found.items():
        every, held = row["all"], row["held_out"]
        steps = "; ".join(
            f"{frames}: {s['p50_ms']:.2f}, {s['p99_ms']:.2f}, {s['times_real_time']:.1f}"
            for frames, s in row["speed"].items()
        )
        lines.append(
            f"| {name} | {row['latency']} ({row['latency_ms']:.1f} ms) | "
            f"{every['mel_l1']:.3f} / {held['mel_l1']:.3f} | "
            f"{every['ovr']:.2f} ({every['ovr_original']:.2f}) | {held['ovr']:.2f} ({held['ovr_original']:.2f}) | "
            f"{every['stoi']:.3f} | {steps} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append", help="another vocoder's .onnx file; again for more")
    parser.add_argument("--clips", type=int, help="only the first so many")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    paths = sorted(CLIPS.glob("*.wav"))[: asked.clips]
    if not paths:
        raise InputError(f"no recordings in {CLIPS}")
    clips = [(path.stem, x.mean(axis=1), rate) for path in paths for x, rate in [read_audio(path)]]
    found = measured(asked.model or shipped(), clips)
    print(json.dumps(found) if asked.json else table(found))
    if missed := misses(found):
        print(f"missed: {'; '.join(missed)}", file=sys.stderr)
        return ThresholdError.exit_code
    return 0


def shipped() -> list[str]:
    try:
        load_vocoder()
    except InputError:
        return []
    return ["vocoder"]


if __name__ == "__main__":
    sys.exit(main())
