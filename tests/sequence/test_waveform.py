"""Raw sound: its random numbers, when it listens, and the shipped network left to itself. Seeds are fixed."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsynth.errors import InputError
from rtsynth.sequence.cells import Tanh
from rtsynth.sequence.mixture import diagonal_size
from rtsynth.sequence.waveform import (
    COMPONENTS,
    DRAWS,
    FRAME,
    HEARD,
    PRIME,
    RATE,
    SAID,
    Parameters,
    SlowGenerator,
    choices,
    continued,
    draws,
    load,
    uniforms,
)

Array = NDArray[np.float64]


# --- random numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2, 2**31 - 2])
def test_uniform_numbers_are_even_and_do_not_follow_one_another(seed: int) -> None:
    """χ² of 256 cells, of 16 × 16 cells of neighbours; correlations. 5 sigma: by chance once in 3 million each."""
    x = uniforms(seed, 0, 20_000).reshape(-1)
    for counts in (
        np.bincount((x * 256).astype(int), minlength=256),
        np.bincount((x[:-1:2] * 16).astype(int) * 16 + (x[1::2] * 16).astype(int), minlength=256),
    ):
        chi2 = float(((counts - counts.mean()) ** 2 / counts.mean()).sum())
        assert abs(chi2 - 255) < 5 * np.sqrt(2 * 255)
    centred = x - x.mean()
    for lag in (1, 2, DRAWS, 16 * DRAWS):
        assert abs(np.corrcoef(centred[lag:], centred[:-lag])[0, 1]) < 5 / np.sqrt(len(x))


def test_seeds_do_not_resemble_one_another() -> None:
    rows = np.stack([uniforms(seed, 0, 5000).reshape(-1) for seed in range(6)])
    apart = np.corrcoef(rows)[np.triu_indices(6, 1)]
    assert abs(apart).max() < 5 / np.sqrt(rows.shape[1])
    for one, other in pairwise(rows):  # nor is one a piece of another: 1.4 in common by chance
        assert len(np.intersect1d(one, other)) < 20


def test_numbers_are_no_polynomial_of_their_place() -> None:
    """One round would be, of degree 5: its sixth differences are all zero modulo 2³¹ - 1."""
    numbers = np.round(uniforms(0, 0, 10).reshape(-1) * PRIME - 0.5).astype(np.int64)
    assert len({int(n) % PRIME for n in np.diff(numbers, 6)}) > 90


def test_no_number_of_a_stream_comes_twice() -> None:
    """It is a permutation of 0 … 2³¹ - 2."""
    numbers = np.round(uniforms(3, 0, 50_000).reshape(-1) * PRIME - 0.5).astype(np.int64)
    assert len(np.unique(numbers)) == numbers.size
    assert numbers.min() >= 0
    assert numbers.max() < PRIME


def test_every_step_can_be_drawn_by_itself() -> None:
    many = draws(4, 100, 12)
    for step in (0, 7, 11):
        one = draws(4, 100 + step, 1)
        np.testing.assert_array_equal(one[0][0], many[0][step])
        np.testing.assert_array_equal(one[1][0], many[1][step])


def test_normals_are_normal() -> None:
    """Moments within 5 standard errors (once in 3.5 million each), and cosines and sines of one radius apart."""
    normals = draws(1, 0, 20_000)[1]
    flat = normals.reshape(-1)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((flat**power).mean() - moment) < 5 * np.sqrt(variance / flat.size)
    apart = np.corrcoef(normals.T)[np.triu_indices(SAID, 1)]
    assert abs(apart).max() < 5 / np.sqrt(len(normals))


# --- listening ------------------------------------------------------------------------------------------------------


def slow(**options: float) -> SlowGenerator:
    rng = np.random.default_rng(1)
    cell = Tanh(*(0.5 * rng.standard_normal(shape) for shape in ((6, HEARD), (6, 6), (6,))))
    size = diagonal_size(COMPONENTS, SAID)
    readout = Parameters(cell, 0.5 * rng.standard_normal((size, 6)), np.full(size, -1.0), 0.05)
    return SlowGenerator(readout, **options)  # type: ignore[arg-type]


def said(generator: SlowGenerator, frames: Array) -> Array:
    return np.stack([generator.frame(frame) for frame in frames])


def test_it_hears_what_is_loud_enough_and_goes_on_by_itself_when_it_ends() -> None:
    rng = np.random.default_rng(2)
    loud, other = (0.1 * rng.standard_normal((8, FRAME)) for _ in range(2))
    silence = np.zeros((8, FRAME))
    one, two, alone = (
        said(slow(), np.concatenate([heard, silence])) for heard in (loud, other, np.zeros((8, FRAME)))
    )
    assert abs(one[1:8] - two[1:8]).max() > 1e-3  # what comes out follows what goes in
    assert abs(one[8:] - alone[8:]).max() > 1e-6  # and so does what comes after it
    faint = said(slow(), np.concatenate([0.004 * np.sign(loud), silence]))
    np.testing.assert_array_equal(faint, alone)  # below -46 dB nothing is heard


def test_it_listens_for_a_moment_longer_than_the_sound_lasts() -> None:
    """A peak of 0.5 falls by 10 dB a frame: four frames above -46 dB."""
    for quiet, heard in ((1, True), (3, True), (5, False)):
        frames = np.zeros((7, FRAME))
        frames[0, 50] = 0.5
        other = frames.copy()
        other[quiet] = 0.004
        follows = abs(said(slow(), frames)[6] - said(slow(), other)[6]).max() > 0
        assert follows == heard, quiet


def test_a_primer_is_heard_however_quiet_it_is() -> None:
    faint = 0.002 * np.random.default_rng(3).standard_normal((4, FRAME))
    frames = np.concatenate([faint, np.zeros((2, FRAME))])
    assert abs(said(slow(alone=5), frames) - said(slow(), frames)).max() > 1e-4


def test_nothing_goes_beyond_full_scale() -> None:
    wild = Parameters(
        slow()._parameters.cell, slow()._parameters.W, np.full(diagonal_size(COMPONENTS, SAID), 9.0), 0.05
    )
    out = said(SlowGenerator(wild), np.full((4, FRAME), 1e9))
    assert abs(out).max() == pytest.approx(1.0)


def test_a_model_that_draws_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="makes no sound by itself"):
        load("drive")


# --- the shipped network --------------------------------------------------------------------------------------------

SECONDS = 6.0


@pytest.fixture(scope="module")
def alone() -> Array:
    pytest.importorskip("onnxruntime", reason="running networks needs onnxruntime")
    return continued(load("waveform"), np.zeros(0), round(SECONDS * RATE), seed=1)


def test_it_is_small_and_says_what_it_is() -> None:
    manifest = load("waveform")
    assert manifest.path.stat().st_size < 1_000_000
    assert manifest.sha256 == hashlib.sha256(Path(manifest.file).read_bytes()).hexdigest()
    assert (manifest.frame, manifest.sample_rate, manifest.latency, manifest.opset) == (FRAME, RATE, 0, 17)
    assert manifest.export is not None
    assert manifest.export.error < manifest.export.tolerance == 1e-5
    for said in ("rtsynth train waveform", "LJ Speech", "public domain", "Held out", "babbles"):
        assert said in manifest.card


def test_left_to_itself_it_neither_stops_nor_runs_away(alone: Array) -> None:
    """Speech it was trained on has a deviation of 0.06; minutes: bench/waveform.py."""
    assert np.isfinite(alone).all()
    levels = alone.reshape(-1, RATE // 2).std(axis=1)
    assert levels.min() > 0.002
    assert levels.max() < 0.3
    assert abs(alone.mean()) < 0.01
    assert abs(alone).max() <= 0.37  # four deviations of what it was trained on


def test_the_same_seed_is_the_same_sound_and_another_is_not(alone: Array) -> None:
    half = len(alone) // 6
    again = continued(load("waveform"), np.zeros(0), half, seed=1)
    np.testing.assert_array_equal(again, alone[:half])
    other = continued(load("waveform"), np.zeros(0), half, seed=2)
    assert abs(np.corrcoef(other, again)[0, 1]) < 0.5
    assert choices(load("waveform"), 2**31 + 5, 0.5) == {"seed": 6.0, "bias": 0.5, "alone": 1.0}


def test_a_bias_makes_it_quieter(alone: Array) -> None:
    biased = continued(load("waveform"), np.zeros(0), 2 * RATE, seed=1, bias=1.0)
    assert biased.std() < 0.8 * alone[: 2 * RATE].std()


def test_it_goes_on_from_what_it_heard() -> None:
    """The primer comes out as it went in; what follows begins at its last sample, and is not what silence gives."""
    t = np.arange(4003) / RATE
    primer = (0.2 * np.sin(2 * np.pi * 150 * t)).astype(np.float32)
    whole = continued(load("waveform"), primer, 1000, seed=1)
    np.testing.assert_array_equal(whole[:4003], primer)
    assert whole.shape == (5003,)
    assert abs(whole[4003] - primer[-1]) < 0.1
    other = continued(load("waveform"), -primer, 1000, seed=1)
    assert abs(whole[4003:] - other[4003:]).max() > 0.01
