"""The loops of a segment against plain NumPy, a sample at a time; and the law of block noise, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rtsynth.sampler.noise import SEGMENT, WINDOW_ROWS, window_table
from rtsynth.sampler.segments import HALF
from tests.sampler import reference
from tests.sampler.reference import Array, compiled, draw_places, filled, pointer

RATE = 48000.0
LIMITS = {np.float64: 1e-13, np.float32: 3e-6}  # of the largest value
REALS = pytest.mark.parametrize("real", [np.float64, np.float32])

COUNTS = pytest.mark.parametrize("count", [4, 8, 20, 96])
EIGHTS = pytest.mark.parametrize("count", [8, 24, 64, 136])


def eights(count: int) -> int:
    return -(-count // 8) * 8


class Rows:
    """Random rows of a table wider than what a loop is asked for, so that reading or writing beyond shows.

    Rows are stepped by eights, and none beyond.
    """

    def __init__(self, count: int, real: Any, beyond: int = 16) -> None:
        rng = np.random.default_rng(count)
        self.count, self.rows, self.real = count, count + beyond, real
        damping = rng.uniform(0.0, 2000.0, self.rows)
        self.step = np.exp((-damping + 2j * np.pi * rng.uniform(0.0, 24000.0, self.rows)) / RATE)
        self.x = rng.standard_normal(self.rows) + 1j * rng.standard_normal(self.rows)
        self.gains = rng.uniform(0.0, 1.0, (2, self.rows))
        self.slopes = rng.uniform(-0.03, 0.03, (2, self.rows))
        self.scale = rng.uniform(0.0, 1.0, count)
        self.noise = rng.standard_normal((SEGMENT, 2, count))
        self.before = rng.standard_normal((2, SEGMENT))  # what y holds already

    @property
    def first(self) -> slice:
        return slice(0, self.count)

    def parts(self, z: Array) -> Array:
        """Real and imaginary parts, in the loop's precision."""
        return filled(np.stack([z.real, z.imag]), self.real)

    def all_gains(self) -> Array:
        return filled(np.concatenate([self.gains, self.slopes]), self.real)

    def agrees(self, got: Array, want: Array) -> bool:
        return bool(np.abs(got - want).max() <= LIMITS[self.real] * np.abs(want).max())

    def powers(self) -> Array:
        powers = self.step[:, None] ** np.arange(HALF)
        return filled(np.stack([powers.real, powers.imag], axis=1), self.real)

    def turned(self) -> Array:
        turned = self.step ** np.arange(HALF - 1, -1, -1)[:, None]
        return filled(np.stack([turned.real, turned.imag], axis=1), self.real)

    def half(self) -> Array:
        return self.parts(self.step**HALF)

    def middle(self) -> Array:
        return filled(np.full((4, self.rows), np.nan), self.real)

    def state_agrees(self, x: Array, want: Array) -> bool:
        """The rows asked for have stepped; those after the next multiple of 8 are as they were."""
        state = x[0].astype(float) + 1j * x[1]
        beyond = slice(eights(self.count), None)
        untouched = np.array_equal(x[:, beyond], self.parts(self.x)[:, beyond])
        return self.agrees(state[self.first], want) and untouched


# ---- ringing ----


@REALS
@COUNTS
@pytest.mark.parametrize("moving", [0, 1])
def test_ringing(count: int, real: Any, moving: int) -> None:
    rows = Rows(count, real)
    x, y, gains = rows.parts(rows.x), filled(rows.before, real), rows.all_gains()
    kept = gains.copy()
    arrays = rows.powers(), rows.half(), x, rows.middle(), gains, y
    compiled(real).ringing(*map(pointer, arrays), moving, rows.rows, count)
    f = rows.first
    slopes = moving * rows.slopes[:, f]
    added, after = reference.ringing(rows.step[f], rows.x[f], rows.gains[:, f], slopes)
    assert rows.agrees(y, rows.before + added)
    assert rows.state_agrees(x, after)
    assert np.array_equal(gains, kept)
    # The comparison would see one row less, and slopes that are there or not.
    fewer = slice(0, count - 1)
    less, _ = reference.ringing(rows.step[fewer], rows.x[fewer], rows.gains[:, fewer], slopes[:, fewer])
    other, _ = reference.ringing(rows.step[f], rows.x[f], rows.gains[:, f], rows.slopes[:, f] - slopes)
    assert not rows.agrees(y, rows.before + less)
    assert not rows.agrees(y, rows.before + other)


@REALS
@COUNTS
def test_ringing_mono(count: int, real: Any) -> None:
    rows = Rows(count, real)
    x, y, gains = rows.parts(rows.x), filled(rows.before[0], real), filled(rows.gains[0], real)
    arrays = rows.powers(), rows.half(), x, rows.middle(), gains, y
    compiled(real).ringing_mono(*map(pointer, arrays), rows.rows, count)
    f = rows.first
    added, after = reference.ringing(rows.step[f], rows.x[f], rows.gains[:, f], 0.0 * rows.slopes[:, f])
    assert rows.agrees(y, rows.before[0] + added[0])
    assert rows.state_agrees(x, after)
    assert not rows.agrees(y, rows.before[0] + added[1])


