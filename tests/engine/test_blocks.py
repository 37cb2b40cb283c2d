"""The same bytes however the host cuts time into blocks: messages, gain glides and limiter included."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import numpy as np
import pytest

from rtsynth.engine import Engine
from rtsynth.messages import MESSAGE, Kind, Messages
from rtsynth.source import Source
from tests.engine.probe import Constant, Probe

RATE = 48000.0
FRAMES = 6000


def score() -> Messages:
    """Notes up to three times full scale, so that the limiter works, and master gain moved in between."""
    rng = np.random.default_rng(5)
    rows = np.zeros(80, MESSAGE)
    rows["time"] = rng.integers(0, FRAMES, len(rows))
    rows["value"] = rng.uniform(0, 3, len(rows))
    rows["kind"] = rng.choice([Kind.NOTE_ON, Kind.NOTE_ON, Kind.NOTE_OFF, Kind.GAIN], len(rows))
    rows["source"] = -1
    return rows


def random_sizes() -> Iterator[int]:
    rng = np.random.default_rng(9)
    while True:
        yield int(rng.integers(0, 700))


def always(size: int) -> Iterator[int]:
    while True:
        yield size


def played(sources: list[Source], sizes: Iterator[int]) -> bytes:
    out = np.empty((FRAMES, 2), np.float32)
    with Engine(sources, RATE) as engine:
        engine.send(score())
        while engine.time < FRAMES:
            engine.process(out[engine.time : engine.time + next(sizes)])
        assert engine.report().limited_samples > 0
    assert np.abs(out).max() <= 1.0
    assert np.abs(out).max() > 0.9
    return out.tobytes()


@pytest.mark.parametrize("size", [1, 16, 64, 333, 1024])
def test_host_blocks_do_not_show(native: ctypes.CDLL, size: int) -> None:
    whole = played([Probe(native), Constant(native, 0.7)], always(FRAMES))
    assert played([Probe(native), Constant(native, 0.7)], always(size)) == whole


def test_nor_do_blocks_that_change_each_call(native: ctypes.CDLL) -> None:
    whole = played([Probe(native)], always(FRAMES))
    assert played([Probe(native)], random_sizes()) == whole


def test_a_source_that_depends_on_the_block_is_told(native: ctypes.CDLL) -> None:
    def planted() -> list[Source]:
        return [Probe(native), Constant(native, 0.0, loop="block_loop")]

    assert played(planted(), always(64)) != played(planted(), always(16))
