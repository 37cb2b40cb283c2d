"""What the causal vocoder filters: a pulse train, steady noise and noise in time with the pulses, frame by frame.

A frame is a hop of 256 samples at 22,050 Hz. The fundamental goes in a straight line from the last frame's to this
one's; the pulses are all its harmonics in phase, by Dirichlet's kernel, so that they cost the same whatever the pitch.
All three have the variance 1, and so the same density of power: a filter needs one level for the three of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RATE = 22050.0  # hertz
HOP = 256  # samples
SOURCES = 3  # pulses, noise, noise in time with the pulses
NEAR_PULSE = 1e-9  # |sin(φ/2)| below which a kernel is at its peak


class Excitation:
    """Three sources (3, 256) a frame. State: the phase, the last fundamental, and where in the noise."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        """Phase 0, and the noise from its beginning."""
        self.phase = 0.0  # cycles
        self.f0: float | None = None  # hertz
        self._noise = np.random.Generator(np.random.Philox(self._seed))

    def step(self, f0: float) -> Array:
        """The next frame, (3, 256), with the fundamental f0 (hertz) at its end."""
        begin = f0 if self.f0 is None else self.f0
        hertz = begin + (f0 - begin) * np.arange(1, HOP + 1) / HOP
        cycles = self.phase + np.cumsum(hertz) / RATE
        self.phase, self.f0 = float(cycles[-1] % 1.0), f0
        noise = self._noise.standard_normal(HOP)
        return np.stack((pulses(cycles, hertz), noise, noise * burst(cycles)))


def pulses(cycles: Array, hertz: Array) -> Array:
    """√(2/H) Σ cos 2πhφ over the H harmonics below half the rate, the highest fading in and out as H changes. (n,)"""
    count = 0.5 * RATE / hertz
    whole = np.floor(count)
    turn = 2.0 * np.pi * (cycles - np.round(cycles))
    half = np.sin(0.5 * turn)
    near = np.abs(half) < NEAR_PULSE
    kernel = np.sin(0.5 * whole * turn) * np.cos(0.5 * (whole + 1.0) * turn) / np.where(near, 1.0, half)
    sum_ = np.where(near, whole, kernel) + (count - whole) * np.cos((whole + 1.0) * turn)
    return np.sqrt(2.0 / count) * sum_


def burst(cycles: Array) -> Array:
    """The gain of the noise around a pulse, (1 + cos 2πφ)², of mean square 1. (n,)"""
    return (1.0 + np.cos(2.0 * np.pi * cycles)) ** 2 / np.sqrt(35.0 / 8.0)
