"""The time axis of a held note: straight-line curves, the loop that runs to and fro, and the turns of a moving pitch.

Times are seconds since the note's start; a curve's own axis is the recording's time. They are the same until the end of
the loop, from where a held note goes back to the loop's start, forth again, and so on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Loop = tuple[float, float] | None  # seconds

OCTAVE_CENTS = 1200.0


def place(t: Array, loop: Loop) -> Array:
    """Where on the curves' axis a held note is at t (…) s → (…) s."""
    if loop is None:
        return t
    start, end = loop
    beyond = np.mod(t - end, 2.0 * (end - start))  # what is left of the last back and forth
    to_and_fro = np.where(beyond < end - start, end - beyond, 2.0 * start - end + beyond)
    return np.where(t <= end, t, to_and_fro)


def straight(times: Array, values: Array, t: Array) -> Array:
    """Straight lines between points, held outside: times (T,), values (T, C), t (N,) s → (N, C)."""
    if times.size == 1:
        return np.repeat(values, t.size, axis=0)
    left = np.clip(np.searchsorted(times, t, side="right") - 1, 0, times.size - 2)
    share = np.clip((t - times[left]) / (times[left + 1] - times[left]), 0.0, 1.0)[:, None]
    return (1.0 - share) * values[left] + share * values[left + 1]


def ratio(cents: Array) -> Array:
    """Frequency ratio of an interval in cents."""
    return np.exp2(cents / OCTAVE_CENTS)


def turned(times: Array, cents: Array, loop: Loop, t: Array) -> Array:
    """Seconds that a held note has turned at its unbent frequency by t (N,) s: the integral of its ratio → (N,).

    Exact: `cents` (T,) is in straight lines between `times` (T,), so every piece is the integral of an exponential.
    """
    if loop is None:
        return _integral(times, cents, t)
    start, end = loop
    through = _integral(times, cents, np.array([start, end]))
    passes = np.floor_divide(np.maximum(t - end, 0.0), end - start)
    here = _integral(times, cents, place(t, loop))
    # Passes of even number go back from the end of the loop, the others forth from its start.
    inside = np.where(passes % 2 == 0, through[1] - here, here - through[0])
    return np.where(t <= end, here, through[1] + passes * (through[1] - through[0]) + inside)


def _integral(times: Array, cents: Array, t: Array) -> Array:
    """Of the ratio from 0 to t (N,) s, once along the curve."""
    octaves = cents / OCTAVE_CENTS
    whole = np.concatenate([[0.0], np.cumsum(_piece(np.diff(times), octaves[:-1], octaves[1:]))])
    left = np.clip(np.searchsorted(times, t, side="right") - 1, 0, times.size - 1)
    here = np.interp(t, times, octaves)
    return whole[left] + _piece(t - times[left], octaves[left], here)


def _piece(seconds: Array, before: Array, after: Array) -> Array:
    """Integral of 2^x over `seconds`, x going straight from `before` to `after` octaves."""
    rise = np.log(2.0) * (after - before)
    small = np.abs(rise) < 1e-9
    growth = np.where(small, 1.0 + 0.5 * rise, np.expm1(rise) / np.where(small, 1.0, rise))
    return seconds * np.exp2(before) * growth
