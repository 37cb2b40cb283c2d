"""The tables of the events' quantiser, learned from encoded speech.

    python -m rtsynth.training.quantiser_training DIR -o presets/models/speech-events.npz

DIR holds recordings (.wav, .flac); of the sorted list every fifth is held out, and the errors on those are printed.
Every recording is heard at five speeds, so that voices deeper and higher than the ones recorded are among them, and is
encoded at 20, 30 and 50 events a second. The shipped tables took 2 minutes of one core.

Linde, Buzo, Gray, An algorithm for vector quantizer design, 1980, stage by stage; then, in the closed loop, whose
residuals depend on the tables, all stages are refined in turn.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.event import DIMENSIONS, SHAPE, SHARES, Array, Events
from rtsynth.codec.quantiser import (
    Quantiser,
    before,
    context,
    knot_weights,
    nearest,
    remembered,
    search,
)
from rtsynth.codec.quantiser_tables import Tables, growth

SPEEDS = (0.72, 0.85, 1.0, 1.15, 1.3)
EVENTS_PER_SECOND = (20.0, 30.0, 50.0)
STAGES, ENTRIES = 7, 32
ROUNDS = 4  # through the closed loop
LLOYD = 25  # iterations
MOST_KEPT = 0.97  # of a past error by the prediction, from event to event
RIDGE = 1e-3  # of the prediction: shapes have no mean, so 23 of their 24 numbers say all
SILENCE, QUIETEST = -10.0, -6.0  # nepers re the level: the last two entries of the gains' table
QUIET = 6.0  # nepers below the level where a shape no longer matters


class Sequences(NamedTuple):
    """Event sequences of one voice each, padded to one length."""

    gaps: NDArray[np.int64]  # (B, N, 2) control steps
    gain: Array  # (B, N) re the level
    vectors: Array  # (B, N, 32)
    real: NDArray[np.bool_]  # (B, N): False is padding


def sequences(listed: Iterable[Events]) -> Sequences:
    """From retarget events of one voice each."""
    events = [e for e in listed if len(e)]
    shape = len(events), max(map(len, events))
    out = Sequences(
        np.full((*shape, 2), 8, np.int64),
        np.full(shape, -12.0),
        np.zeros((*shape, DIMENSIONS)),
        np.zeros(shape, bool),
    )
    for row, e in enumerate(events):
        n = len(e)
        before = np.diff(e["time"], prepend=-1)
        out.gaps[row, :n] = np.stack([before, np.append(before[1:], 16)], axis=1)
        out.gain[row, :n] = e["gain"] - e["gain"].max()
        out.vectors[row, :n], out.real[row, :n] = e["vector"], True
    return out


def train(heard: Sequences, seed: int = 1, rounds: int = ROUNDS) -> Tables:
    """Tables for these sequences; the same seed gives the same tables."""
    rng = np.random.default_rng(seed)
    real, gain = heard.real, heard.gain
    weights = (knot_weights(heard.vectors[..., SHAPE]) * loudness(gain)[..., None])[real]
    table = _share_table(heard.vectors[..., SHARES][real], loudness(gain[real]), rng)
    prediction, left = predicted(heard, np.concatenate([gain[..., None], heard.vectors], axis=-1), weights)
    tables = Tables(prediction, first_stages(left, weights, rng), table, _gain_table(gain[real]))
    for _ in range(rounds):
        _, decoded = Quantiser("file-59", tables).encode_sequence(heard.gaps, gain, heard.vectors)
        prediction, left = predicted(heard, decoded, weights)
        tables = tables._replace(prediction=prediction, stages=refined(left, weights, tables.stages))
    return Tables(*(table.astype(np.float32).astype(np.float64) for table in tables))


def predicted(heard: Sequences, decoded: Array, weights: Array) -> tuple[Array, Array]:
    """The best linear prediction (38, 24) of the shapes from what was decoded (B, N, 33), and what it leaves, (M, 24).

    M events are real; weights (M, 24).
    """
    known = context(decoded[..., 0], decoded[..., 1:][..., SHARES])
    past = before(np.concatenate([known, decoded[..., 1:][..., SHAPE]], axis=-1))
    rows = np.concatenate([known, remembered(heard.gaps) * past], axis=-1)[heard.real]
    shapes = heard.vectors[..., SHAPE][heard.real]
    columns = []
    for shape, weight in zip(shapes.T, weights.T, strict=True):
        square = rows.T @ (weight[:, None] * rows) + RIDGE * weight.sum() * np.eye(rows.shape[1])
        columns.append(np.linalg.solve(square, rows.T @ (weight * shape)))
    prediction = np.stack(columns, axis=1)
    prediction[-24:] *= min(1.0, MOST_KEPT / growth(prediction))
    return prediction, shapes - rows @ prediction


def loudness(gain: Array) -> Array:
    """What an event counts, 0.02…1, by its gain re the level."""
    return np.clip(1.0 + gain / QUIET, 0.02, 1.0)


def first_stages(left: Array, weights: Array, rng: np.random.Generator) -> Array:
    """Stages (S, K, 24) for vectors (N, 24), one after the other."""
    stages = np.zeros((STAGES, ENTRIES, left.shape[1]))
    for stage in stages:
        stage[:] = left[rng.choice(len(left), ENTRIES, replace=False)]
        for _ in range(LLOYD):
            code = search(left, weights, stage[None])[:, 0]
            _settle(stage, code, left, weights)
        left = left - stage[search(left, weights, stage[None])[:, 0]]
    return stages


def refined(left: Array, weights: Array, stages: Array) -> Array:
    """The stages with every entry where it serves the vectors that choose it best, the other stages as they are."""
    stages = stages.copy()
    for _ in range(3):
        codes = search(left, weights, stages)
        for s, stage in enumerate(stages):
            others = sum(stages[o][codes[:, o]] for o in range(STAGES) if o != s)
            _settle(stage, codes[:, s], left - others, weights)
    return stages


def _settle(stage: Array, code: NDArray[np.int64], vectors: Array, weights: Array) -> None:
    """Move entries (K, 24) to the weighted means of the vectors (N, 24) that chose them; unchosen ones stay."""
    chosen = np.eye(len(stage))[code].T  # (K, N)
    mass = chosen @ weights
    stage[:] = np.where(mass > 1e-9, (chosen @ (weights * vectors)) / np.maximum(mass, 1e-9), stage)


def _gain_table(gain: Array) -> Array:
    """(32,): silence, then 31 that are halfway between equal steps and Lloyd's quantiser for these gains."""
    even = np.linspace(QUIETEST, 0.0, 31)
    table, heard = even.copy(), gain[gain > QUIETEST]
    for _ in range(LLOYD):
        code = nearest(heard, table)
        count = np.bincount(code, minlength=31)
        table = np.where(count > 0, np.bincount(code, heard, minlength=31) / np.maximum(count, 1), table)
    return np.concatenate([[SILENCE], 0.5 * (even + table)])


