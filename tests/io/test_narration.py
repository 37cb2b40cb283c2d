"""A narration: parts made in a thread arrive whole and in order, whatever room there is; what fails is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.io.narration import Narration, resampled

PATIENCE = 10.0  # seconds, that no test needs


class Shelf:
    """Takes at most `room` numbers at a time, and none every other time."""

    def __init__(self, room: int) -> None:
        self.room, self.taken, self.calls = room, [0.0][:0], 0
        self.ended = threading.Event()

    def give(self, part: np.ndarray) -> int:
        self.calls += 1
        if self.calls % 2:
            return 0
        self.taken += part[: self.room].tolist()
        return min(self.room, len(part))


def test_parts_arrive_whole_and_in_order() -> None:
    shelf = Shelf(3)
    made = [np.arange(0, 5), np.arange(0), np.arange(5, 20)]
    narration = Narration(made, shelf.give, shelf.ended.set, lambda: len(shelf.taken) == 20)
    narration.start()
    assert shelf.ended.wait(PATIENCE)
    narration.stop()
    assert shelf.taken == list(range(20))
    assert narration.done
    narration.check()


def test_what_fails_ends_it_and_is_raised_again() -> None:
    def made() -> Iterator[np.ndarray]:
        yield np.arange(4)
        raise InputError("no more")

    shelf = Shelf(100)
    narration = Narration(made(), shelf.give, shelf.ended.set, lambda: False)
    narration.start()
    assert shelf.ended.wait(PATIENCE)
    narration.stop()
    assert shelf.taken == [0, 1, 2, 3]
    assert narration.done
    with pytest.raises(InputError, match="no more"):
        narration.check()


def test_it_can_be_stopped_where_nothing_is_taken() -> None:
    begun, ended = threading.Event(), threading.Event()

    def refuse(part: np.ndarray) -> int:
        begun.set()
        return 0

    def endless() -> Iterator[np.ndarray]:
        while True:
            yield np.arange(4)

    narration = Narration(endless(), refuse, ended.set, lambda: False)
    narration.start()
    assert begun.wait(PATIENCE)
    narration.stop()
    assert ended.is_set()


@pytest.mark.parametrize("wanted", [22050.0, 48000.0, 16000.0])
def test_resampled_in_parts_is_resampled_whole(wanted: float) -> None:
    soxr = pytest.importorskip("soxr")
    rng = np.random.default_rng(1)
    sound = (0.1 * rng.standard_normal(5000)).astype(np.float32)
    parts = np.split(sound, [0, 256, 300, 3000, 3001])
    found = np.concatenate(list(resampled(parts, 22050.0, wanted)))
    whole = soxr.resample(sound, 22050.0, wanted) if wanted != 22050.0 else sound
    np.testing.assert_allclose(found, whole, atol=1e-5)
