"""The table of rows: the arrays that a bank (native/bank.h) works on, and the bank itself as C sees it.

`Tables` are parameters (written before playing, read-only in the audio thread, but for the motion of bent voices),
`State` is carried from segment to segment, `Scratch` means nothing between two segments. All arrays are 64-byte aligned
and rows are padded to a multiple of 16, so that no vector load crosses a cache line. `real` is float32 in the audio
thread and float64 where the law is proved.
"""

from __future__ import annotations

import ctypes
from ctypes import c_double, c_int32, c_int64, c_void_p
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth import native
from rtsynth.errors import RtsynthError
from rtsynth.sampler.bank import loops
from rtsynth.sampler.noise import SEGMENT, WINDOW_ROWS

KEYS = 128  # notes a table knows
AHEAD = 4  # segments of innovations drawn at once

# The loops that C calls, in the order of `rt_loops`.
LOOPS = (
    "start",
    "draw_scalar",
    "windows",
    "ringing",
    "ringing_mono",
    "kick",
    "noisy",
    "noisy_mono",
    "innovations",
)

# Columns of the law of a row: enum rt_law of native/bank.h.
LAW = (
    "frequency",  # hertz
    "damping",  # 1/s
    "mean_re",  # of the state at the start, without variance
    "mean_im",
    "spread",  # standard deviation there, with all of it
    "link_re",  # what a band's second row takes of the first one's Gaussian
    "link_im",
    "variance",  # share of the power that is drawn anew, unless the variance knob is turned
    "noise",  # standard deviation of the noise a sample, re and im each
    "left",  # gains at velocity 1, before envelopes
    "right",
    "tilt",  # nepers of gain per unit of velocity
    "before",  # share of the power in the first regime …
    "after",  # … and in the second
    "rise",  # number of the recorded layer whose modes it rises with, from 1; 0: none
)

# Where the rows of a recorded layer lie: enum rt_part.
PART = ("lines_from", "lines", "bands_from", "bands")

# A stroke's axis of time, in samples for the rise and in segments for the rest: enum rt_axis.
AXIS = (
    "points_from",  # of its curves in `times` and `octaves` …
    "points",
    "gains_from",  # … and in `curves`
    "bends",  # 1: its lines' pitch moves
    "loop_from",  # a held note goes back here …
    "loop_to",  # … from here; infinite: never
    "rise_from",
    "rise_time",
)

# Probes: all Gaussians drawn; all 0; n >= 0: number n of the first note is 1, the others 0; from TAKE on, of its key's
# take, which every note of the key draws alike.
DRAW, ALL_ZERO, TAKE = -2, -1, 1 << 40


class Shape(NamedTuple):
    """Sizes of a table, and what its rows are."""

    rows: int  # R, of a voice; a multiple of 16
    kicked_from: int  # rows before are undamped
    ringing_from: int  # rows before are undamped or kicked
    noisy_from: int  # rows before are undamped, kicked or ringing
    paired_from: (
        int  # rows before have a noise of their own; the first half of the rest shares the second half's
    )
    slots: int  # V, voices that can sound at once
    innovations: bool = False  # one Gaussian a sample drives all rows
    mono: bool = False  # the gains of all rows have one course in time; always so where innovations
    recorded: int = 0  # P, layers whose rows are moved by curves
    crossover: bool = False  # rows pass from one regime to another
    alias: bool = False  # nothing is faded out below Nyquist

    @property
    def loops(self) -> tuple[str, ...]:
        """Names of the loops that play it. Where the gains have one course, the wheel may part them for a segment."""
        if self.innovations:
            return ("start", "draw_scalar", "innovations")
        kicks, noise = self.kicked_from < self.ringing_from, self.noisy_from < self.rows
        needed = {
            "start": True,
            "windows": kicks or noise,
            "ringing": self.noisy_from > 0,
            "ringing_mono": self.noisy_from > 0 and self.mono,
            "kick": kicks,
            "noisy": noise,
            "noisy_mono": noise and self.mono,
        }
        return tuple(name for name in LOOPS if needed.get(name))


