"""The same bits from every block size, with everything going on that a score can ask for."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rtsynth
from rtsynth.engine import Engine
from rtsynth.instrument import Instrument, Preset, load
from rtsynth.instrument.preset import Partials, Polyphony, Stereo
from rtsynth.messages import Kind, Messages, message, sort_by_time
from tests.instrument.playing import RATE, SOFT, SOSTENUTO, SUSTAIN, TIMBRE, VARIANCE
from tests.instrument.recorded import preset_of, stroke

FRAMES = 7000


RECORDED = "recorded"  # strokes with lines that bend, bands and a loop
BLOCK, MONO = "block", "mono"  # kicked rows; rows whose gains have one course
NAMES = [*rtsynth.presets(), RECORDED, BLOCK, MONO]


def preset(name: str) -> Preset:
    if name in (BLOCK, MONO):
        stereo = Stereo(keys=0.5, width=0.5 * (name == BLOCK))
        layer = Partials(count=12, t60=2.0, life=0.5, variance=0.5, level_db=-20.0)
        return msgspec.structs.replace(
            load("bell"), form="block" if name == BLOCK else "independent", stereo=stereo, layers=(layer,)
        )
    return (
        preset_of(stroke(55.0), stroke(70.0, 5, 2, 3, 1), noise_variance=0.5)
        if name == RECORDED
        else load(name)
    )


def crowded(name: str) -> Preset:
    """Four voices, so that the score steals, and cuts."""
    return msgspec.structs.replace(preset(name), polyphony=Polyphony(voices=4, per_key=2))


def score() -> Messages:
    """Overlapping notes, a chord of 24 at one sample, every controller there is; nothing on the grid of segments."""
    rng = np.random.default_rng(4)
    rows = []
    for _ in range(30):
        start, length = int(rng.integers(0, 6000)), int(rng.integers(1, 1500))
        key, channel = int(rng.integers(40, 90)), int(rng.integers(0, 3))
        rows.append(message(Kind.NOTE_ON, start, channel, key, float(rng.uniform(0.1, 1.0))))
        rows.append(message(Kind.NOTE_OFF, start + length, channel, key, 0.5))
    rows += [message(Kind.NOTE_ON, 3001, 1, 50 + i, 0.3) for i in range(24)]
    for controller in (SUSTAIN, SUSTAIN, SOSTENUTO, SOFT, TIMBRE, 7, 10, 11):
        at, value = int(rng.integers(0, FRAMES)), float(rng.integers(0, 128))
        rows.append(message(Kind.CONTROL, at, int(rng.integers(0, 3)), controller, value))
    for _ in range(12):
        at, value = int(rng.integers(0, FRAMES)), float(rng.uniform(-1, 1))
        rows.append(message(Kind.BEND, at, int(rng.integers(0, 3)), 0, value))
    rows.append(message(Kind.CONTROL, 6500, 0, 120, 0))
    for kind in (Kind.CHANNEL_PRESSURE, Kind.KEY_PRESSURE, Kind.TUNE):
        for _ in range(6):
            at, key, value = int(rng.integers(0, FRAMES)), int(rng.integers(40, 90)), rng.uniform(40, 90)
            rows.append(message(kind, at, int(rng.integers(0, 3)), key, float(value)))
            rows[-1]["option"] = kind == Kind.TUNE and at % 2
    rows += [
        message(Kind.CONTROL, at, channel, VARIANCE, at % 128)
        for at, channel in ((1000, 0), (2003, 1), (4021, 1))
    ]
    return sort_by_time(np.concatenate(rows))


def played(instrument: Instrument, sizes: Iterator[int]) -> bytes:
    """The score by the engine, in blocks of these sizes."""
    out = np.empty((FRAMES, 2), np.float32)
    with Engine([instrument], RATE, max_block=300) as engine:
        assert engine.send(score()) == len(score())
        while engine.time < FRAMES:
            engine.process(out[engine.time : engine.time + next(sizes)])
    assert np.isfinite(out).all()
    assert np.abs(out).max() > 0.01
    return out.tobytes()


def always(size: int) -> Iterator[int]:
    while True:
        yield size


@pytest.fixture(scope="module")
def wholes() -> dict[str, bytes]:
    """The score at once, by preset."""
    found = {}
    for name in NAMES:
        instrument = Instrument(crowded(name))
        found[name] = played(instrument, always(FRAMES))
        assert instrument.counts["steals"] > 20
        assert instrument.counts["cuts"] > 0
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 16, 64, 333, 1024])
def test_the_hosts_block_does_not_show(wholes: dict[str, bytes], name: str, size: int) -> None:
    assert played(Instrument(crowded(name)), always(size)) == wholes[name]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=4, deadline=None, derandomize=True, database=None)
@given(sizes=st.lists(st.integers(0, 700), min_size=3, max_size=40).filter(any))
def test_nor_do_blocks_that_change_each_call(wholes: dict[str, bytes], name: str, sizes: list[int]) -> None:
    def again() -> Iterator[int]:
        while True:
            yield from sizes

    assert played(Instrument(crowded(name)), again()) == wholes[name]


@pytest.mark.parametrize("name", NAMES)
def test_only_the_same_seed_gives_the_same_take(wholes: dict[str, bytes], name: str) -> None:
    same, other = Instrument(crowded(name)), Instrument(crowded(name), seed=2)
    assert played(same, always(500)) == wholes[name]
    assert played(other, always(500)) != wholes[name]


def test_a_grid_counted_from_the_block_would_be_found(wholes: dict[str, bytes]) -> None:
    """An instrument that looks at its messages once a block, as many do."""

    def at_block_starts(block: int) -> bytes:
        instrument = Instrument(crowded("glass"))
        instrument.prepare(RATE)
        rows, out = score(), np.zeros((2, FRAMES // block * block), np.float32)
        for start in range(0, out.shape[1], block):
            due = rows[(rows["time"] >= start) & (rows["time"] < start + block)]
            instrument.run(due, out[0, start : start + block], out[1, start : start + block])
        return out[:, :6000].tobytes()

    assert at_block_starts(64) != at_block_starts(16)


@pytest.mark.parametrize("name", NAMES)
def test_render_gives_the_same_bytes_at_every_block(name: str) -> None:
    notes = [(0.0, 60, 0.8, 0.05), (0.013, 64, 0.5, 0.06), (0.0501, 60, 1.0, 0.02)]

    def rendered(block: int, seed: int = 1) -> bytes:
        return rtsynth.render(preset(name), notes, seconds=0.12, block=block, seed=seed).tobytes()

    whole = rendered(1 << 16)
    assert [block for block in (16, 64, 333, 1024) if rendered(block) != whole] == []
    assert rendered(64, seed=2) != whole
