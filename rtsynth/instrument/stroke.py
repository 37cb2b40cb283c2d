"""A stroke: one note of one instrument, as it was fitted to a recording, in plain arrays.

Modes that ring from the onset, lines that are sustained, bands of noise, and straight-line curves that move the gains
of lines and bands. `fitting` makes strokes, `strokes.py` keeps them in files, a preset's `recorded` layer plays them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.instrument import curves
from rtsynth.kernels.value import Value

Array = NDArray[np.float64]

SHORTEST_LOOP = 0.02  # seconds: several segments of the bank at any sample rate


def _none() -> Array:
    return np.zeros(0)


def _no_curves() -> Array:
    return np.zeros((1, 0))


@dataclass(frozen=True, eq=False)
class Stroke(Value):
    """One note: M modes, L lines, N bands of noise, T points in time. Times are seconds since the onset.

    modes   a = rise(t) Re Σ amplitude exp((-damping + 2πi frequency) (t - start)) for t ≥ start,
            rise(t) = 1 - exp(-(t - start)/attack)
    lines   Σ gain(t) cos(2π frequency ∫ 2^(cents/1200) dt + phase)
    bands   gain(t) times a unit-variance Gaussian process with two poles at ±bandwidth/√2 around the centre and as far
            from the axis: flat (Butterworth), half power at centre ± bandwidth

    Curves are straight lines between `times`, held after the last one; between `loop` (two times) they run back and
    forth for as long as the note is held. Levels at velocity v are those below, raised by tilt_db (v - velocity).
    Tilts, phases and cents left out are zero. ValueError where a shape, a sign or a range is wrong.
    """

    key: float  # MIDI key of the fundamental, a fraction where the note is not in tune
    velocity: float = 1.0  # 0…1 that the levels below are for
    # modes
    frequency: Array = field(default_factory=_none)  # (M,) hertz
    damping: Array = field(default_factory=_none)  # (M,) 1/s
    amplitude: NDArray[np.complex128] = field(default_factory=lambda: np.zeros(0, complex))  # (M,) linear
    tilt_db: Array = field(default_factory=_none)  # (M,) level per unit of velocity
    start: float = 0.0  # seconds
    attack: float = 0.0  # seconds
    # lines
    line_frequency: Array = field(default_factory=_none)  # (L,) hertz
    line_phase: Array = field(default_factory=_none)  # (L,) radians
    line_tilt_db: Array = field(default_factory=_none)  # (L,)
    # noise
    band_centre: Array = field(default_factory=_none)  # (N,) hertz
    band_width: Array = field(default_factory=_none)  # (N,) hertz
    band_tilt_db: Array = field(default_factory=_none)  # (N,)
    # curves
    times: Array = field(default_factory=lambda: np.zeros(1))  # (T,) seconds, increasing from 0
    line_gain: Array = field(default_factory=_no_curves)  # (T, L) linear
    band_gain: Array = field(default_factory=_no_curves)  # (T, N) linear: rms of the band
    cents: Array = field(default_factory=lambda: np.zeros(1))  # (T,) pitch against line_frequency
    loop: tuple[float, float] | None = None  # seconds
    # how sure: standard deviations, empty where nothing is known
    frequency_std: Array = field(default_factory=_none)  # (M,) hertz
    damping_std: Array = field(default_factory=_none)  # (M,) 1/s
    level_std_db: Array = field(default_factory=_none)  # (M,)

    def __post_init__(self) -> None:
        for name in ARRAYS:
            object.__setattr__(self, name, self._given(name))
        for problem in _problems(self):
            raise ValueError(problem)
        for name in ARRAYS:
            getattr(self, name).flags.writeable = False

    def _given(self, name: str) -> NDArray[Any]:
        """A copy of a field's array, and zeros of the right shape for what may be left out."""
        value = np.array(getattr(self, name), np.complex128 if name == "amplitude" else np.float64)
        shape = tuple(self.sizes()[axis] for axis in ARRAYS[name])
        left_out = value.size == 0 and (name in MAY_BE_LEFT_OUT or 0 in shape)
        if (left_out and name not in STANDARD_DEVIATIONS) or (name == "cents" and not value.any()):
            return np.zeros(shape, value.dtype)
        return value

    def sizes(self) -> dict[str, int]:
        """How many modes M, lines L, bands N and points T."""
        arrays = (self.frequency, self.line_frequency, self.band_centre, self.times)
        return dict(zip("MLNT", map(np.size, arrays), strict=True))

    @property
    def fundamental(self) -> float:
        """Hertz, at a4 = 440 Hz."""
        return 440.0 * 2.0 ** ((self.key - 69.0) / 12.0)


