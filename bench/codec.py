"""The event codec beside Opus, Codec 2 and the article's scheme, on clips that nothing was trained on: one table.

    python bench/codec.py [--clips DIR] [--quick] [--only NAME …] [--live codec.onnx] [--article article.onnx] [--json]

Of the sorted recordings of DIR every fifth is scored, at 16 kHz, mono; codec_scores.py says what the scores are. One
constant delay is taken off per system. bit/s is payload: no heads of files. Latency is the algorithm's, frames and
look-ahead, without a driver's. DNSMOS moves by 0.1 to 0.2 with a decoder's noise alone. Ends with 1 where a system
misses what is asked of it.
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
CODE = "file-59"  # any but float: codes have a coding of their own
FILE = "the file"  # latency of what chooses its times for a whole recording
OPUS_LATENCY, CODEC2_LATENCY = (
    "26.5 ms",
    {"3200": "37.5 ms", "2400": "37.5 ms", "1300": "57.5 ms", "700C": "67.5 ms"},
)


class Asked(NamedTuple):
    """The least, or where less is better the most, that a system may have."""

    stoi: float
    ovr: float
    dist: float
    bits_per_second: float

    def missed(self, row: dict[str, Any]) -> list[str]:
        """What is not reached; a score that cannot be measured here is not missed."""
        least, most = ("stoi", "ovr"), ("dist", "bits_per_second")
        wanted = self._asdict()
        return [n for n in least if row[n] < wanted[n]] + [n for n in most if row[n] > wanted[n]]


class System(NamedTuple):
    name: str
    latency: str
    codec: Codec
    asked: Asked | None = None


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


def by_live_model(name: str) -> tuple[str, Codec]:
    """Its latency, and the codec."""
    from rtsynth.codec.live import encode_live
    from rtsynth.inference.manifest import load_manifest
    from rtsynth.inference.model import StreamingModel

    model = StreamingModel(load_manifest(name))
    latency = f"{1e3 * (model.frame + model.latency) / model.sample_rate:.0f} ms"
    return latency, lambda x: through_file(encode_live(model, x.astype(np.float32)), x, "live-59")


def by_article(path: Path) -> tuple[str, Codec]:
    from rtsynth.codec.article import ArticleCodec

    codec = ArticleCodec.load(path)
    rate = codec.scheme.rate

    def both(x: Array) -> Heard:
        heard = soxr.resample(x, RATE, rate).astype(np.float32)
        file = unpack(pack(EventFile(codec.encode(heard, rate), rate, heard.size, "article"), CODE))
        sound = soxr.resample(codec.decode(file.events, heard.size).astype(np.float64), rate, RATE)
        return Heard(sound, 8 * file.payload, len(file.events))

    return f"{codec.scheme.latency / rate:.1f} s", both


def systems(arguments: argparse.Namespace) -> list[System]:
    from rtsynth.codec.article import shipped

    file_30 = Asked(stoi=0.90, ovr=2.75, dist=2.5, bits_per_second=1800)
    found = [
        System("file, float, 30/s", FILE, by_events(30, FLOAT)),
        System("file, 59 bit, 20/s", FILE, by_events(20, "file-59")),
        System("file, 59 bit, 30/s", FILE, by_events(30, "file-59")),
        System("file, 49 bit, 30/s", FILE, by_events(30, "file-49")),
        System("file, 59 bit, 50/s", FILE, by_events(50, "file-59")),
    ]
    if not arguments.quick:
        found.append(System("file, --refine, 59 bit, 30/s", FILE, by_refined_events(30, "file-59"), file_30))
    found += [
        System("live", *by_live_model(arguments.live), Asked(0.88, 2.75, 2.9, 2500)),
        System("article, 4 bit a number", *by_article(arguments.article or shipped())),
    ]
    if has("opus"):
        found.append(System("Opus 6k", OPUS_LATENCY, lambda x: opus(x, 6)))
    if has("codec2"):
        found += [
            System(f"Codec 2 {mode}", CODEC2_LATENCY[mode], lambda x, mode=mode: codec2(x, mode))
            for mode in ("3200", "2400", "1300")
        ]
    if not (has("opus") and has("codec2")):
        print(f"Opus or Codec 2 are not here, and left out: {INSTALL}", file=sys.stderr)
    return [s for s in found if not arguments.only or any(name in s.name for name in arguments.only)]


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
    parser.add_argument("--quick", action="store_true", help="without --refine, minutes of one core a clip")
    parser.add_argument("--only", nargs="+", default=[], help="parts of the names of the systems wanted")
    parser.add_argument("--live", default="codec", help="an exported live model; else the shipped one")
    parser.add_argument(
        "--article", type=Path, help="an exported model of the article's scheme; else the shipped one"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    paths = sorted(p for p in arguments.clips.iterdir() if p.suffix in (".wav", ".flac"))[::HELD_OUT]
    clips = [soxr.resample(x.mean(axis=1), rate, RATE) for x, rate in map(read_audio, paths)]
    if not arguments.json:
        print(f"{len(clips)} clips, {sum(x.size for x in clips) / RATE:.0f} s")
        print("system                          bit/s  ev/s   STOI  eSTOI  least   OVR   dist  latency")
    missed = []
    for system in systems(arguments):
        row = score(system, clips)
        print(json.dumps(row) if arguments.json else line(row), flush=True)
        missed += [f"{system.name}: {name}" for name in (system.asked.missed(row) if system.asked else [])]
    if missed:
        sys.exit("short of what is asked: " + "; ".join(missed))


def line(row: dict[str, Any]) -> str:
    return (
        f"{row['system']:30s} {row['bits_per_second'] or float('nan'):6.0f} {row['events_per_second']:5.1f}  "
        f"{row['stoi']:.3f}  {row['estoi']:.3f}  {row['least_stoi']:.3f}  {row['ovr']:.2f}  {row['dist']:5.2f}  "
        f"{row['latency']}"
    )


if __name__ == "__main__":
    main()