# ---- noise ----


def own_places(count: int) -> Array:
    """Where a buffer (32, 2, count) is read as if it were a table."""
    first_rows = np.arange(0, count, WINDOW_ROWS)[:, None, None]
    part, t = np.arange(2)[:, None], np.arange(SEGMENT)
    return filled(first_rows + count * (2 * t + part), np.uint32)


@pytest.mark.parametrize("count", [1, 64, 65, 200])
def test_places_are_those_of_the_reference(count: int) -> None:
    low, high, _ = reference.start(3, 9, count)
    for first in (0, 96, 2**32 - 16):
        assert np.array_equal(draw_places(low, high, first), reference.places(low, high, first, SEGMENT))
    whole = draw_places(low, high, 0, 64)
    assert np.array_equal(whole[:, :, SEGMENT:], draw_places(low, high, SEGMENT))


@REALS
@EIGHTS
@pytest.mark.parametrize("moving", [0, 1])
def test_noisy_reads_windows_or_a_buffer(count: int, real: Any, moving: int) -> None:
    """The table at drawn places, and the same numbers from a buffer: bit for bit the same, and right."""
    rows = Rows(count, real)
    low, high, _ = reference.start(5, 2, count)
    noise = filled(reference.rows_drawn(low, high, 64, SEGMENT), real)
    step, gains = rows.parts(rows.step), rows.all_gains()
    results = []
    for source, at in (
        (filled(window_table(), real), draw_places(low, high, 64)),
        (noise, own_places(count)),
    ):
        x, y = rows.parts(rows.x), filled(rows.before, real)
        arrays = step, source, at, x, gains, y
        compiled(real).noisy(*map(pointer, arrays), moving, rows.rows, count)
        results.append((x.tobytes(), y.tobytes()))
    assert results[0] == results[1]
    f = rows.first
    arguments = np.ones(count), noise, rows.x[f], rows.gains[:, f], moving * rows.slopes[:, f]
    added, after = reference.noisy(rows.step[f], *arguments)
    assert rows.agrees(y, rows.before + added)
    assert rows.state_agrees(x, after)
    late = np.ones(count), np.roll(noise, 1, axis=0), *arguments[2:]
    assert not rows.agrees(y, rows.before + reference.noisy(rows.step[f], *late)[0])


@REALS
@EIGHTS
def test_noisy_mono(count: int, real: Any) -> None:
    rows = Rows(count, real)
    x, y, gains = rows.parts(rows.x), filled(rows.before[0], real), filled(rows.gains[0], real)
    arrays = rows.parts(rows.step), filled(rows.noise, real), own_places(count), x, gains, y
    compiled(real).noisy_mono(*map(pointer, arrays), rows.rows, count)
    f = rows.first
    still = np.ones(count), rows.noise, rows.x[f], rows.gains[:, f], 0.0 * rows.slopes[:, f]
    added, after = reference.noisy(rows.step[f], *still)
    assert rows.agrees(y, rows.before[0] + added[0])
    assert rows.state_agrees(x, after)
    assert not rows.agrees(y, rows.before[0] + added[1])


# ---- innovations ----


@REALS
@COUNTS
def test_innovations(count: int, real: Any) -> None:
    rows = Rows(count, real)
    rng = np.random.default_rng(5)
    gain = (rng.standard_normal(rows.rows) + 1j * rng.standard_normal(rows.rows)) / rows.rows
    e = rng.standard_normal(SEGMENT)
    f = rows.first
    response = np.zeros(SEGMENT)
    response[HALF] = 1.0
    response[HALF + 1 :] = (gain[f] * rows.step[f] ** np.arange(HALF - 1)[:, None]).real.sum(axis=1)
    x, y = rows.parts(rows.x), filled(rows.before[0], real)
    arrays = (
        rows.powers(),
        rows.turned(),
        rows.half(),
        rows.parts(gain),
        filled(response, real),
        filled(e, real),
        x,
        rows.middle(),
        y,
    )
    compiled(real).innovations(*map(pointer, arrays), rows.rows, count)
    added, after = reference.innovations(rows.step[f], gain[f], e, rows.x[f])
    assert rows.agrees(y, rows.before[0] + added)
    assert rows.state_agrees(x, after)
    deaf, _ = reference.innovations(rows.step[f], 0.99 * gain[f], e, rows.x[f])
    assert not rows.agrees(y, rows.before[0] + deaf)


# ---- block noise ----


