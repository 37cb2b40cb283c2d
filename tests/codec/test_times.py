"""The dynamic programme against all cuts there are, and against knots that are known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsynth.codec.analysis import Tracks
from rtsynth.codec.times import (
    LEAST_WEIGHT,
    LONGEST,
    SHORTEST,
    choose_times,
    cuts,
    features,
    loudness_weights,
    piece_costs,
)

Array = NDArray[np.float64]


def line_error(rows: Array) -> float:
    """Squared error of the best straight line through rows (T, D)."""
    time = np.stack([np.ones(len(rows)), np.arange(len(rows))], axis=1)
    return float(np.linalg.lstsq(time, rows, rcond=None)[1].sum())


def all_cuttings(count: int) -> Iterator[list[int]]:
    """Lengths of the pieces of every cutting of `count` rows."""
    if count == 0:
        yield []
    for length in range(SHORTEST, min(LONGEST, count) + 1):
        yield from ([*rest, length] for rest in all_cuttings(count - length))


def cost(rows: Array, lengths: list[int], price: float) -> float:
    ends = np.cumsum(lengths)
    return sum(line_error(rows[end - n : end]) + price for end, n in zip(ends, lengths, strict=True))


def starts(chosen: NDArray[np.int16]) -> list[int]:
    found, at = [], len(chosen) - 1
    while at > 0:
        at -= int(chosen[at])
        found.insert(0, at)
    return found


def test_a_piece_costs_its_distance_from_a_line() -> None:
    rows = np.random.default_rng(1).standard_normal((90, 3)).cumsum(axis=0) + 100.0
    costs = piece_costs(rows)
    for end, n in ((SHORTEST, SHORTEST), (40, 11), (90, LONGEST), (90, 37)):
        assert costs[end, n - SHORTEST] == pytest.approx(line_error(rows[end - n : end]), rel=1e-6)
    assert np.isinf(costs[10, 11 - SHORTEST])


@pytest.mark.parametrize("price", [0.01, 1.0, 5.0, 40.0])
def test_no_cutting_is_cheaper(price: float) -> None:
    rows = np.random.default_rng(2).standard_normal((32, 2)).cumsum(axis=0)
    chosen = starts(cuts(piece_costs(rows), np.array([price]))[:, 0])
    found = cost(rows, np.diff([*chosen, 32]).tolist(), price)
    assert found == pytest.approx(min(cost(rows, lengths, price) for lengths in all_cuttings(32)))


def test_known_knots_are_found() -> None:
    knots = np.array([0, 20, 45, 60, 110, 130])
    values = np.random.default_rng(3).standard_normal((6, 4)) * 5.0
    rows = np.stack([np.interp(np.arange(131), knots, column) for column in values.T], axis=1)
    found = choose_times(rows[:130], 5)
    assert len(found) == 5
    assert np.abs(found - knots[:5]).max() <= 1  # a knot lies on both lines


@pytest.mark.parametrize("pieces", [1, 10, 25, 40, 66, 200])
def test_there_are_as_many_as_wanted_and_no_more(pieces: int) -> None:
    rows = np.random.default_rng(4).standard_normal((400, 5)).cumsum(axis=0)
    times = choose_times(rows, pieces)
    gaps = np.diff(np.append(times, 400))
    assert times[0] == 0
    assert gaps.min() >= SHORTEST
    assert gaps.max() <= LONGEST
    fewest, most = -(-400 // LONGEST), 400 // SHORTEST
    assert len(times) <= max(pieces, fewest)
    assert len(times) >= min(max(pieces, fewest), most) - 3


def test_short_and_still_sounds() -> None:
    assert choose_times(np.zeros((3, 2)), 5).tolist() == [0]
    assert choose_times(np.zeros((1, 2)), 1).tolist() == [0]
    assert len(choose_times(np.zeros((200, 2)), 20)) <= 20


def made(envelope: Array, ln_f0: Array, logit: Array) -> Tracks:
    return Tracks(ln_f0, np.repeat(envelope[:, None], 24, axis=1), np.repeat(logit[:, None], 5, axis=1))


def test_what_is_loud_counts_most() -> None:
    weights = loudness_weights(made(np.linspace(0.0, -9.0, 50), np.zeros(50), np.zeros(50)))
    assert weights[0] == 1.0
    assert weights[-1] == LEAST_WEIGHT
    assert (np.diff(weights) <= 0.0).all()


def test_a_slip_of_voicing_or_pitch_costs_no_events() -> None:
    """Three steps of noise in a vowel, and an octave in a pause, leave the features as good as still."""
    still, pitch, logit = np.zeros(100), np.full(100, 5.0), np.full(100, -6.0)
    logit[50:53] = 6.0
    assert np.ptp(features(made(still, pitch, logit))[:, 25:], axis=0).max() < 1e-6
    pitch[50:60] += np.log(2.0)
    assert np.ptp(features(made(still, pitch, np.full(100, 6.0)))[:, 0]) < 0.05
