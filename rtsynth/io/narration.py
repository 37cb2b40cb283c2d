"""Sound or events that are made while they are played: a thread keeps a running source supplied, somewhat ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

PERIOD_SECONDS = 0.02  # between two tries to hand over what there was no room for

Part = NDArray[Any]  # samples (n,), or events (n,)


class Narration:
    """Takes parts from `made`, which may be slow, and hands them to `give`, which returns how many of one it took.

    `end` is called when all has been handed over, `over()` says whether it has been played. What `made` raises ends the
    narration; `check` raises it again.
    """

    last_time = 0  # samples: nothing is known beforehand

    def __init__(
        self,
        made: Iterable[Part],
        give: Callable[[Part], int],
        end: Callable[[], None],
        over: Callable[[], bool],
    ) -> None:
        self._made, self._give, self._end, self._over = made, give, end, over
        self._stopping = threading.Event()
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="rtsynth-narration", daemon=True)

    @property
    def done(self) -> bool:
        """Whether everything has been played, or nothing more will come."""
        return not self._thread.is_alive() and (self._problem is not None or self._over())

    def start(self) -> None:
        """Make and hand over, from a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Make no more; waits for the part that is being made. Again is harmless."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def check(self) -> None:
        """Raise what went wrong while making."""
        if self._problem is not None:
            raise self._problem

    def _run(self) -> None:
        try:
            for part in self._made:
                self._hand_over(part)
                if self._stopping.is_set():
                    return
        except BaseException as problem:  # `check` raises it where somebody listens
            self._problem = problem
        finally:
            self._end()

    def _hand_over(self, part: Part) -> None:
        taken = 0
        while taken < len(part) and not self._stopping.is_set():
            count = self._give(part[taken:])
            taken += count
            if count == 0:
                self._stopping.wait(PERIOD_SECONDS)


def resampled(
    parts: Iterable[NDArray[np.float32]], rate: float, wanted: float
) -> Iterable[NDArray[np.float32]]:
    """Samples (n,) at `rate` hertz, part by part, at another rate; soxr's own delay is not heard."""
    if rate == wanted:
        yield from parts
        return
    import soxr

    stream = soxr.ResampleStream(rate, wanted, 1, dtype="float32")
    for part in parts:
        yield stream.resample_chunk(np.ascontiguousarray(part, np.float32))
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