def _share_table(logits: Array, weights: Array, rng: np.random.Generator) -> Array:
    """(16, 5): Lloyd's. On logits, not shares: noise 20 dB below a voice is heard."""
    weight = np.repeat(weights[:, None], logits.shape[1], axis=1)
    table = logits[rng.choice(len(logits), 16, replace=False)]
    for _ in range(2 * LLOYD):
        code = ((logits[:, None] - table) ** 2).sum(axis=-1).argmin(axis=1)
        _settle(table, code, logits, weight)
    return table


def errors(tables: Tables, heard: Sequences, name: str = "file-59") -> dict[str, float]:
    """RMS errors by field, of loud events (within `QUIET` of the level): shape and gain in dB, f0 in semitones."""
    _, decoded = Quantiser(name, tables).encode_sequence(heard.gaps, heard.gain, heard.vectors)
    loud = heard.real & (heard.gain > -QUIET)
    apart = (decoded[..., 1:] - heard.vectors)[loud]
    weights = knot_weights(heard.vectors[..., SHAPE][loud])
    neper = 20.0 / np.log(10.0)
    sigmoid = [1.0 / (1.0 + np.exp(-v[..., SHARES][loud])) for v in (decoded[..., 1:], heard.vectors)]
    return {
        "shape_db": neper * _rms(apart[:, SHAPE]),
        "shape_weighted_db": neper * float(np.sqrt(np.average(apart[:, SHAPE] ** 2, weights=weights))),
        "gain_db": neper * _rms((decoded[..., 0] - heard.gain)[loud]),
        "f0_semitones": 12.0 / np.log(2.0) * _rms(apart[:, 1]),
        "share": _rms(sigmoid[0] - sigmoid[1]),
        "events": float(loud.sum()),
    }


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def encoded(paths: list[Path], speeds: Iterable[float] = SPEEDS) -> list[Events]:
    """The recordings' events: at their own speed at every density, at other speeds at one density in turn."""
    from rtsynth.codec.encoder import encode
    from rtsynth.io.audio_files import read_audio

    out = []
    for number, path in enumerate(paths):
        samples, rate = read_audio(path)
        for turn, speed in enumerate(speeds):
            own = [EVENTS_PER_SECOND[(number + turn) % len(EVENTS_PER_SECOND)]]
            for density in EVENTS_PER_SECOND if speed == 1.0 else own:
                out.append(encode(samples, rate * speed, events_per_second=density))
        print(path.name, file=sys.stderr, flush=True)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    paths = sorted(p for p in arguments.folder.iterdir() if p.suffix in (".wav", ".flac"))
    tables = train(sequences(encoded([p for i, p in enumerate(paths) if i % 5])), arguments.seed)
    save(tables, arguments.out)
    held_out = sequences(encoded(paths[::5], [1.0]))
    for name in ("file-59", "file-49"):
        print(name, {key: round(value, 3) for key, value in errors(tables, held_out, name).items()})


def save(tables: Tables, path: Path) -> None:
    np.savez(path, **{name: table.astype(np.float32) for name, table in tables._asdict().items()})


if __name__ == "__main__":
    main()
