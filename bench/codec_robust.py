"""What the file codec makes of sounds that it was not made for, and the memory that a long recording takes.

    python bench/codec_robust.py [--clips DIR] [--minutes 3 12 …] [--json]

Every sound goes through 59-bit events, 30 a second at most, and back. A recording of so many minutes is the clips of
DIR one after the other, encoded and decoded by the command line; its memory is the most that the process ever held.
espeak-ng makes the voices.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from codec_scores import RATE, dist
from numpy.typing import NDArray

from rtsynth.codec.decoder import render_events
from rtsynth.codec.encoder import encode
from rtsynth.codec.event import LN_F0, SHARES
from rtsynth.codec.storage import EventFile, pack, unpack

Array = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[1]
CLIPS = ROOT.parent / "shared" / "data" / "speech_ljspeech"
TEXTS = {
    "a man": (
        "en+m3",
        "The quick brown fox jumps over the lazy dog, and seventy sparrows watch it from the wall.",
    ),
    "a woman": ("en+f3", "She sells sea shells by the sea shore while the tide is coming in."),
}


def voices() -> dict[str, Array]:
    """By espeak-ng, at 16 kHz; the last is both at once."""
    said = {}
    for name, (voice, text) in TEXTS.items():
        with tempfile.NamedTemporaryFile(suffix=".wav") as wav:
            subprocess.run(["espeak-ng", "-v", voice, "-w", wav.name, text], check=True)
            samples, rate = soundfile.read(wav.name)
        said[name] = soxr.resample(samples, rate, RATE)
    count = min(sound.size for sound in said.values())
    return {**said, "both at once": 0.5 * sum((s[:count] for s in said.values()), np.zeros(count))}


def sounds() -> dict[str, tuple[Array, int]]:
    time_ = np.arange(2 * RATE) / RATE
    rng = np.random.default_rng(1)
    wide = 0.1 * rng.standard_normal((2 * 96_000, 2))
    return {
        "silence": (np.zeros(2 * RATE), RATE),
        "a constant 1.0": (np.ones(2 * RATE), RATE),
        "white noise": (0.1 * rng.standard_normal(2 * RATE), RATE),
        "a square at full scale, 100 Hz": (np.sign(np.sin(2.0 * np.pi * 100.0 * time_ + 0.1)), RATE),
        "a click": (np.eye(1, 2 * RATE, RATE)[0], RATE),
        "0.1 s of a tone": (0.3 * np.sin(2.0 * np.pi * 150.0 * time_[: RATE // 10]), RATE),
        "noise in stereo at 96 kHz": (wide, 96_000),
        **{name: (sound, RATE) for name, sound in voices().items()},
    }


def row(name: str, sound: Array, rate: int) -> dict[str, Any]:
    events = encode(sound, rate)
    file = unpack(pack(EventFile(events, rate, len(sound)), "file-59"))
    decoded = render_events(file.events, RATE, file.seconds).astype(np.float64)
    mono = sound.mean(axis=1) if sound.ndim == 2 else sound
    heard = soxr.resample(mono, rate, RATE) if rate != RATE else mono
    voiced = file.events["vector"][:, SHARES][:, 0] < 0.0
    return {
        "sound": name,
        "events_per_second": len(events) / file.seconds,
        "bits_per_second": 8 * file.payload / file.seconds,
        "rms": _db(np.std(heard)),
        "rms_decoded": _db(np.std(decoded)),
        "peak_decoded": float(np.abs(decoded).max()),
        "f0": float(np.exp(np.median(file.events["vector"][voiced, LN_F0]))) if voiced.any() else None,
        "stoi": _stoi(heard, decoded) if name in (*TEXTS, "both at once") else None,
        "dist": dist(heard, decoded[: heard.size]) if np.std(heard) else None,
    }


def _stoi(heard: Array, decoded: Array) -> float:
    from pystoi import stoi

    return float(stoi(heard, decoded[: heard.size], RATE))


def _db(rms: Any) -> float:
    return float(20.0 * np.log10(max(float(rms), 1e-10)))


def long(folder: Path, minutes: float) -> dict[str, Any]:
    """The clips over and over, through the command line: seconds and peak memory of each half."""
    clips = sorted(folder.glob("*.wav"))
    with tempfile.TemporaryDirectory() as scratch:
        wav, events, back = (Path(scratch) / name for name in ("in.wav", "x.events", "out.wav"))
        with soundfile.SoundFile(wav, "w", soundfile.info(clips[0]).samplerate, 1) as file:
            while file.tell() < 60.0 * minutes * file.samplerate:
                for clip in clips:
                    file.write(soundfile.read(clip)[0])
        found: dict[str, Any] = {"minutes": soundfile.info(wav).duration / 60.0}
        found["encode_seconds"], found["encode_mb"] = _measured("encode", wav, "-o", events)
        found["decode_seconds"], found["decode_mb"] = _measured("decode", events, "-o", back)
        return {**found, "bytes": events.stat().st_size}


def _measured(*arguments: Any) -> tuple[float, float]:
    """Seconds, and megabytes that the process held at most: what Linux counts of it from its own start on."""
    start = time.perf_counter()
    line = f"import sys; from rtsynth.cli import main; code = main({['codec', *map(str, arguments), '-q']!r})"
    told = "print(open('/proc/self/status').read()); sys.exit(code)"
    done = subprocess.run(
        [sys.executable, "-c", f"{line}; {told}"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    (held,) = (row.split()[1] for row in done.stdout.splitlines() if row.startswith("VmHWM"))
    return time.perf_counter() - start, int(held) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--minutes", type=float, nargs="+", default=[])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for name, (sound, rate) in sounds().items():
        found = row(name, sound, rate)
        print(json.dumps(found) if arguments.json else line(found), flush=True)
    for minutes in arguments.minutes:
        found = long(arguments.clips, minutes)
        print(json.dumps(found), flush=True)


def line(found: dict[str, Any]) -> str:
    told = [
        f"{found['sound']:32s}",
        f"{found['events_per_second']:5.1f} ev/s",
        f"{found['bits_per_second']:5.0f} b/s",
        f"rms {found['rms']:6.1f} → {found['rms_decoded']:6.1f} dB",
        f"peak {found['peak_decoded']:.2f}",
    ]
    told += [f"{name} {found[name]:.3g}" for name in ("f0", "stoi", "dist") if found[name] is not None]
    return "  ".join(told)


if __name__ == "__main__":
    main()
