"""Bands of noise: the table that native/bands.h works on, and where the ear puts them.

Scale: Glasberg and Moore, Derivation of auditory filter shapes from notched-noise data, 1990: the equivalent
rectangular bandwidth at f is 24.7 + f / 9.265 Hz.
"""

from __future__ import annotations

import ctypes
import math
from ctypes import c_int32, c_int64, c_void_p
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth import native
from rtsynth.errors import RtsynthError
from rtsynth.sampler.bank import loops
from rtsynth.sampler.glide import HIGHEST_ORDER, LANES, MOTION, glide_loops
from rtsynth.sampler.noise import SEGMENT
from rtsynth.sampler.table import aligned, cast

Array = NDArray[np.float64]

_EAR_Q, _EAR_MINIMUM = 9.265, 24.7  # ERB(f) = minimum + f / Q, hertz


def erb(frequency: ArrayLike) -> Array:
    """Equivalent rectangular bandwidth of the auditory filter at each frequency, hertz."""
    return _EAR_MINIMUM + np.asarray(frequency, np.float64) / _EAR_Q


def erb_number(frequency: ArrayLike) -> Array:
    """Position on the ERB-rate scale: how many bandwidths lie below each frequency (Hz)."""
    return _EAR_Q * np.log1p(np.asarray(frequency, np.float64) / (_EAR_Q * _EAR_MINIMUM))


def erb_frequency(number: ArrayLike) -> Array:
    """The inverse of `erb_number`, hertz."""
    return _EAR_Q * _EAR_MINIMUM * np.expm1(np.asarray(number, np.float64) / _EAR_Q)


def erb_edges(count: int, low: float, high: float) -> Array:
    """Edges (count + 1,) in hertz of `count` bands of one width on the ERB-rate scale, from `low` to `high` Hz."""
    return erb_frequency(np.linspace(erb_number(low), erb_number(high), count + 1))


def erb_centres(count: int, low: float, high: float) -> Array:
    """Centres (count,) in hertz of these bands, on the ERB-rate scale."""
    number = np.linspace(erb_number(low), erb_number(high), count + 1)
    return erb_frequency(0.5 * (number[:-1] + number[1:]))


def damping_of(bandwidth: ArrayLike, order: int) -> Array:
    """Damping (1/s) of bands of `order` sections whose equivalent rectangular bandwidth is `bandwidth` (Hz).

    The power response is (1 + (f/b)²)^-order with b = damping / 2π, its rectangle b √π Γ(order - 1/2) / Γ(order) wide.
    """
    rectangle = math.sqrt(math.pi) * math.exp(math.lgamma(order - 0.5) - math.lgamma(order))
    return 2.0 * np.pi * np.asarray(bandwidth, np.float64) / rectangle


class State(NamedTuple):
    """Carried from segment to segment."""

    keys: NDArray[np.uint32]  # (2, P R)
    x: NDArray[Any]  # (G, P, 2, 16) real: re, im
    gains: NDArray[Any]  # (G, P, 2, 16) real: where the gains are; their slopes a sample


class Scratch(NamedTuple):
    """Overwritten by every segment; `noise` may be written between drawing and playing."""

    noise: NDArray[Any]  # (G, 32, 2, 16) real: re, im
    normals: NDArray[Any]  # (2, P R) real


class BandsRecord(ctypes.Structure):
    """`rt_bands` of native/bands.h."""

    _fields_ = [
        *((f"loop_{name}", c_void_p) for name in ("start", "draw", "turn", "aim", "ladder")),
        ("seed", c_int64),
        ("segments", c_int64),
        ("rows", c_int32),
        ("order", c_int32),
        ("wide", c_int32),
        ("reserved", c_int32),
        *((name, c_void_p) for name in ("motion", "weights", *State._fields, *Scratch._fields)),
    ]


_SIGNATURES: native.Signatures = {
    "rt_bands_start": (None, [c_void_p, c_int64]),
    "rt_bands_turn": (None, [c_void_p, c_void_p, c_void_p]),
    "rt_bands_draw": (None, [c_void_p]),
    "rt_bands_segment": (None, [c_void_p, c_void_p, c_void_p]),
    "rt_bands_layout": (None, [c_void_p]),
}


