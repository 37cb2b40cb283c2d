"""How well gaps in recordings are filled: against zeros, straight lines and plain autoregressions.

    python bench/fill.py FILE [FILE …] [--gaps-ms 5,10,20,50] [--places 10] [--orders 64,128,256,512] [--json]

The mean of `rtsynth fill` against the sound that was there, as signal-to-noise ratio, mean over the places; places
are drawn where the sound is above -20 dB of its own level. The autoregressions are those of Janssen, Veldhuis and
Vries (1986), fitted by least squares to 0.25 s on each side. `--note` fills the synthetic note of the tests as well,
whose law is known, and gives what that law allows. Ends with 6 where the filling is more than 1 dB below the best
autoregression of one order, on average over all files and gaps.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.io.audio_files import read_audio
from rtsynth.kernels import DampedCosines
from rtsynth.statespace import state_space
from rtsynth.statespace.autoregression import condition, fit_autoregressions
from rtsynth.statespace.repair import repair

Array = NDArray[np.float64]
CONTEXT = 0.25  # s on each side, of the plain autoregressions
CLEAR = 0.55  # s at both ends without gaps
THRESHOLD_DB = 1.0
ALLOWED_DB = {
    5.0: 20.3,
    10.0: 18.6,
    20.0: 16.5,
    50.0: 13.2,
}  # of the note, by tests/statespace/test_conditional.py


class Line(NamedTuple):
    sound: str
    gap_ms: float
    ours_db: float
    expected_db: float  # what the filling itself expects
    zeros_db: float
    straight_db: float
    autoregression_db: dict[int, float]


def note(seconds: float = 8.0, rate: float = 48000.0) -> tuple[Array, float]:
    """24 inharmonic partials over C4, coherence time 0.386 s: a draw of its law."""
    k = np.arange(1, 25)
    rows = DampedCosines.settled(261.6 * k * np.sqrt(1.0 + 4e-4 * k**2), np.full(24, 1 / 0.386), k**-1.5)
    from scipy.signal import lfilter

    rng, sound = np.random.default_rng(3), np.zeros(round(seconds * rate))
    for block in state_space(rows).discretise(rate).blocks:
        pole = complex(block.A[0, 0], block.A[1, 0])
        drive = np.sqrt(block.Q[0, 0]) * rng.standard_normal((2, sound.size))
        drive[:, 0] = np.sqrt(block.P0[0, 0]) * rng.standard_normal(2)
        sound += lfilter([1.0], [1.0, -pole], drive[0] + 1j * drive[1]).real
    return sound, rate


def places(sound: Array, rate: float, gap: int, count: int) -> list[int]:
    rng, level = np.random.default_rng(1), 0.1 * np.sqrt(np.mean(sound**2))
    found: list[int] = []
    while len(found) < count:
        start = int(rng.integers(round(CLEAR * rate), sound.size - round(CLEAR * rate) - gap))
        if np.sqrt(np.mean(sound[start : start + gap] ** 2)) > level:
            found.append(start)
    return found


def snr_db(truth: Array, filling: Array) -> float:
    return float(10.0 * np.log10(np.sum(truth**2) / max(np.sum((truth - filling) ** 2), 1e-300)))


def autoregressions(sound: Array, start: int, gap: int, rate: float, orders: Sequence[int]) -> list[Array]:
    n = round(CONTEXT * rate)
    sides = [sound[start - n : start], sound[start + gap : start + gap + n]]
    y = sound.copy()
    y[start : start + gap] = np.nan
    models = fit_autoregressions(sides, orders)
    return [condition(m, y[start - m.order : start + gap + m.order]).mean for m in models]


def measure(name: str, sound: Array, rate: float, gap_ms: float, count: int, orders: Sequence[int]) -> Line:
    gap, rows = round(1e-3 * gap_ms * rate), []
    for start in places(sound, rate, gap, count):
        truth, ends = sound[start : start + gap], (sound[start - 1], sound[start + gap])
        filled, (done,) = repair(sound[:, None], [(start, start + gap)], rate)
        rivals = [np.zeros(gap), np.linspace(*ends, gap + 2)[1:-1]]
        rivals += autoregressions(sound, start, gap, rate, orders)
        ours = filled[start : start + gap, 0]
        rows.append([snr_db(truth, ours), done.expected_snr_db, *(snr_db(truth, rival) for rival in rivals)])
    mean = np.mean(rows, axis=0).tolist()
    return Line(name, gap_ms, *mean[:4], dict(zip(orders, mean[4:], strict=True)))


def show(line: Line) -> None:
    rivals = "  ".join(f"{order}: {db:5.1f}" for order, db in line.autoregression_db.items())
    print(
        f"{line.sound:28} {line.gap_ms:4g} ms  fill {line.ours_db:5.1f} dB (expects {line.expected_db:5.1f})"
        f"  zeros {line.zeros_db:4.1f}  line {line.straight_db:5.1f}  AR {rivals}",
        flush=True,
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--note", action="store_true", help="the synthetic note as well")
    parser.add_argument("--gaps-ms", default="5,10,20,50")
    parser.add_argument("--places", type=int, default=10)
    parser.add_argument("--orders", default="64,128,256,512")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.files and not options.note:
        parser.error("give a recording or --note")
    options.gaps_ms = [float(word) for word in options.gaps_ms.split(",")]
    options.orders = [int(word) for word in options.orders.split(",")]
    return options


def main() -> int:
    options, lines = arguments(), []
    sounds = [("note", *note())] if options.note else []
    for path in options.files:
        samples, rate = read_audio(path)
        sounds.append((path.stem, samples[:, 0], rate))
    for name, sound, rate in sounds:
        for gap_ms in options.gaps_ms:
            lines.append(line := measure(name, sound, rate, gap_ms, options.places, options.orders))
            allowed = ALLOWED_DB.get(gap_ms) if name == "note" else None
            if options.json:
                print(json.dumps(line._asdict() | {"allowed_db": allowed}), flush=True)
            else:
                show(line)
                if allowed:
                    print(f"{'':28} {'':7}  its law allows {allowed} dB")
    ours = np.mean([line.ours_db for line in lines])
    best = max(np.mean([line.autoregression_db[order] for line in lines]) for order in options.orders)
    return 6 if ours < best - THRESHOLD_DB else 0


if __name__ == "__main__":
    sys.exit(main())
