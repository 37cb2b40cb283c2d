"""The raw-speech network: the three cells' loss, what the stream costs, what becomes of it when it is left alone.

    python bench/waveform.py loss [--folder RECORDINGS] [--checkpoints DIR] [--updates 3000] [--json]
    python bench/waveform.py stream [--model waveform] [--seconds 30] [--json]
    python bench/waveform.py alone [--model waveform] [--minutes 5] [--seeds 3] [--json]

loss: trains tanh, GRU and LSTM of 169,000 weights on the same stretches of the same recordings, as often (about four
minutes of one core each), or goes on from DIR/CELL.pt; every fifth recording is held out. Beside them what needs no
network: independent samples, and the best linear guess with one Gaussian of full covariance. stream: wall time of
frames of 16 steps, one after the other (behind a device: `rtsynth bench rnn`). alone: level, DC and peak, by seconds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.sequence.waveform import FRAME, HEARD, HIDDEN, RATE, SAID, continued, load

Floats = NDArray[np.float32]
CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "speech_ljspeech"
STEPS = FRAME // SAID


# --- loss -----------------------------------------------------------------------------------------------------------


def losses(folder: Path, checkpoints: Path | None, updates: int) -> list[dict[str, Any]]:
    import torch

    from rtsynth.sequence.cells import parameter_count
    from rtsynth.training import waveform as training

    torch.set_num_threads(1)
    kept, held_out = training.load(folder)
    rows = baselines(kept, held_out)
    for cell in HIDDEN:
        path = None if checkpoints is None else checkpoints / f"{cell}.pt"
        if path is not None and path.exists():
            made = training.Training.resume(path, kept)
        else:
            made = training.Training(replace(training.Recipe.of(cell, updates, seed=1), own_updates=0), kept)
        network = training.train(made, checkpoint=path)
        rows.append(
            {
                "model": f"{cell} {network.cell.hidden}",
                "weights": parameter_count(cell, HEARD, network.cell.hidden),
                "updates": made.update,
                "cpu_seconds": made.seconds,
                "trained_on": training.nats(network, kept),
                "held_out": training.nats(network, held_out),
            }
        )
    return rows


def baselines(kept: Sequence[Floats], held_out: Sequence[Floats]) -> list[dict[str, Any]]:
    """Nats for 10 samples in units of the deviation of what is trained on."""
    scale = float(np.concatenate(kept).std())
    (x, y), tests = pairs(kept, scale), [pairs([clip], scale) for clip in held_out]
    guess, *_ = np.linalg.lstsq(x, y, rcond=None)
    rows = []
    for name, weights in (("independent samples", np.zeros_like(guess)), ("linear, one Gaussian", guess)):
        off = y - x @ weights
        covariance = off.T @ off / len(off)
        if name.startswith("independent"):
            covariance = np.eye(SAID) * np.trace(covariance) / SAID
        nats = [gaussian_nats(b - a @ weights, covariance) for a, b in [(x, y), *tests]]
        steps = [len(b) for _, b in tests]
        count = int(np.count_nonzero(weights))
        rows.append(
            {
                "model": name,
                "weights": count,
                "trained_on": nats[0],
                "held_out": float(np.average(nats[1:], weights=steps)),
            }
        )
    return rows


def pairs(clips: Sequence[Floats], scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each step hears, (N, 20), and what follows, (N, 10)."""
    parts = []
    for clip in clips:
        windows = np.lib.stride_tricks.sliding_window_view(clip.astype(float) / scale, HEARD + SAID)[::SAID]
        parts.append(windows)
    whole = np.concatenate(parts)
    return whole[:, :HEARD], whole[:, HEARD:]


def gaussian_nats(off: NDArray[np.float64], covariance: NDArray[np.float64]) -> float:
    square = np.einsum("ni,ij,nj->n", off, np.linalg.inv(covariance), off)
    return float(0.5 * (square.mean() + np.linalg.slogdet(2 * np.pi * covariance)[1]))


# --- stream ---------------------------------------------------------------------------------------------------------


def stream(model: str, seconds: float) -> dict[str, Any]:
    """Frames one after the other, silence going in, on one thread."""
    from rtsynth.inference.model import StreamingModel

    network, silence = StreamingModel(load(model)), np.zeros(FRAME, np.float32)
    taken = np.zeros(round(seconds * RATE / FRAME))
    for _ in range(20):
        network.step(silence)
    begun = time.process_time()
    for frame in range(len(taken)):
        before = time.perf_counter_ns()
        network.step(silence)
        taken[frame] = 1e-3 * (time.perf_counter_ns() - before)
    spent = time.process_time() - begun
    p50, p99 = np.percentile(taken, [50, 99])
    return {
        "frame_ms": 1e3 * FRAME / RATE,
        "frame_p50_us": p50,
        "frame_p99_us": p99,
        "step_p50_us": p50 / STEPS,
        "step_p99_us": p99 / STEPS,
        "percent_of_a_core": 100.0 * spent / (len(taken) * FRAME / RATE),
    }


# --- alone ----------------------------------------------------------------------------------------------------------


def alone(model: str, minutes: float, seeds: int) -> list[dict[str, Any]]:
    rows = []
    manifest = load(model)
    for seed in range(1, seeds + 1):
        sound = continued(manifest, np.zeros(0), round(60 * minutes * RATE), seed=seed).astype(float)
        whole = sound[: len(sound) // RATE * RATE].reshape(-1, RATE)
        levels = 20 * np.log10(whole.std(axis=1) + 1e-12)
        rows.append(
            {
                "seed": seed,
                "minutes": minutes,
                "finite": bool(np.isfinite(sound).all()),
                "level_db": 20 * float(np.log10(sound.std())),
                "quietest_second_db": levels.min(),
                "loudest_second_db": levels.max(),
                "dc_db": 20 * float(np.log10(abs(sound.mean()) + 1e-12)),
                "worst_dc_of_a_second_db": 20 * float(np.log10(abs(whole.mean(axis=1)).max() + 1e-12)),
                "peak": float(abs(sound).max()),
            }
        )
    return rows


def table(rows: Sequence[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    shown = [names, *([_text(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for line in shown:
        print("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)))


def _text(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["loss", "stream", "alone"])
    parser.add_argument("--folder", type=Path, default=CLIPS)
    parser.add_argument("--checkpoints", type=Path)
    parser.add_argument("--updates", type=int, default=3000)
    parser.add_argument("--model", default="waveform")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.what == "loss":
        rows = losses(asked.folder, asked.checkpoints, asked.updates)
    elif asked.what == "stream":
        rows = [stream(asked.model, asked.seconds)]
    else:
        rows = alone(asked.model, asked.minutes, asked.seeds)
    if asked.json:
        print(json.dumps(rows, indent=1, default=float))
    else:
        table(rows)


if __name__ == "__main__":
    main()
