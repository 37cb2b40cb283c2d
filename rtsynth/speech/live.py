"""The live GP vocoder: what is heard, spoken again by bands of noise, one latency later; native/vocoder.h says how.

The bands and what they cost are rtsynth/speech/bands.py; when and how loud they answer, rtsynth/speech/demodulators.py.
"""

from __future__ import annotations

import ctypes
import math
from ctypes import POINTER, Structure, c_double, c_float, c_int32, c_int64, c_void_p
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth import native
from rtsynth.errors import RateError, RtsynthError, UsageError
from rtsynth.sampler.noise import SEGMENT
from rtsynth.source import Loop

if TYPE_CHECKING:
    from rtsynth.speech.demodulators import Design

DEFAULT_BANDS, MOST_BANDS = 48, 256
LOWEST_RATE, HIGHEST_RATE = 8000.0, 384000.0  # hertz
FLOOR_DB = -120.0  # of full scale, a row's power below which it is silent
GLIDE_SECONDS = 0.02  # time constant with which the variance follows its controller


class Parameters(Structure):
    """`rt_vocoder_parameters` of native/vocoder.h."""

    _fields_ = [
        *((name, c_void_p) for name in ("rotation", "entry", "weight", "lag", "older")),
        *((name, c_double) for name in ("offset", "attack", "decay", "floor", "glide", "variance")),
        *((name, c_int32) for name in ("sections", "history", "latency", "echo")),
    ]


class State(Structure):
    """`rt_vocoder_state` of native/vocoder.h."""

    _fields_ = [
        *((name, c_void_p) for name in ("x", "smooth", "past", "goal", "input")),
        ("offset", c_double),
        ("time", c_int64),
        *((name, c_double) for name in ("wanted", "turn", "kept")),
        ("heard_time", c_int64),
        ("position", c_int32),
        ("active", c_int32),
    ]


class Buffers(Structure):
    """`rt_vocoder_buffers` of native/vocoder.h."""

    _fields_ = [("heard", c_float * SEGMENT), ("played", c_float * SEGMENT)]


class Record(Structure):
    """`rt_vocoder` of native/vocoder.h."""

    _fields_ = [("bands", c_void_p), ("parameters", Parameters), ("state", State), ("buffers", Buffers)]


_SIGNATURES: native.Signatures = {
    "rt_vocoder_loop": (None, [c_void_p, c_void_p, c_int32, c_void_p, c_void_p, c_void_p, c_int32]),
    "rt_vocoder_reset": (None, [POINTER(Record)]),
    "rt_vocoder_size": (c_int64, []),
}


class Tables(NamedTuple):
    """What the parameters point to; R rows, the padding silent."""

    rotation: NDArray[np.float32]  # (2, R)
    entry: NDArray[np.float32]  # (R,)
    weight: NDArray[np.float32]  # (R,)
    lag: NDArray[np.int32]  # (R,)
    older: NDArray[np.float32]  # (R,)


class Carried(NamedTuple):
    """What the state points to."""

    x: NDArray[np.float32]  # (P, 2, R)
    smooth: NDArray[np.float32]  # (2, R)
    past: NDArray[np.float32]  # (history, R)
    goal: NDArray[np.float32]  # (R,)
    input: NDArray[np.float32]  # (echo,)