# The shape of every array, and what may be left out.
ARRAYS = {
    "frequency": "M",
    "damping": "M",
    "amplitude": "M",
    "tilt_db": "M",
    "line_frequency": "L",
    "line_phase": "L",
    "line_tilt_db": "L",
    "band_centre": "N",
    "band_width": "N",
    "band_tilt_db": "N",
    "times": "T",
    "line_gain": "TL",
    "band_gain": "TN",
    "cents": "T",
    "frequency_std": "M",
    "damping_std": "M",
    "level_std_db": "M",
}
STANDARD_DEVIATIONS = ("frequency_std", "damping_std", "level_std_db")
MAY_BE_LEFT_OUT = {"tilt_db", "line_phase", "line_tilt_db", "band_tilt_db", "cents", *STANDARD_DEVIATIONS}
SCALARS = ("key", "velocity", "start", "attack")

# Far outside what is of use, so that no stroke can make a row that is not finite: (least, most).
BOUNDS = {
    "key": (-24.0, 151.0),
    "velocity": (0.0, 1.0),
    "start": (0.0, 1.0),
    "attack": (0.0, 1.0),
    "frequency": (1e-3, 192e3),
    "damping": (1e-6, 1e5),
    "amplitude": (0.0, 1e6),  # of its magnitude
    "tilt_db": (-240.0, 240.0),
    "line_frequency": (1e-3, 192e3),
    "line_phase": (-1e6, 1e6),
    "line_tilt_db": (-240.0, 240.0),
    "band_centre": (0.0, 192e3),
    "band_width": (1e-3, 192e3),
    "band_tilt_db": (-240.0, 240.0),
    "times": (0.0, 600.0),
    "line_gain": (-1e6, 1e6),
    "band_gain": (0.0, 1e6),
    "cents": (-4800.0, 4800.0),
    "frequency_std": (0.0, np.inf),
    "damping_std": (0.0, np.inf),
    "level_std_db": (0.0, np.inf),
}
MOST_TURNED_BACK = 20.0  # nepers that a mode may have decayed by between the onset and its start


def _problems(stroke: Stroke) -> list[str]:
    """What is wrong with a stroke, a line each."""
    sizes, found = stroke.sizes(), []
    for name, axes in ARRAYS.items():
        shape, want = getattr(stroke, name).shape, tuple(sizes[axis] for axis in axes)
        if shape != want and not (name in STANDARD_DEVIATIONS and shape == (0,)):
            found.append(f"{name}: want shape {want}, got {shape}")
    for name, (least, most) in BOUNDS.items():
        value = np.abs(getattr(stroke, name)) if name == "amplitude" else np.asarray(getattr(stroke, name))
        if value.size and not (value.min() >= least and value.max() <= most):  # not a number: neither
            found.append(f"{name}: wants values from {least:g} to {most:g}")
    if found:
        return found
    if stroke.times.size == 0 or stroke.times[0] != 0.0 or (np.diff(stroke.times) <= 0.0).any():
        found.append("times: want to begin at 0 and to rise strictly")
    if stroke.loop is not None and not _is_loop(stroke.loop, stroke.times[-1]):
        found.append(f"loop: wants two times within `times`, {SHORTEST_LOOP:g} s apart, got {stroke.loop}")
    if stroke.damping.size and stroke.damping.max() * stroke.start > MOST_TURNED_BACK:
        found.append(f"start: {stroke.start:g} s is too late for a damping of {stroke.damping.max():g} 1/s")
    return found


def _is_loop(loop: tuple[float, float], last: float) -> bool:
    return len(loop) == 2 and 0.0 <= loop[0] <= loop[1] - SHORTEST_LOOP and loop[1] <= last


def rise(stroke: Stroke, t: Array) -> Array:
    """How far the modes have risen at t (N,) s → (N,), 0…1."""
    since = t - stroke.start
    risen = -np.expm1(-np.maximum(since, 0.0) / stroke.attack) if stroke.attack else np.ones(t.shape)
    return np.where(since >= 0.0, risen, 0.0)


def sound(stroke: Stroke, t: ArrayLike) -> Array:
    """The part of a held stroke that is the same every time, modes and lines, at t (N,) s since the onset → (N,)."""
    seconds = np.atleast_1d(np.asarray(t, np.float64))
    since = np.maximum(seconds - stroke.start, 0.0)
    modes = np.zeros(seconds.size)
    for a, pole in zip(stroke.amplitude, -stroke.damping + 2j * np.pi * stroke.frequency, strict=True):
        modes += (a * np.exp(pole * since)).real
    turns = curves.turned(stroke.times, stroke.cents, stroke.loop, seconds)
    gains = curves.straight(stroke.times, stroke.line_gain, curves.place(seconds, stroke.loop))
    lines = np.zeros(seconds.size)
    for k, (f, phase) in enumerate(zip(stroke.line_frequency, stroke.line_phase, strict=True)):
        lines += gains[:, k] * np.cos(2.0 * np.pi * f * turns + phase)
    return rise(stroke, seconds) * modes + lines
