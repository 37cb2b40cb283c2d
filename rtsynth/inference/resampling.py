"""Rates: a stream at one rate → the same at another, sample k of it at time k·(in/out) exactly.

`Polyphase` is a linear-phase FIR (Kaiser's design) between rates whose ratio is a fraction of integers; it gives an
answer as soon as the last input that it depends on is there, 3.3 ms late between 48 and 16 kHz. `Soxr` is libsoxr's
stream at HQ: flat to 0.92 and 140 dB down instead of 0.9 and 80, but up to 37 ms late, since it works in long blocks.
Both know by counting how much has come out after how much has gone in: it depends on totals, not on pieces or data.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from ctypes import c_int64, c_void_p
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsynth import native

Samples = NDArray[np.float32]

STOP_DB = 82.0  # of the stop-band, which begins at the lower rate's Nyquist frequency
PASSED = 0.9  # of that frequency, and below: the pass-band
LARGEST_TERM = 1024  # of a ratio: 160 for 44.1 to 16 kHz, and a table of 0.6 MB at most
QUANTUM = 64  # input samples that libsoxr is fed at a time, so that what comes out depends on totals alone


class Resampler(Protocol):
    """One stream from one rate to another. Positions count samples from time 0 at each rate."""

    reach: int  # input samples on either side of its own time that an answer depends on
    given: int  # position of the next answer

    def restart(self, taken: int, given: int) -> None:
        """Input goes on at `taken`, after silence; the next answer is `given`, whose time is not before `taken`'s."""

    def push(self, samples: Samples) -> Samples:
        """(n,) in → what is now ready (m,), m ≥ 0."""

    def ready(self, taken: int) -> int:
        """End (exclusive) of the answers that inputs before `taken` suffice for."""

    def needed(self, given: int) -> int:
        """End (exclusive) of the inputs that the answers before `given` need: the least n with ready(n) ≥ given."""


@cache
def prototype(up: int, down: int) -> tuple[NDArray[np.float64], int]:
    """(taps (2 K + 1,), K) of the low-pass at `up` times the source's rate, of gain 1 at DC.

    Kaiser's rule, for a transition from 0.9 to 1 times the lower rate's Nyquist frequency.
    """
    nyquist = 0.5 / max(up, down)  # the lower rate's, in cycles a sample of the common rate
    width = 2 * np.pi * nyquist * (1 - PASSED)
    length = (STOP_DB - 7.95) / (2.285 * width)
    half = int(np.ceil(length / 2))
    cutoff = nyquist * (1 + PASSED) / 2
    times = np.arange(-half, half + 1)
    taps = 2 * cutoff * np.sinc(2 * cutoff * times) * np.kaiser(2 * half + 1, 0.1102 * (STOP_DB - 8.7))
    taps /= taps.sum()
    taps.setflags(write=False)  # it is kept
    return taps, half


