"""A key left out of a fit and predicted from the others: how near, beside its own fit and its nearest neighbour.

    python bench/keyboard.py [--json]

The strokes are those of one piano (layer 10 of Salamander at A0, C2, C3, C4, A4, F#5, C7, C8), 9 to 18 semitones apart.
ENV as in bench/fitting.py, of what the reference draws; `sigma` is the median of the standard deviations that the
prediction states for its partials, `spread` the standard deviation of the levels it missed them by.

Needs the recordings in ../shared/data; without them it says so and ends with 0. Ends with 6 when the median of the
predictions is above 6.5.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from rtsynth.instrument.fitting.keyboard import Keyboard
from rtsynth.instrument.fitting.metrics import measure
from rtsynth.instrument.fitting.note import draw, fit_note
from rtsynth.instrument.fitting.pitch import Pitch, fundamental
from rtsynth.instrument.fitting.recording import Recording, prepare
from rtsynth.instrument.stroke import Stroke

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "piano_notes"
LEFT_OUT = ("C2", "C3", "C4", "A4", "Fs5")
ASKED = 6.5
DRAWS = 4


@dataclass(frozen=True)
class Key:
    recording: Recording
    pitch: Pitch
    stroke: Stroke


@dataclass(frozen=True)
class Row:
    """Figures in decibels."""

    key: str
    own_fit: float
    predicted: float
    neighbour: float
    sigma: float
    spread: float


def fitted(path: Path) -> Key:
    samples, rate = soundfile.read(path, always_2d=True)
    recording = prepare(samples, float(rate), path.stem)
    return Key(recording, fundamental(recording), fit_note(recording, bands=24, parametric=True))


def env(stroke: Stroke, recording: Recording) -> float:
    takes = np.zeros((DRAWS, recording.samples.size))
    for seed, take in enumerate(takes):
        rng = np.random.default_rng(seed)
        take[recording.onset :] = draw(stroke, recording.sample_rate, take.size - recording.onset, rng)
    return measure(recording.samples, takes, recording.sample_rate, recording.onset).env


def transposed(stroke: Stroke, key: float) -> Stroke:
    ratio = 2.0 ** ((key - stroke.key) / 12.0)
    return replace(stroke, frequency=stroke.frequency * ratio, damping=stroke.damping * ratio**0.5)


def levels_db(stroke: Stroke, pitch: Pitch) -> NDArray[np.float64]:
    """Level of each of the first 20 partials at the onset; not a number where there is none."""
    near = np.abs(stroke.frequency[:, None] - pitch.partial_frequency(np.arange(1, 21))) < 0.25 * pitch.f0
    power = (np.abs(stroke.amplitude[:, None]) ** 2 * near).sum(axis=0)
    return 10.0 * np.log10(np.where(power > 0.0, power, np.nan))


def row(name: str, keys: dict[str, Key]) -> Row:
    left_out, others = keys[name], [key for other, key in keys.items() if other != name]
    law = Keyboard([key.stroke for key in others], [key.pitch for key in others])
    predicted = law.predict(round(left_out.stroke.key))
    nearest = min(others, key=lambda key: abs(key.stroke.key - left_out.stroke.key))
    missed = levels_db(predicted, left_out.pitch) - levels_db(left_out.stroke, left_out.pitch)
    return Row(
        name,
        env(left_out.stroke, left_out.recording),
        env(predicted, left_out.recording),
        env(transposed(nearest.stroke, left_out.stroke.key), left_out.recording),
        float(np.median(predicted.level_std_db)),
        float(np.nanstd(missed)),
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    paths = sorted(DATA.glob("salamander_*_v10.ogg"))
    if not paths:
        print(f"keyboard: no recordings in {DATA}: skipped", file=sys.stderr)
        return 0
    keys = {path.stem.split("_")[1]: fitted(path) for path in paths}
    rows = [row(name, keys) for name in LEFT_OUT]
    median = statistics.median(r.predicted for r in rows)
    if options.json:
        print(json.dumps({"keys": [asdict(r) for r in rows], "median": median, "asked": ASKED}, indent=1))
    else:
        print(f"{'left out':10}{'own fit':>10}{'predicted':>11}{'neighbour':>11}{'sigma':>8}{'spread':>8}")
        for r in rows:
            print(
                f"{r.key:10}{r.own_fit:10.2f}{r.predicted:11.2f}{r.neighbour:11.2f}{r.sigma:8.1f}{r.spread:8.1f}"
            )
        print(f"median {median:.2f}   asked: at most {ASKED:g}")
    return 6 if median > ASKED else 0


if __name__ == "__main__":
    sys.exit(main())