class Vocoder:
    """A source that hears. One seed, one take: the same input and messages give the same bits for every block size.

    `variance` is the share of the power that is drawn anew, 0…1, and what controller 1 sets (0…127): at 1 a free draw
    from bands of noise, at 0 what was heard, `latency` samples ago, to the bit. `bands`: how many, from 70 Hz to
    12 kHz. Raises UsageError for what is out of range; `prepare` raises RateError.
    """

    def __init__(self, bands: int = DEFAULT_BANDS, *, variance: float = 1.0, seed: int = 1) -> None:
        if not 1 <= bands <= MOST_BANDS:
            raise UsageError(f"{bands} bands: want 1…{MOST_BANDS}. As heard best: --bands {DEFAULT_BANDS}")
        if not 0 <= variance <= 1:
            raise UsageError(f"a variance of {variance:g}: want 0 (as heard) … 1 (all drawn anew)")
        self.count = bands
        self.variance = float(variance)
        self.seed = seed
        self.latency = 0  # samples; known once prepared
        self.tail = 0
        self._record: Record | None = None

    def prepare(self, sample_rate: float, max_block: int = 0) -> None:
        """[main thread] Lay the bands out for a sample rate (hertz); compile the loops, or load them from the cache."""
        from rtsynth.speech import demodulators
        from rtsynth.speech.bands import Bands

        if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
            raise RateError(f"the vocoder does not run at {sample_rate:g} Hz. Take --rate 48000")
        self._library = _library()
        design = demodulators.design(self.count, sample_rate)
        self.latency = design.latency
        self.tail = design.fading + 2 * SEGMENT + _fading(demodulators.OFFSET_HERTZ, sample_rate)
        self.bands = Bands(self.count, demodulators.SECTIONS, self.seed)
        self.bands.turn(design.bands.centres / sample_rate, design.bands.damping / sample_rate)
        self._tables = self._lay_out(design, sample_rate)
        history = _power_of_two(int(self._tables.lag.max()) + 2)
        echo = _power_of_two(self.latency + SEGMENT)
        self._carried = self._allocate(history, echo)
        attack, decay = demodulators.smoothing(sample_rate)
        parameters = Parameters(
            **_addresses(self._tables),
            offset=demodulators.following(sample_rate),
            attack=attack,
            decay=decay,
            floor=10 ** (FLOOR_DB / 10),
            glide=-math.expm1(-SEGMENT / (GLIDE_SECONDS * sample_rate)),
            variance=self.variance,
            sections=demodulators.SECTIONS,
            history=history,
            latency=self.latency,
            echo=echo,
        )
        self._record = Record(self.bands.address, parameters, State(**_addresses(self._carried)))
        self.reset()

    def _lay_out(self, design: Design, sample_rate: float) -> Tables:
        from rtsynth.speech.demodulators import poles

        pole, whole = poles(design.bands, sample_rate), np.floor(design.lag)
        padded = self.bands.padded
        return Tables(
            rotation=padded([pole.real, pole.imag]),
            entry=padded(1 - np.abs(pole)),
            weight=padded(design.weights),
            lag=padded(whole).astype(np.int32),
            older=padded(design.lag - whole),
        )

    def _allocate(self, history: int, echo: int) -> Carried:
        from rtsynth.sampler.table import aligned
        from rtsynth.speech.demodulators import SECTIONS

        rows = self.bands.rows
        shapes = ((SECTIONS, 2, rows), (2, rows), (history, rows), (rows,), (echo,))
        return Carried(*(aligned(shape, np.float32) for shape in shapes))

    @property
    def _prepared(self) -> Record:
        if self._record is None:
            raise RuntimeError("prepare(sample_rate) first")
        return self._record

    def reset(self) -> None:
        """[main thread, not while running] Silence; the variance and the noise as they were at the start."""
        self._library.rt_vocoder_reset(self._prepared)

    @property
    def loop(self) -> Loop:
        """The compiled loop and its state; valid until the next `prepare`."""
        record = self._prepared
        address = ctypes.cast(self._library.rt_vocoder_loop, c_void_p).value
        assert address is not None
        return Loop(address, ctypes.addressof(record), hears=True)

    @property
    def active_voices(self) -> int:
        """1 while anything is heard or sounds."""
        return int(self._prepared.state.active)

    @property
    def gains(self) -> NDArray[np.float32]:
        """Rms gains (D,) that the rows have at the end of the segment being played (a copy; offline only)."""
        return self._carried.goal[: self.count].copy()


def _addresses(arrays: NamedTuple) -> dict[str, int]:
    return {name: array.ctypes.data for name, array in arrays._asdict().items()}


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


def _fading(corner: float, sample_rate: float) -> int:
    """Samples until a one-pole at `corner` Hz has forgotten all but -120 dB."""
    return round(math.log(1e6) / (2 * math.pi * corner) * sample_rate)


def _library() -> ctypes.CDLL:
    found = native.open_library()
    native.declare(found, _SIGNATURES)
    if found.rt_vocoder_size() != ctypes.sizeof(Record):
        raise RtsynthError(f"the compiled vocoder does not fit this version of rtsynth. {native.REBUILD}")
    return found