class Polyphase:
    """By `up`/`down`, in lowest terms; see the module."""

    def __init__(self, up: int, down: int) -> None:
        taps, half = prototype(up, down)
        self._up, self._down = up, down
        self._half = -(-half // up)  # input samples on either side
        self._table = _branches(taps, half, up, self._half)
        self._run = _compiled()
        self.reach = self._half
        self.restart(0, 0)

    def restart(self, taken: int, given: int) -> None:
        self.given = given
        self._base = min(taken, self._first(given))  # input position of _kept[0]
        self._kept: Samples = np.zeros(taken - self._base, np.float32)

    def push(self, samples: Samples) -> Samples:
        kept = np.concatenate((self._kept, samples), dtype=np.float32)
        end = self.ready(self._base + len(kept))
        count = max(0, end - self.given)
        out = np.empty(count, np.float32)
        if count:
            start = self._first(self.given) - self._base
            phase = self.given * self._down % self._up
            table = self._table
            self._run(
                table.ctypes.data, self._up, table.shape[1], start, phase, self._down, kept.ctypes.data,
                out.ctypes.data, count,
            )  # fmt: skip
            self.given = end
        spent = min(max(0, self._first(self.given) - self._base), len(kept))
        self._base += spent
        self._kept = kept[spent:]
        return out

    def ready(self, taken: int) -> int:
        return max(0, -((self._half - taken) * self._up // self._down))

    def needed(self, given: int) -> int:
        return (given - 1) * self._down // self._up + self._half + 1 if given > 0 else 0

    def _first(self, given: int) -> int:
        """First input position that answer `given` reads."""
        return given * self._down // self._up - self._half


def _branches(taps: NDArray[np.float64], half: int, up: int, reach: int) -> Samples:
    """The prototype by phases (up, 2 reach + 1): branch p, tap t stands at p + (reach - t) up; gain 1."""
    phase, tap = np.ogrid[:up, : 2 * reach + 1]
    at = phase + (reach - tap) * up + half
    inside = (at >= 0) & (at < len(taps))
    return np.where(inside, taps[np.where(inside, at, 0)] * up, 0.0).astype(np.float32)


@cache
def _compiled() -> Callable[..., None]:
    library = native.open_library()
    sizes = [c_int64] * 5
    native.declare(library, {"rt_polyphase": (None, [c_void_p, *sizes, c_void_p, c_void_p, c_int64])})
    return library.rt_polyphase


class Through:
    """No change of rate."""

    reach = 0

    def __init__(self) -> None:
        self.restart(0, 0)

    def restart(self, taken: int, given: int) -> None:
        self.given = given
        self._skip = given - taken

    def push(self, samples: Samples) -> Samples:
        skipped = min(self._skip, len(samples))
        self._skip -= skipped
        self.given += len(samples) - skipped
        return samples[skipped:]

    def ready(self, taken: int) -> int:
        return taken

    def needed(self, given: int) -> int:
        return given


class Soxr:
    """libsoxr's stream at HQ by `up`/`down`, fed QUANTUM samples at a time. It can begin only where both rates meet."""

    def __init__(self, up: int, down: int) -> None:
        import soxr

        self._up, self._down = up, down
        self._stream = soxr.ResampleStream(float(down), float(up), 1, dtype="float32", quality="HQ")
        self._twin = soxr.ResampleStream(float(down), float(up), 1, dtype="float32", quality="HQ")
        self._ends = [0]  # of the answers once so many quanta have gone in; the twin counts ahead, on silence
        self.reach = self.needed(1)
        self.restart(0, 0)

    def restart(self, taken: int, given: int) -> None:
        self._stream.clear()
        self.given = given
        at_grid = -(-taken // self._down)
        self._skip = at_grid * self._down - taken
        self._waiting: Samples = np.zeros(0, np.float32)
        assert given == at_grid * self._up

    def push(self, samples: Samples) -> Samples:
        skipped = min(self._skip, len(samples))
        self._skip -= skipped
        waiting = np.concatenate((self._waiting, samples[skipped:]), dtype=np.float32)
        whole = len(waiting) // QUANTUM * QUANTUM
        self._waiting = waiting[whole:]
        pieces = [self._stream.resample_chunk(waiting[i : i + QUANTUM]) for i in range(0, whole, QUANTUM)]
        answers = np.concatenate([np.zeros(0, np.float32), *pieces])
        self.given += len(answers)
        return answers

    def ready(self, taken: int) -> int:
        self._count_to(taken // QUANTUM, 0)
        return self._ends[taken // QUANTUM]

    def needed(self, given: int) -> int:
        self._count_to(0, given)
        return QUANTUM * bisect_left(self._ends, given)

    @property
    def wanted(self) -> int:
        """Samples until the next quantum is full: only then anything can come out."""
        return self._skip + QUANTUM - len(self._waiting)

    def _count_to(self, quanta: int, given: int) -> None:
        silence = np.zeros(QUANTUM, np.float32)
        while len(self._ends) <= quanta or self._ends[-1] < given:
            self._ends.append(self._ends[-1] + len(self._twin.resample_chunk(silence)))
