"""What the quantiser learned: its tables, in a file that holds numbers and nothing else."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rtsynth.codec.event import Array
from rtsynth.errors import InputError

TABLES = "speech-events.npz"  # beside the shipped models
MEMORY = 16.0  # control steps (64 ms) over which a shape is forgotten
SOONEST = 3  # control steps: as if no event came sooner after another, which keeps the prediction stable


class Tables(NamedTuple):
    """Made by `rtsynth.training.quantiser_training`."""

    prediction: (
        Array  # (38, 24): shape from (1, gain, logits), and from memory · (1, gain, logits, shape) of before
    )
    stages: Array  # (7, 32, 24) ln amplitude
    shares: Array  # (16, 5) logits
    gain: Array  # (32,) ln amplitude re the level, ascending


SHAPES = {"prediction": (38, 24), "stages": (7, 32, 24), "shares": (16, 5), "gain": (32,)}


@cache
def shipped_tables() -> Tables:
    from rtsynth.inference.manifest import directory

    return load_tables(directory() / TABLES)


def load_tables(path: Path) -> Tables:
    """Tables from an .npz; InputError in one line for whatever is none. Nothing is unpickled."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            tables = Tables(*(archive[name].astype(np.float64) for name in SHAPES))
    except (OSError, ValueError, LookupError, EOFError) as problem:
        raise InputError(f"{path} holds no quantiser: {problem}") from None
    for name, shape in SHAPES.items():
        table = getattr(tables, name)
        if table.shape != shape or not np.isfinite(table).all():
            raise InputError(f"{path} holds no quantiser: {name} is not {shape} finite numbers")
    if growth(tables.prediction) >= 1.0:
        raise InputError(f"{path} holds no quantiser: its prediction runs away")
    if (np.diff(tables.gain) <= 0.0).any():
        raise InputError(f"{path} holds no quantiser: its gains do not rise")
    return tables


def growth(prediction: Array) -> float:
    """What an error in the shape grows by, at most, from event to event; below 1 it is forgotten."""
    return float(np.abs(np.linalg.eigvals(prediction[-24:])).max() * np.exp(-SOONEST / MEMORY))