class Tables(NamedTuple):
    """Parameters. Motion tables have one entry a key, then one a slot for voices that are bent."""

    law: NDArray[Any]  # (KEYS, len(LAW), R) real
    sides: NDArray[Any]  # (KEYS, 2) real: left and right of the one course; the rows' levels are in `left`
    alive: NDArray[np.int64]  # (KEYS,): end of the ringing rows that can be heard at all
    quiet: NDArray[np.int64]  # (KEYS,): segments after which no other rows can be heard
    windows: NDArray[Any]  # (PERIOD + 64,) real: normals that rows read their noise from
    powers: NDArray[Any]  # (KEYS + V, R, 2, 16) real: λ^t
    half: NDArray[Any]  # (KEYS + V, 2, R) real: λ^16
    step: NDArray[Any]  # (KEYS + V, 2, R) real: λ
    turned: NDArray[Any]  # (KEYS + V, 16, 2, R) real: λ^(15 - t); innovations only, as the next four
    gain: NDArray[Any]  # (KEYS, 2, R) real: K
    response: NDArray[Any]  # (KEYS, 32) real: 16 zeros, then that of y to e within half a segment
    deviation: NDArray[Any]  # (KEYS,) real: of e
    start: NDArray[
        Any
    ]  # (KEYS, 2R, 2R) real: lower factor of the states' covariance at the start, re then im
    parts: NDArray[np.int64]  # (P, len(PART))
    strokes: NDArray[np.int64]  # (KEYS, P): which axis a key's rows are moved along
    axes: NDArray[np.float64]  # (axes, len(AXIS))
    times: NDArray[np.float64]  # (points of all axes,): segments
    octaves: NDArray[np.float64]  # likewise: the pitch of lines
    curves: NDArray[Any]  # (points of all axes x lines and bands) real: gains


class State(NamedTuple):
    """Carried from segment to segment, a slot each."""

    place: NDArray[
        np.int64
    ]  # (V, 6): end of the ringing rows still heard; entry of the motion tables; 1: no slopes; …
    # … 1: draws noise of its own; 1: plays the noise of the key's take; 1: its one course is spread over the rows
    course: NDArray[Any]  # (V, 4) real: left, right of all rows; their slopes a sample
    goal: NDArray[Any]  # (V, 3 + P) real: left, right, mix and rises that the gains go to
    curve: NDArray[np.float64]  # (V, P, 6): place, direction, octaves, point, 1: moves, 1: has slopes
    x: NDArray[Any]  # (V, 2, R) real: states, of noisy rows and bands in units of their noise
    radius: NDArray[Any]  # (V, R) real: squared radius of undamped rows
    gains: NDArray[Any]  # (V, 4, R) real: left, right; their slopes a sample
    base: NDArray[Any]  # (V, 2, R) real: left, right before envelopes; where there is one course: level, 0
    keys: NDArray[np.uint32]  # (V, 2, R): of the noise
    takes: NDArray[np.uint32]  # (V, 2, R): of the noise of the key's take
    ahead: NDArray[Any]  # (V, AHEAD, 32) real: innovations drawn ahead; (V, 1) where there are none
    kicks: NDArray[np.uint32]  # (V, 2, G, 2, 32): where kicked rows read noise; (V, 1) where there are none
    segments: NDArray[Any]  # (V, 2, 32) real: left, right


class Scratch(NamedTuple):
    """Overwritten by every segment."""

    noise: NDArray[Any]  # (32, 2, R) real
    at: NDArray[np.uint32]  # (G, 2, 32): where noisy rows read
    take_at: NDArray[np.uint32]  # (G, 2, 32): likewise, of the key's take
    middle: NDArray[Any]  # (4, R) real
    take_noise: NDArray[Any]  # (AHEAD, 32) real
    normals: NDArray[Any]  # (2, R) real
    take_normals: NDArray[Any]  # (2, R) real
    shares: NDArray[Any]  # (2, R) real: of the noise of its own, of the take's


