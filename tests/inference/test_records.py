"""Records in place of sound: each at its frame's time, number by number, whatever the rates and the pieces."""

from __future__ import annotations

from math import ceil

import numpy as np
import pytest

from rtsynth.inference.records import Records

FRAME, LATENCY = 12, 5


def expected(samples: np.ndarray, up: int, down: int) -> np.ndarray:
    """One record after the other: the slow version. The first one that is whole begins at FRAME - LATENCY."""
    fronts = range(FRAME - LATENCY, len(samples) + 1, FRAME)
    out = np.zeros(ceil(fronts[-1] * up / down), np.float32)
    for front in fronts[:-1]:
        at, end = ceil(front * up / down), ceil((front + FRAME) * up / down)
        count = min(FRAME, end - at)
        out[at : at + count] = samples[front : front + count]
    return out


@pytest.mark.parametrize(("up", "down"), [(3, 1), (441, 160), (1, 2), (1, 1)])
def test_any_pieces_give_the_same(up: int, down: int) -> None:
    rng = np.random.default_rng(1)
    samples = rng.standard_normal(40 * FRAME - LATENCY).astype(np.float32)
    want = expected(samples, up, down)
    for most in (1, 5, 12, 40):
        records, at, parts = Records(up, down, FRAME, LATENCY), 0, []
        while at < len(samples):
            size = int(rng.integers(1, most + 1))
            parts.append(records.push(samples[at : at + size]))
            at += len(samples[at : at + size])
            assert records.given == sum(map(len, parts)) == records.ready(at)
        np.testing.assert_array_equal(np.concatenate(parts), want)


@pytest.mark.parametrize(("up", "down"), [(3, 1), (441, 160), (1, 2)])
def test_what_is_needed_is_the_least_that_suffices(up: int, down: int) -> None:
    records = Records(up, down, FRAME, LATENCY)
    for given in range(1, 200):
        least = next(taken for taken in range(10_000) if records.ready(taken) >= given)
        assert records.needed(given) == least
    assert records.needed(0) == 0


def test_it_goes_on_in_the_middle() -> None:
    """After a jump there is silence up to the first frame that is heard from its front on."""
    samples = np.arange(1.0, 20 * FRAME + 1, dtype=np.float32)
    whole = Records(3, 1, FRAME, LATENCY).push(samples)
    later = Records(3, 1, FRAME, LATENCY)
    later.restart(4 * FRAME, 12 * FRAME)
    heard = later.push(samples[4 * FRAME :])
    front = 3 * (5 * FRAME - LATENCY)
    assert not heard[: front - 12 * FRAME].any()
    np.testing.assert_array_equal(heard[front - 12 * FRAME :], whole[front:])
