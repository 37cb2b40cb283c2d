"""`Utterance`: a fitted recording as a `Source`, drawn by the bands with carried state and gliding parameters.

A note-on says it from its beginning (velocity: linear gain), each one a fresh take; controller 1 sets the variance,
from 0, the recording as far as it was kept, to 127, a free draw. Nothing depends on the device's blocks.
"""

from __future__ import annotations

import ctypes
from ctypes import c_double, c_float, c_int32, c_int64, c_void_p
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth import native
from rtsynth.errors import InputError, RtsynthError, UsageError
from rtsynth.sampler.noise import SEGMENT
from rtsynth.source import Loop
from rtsynth.speech.bands import Bands
from rtsynth.speech.kept import kept_sound
from rtsynth.speech.model import WHITE_NEPERS, Model

NYQUIST_SHARE = 0.49  # of the sample rate: rows above are silent


class UtteranceRecord(ctypes.Structure):
    """`rt_utterance` of native/utterance.h."""

    _fields_ = [
        ("bands", c_void_p),
        ("power", c_void_p),
        ("cycles", c_void_p),
        ("damping", c_void_p),
        ("kept", c_void_p),
        ("hop", c_double),
        ("variance", c_double),
        ("samples", c_int64),
        ("frames", c_int32),
        ("speaking", c_int32),
        ("serial", c_int64),
        ("segment", c_int64),
        ("level", c_double),
        ("level_now", c_double),
        ("variance_now", c_double),
        ("variance_goal", c_double),
        ("position", c_int32),
        ("tail_at", c_int32),
        ("active", c_int32),
        ("reserved", c_int32),
        ("goal", c_void_p),
        ("turned", c_void_p),
        ("sound", c_float * SEGMENT),
        ("tail", c_float * SEGMENT),
    ]


_SIGNATURES: native.Signatures = {
    "rt_utterance_reset": (None, [c_void_p]),
    "rt_utterance_loop": (None, [c_void_p, c_void_p, c_int32, c_void_p, c_void_p, c_int32]),
    "rt_utterance_size": (c_int64, []),
}


class Utterance:
    """A playable model. One seed, one take: the same messages give the same bits in every driver and block size.

    `keep` in 0…1: how much of the recording's innovations drives it; 0 is a free draw, 1 the recording. Raises
    UsageError for a keep out of range, InputError where the model kept nothing of its recording.
    """

    latency = 0  # samples

    def __init__(self, model: Model, seed: int = 1, keep: float = 0.0) -> None:
        if not 0.0 <= keep <= 1.0:
            raise UsageError(f"--keep {keep:g} is out of range: 0, a free draw, to 1, the recording")
        if keep > 0.0 and model.kept is None:
            raise InputError(
                "the model was fitted without keeping the recording, so --keep has nothing to keep. "
                "Fit it again: rtsynth speech fit in.wav -o in.speech.npz"
            )
        self.model, self.seed, self.keep = model, seed, keep
        self._record: UtteranceRecord | None = None

    def prepare(self, sample_rate: float, max_block: int = 0) -> None:
        """[main thread] Build the tables for a sample rate (hertz); compile the loops, or load them from the cache."""
        model, self.sample_rate = self.model, sample_rate
        bands = Bands(model.rows, model.order, self.seed)
        power, cycles, damping = frame_tables(model, sample_rate)
        tables = [bands.padded(power), bands.padded(cycles), bands.padded(damping, fill=1.0)]
        scratch = [bands.padded(np.zeros(bands.count)) for _ in range(2)]
        kept = None if model.kept is None else _at_rate(kept_sound(model), model.rate, sample_rate)
        self._keeping = (bands, tables, scratch, kept)
        self._library = library()
        self._record = UtteranceRecord(
            bands=bands.address,
            power=tables[0].ctypes.data,
            cycles=tables[1].ctypes.data,
            damping=tables[2].ctypes.data,
            kept=None if kept is None else kept.ctypes.data,
            hop=model.hop * sample_rate / model.rate,
            variance=1.0 - self.keep**2,
            samples=round(model.samples * sample_rate / model.rate),
            frames=model.frames,
            goal=scratch[0].ctypes.data,
            turned=scratch[1].ctypes.data,
        )
        self.reset()

    def reset(self) -> None:
        """[main thread, not while running] Silence, the variance as it was set, the next note-on is take 0."""
        self._library.rt_utterance_reset(ctypes.addressof(self._prepared))

    @property
    def _prepared(self) -> UtteranceRecord:
        if self._record is None:
            raise RuntimeError("prepare(sample_rate) first")
        return self._record

    @property
    def loop(self) -> Loop:
        """The compiled loop and its state; valid until the next `prepare`."""
        state = ctypes.addressof(self._prepared)
        address = ctypes.cast(self._library.rt_utterance_loop, c_void_p).value
        assert address is not None
        return Loop(address, state)

    @property
    def tail(self) -> int:
        """Samples from the note-on to the end: it is said to its end whenever the key is let go."""
        return self._prepared.samples + 3 * SEGMENT

    @property
    def active_voices(self) -> int:
        """1 while it speaks."""
        return int(self._prepared.active)


def frame_tables(model: Model, sample_rate: float) -> tuple[Any, Any, Any]:
    """Powers (F, D), frequencies (F, D) in cycles and damping (D,) in nepers a sample at another sample rate.

    The white floor keeps its power a hertz; rows above half the rate are silent.
    """
    frequency = model.frequency
    power = model.power * np.square(model.envelope[:, None], dtype=np.float64)
    power[:, -1] *= sample_rate / model.rate
    power[frequency > NYQUIST_SHARE * sample_rate] = 0.0
    damping = model.damping / sample_rate
    damping[-1] = WHITE_NEPERS
    return power, np.minimum(frequency, 0.5 * sample_rate) / sample_rate, damping


def _at_rate(samples: NDArray[np.float64], rate: float, wanted: float) -> NDArray[np.float32]:
    """Samples (N,) as float32 at another rate, (N wanted / rate,)."""
    count = round(samples.size * wanted / rate)
    if rate != wanted:
        from scipy.signal import resample_poly

        ratio = Fraction(wanted / rate).limit_denominator(2000)
        samples = resample_poly(samples, ratio.numerator, ratio.denominator)
    out = np.zeros(count, np.float32)
    out[: min(count, samples.size)] = samples[:count]
    return out


def library() -> ctypes.CDLL:
    """The compiled library with the utterance's functions; RtsynthError when it is of other sources."""
    found = native.open_library()
    native.declare(found, _SIGNATURES)
    if found.rt_utterance_size() != ctypes.sizeof(UtteranceRecord):
        raise RtsynthError(f"the compiled utterance does not fit this version of rtsynth. {native.REBUILD}")
    return found