def aligned(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Zeros, 64-byte aligned."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    offset = -raw.ctypes.data % 64
    return raw[offset : offset + size].view(dtype).reshape(shape)


def cast(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """An aligned copy."""
    out = aligned(array.shape, dtype)
    out[...] = array
    return out


def _places(shape: Shape) -> tuple[int, int, int]:
    """(G, 2, 32): where so many groups of rows read their noise in a segment."""
    return -(-shape.rows // WINDOW_ROWS), 2, SEGMENT


def _state(shape: Shape, real: Any) -> State:
    v, r = shape.slots, shape.rows
    kicked = shape.kicked_from < shape.ringing_from
    return State(
        place=aligned((v, 6), np.int64),
        course=aligned((v, 4), real),
        goal=aligned((v, 3 + shape.recorded), real),
        curve=aligned((v, max(shape.recorded, 1), 6), np.float64),
        x=aligned((v, 2, r), real),
        radius=aligned((v, r), real),
        gains=aligned((v, 4, r), real),
        base=aligned((v, 2, r), real),
        keys=aligned((v, 2, r), np.uint32),
        takes=aligned((v, 2, r), np.uint32),
        ahead=aligned((v, AHEAD, SEGMENT) if shape.innovations else (v, 1), real),
        kicks=aligned((v, 2, *_places(shape)) if kicked else (v, 1), np.uint32),
        segments=aligned((v, 2, SEGMENT), real),
    )


def _scratch(shape: Shape, real: Any) -> Scratch:
    return Scratch(
        noise=aligned((SEGMENT, 2, shape.rows), real),
        at=aligned(_places(shape), np.uint32),
        take_at=aligned(_places(shape), np.uint32),
        middle=aligned((4, shape.rows), real),
        take_noise=aligned((AHEAD, SEGMENT), real),
        normals=aligned((2, shape.rows), real),
        take_normals=aligned((2, shape.rows), real),
        shares=aligned((2, shape.rows), real),
    )


def _pointers(names: tuple[str, ...]) -> list[tuple[str, Any]]:
    return [(name, c_void_p) for name in names]


class RowsBank(ctypes.Structure):
    """`rt_rows_bank` of native/bank.h."""

    _fields_ = [
        *_pointers(tuple(f"loop_{name}" for name in LOOPS)),
        ("sample_rate", c_double),
        ("seed", c_int64),
        ("probe", c_int64),
        ("rows", c_int32),
        ("kicked_from", c_int32),
        ("ringing_from", c_int32),
        ("noisy_from", c_int32),
        ("paired_from", c_int32),
        ("slots", c_int32),
        ("innovations", c_int32),
        ("mono", c_int32),
        ("recorded", c_int32),
        ("crossover", c_int32),
        ("alias", c_int32),
        ("wide", c_int32),
        *_pointers(Tables._fields + State._fields + Scratch._fields),
    ]


class Bank:
    """A table of rows with room for its voices, and the compiled loops that play it; what `rt_voices` asks."""

    def __init__(
        self, shape: Shape, tables: Tables, sample_rate: float, seed: int, real: Any = np.float32
    ) -> None:
        self.shape, self.tables, self.real = shape, tables, real
        self.state, self._scratch = _state(shape, real), _scratch(shape, real)
        self._loops = {name: getattr(loops(real), name) for name in shape.loops}
        arrays = {**tables._asdict(), **self.state._asdict(), **self._scratch._asdict()}
        self.record = RowsBank(
            **{f"loop_{name}": loop.address for name, loop in self._loops.items()},
            **{name: array.ctypes.data for name, array in arrays.items()},
            **{name: int(value) for name, value in shape._asdict().items()},
            sample_rate=sample_rate,
            seed=seed,
            probe=DRAW,
            wide=real is np.float64,
        )
        self._library = native.open_library()
        native.declare(
            self._library, {"rt_rows_bank_size": (c_int64, []), "rt_rows_bank_call": (c_int32, [])}
        )
        if self._library.rt_rows_bank_size() != ctypes.sizeof(RowsBank):
            raise RtsynthError(f"the compiled bank does not fit this version of rtsynth. {native.REBUILD}")

    @property
    def call(self) -> int:
        """Address of the `rt_bank`."""
        address = ctypes.cast(self._library.rt_rows_bank_call, c_void_p).value
        assert address is not None
        return address

    @property
    def address(self) -> int:
        """Address of its state."""
        return ctypes.addressof(self.record)
