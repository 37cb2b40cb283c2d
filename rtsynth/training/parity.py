"""The exported network, run as it will be, against the whole run of the module it came from.

Signals of several kinds, cut at random into chunks of one sample to four frames, go through the Pipeline of `rtsynth
live`; what comes out has to be what the module says of the whole signal, sample for sample, each in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rtsynth.inference.model import StreamingModel
from rtsynth.inference.pipeline import Pipeline
from rtsynth.inference.schema import Manifest
from rtsynth.training.contract import Signal, Streamed
from rtsynth.training.measuring import length, noise, refusal

QUIET = 1e-3  # -60 dB


@dataclass(frozen=True)
class Parity:
    """How near the stream comes to the whole."""

    error: float  # the largest difference, re the largest peak of any signal's whole run
    tolerance: float
    runs: int
    worst: str  # signal


def check(
    model: Streamed,
    manifest: Manifest,
    tolerance: float,
    runs: int,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> Parity:
    """Raises ThresholdError where the difference is above the tolerance."""
    rng = np.random.default_rng(seed)
    tried = signals(length(model), model.sample_rate, rng)
    wholes = {name: model.whole(samples) for name, samples in tried.items()}
    peak = max(float(np.abs(whole).max()) for whole in wholes.values())
    pipeline = Pipeline(StreamingModel(manifest), model.sample_rate)
    errors = dict.fromkeys(tried, 0.0)
    for run in range(runs):
        name = list(tried)[run % len(tried)]
        streamed = stream(pipeline, tried[name], chunks(tried[name].size, model.frame, rng))
        errors[name] = max(errors[name], _difference(model, streamed, wholes[name]) / peak)
        if progress is not None:
            progress((run + 1) / runs)
    worst = max(errors, key=lambda name: errors[name])
    if not errors[worst] <= tolerance:
        found = (
            f"the ONNX network, chunk by chunk, differs from the whole run by {errors[worst]:.1e} of the peak"
        )
        raise refusal(model, f"{found} ({worst}); the tolerance is {tolerance:g}")
    return Parity(errors[worst], tolerance, runs, worst)


def signals(count: int, rate: float, rng: np.random.Generator) -> dict[str, Signal]:
    """Noise, an impulse, silence and then sound, a square at full scale, quiet noise: (count,) each."""
    impulse = np.zeros(count, np.float32)
    impulse[int(rng.integers(count // 4, count // 2))] = 1.0
    late = noise(count, rng)
    late[: int(rng.integers(count // 3, 2 * count // 3))] = 0.0
    square = np.sign(np.sin(2.0 * np.pi * 110.0 * (np.arange(count) + 0.5) / rate)).astype(np.float32)
    return {
        "noise": noise(count, rng),
        "an impulse": impulse,
        "silence, then sound": late,
        "a square at full scale": square,
        "quiet noise": QUIET * noise(count, rng),
    }


def chunks(count: int, frame: int, rng: np.random.Generator) -> list[int]:
    """Random sizes, 1 to 4 frames, that add up to `count`."""
    sizes: list[int] = []
    while (left := count - sum(sizes)) > 0:
        sizes.append(min(left, int(rng.integers(1, 4 * frame + 1))))
    return sizes


def stream(pipeline: Pipeline, samples: Signal, sizes: list[int]) -> Signal:
    """(N,) in chunks from a fresh start: (M, channels), M <= N."""
    pipeline.reset()
    return np.concatenate([pipeline.push(part) for part in np.split(samples, np.cumsum(sizes)[:-1])])


def _difference(model: Streamed, streamed: Signal, whole: Signal) -> float:
    """The largest difference; ThresholdError where samples are missing. NaN is larger than everything."""
    wanted = len(whole) // model.frame * model.frame - model.latency
    if len(streamed) != wanted:
        raise refusal(model, f"{len(streamed)} samples came out of the ONNX network where {wanted} were due")
    difference = float(np.abs(streamed - whole[: len(streamed)]).max())
    return difference if np.isfinite(difference) else np.inf
