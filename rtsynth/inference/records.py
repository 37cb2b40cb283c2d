"""Numbers in place of sound: a frame that begins with a record, zeros behind it, put on the device's time unresampled.

A network whose manifest says `answers = "records"` decides something once a frame (an event of a codec). Its numbers go
through the same rings as sound, so positions, delays, restarts and misses are those of every model; only its rate is
changed otherwise: each record stands where its frame begins, number after number.
"""

from __future__ import annotations

import numpy as np

from rtsynth.inference.resampling import Samples


class Records:
    """A `Resampler` of frames by `up`/`down`; the front of a frame is at model positions k·frame - latency."""

    reach = 0

    def __init__(self, up: int, down: int, frame: int, latency: int) -> None:
        self._up, self._down, self._frame, self._latency = up, down, frame, latency
        self.restart(0, 0)

    def restart(self, taken: int, given: int) -> None:
        self.given = given
        self._taken = taken
        self._begun: Samples = np.zeros(0, np.float32)  # of the frame that is not complete yet

    def push(self, samples: Samples) -> Samples:
        out = np.zeros(max(0, self.ready(self._taken + len(samples)) - self.given), np.float32)
        heard = np.concatenate((self._begun, samples), dtype=np.float32)
        first = self._taken - len(self._begun)
        self._taken += len(samples)
        front = (
            first + -(first + self._latency) % self._frame
        )  # the first one that is heard from its front on
        while front + self._frame <= self._taken:
            at = self._at(front) - self.given
            count = min(self._frame, self._at(front + self._frame) - self._at(front))
            out[at : at + count] = heard[front - first : front - first + count]
            front += self._frame
        self._begun = heard[front - first :]
        self.given += len(out)
        return out

    def ready(self, taken: int) -> int:
        """All up to the front of the frame that is being filled."""
        return self._at(taken - (taken + self._latency) % self._frame)

    def needed(self, given: int) -> int:
        if given <= 0:
            return 0
        least = (given - 1) * self._down // self._up + 1  # model samples, of which whole frames are needed
        return least + -(least + self._latency) % self._frame

    def _at(self, position: int) -> int:
        """Device position of a model position: at its time or just after."""
        return max(0, -(-position * self._up // self._down))