class Bands:
    """D bands of noise in C: arrays allocated here, one segment of 32 samples a call; nothing is allocated later.

    `address` is what C code calls rt_bands_* with; the object must outlive its use. With `real` float64 the same code
    runs in double precision. The first one compiles the loops, or loads them from the cache. After `__init__` the bands
    stand at 0 Hz; `turn` them before they sound.
    """

    def __init__(self, count: int, order: int, seed: int = 1, real: Any = np.float32) -> None:
        if count < 1 or not 1 <= order <= HIGHEST_ORDER:
            raise ValueError(
                f"Bands: wants 1 or more bands of order 1…{HIGHEST_ORDER}, got {count} of order {order}"
            )
        self.count, self.order, self.real = count, order, real
        self.groups = -(-count // LANES)  # G
        self.rows = self.groups * LANES  # R: padded, the padding stays silent
        self.state = State(
            keys=aligned((2, order * self.rows), np.uint32),
            x=aligned((self.groups, order, 2, LANES), real),
            gains=aligned((self.groups, order, 2, LANES), real),
        )
        self.scratch = Scratch(
            noise=aligned((self.groups, SEGMENT, 2, LANES), real),
            normals=aligned((2, order * self.rows), real),
        )
        self.motion = aligned((self.groups, len(MOTION), LANES), real)
        self.weights = aligned((self.groups, order, LANES), real)
        bank, glide = loops(real), glide_loops(real)
        self._loops = (bank.start, bank.draw, *glide)
        arrays = {**self.state._asdict(), **self.scratch._asdict()}
        self.record = BandsRecord(
            *(loop.address for loop in self._loops),
            seed=seed,
            rows=self.rows,
            order=order,
            wide=real is np.float64,
            motion=self.motion.ctypes.data,
            weights=self.weights.ctypes.data,
            **{name: array.ctypes.data for name, array in arrays.items()},
        )
        self._library = library()
        self.turn(np.zeros(count), np.ones(count))
        self.start()

    @property
    def address(self) -> int:
        """Address of the `rt_bands`."""
        return ctypes.addressof(self.record)

    def start(self, serial: int = 0) -> None:
        """A stationary start for take `serial` of the seed, all gains 0."""
        self._library.rt_bands_start(self.address, serial)

    def turn(self, cycles: ArrayLike, damping: ArrayLike) -> None:
        """Where the bands are from the next segment on: cycles (D,) and damping (D,), nepers, a sample."""
        at, by = self.padded(cycles), self.padded(damping, fill=1.0)
        self._library.rt_bands_turn(self.address, at.ctypes.data, by.ctypes.data)

    def segment(self, goal: ArrayLike, noise: ArrayLike | None = None) -> NDArray[Any]:
        """The next 32 samples, (32,) real, while the rms gains go in straight lines to goal (D,).

        `noise` (32, 2, D), standard normals, re and im: in place of those drawn (which are drawn all the same).
        """
        to, y = self.padded(goal), aligned((SEGMENT,), self.real)
        self._library.rt_bands_draw(self.address)
        if noise is not None:
            grouped = self.padded(noise).reshape(SEGMENT, 2, self.groups, LANES)
            self.scratch.noise[...] = np.moveaxis(grouped, 2, 0)
        self._library.rt_bands_segment(self.address, to.ctypes.data, y.ctypes.data)
        return y

    def padded(self, values: ArrayLike, fill: float = 0.0) -> NDArray[Any]:
        """Values (..., D) as an aligned array (..., R) of the bands' precision; the padding is `fill`."""
        given = np.asarray(values, np.float64)
        if given.shape[-1:] != (self.count,):
            raise ValueError(f"Bands: wants arrays (…, {self.count}), got {given.shape}")
        missing = [(0, 0)] * (given.ndim - 1) + [(0, self.rows - self.count)]
        return cast(np.pad(given, missing, constant_values=fill), self.real)


def library() -> ctypes.CDLL:
    """The compiled library with the functions of the bands; RtsynthError when it is of other sources."""
    found = native.open_library()
    native.declare(found, _SIGNATURES)
    sizes = np.zeros(3, np.int64)
    found.rt_bands_layout(sizes.ctypes.data)
    if sizes.tolist() != [ctypes.sizeof(BandsRecord), SEGMENT, LANES]:
        raise RtsynthError(f"the compiled bands do not fit this version of rtsynth. {native.REBUILD}")
    return found
