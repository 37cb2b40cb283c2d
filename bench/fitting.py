"""How near fitted notes come to their recordings: time, modes, ENV, ONE, ATT, VALLEY, beside the figures asked for.

    python bench/fitting.py [NAME …] [--draws 8] [--full] [--parametric] [--bands 32] [--json]

A note is fitted, written as a preset, played several times by the compiled voices, and every figure is of those takes
(rtsynth/instrument/fitting/metrics.py): 8 of a struck note, 4 of a sustained one, 16 of each with --full; fewer raise
ENV by 0.1 to 0.2. The time is CPU time of the whole fit, in a process that has fitted a note before. NAME chooses the
notes whose file names contain it.

Needs the recordings in ../shared/data; without them it says so and ends with 0. Ends with 6 when a figure over all
notes misses what is asked; with a NAME nothing is asked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from rtsynth.instrument.fitting.evaluation import play
from rtsynth.instrument.fitting.metrics import measure
from rtsynth.instrument.fitting.modes import MOST_MODES
from rtsynth.instrument.fitting.note import fit_note
from rtsynth.instrument.fitting.recording import Recording, prepare
from rtsynth.instrument.fitting.writing import Label, write_preset
from rtsynth.instrument.stroke import Stroke

Array = NDArray[np.float64]

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PHRASES = ("smstools_piano_C4",)  # not one note
DRAWS, SUSTAINED_DRAWS, FULL_DRAWS = 8, 4, 16
FIGURES = ("env", "one", "att", "valley")
# What is asked of all notes: (statistic, free gains, parametric).
ASKED = {
    ("env", "median"): (0.9, 1.4),
    ("env", "worst"): (2.5, 3.0),
    ("one", "median"): (1.2, None),
    ("att", "median"): (1.1, None),
    ("valley", "median"): (3.0, None),
    ("seconds", "worst"): (10.0, 10.0),
}


@dataclass(frozen=True)
class Row:
    """One note; figures in decibels."""

    name: str
    seconds: float
    modes: int  # or lines
    env: float
    one: float
    att: float
    valley: float
    env_signal: float
    mr: float


def files() -> list[Path]:
    """The recordings, those of single notes."""
    found = [
        path for folder in ("piano_notes", "instrument_notes") for path in sorted((DATA / folder).glob("*.*"))
    ]
    return [path for path in found if path.stem not in PHRASES]


def read(path: Path) -> Recording:
    samples, rate = soundfile.read(path, always_2d=True)
    return prepare(samples, float(rate), path.stem)


def render(stroke: Stroke, recording: Recording, draws: int) -> Array:
    """What the compiled instrument plays in the recording's place, to its end and not looped: (draws, N)."""
    with tempfile.TemporaryDirectory() as folder:
        preset = write_preset(Path(folder) / "note.toml", Label("note", "note"), [stroke], MOST_MODES)
        return play(preset, stroke, recording, range(1, draws + 1))


def row(path: Path, bands: int, parametric: bool, draws: int | None) -> Row:
    """Fits and measures a note; draws None: as many as its kind needs."""
    recording = read(path)
    start = time.process_time()
    stroke = fit_note(recording, bands=bands, parametric=parametric)
    seconds = time.process_time() - start
    count = draws or (SUSTAINED_DRAWS if stroke.line_frequency.size else DRAWS)
    scores = measure(
        recording.samples, render(stroke, recording, count), recording.sample_rate, recording.onset
    )
    modes = stroke.frequency.size or stroke.line_frequency.size
    return Row(path.stem, seconds, modes, **asdict(scores))


def summary(rows: list[Row], parametric: bool) -> list[tuple[str, float, float | None]]:
    """Name, figure and what is asked of it, None where nothing is."""
    statistic: dict[str, Callable[[list[float]], float]] = {"median": statistics.median, "worst": max}
    return [
        (
            f"{figure} {how}",
            statistic[how]([getattr(r, figure) for r in rows]),
            ASKED[figure, how][parametric],
        )
        for figure, how in ASKED
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--draws", type=int)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--parametric", action="store_true")
    parser.add_argument("--bands", type=int, default=32)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    paths = [p for p in files() if not options.names or any(name in p.stem for name in options.names)]
    if not paths:
        print(f"fitting: no recordings to fit in {DATA}: skipped", file=sys.stderr)
        return 0
    fit_note(read(paths[0]))  # compiles
    draws = FULL_DRAWS if options.full else options.draws
    if not options.json:
        print(f"{'note':32}{'s':>6}{'modes':>7}" + "".join(f"{name:>8}" for name in FIGURES))
    rows = []
    for path in paths:
        rows.append(row(path, options.bands, options.parametric, draws))
        if not options.json:
            figures = "".join(f"{getattr(rows[-1], name):8.2f}" for name in FIGURES)
            print(f"{path.stem:32}{rows[-1].seconds:6.1f}{rows[-1].modes:7d}{figures}", flush=True)
    totals = summary(rows, options.parametric)
    if options.json:
        print(json.dumps({"notes": [asdict(r) for r in rows], "all": totals}, indent=1))
    else:
        for name, figure, asked in totals:
            print(f"{name:32}{figure:6.2f}" + (f"   asked: at most {asked:g}" if asked is not None else ""))
    missed = [name for name, figure, asked in totals if asked is not None and figure > asked]
    return 6 if missed and not options.names else 0


if __name__ == "__main__":
    sys.exit(main())