@REALS
@EIGHTS
def test_kick(count: int, real: Any) -> None:
    rows = Rows(count, real)
    x, at = rows.parts(rows.x), own_places(count)
    scale, noise = filled(rows.scale, real), filled(rows.noise, real)
    for t in (0, 31):
        before = x[0].astype(float) + 1j * x[1]
        compiled(real).kick(*map(pointer, (scale, noise, at)), t, pointer(x), rows.rows, count)
        kicked = before[rows.first] + rows.scale * (noise[t, 0] + 1j * noise[t, 1])
        assert rows.agrees((x[0] + 1j * x[1])[rows.first], kicked)
    assert np.array_equal(x[:, count:], rows.parts(rows.x)[:, count:])


class BlockNoise:
    """One row, kicked at every segment's start so that the time average of its covariance is e^(-γ|l|) cos ωl."""

    def __init__(self, damping: float, frequency: float) -> None:
        self.step = np.exp(-damping + 2j * np.pi * frequency)  # both a sample
        decay = 2.0 * damping
        self.variance = SEGMENT * np.expm1(-decay) / np.expm1(-decay * SEGMENT)  # at a segment's start
        self.kick = np.sqrt(self.variance * -np.expm1(-decay * SEGMENT))

    def covariance(self, samples: int) -> Array:
        """(samples, samples): between starts of segments the state only turns and decays."""
        t = np.arange(samples)
        since = t % SEGMENT
        later, earlier = (
            np.maximum.outer(t // SEGMENT, t // SEGMENT),
            np.minimum.outer(t // SEGMENT, t // SEGMENT),
        )
        decay = np.add.outer(since, since) + SEGMENT * (later - earlier)
        radius, angle = np.abs(self.step), np.angle(self.step)
        return self.variance * radius**decay * np.cos(angle * np.subtract.outer(t, t))

    def stationary(self, lags: Array) -> Array:
        """What its time average is to be."""
        return (self.step**lags).real


BLOCKS = [BlockNoise(1e-5, 0.01), BlockNoise(3e-3, 0.2), BlockNoise(0.05, 0.003), BlockNoise(1e-3, 0.49)]


def responses(block: BlockNoise, segments: int) -> Array:
    """(32 segments, Gaussians): the compiled loops' answers to each unit Gaussian, in double precision."""
    loops, rows, real = compiled(np.float64), 8, np.float64
    columns = Rows(rows, real, beyond=0)
    columns.step = np.full(rows, block.step)
    silent = np.zeros((2, rows))
    gains, scale = filled(np.eye(2, rows), real), filled(np.full(rows, block.kick), real)
    answers = []
    for index in range(2 * segments):
        x = filled(silent, real)
        x[index % 2, 0] = np.sqrt(block.variance) * (index < 2)
        noise = filled(np.zeros((SEGMENT, 2, rows)), real)
        if index >= 2:
            noise[index // 2 - 1, index % 2, 0] = 1.0
        out = []
        for t in range(segments):
            y = filled(np.zeros((2, SEGMENT)), real)
            arrays = columns.powers(), columns.half(), x, columns.middle(), gains, y
            loops.ringing(*map(pointer, arrays), 0, rows, rows)
            loops.kick(*map(pointer, (scale, noise, own_places(rows))), t, pointer(x), rows, rows)
            out.append(y[0])
        answers.append(np.concatenate(out))
    return np.stack(answers, axis=1)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_law_of_block_noise(block: BlockNoise) -> None:
    """L Lᵀ of the compiled loops is the stated cyclostationary covariance."""
    factor = responses(block, 4)
    stated = block.covariance(factor.shape[0])
    error = np.abs(factor @ factor.T - stated).max() / stated.max()
    assert error < 1e-12
    # A kernel without the grid would not do.
    lags = np.subtract.outer(np.arange(stated.shape[0]), np.arange(stated.shape[0]))
    assert np.abs(factor @ factor.T - block.stationary(np.abs(lags))).max() > 1e3 * error


@pytest.mark.parametrize("block", BLOCKS)
def test_block_noise_on_average_is_stationary(block: BlockNoise) -> None:
    """At every lag, the mean of the covariance over a segment's 32 places is the kernel: 1e-12."""
    covariance = block.covariance(8 * SEGMENT)
    for lag in (0, 1, 2, 31, 32, 33, 64, 100, 200):
        average = np.mean([covariance[t, t + lag] for t in range(SEGMENT)])
        assert abs(average - block.stationary(np.array(lag))) < 1e-12
    # The same row with the variance of a plain one is too quiet or too loud somewhere.
    assert abs(covariance[0, 0] - 1.0) > 1e-5


def test_the_ripple_of_block_noise() -> None:
    """Its level falls by 8.69 γ 31 dB over a segment: what gp.md §4 states as ±4.34 B / τ."""
    block = BLOCKS[1]
    level = np.diag(block.covariance(SEGMENT))
    ripple_db = 10.0 * np.log10(level[0] / level[-1])
    assert ripple_db == pytest.approx(2.0 * 4.34 * (SEGMENT - 1) * 3e-3, rel=1e-3)
