"""The event codec beside Opus, Codec 2 and the article's scheme, on clips that nothing was trained on: one table.

    python bench/codec.py [--clips DIR] [--refine] [--live codec.onnx] [--article article.onnx] [--json]

Of the sorted recordings of DIR every fifth is scored, at 16 kHz, mono; codec_scores.py says what the scores are. One
constant delay is taken off per system. bit/s is payload: no heads of files. Latency is the algorithm's, frames and
look-ahead, without a driver's. DNSMOS moves by 0.1 to 0.2 with a decoder's noise alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soxr
from codec_peers import INSTALL, RATE, Heard, codec2, has, opus
from codec_scores import Scores, common_lag, scores
from numpy.typing import NDArray

from rtsynth.codec.coding import FLOAT
from rtsynth.codec.decoder import render_events
from rtsynth.codec.encoder import encode
from rtsynth.codec.event import Events
from rtsynth.codec.storage import EventFile, pack, unpack
from rtsynth.io.audio_files import read_audio

Array = NDArray[np.float64]
Codec = Callable[[Array], Heard]

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "speech_ljspeech"
HELD_OUT = 5  # every so many
FILE = "the file"  # latency of what chooses its times for a whole recording
OPUS_LATENCY, CODEC2_LATENCY = (
    "26.5 ms",
    {"3200": "37.5 ms", "2400": "37.5 ms", "1300": "57.5 ms", "700C": "67.5 ms"},
)


class System(NamedTuple):
    name: str
    latency: str
    codec: Codec


def through_file(events: Events, samples: Array, coding: str) -> Heard:
    """Events written, read and rendered."""
    file = unpack(pack(EventFile(events, RATE, samples.size), coding))
    sound = render_events(file.events, RATE, samples.size / RATE).astype(np.float64)
    return Heard(sound, 0 if coding == FLOAT else 8 * file.payload, len(file.events))


def by_events(events_per_second: float, coding: str) -> Codec:
    return lambda x: through_file(encode(x, RATE, events_per_second=events_per_second), x, coding)


def by_refined_events(events_per_second: float, coding: str) -> Codec:
    from rtsynth.codec.quantiser import Quantiser
    from rtsynth.training.refine import refine

    def codec(x: Array) -> Heard:
        events = encode(x, RATE, events_per_second=events_per_second)
        return through_file(refine(x, RATE, events, quantiser=Quantiser.load(coding)), x, coding)

    return codec


def by_live_model(path: str) -> Codec:
    from rtsynth.codec.live import encode_live
    from rtsynth.inference.manifest import load_manifest
    from rtsynth.inference.model import StreamingModel

    model = StreamingModel(load_manifest(path))
    return lambda x: through_file(encode_live(model, x.astype(np.float32)), x, "live-59")


def by_article(path: str) -> Codec:
    from rtsynth.codec.article import ArticleCodec

    codec = ArticleCodec.load(path)
    rate = codec.scheme.rate

    def both(x: Array) -> Heard:
        heard = soxr.resample(x, RATE, rate).astype(np.float32)
        events = codec.quantised(codec.encode(heard, rate))
        sound = soxr.resample(codec.decode(events, heard.size).astype(np.float64), rate, RATE)
        return Heard(sound, len(events) * codec.bits_an_event(), len(events))

    return both


def systems(arguments: argparse.Namespace) -> list[System]:
    found = [
        System("events, float, 30/s", FILE, by_events(30, FLOAT)),
        System("events, 59 bit, 20/s", FILE, by_events(20, "file-59")),
        System("events, 59 bit, 30/s", FILE, by_events(30, "file-59")),
        System("events, 49 bit, 30/s", FILE, by_events(30, "file-49")),
        System("events, 59 bit, 50/s", FILE, by_events(50, "file-59")),
    ]
    if arguments.refine:
        found.append(System("events, refined, 59 bit, 30/s", FILE, by_refined_events(30, "file-59")))
    if arguments.live:
        found.append(System("events, live", "28 ms", by_live_model(arguments.live)))
    if arguments.article:
        found.append(System("article, 6 bit a number", "5.9 s", by_article(arguments.article)))
    if has("opus"):
        found.append(System("Opus 6k", OPUS_LATENCY, lambda x: opus(x, 6)))
    if has("codec2"):
        found += [
            System(f"Codec 2 {mode}", CODEC2_LATENCY[mode], lambda x, mode=mode: codec2(x, mode))
            for mode in ("3200", "2400", "1300")
        ]
    if not (has("opus") and has("codec2")):
        print(f"Opus or Codec 2 are not here, and left out: {INSTALL}", file=sys.stderr)
    return found


def score(system: System, clips: list[Array]) -> dict[str, Any]:
    heard = [system.codec(x) for x in clips]
    lag = common_lag(clips, [h.samples for h in heard])
    each = [scores(x, h.samples, lag) for x, h in zip(clips, heard, strict=True)]
    mean = Scores(*np.mean(each, axis=0))
    seconds = sum(x.size for x in clips) / RATE
    return {
        "system": system.name,
        "bits_per_second": sum(h.bits for h in heard) / seconds,
        "events_per_second": sum(h.events for h in heard) / seconds,
        **mean._asdict(),
        "least_stoi": min(s.stoi for s in each),
        "lag_ms": 1e3 * lag / RATE,
        "latency": system.latency,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clips", type=Path, default=CLIPS)
    parser.add_argument("--refine", action="store_true", help="minutes of one core a clip")
    parser.add_argument("--live", help="an exported live model")
    parser.add_argument("--article", help="an exported model of the article's scheme")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    paths = sorted(p for p in arguments.clips.iterdir() if p.suffix in (".wav", ".flac"))[::HELD_OUT]
    clips = [soxr.resample(x.mean(axis=1), rate, RATE) for x, rate in map(read_audio, paths)]
    if not arguments.json:
        print(f"{len(clips)} clips, {sum(x.size for x in clips) / RATE:.0f} s")
        print("system                          bit/s  ev/s   STOI  eSTOI  least   OVR   dist  latency")
    for system in systems(arguments):
        row = score(system, clips)
        print(json.dumps(row) if arguments.json else line(row), flush=True)


def line(row: dict[str, Any]) -> str:
    return (
        f"{row['system']:30s} {row['bits_per_second'] or float('nan'):6.0f} {row['events_per_second']:5.1f}  "
        f"{row['stoi']:.3f}  {row['estoi']:.3f}  {row['least_stoi']:.3f}  {row['ovr']:.2f}  {row['dist']:5.2f}  "
        f"{row['latency']}"
    )


if __name__ == "__main__":
    main()
