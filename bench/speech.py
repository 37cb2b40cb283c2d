"""GP speech on whole recordings: how near each mode comes, what the joins show, what keeping costs and brings.

    python bench/speech.py [--folder ../shared/data/speech_ljspeech] [--clips 21] [--json] [--no-seed]

Modes: state-space at the default hop (a free draw; the mean of 8), and the seed's two ways of joining blocks, both at
that hop and at the seed's own 50 ms. STOI and distances are means over the clips; the line at the block rate is that of
all clips together (rtsynth/speech/measures.py says how each is made). Needs pystoi.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.cli.speech_page import draw
from rtsynth.io.audio_files import read_audio
from rtsynth.speech import measures
from rtsynth.speech.analysis import Settings, analyse
from rtsynth.speech.blocks import block_length, draw_conditioned, draw_zero_ended
from rtsynth.speech.kept import kept_sound
from rtsynth.speech.model import Model
from rtsynth.speech.storage import save_model

Array = NDArray[np.float64]

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "speech_ljspeech"
SEED_HOP_MS = 50.0
KEEPS = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
DRAWS = 8


class Figures(NamedTuple):
    """One clip in one mode."""

    stoi: float
    lsd_db: float  # mean |dB|, of one draw
    lsd_rms_db: float
    joins: Array  # of measures.join_spectrum


def figures(recording: Array, sound: Array, rate: float, block: float) -> Figures:
    return Figures(
        measures.intelligibility(recording, sound, rate),
        measures.log_spectral_distance(recording, [sound], rate),
        measures.log_spectral_distance(recording, [sound], rate, rms=True),
        measures.join_spectrum(sound, block),
    )


def seed_modes(model: Model, recording: Array) -> dict[str, Figures]:
    """Figures of the seed's two modes at the model's hop."""
    hop_ms, block = f"{1e3 * model.hop / model.rate:.0f} ms", block_length(model)
    return {
        f"zero-ended, {hop_ms}": figures(recording, draw_zero_ended(model), model.rate, block),
        f"conditioned, {hop_ms}": figures(recording, draw_conditioned(model), model.rate, block),
    }


def size_of(model: Model) -> int:
    """Bytes of the model's file."""
    with tempfile.TemporaryDirectory() as folder:
        return save_model(model, Path(folder) / "x.speech.npz")


def clip(path: Path, with_seed: bool) -> dict[str, Any]:
    """All that is measured on one recording."""
    channels, rate = read_audio(path)
    recording = channels.mean(axis=1)
    start = time.perf_counter()
    model = analyse(recording, rate)
    fit_seconds = time.perf_counter() - start
    forgetful = analyse(recording, rate, keep=False)
    draws = [draw(model, seed) for seed in range(1, DRAWS + 1)]
    found = {"recording": figures(recording, recording, rate, model.hop)}
    found["state-space, 5 ms"] = figures(recording, draws[0], rate, model.hop)
    found |= seed_modes(model, recording)
    if with_seed:
        seed_model = analyse(recording, rate, Settings(hop_ms=SEED_HOP_MS), keep=False)
        found |= seed_modes(seed_model, recording)
        found["state-space, 50 ms"] = figures(recording, draw(seed_model), rate, seed_model.hop)
    error = recording - kept_sound(model)
    return {
        "seconds": model.seconds,
        "fit_seconds": fit_seconds,
        "bytes": size_of(model),
        "bytes_without_kept": size_of(forgetful),
        "kept_snr_db": float(10 * np.log10(np.sum(recording**2) / np.sum(error**2))),
        "lsd_of_8_draws_db": measures.log_spectral_distance(recording, draws, rate),
        "modes": found,
        "keep": {k: measures.intelligibility(recording, draw(model, keep=k), rate) for k in KEEPS},
    }


def summary(clips: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the clips, and the joins of all of them."""
    by_mode: dict[str, list[Figures]] = defaultdict(list)
    for one in clips:
        for name, found in one["modes"].items():
            by_mode[name].append(found)
    seconds = sum(one["seconds"] for one in clips)
    return {
        "clips": len(clips),
        "seconds": seconds,
        "fit_seconds_per_10_s": 10 * sum(one["fit_seconds"] for one in clips) / seconds,
        "kilobytes_per_second": 1e-3 * sum(one["bytes"] for one in clips) / seconds,
        "kilobytes_per_second_without_kept": 1e-3 * sum(one["bytes_without_kept"] for one in clips) / seconds,
        "kept_snr_db": float(np.mean([one["kept_snr_db"] for one in clips])),
        "lsd_of_8_draws_db": float(np.mean([one["lsd_of_8_draws_db"] for one in clips])),
        "modes": {
            name: {
                "stoi": float(np.mean([f.stoi for f in found])),
                "stoi_lowest": float(min(f.stoi for f in found)),
                "lsd_db": float(np.mean([f.lsd_db for f in found])),
                "lsd_rms_db": float(np.mean([f.lsd_rms_db for f in found])),
                "line_at_block_rate_db": measures.join_line_db([f.joins for f in found]),
            }
            for name, found in by_mode.items()
        },
        "stoi_by_keep": {k: float(np.mean([one["keep"][k] for one in clips])) for k in KEEPS},
    }


def show(result: dict[str, Any]) -> None:
    print(f"{'mode':22s} {'STOI':>6s} {'lowest':>7s} {'LSD dB':>7s} {'rms dB':>7s} {'line dB':>8s}")
    for name, f in result["modes"].items():
        print(
            f"{name:22s} {f['stoi']:6.3f} {f['stoi_lowest']:7.3f} {f['lsd_db']:7.2f} {f['lsd_rms_db']:7.2f} "
            f"{f['line_at_block_rate_db']:8.2f}"
        )
    print("keep      ", "  ".join(f"{k:5g}" for k in result["stoi_by_keep"]))
    print("STOI      ", "  ".join(f"{s:5.3f}" for s in result["stoi_by_keep"].values()))
    for name, value in result.items():
        if isinstance(value, float):
            print(f"{name}: {value:.3g}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=CLIPS)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--no-seed", action="store_true", help="leave its blocks of 50 ms out; conditioning them is slow"
    )
    arguments = parser.parse_args()
    paths = sorted(arguments.folder.glob("*.wav"))[: arguments.clips]
    if not paths:
        print(f"no .wav files in {arguments.folder}", file=sys.stderr)
        return 1
    clips = []
    for path in paths:
        clips.append(clip(path, not arguments.no_seed))
        print(f"{path.name}: {clips[-1]['modes']['state-space, 5 ms'].stoi:.3f}", file=sys.stderr, flush=True)
    result = summary(clips)
    print(json.dumps(result)) if arguments.json else show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
