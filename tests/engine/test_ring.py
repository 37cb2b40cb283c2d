"""The ring between two threads: nothing lost, torn, doubled or out of order; full and wrap-around."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ITEMS = 300_000


@pytest.mark.parametrize(("capacity", "batch"), [(1, 1), (8, 3), (64, 64), (1024, 37)])
def test_two_threads_pass_every_item_once_in_order(native: ctypes.CDLL, capacity: int, batch: int) -> None:
    assert native.ring_stress(capacity, ITEMS, batch, ITEMS) == 0


def test_the_stress_notices_one_wrong_item(native: ctypes.CDLL) -> None:
    assert native.ring_stress(64, ITEMS, 7, 123_456) == 1


def test_a_capacity_that_is_no_power_of_two_is_refused(native: ctypes.CDLL) -> None:
    assert native.ring_new(3) is None


@settings(max_examples=50, deadline=None)
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=60))
def test_like_a_list_of_limited_length(native: ctypes.CDLL, steps: list[tuple[bool, int]]) -> None:
    """Any order of writes and reads does what the obvious queue does."""
    capacity, ring = 8, native.ring_new(8)
    queue: list[int] = []
    number = 0
    for writes, count in steps:
        items = np.arange(number, number + count, dtype=np.uint64)
        if writes:
            accepted = native.rt_ring_write(ring, items.ctypes.data, count)
            assert accepted == min(count, capacity - len(queue))
            queue += items[:accepted].tolist()
            number += accepted
        else:
            taken = native.rt_ring_read(ring, items.ctypes.data, count)
            assert items[:taken].tolist() == queue[:count]
            del queue[:taken]
    native.rt_ring_free(ring)
