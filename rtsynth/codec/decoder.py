"""`Decoder`: events as a source, rendered by the compiled loops of the bank. One seed, one take, whatever the blocks.

    decoder = Decoder(events)              # a whole sequence …
    decoder = Decoder(); decoder.push(e)   # … or live: what comes late happens at the next segment of 32 samples

Keys play what has sounded, controllers turn the knobs: docs/codec.md has the table. Notes and controllers act at the
next segment, at most 31 samples later.
"""

from __future__ import annotations

import ctypes
import weakref
from ctypes import c_double, c_int32, c_int64, c_void_p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth import native
from rtsynth.codec import rows
from rtsynth.codec.event import (
    CONTROL,
    DAMPED_AFTER,
    DAMPED_T60,
    DIMENSIONS,
    EVENT,
    KNOTS,
    MODE_COUNT,
    RAMP,
    RATE,
    SHARE_KNOTS,
    Event,
    Events,
    Kind,
    as_events,
    check_events,
    in_order,
    mel,
)
from rtsynth.errors import InputError, RateError, RtsynthError
from rtsynth.sampler.bank import loops
from rtsynth.sampler.noise import SEGMENT
from rtsynth.sampler.table import cast
from rtsynth.source import Loop
from rtsynth.speech.bands import Bands

VOICES = 16  # that retargets may name; as RT_TONES in native/decoder.h
STRIKES = 128  # groups that may sound at once; beyond, the one nearest to its end fades in 32 samples
PUSHED = 1024  # events that may wait to be taken in by the audio thread, and as many for their time
TRANSPOSE, FORMANT, NOISE_SHARE, CHOICE, FREEZE, KEEP, WET = 16, 17, 18, 20, 64, 66, 91  # controllers
LOWEST_RATE, HIGHEST_RATE = 8000.0, 384000.0  # hertz
SILENCE = 1e-6  # -120 dB of full scale: a strike ends below
_END_GAIN = -60.0  # ln amplitude of the events that end a sequence
_LN_1000 = np.log(1000.0)


class _Tones(ctypes.Structure):
    """`rt_tone_tables` of native/tone.h."""

    _fields_ = [
        ("ringing", c_void_p),
        *(
            (name, c_double)
            for name in ("sample_rate", "reference_rate", "top", "fade", "first_mel", "mel_spacing")
        ),
        *((name, c_void_p) for name in ("knots", "share_knots", "phases", "bands")),
    ]


class _Strikes(ctypes.Structure):
    """`rt_strike_tables` of native/strike.h."""

    _fields_ = [("ringing", c_void_p), ("sample_rate", c_double), ("highest", c_double)]


class _Config(ctypes.Structure):
    """`rt_decoder_config` of native/decoder.h."""

    _fields_ = [
        ("tones", _Tones),
        ("strikes", _Strikes),
        ("control", c_double),
        *((name, c_void_p) for name in ("bands", "bursts", "sequence")),
        ("count", c_int64),
    ]


_SIGNATURES: native.Signatures = {
    "rt_decoder_create": (c_void_p, [c_void_p]),
    "rt_decoder_destroy": (None, [c_void_p]),
    "rt_decoder_reset": (None, [c_void_p]),
    "rt_decoder_push": (c_int64, [c_void_p, c_void_p, c_int64]),
    "rt_decoder_time": (c_int64, [c_void_p]),
    "rt_decoder_active": (c_int32, [c_void_p]),
    "rt_decoder_loop": (None, [c_void_p, c_void_p, c_int32, c_void_p, c_void_p, c_int32]),
    "rt_decoder_layout": (None, [c_void_p]),
}


class Decoder:
    """Plays `events` from sample 0, and what is pushed beside them; `seconds`: where retargeted voices fall silent.

    Without `seconds` a voice holds its last target for ever, and `tail` is -1. Raises InputError for events that cannot
    be played; `prepare` raises RateError.
    """

    latency = 0  # samples

    def __init__(self, events: Events | None = None, seed: int = 1, *, seconds: float | None = None) -> None:
        given = np.empty(0, EVENT) if events is None else check_playable(events)
        self.seed, self.seconds = seed, seconds
        self.events = given if seconds is None else ended(given, round(seconds / CONTROL))
        self._decoder: int | None = None
        self._ending: weakref.finalize | None = None

    def prepare(self, sample_rate: float, max_block: int = 0) -> None:
        """[main thread] Build the tables for a sample rate (hertz); compile the loops, or load them from the cache."""
        if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
            raise RateError(f"the decoder does not run at {sample_rate:g} Hz. Take --rate 48000")
        self.close()
        self._library, self._rate = _library(), sample_rate
        bands = rows.noise_bands(sample_rate, self.seed)
        bursts = [Bands(1, rows.BURST_SECTIONS, self.seed) for _ in range(STRIKES)]
        addresses = np.array([burst.address for burst in bursts], np.uint64)
        sequence = np.ascontiguousarray(self.events)
        tones = _tone_tables(sample_rate)
        ringing = loops().ringing_mono
        config = _Config(
            tones=_Tones(ringing=loops().ringing.address, **_own_fields(tones)),
            strikes=_Strikes(ringing.address, sample_rate, rows.HIGHEST_SHARE * sample_rate),
            control=CONTROL,
            bands=bands.address,
            bursts=addresses.ctypes.data,
            sequence=sequence.ctypes.data,
            count=len(sequence),
        )
        self._keeping = (bands, bursts, addresses, sequence, tones)
        self._decoder = self._library.rt_decoder_create(ctypes.byref(config))
        if not self._decoder:
            raise RtsynthError("no memory left for the decoder")
        self._ending = weakref.finalize(self, self._library.rt_decoder_destroy, self._decoder)

    def close(self) -> None:
        """[main thread, not while running] Give its memory back. Again is harmless."""
        if self._ending is not None:
            self._ending()
        self._decoder = self._ending = None

    def reset(self) -> None:
        """[main thread, not while running] Back to sample 0, silent, the knobs at their defaults, nothing pushed."""
        decoder = self._prepared
        self._library.rt_decoder_reset(decoder)

    def push(self, events: Events | Event) -> int:
        """Queue events, in the order of time, from one thread; returns how many of them there was room for.

        Times are control steps since sample 0 (`time`); what is late happens at once.
        """
        given = as_events([events]) if isinstance(events, Event) else events
        checked = np.ascontiguousarray(check_playable(given))
        decoder = self._prepared
        return int(self._library.rt_decoder_push(decoder, checked.ctypes.data, len(checked)))

    @property
    def time(self) -> int:
        """Samples played so far; from any thread."""
        decoder = self._prepared
        return int(self._library.rt_decoder_time(decoder))

    @property
    def loop(self) -> Loop:
        """The compiled loop and its state; valid until the next `prepare`."""
        state = self._prepared
        address = ctypes.cast(self._library.rt_decoder_loop, c_void_p).value
        assert address is not None
        return Loop(address, state)

    @property
    def tail(self) -> int:
        """Samples until the sequence has died away; -1: it never does."""
        if self.seconds is None:
            return -1
        strikes = self.events[self.events["kind"] == Kind.STRIKE]
        ends = strikes["time"] * CONTROL + strike_seconds(strikes)
        last = max(self.seconds + CONTROL, float(ends.max(initial=0.0)))
        return int(np.ceil(last * self._rate)) + 2 * SEGMENT

    @property
    def active_voices(self) -> int:
        """Voices, keys and groups that sound now."""
        return int(self._library.rt_decoder_active(self._prepared)) if self._decoder else 0

    @property
    def _prepared(self) -> int:
        if self._decoder is None:
            raise RuntimeError("prepare(sample_rate) first")
        return self._decoder


def render_events(events: Events, rate: float, seconds: float, seed: int = 1) -> NDArray[np.float32]:
    """Events as sound (N,) at a sample rate (hertz), cut off after `seconds`; the same samples as a `Decoder` plays."""
    decoder = Decoder(events, seed)
    decoder.prepare(rate)
    left, right = np.zeros((2, round(seconds * rate)), np.float32)
    library, loop = _library(), decoder.loop
    library.rt_decoder_loop(loop.state, None, 0, left.ctypes.data, right.ctypes.data, left.size)
    decoder.close()
    return left


def check_playable(events: Any) -> Events:
    """The events, if a decoder can play them; else InputError says which one it cannot, and why."""
    checked = check_events(events)
    refused = {
        "is a learned code, which only its own model can play": checked["kind"] == Kind.CODE,
        f"is for voice {VOICES} or above; there are {VOICES}": (checked["kind"] == Kind.RETARGET)
        & (checked["voice"] >= VOICES),
    }
    for why, which in refused.items():
        if which.any():
            raise InputError(f"event {int(which.argmax())} {why}")
    return checked


def ended(events: Events, time: int) -> Events:
    """The same with one more event for every retargeted voice, at `time` (control steps): silence, a step later."""
    targets = events[(events["kind"] == Kind.RETARGET) & (events["time"] <= time)]
    last = [targets[np.flatnonzero(targets["voice"] == voice)[-1:]] for voice in np.unique(targets["voice"])]
    ends = np.concatenate([np.empty(0, EVENT), *last])
    ends["time"], ends["gain"] = time, _END_GAIN
    ends["vector"][:, RAMP] = 1.0
    return in_order(
        np.concatenate([events[(events["kind"] != Kind.RETARGET) | (events["time"] <= time)], ends])
    )


def strike_seconds(strikes: Events) -> NDArray[np.float64]:
    """How long each of the strikes (N,) is above -120 dB of full scale, seconds (N,)."""
    vector, gain = strikes["vector"].astype(np.float64), strikes["gain"].astype(np.float64)
    modes = vector[:, : 3 * MODE_COUNT].reshape(-1, MODE_COUNT, 3)
    t60 = np.exp(np.concatenate([modes[:, :, 1], vector[:, 27:28]], axis=1))
    level = gain[:, None] + np.concatenate([modes[:, :, 2], vector[:, 24:25]], axis=1)
    nepers, damping = np.maximum(level - np.log(SILENCE), 0.0), _LN_1000 / t60
    after, under = vector[:, DAMPED_AFTER, None], _LN_1000 / np.exp(vector[:, DAMPED_T60, None])
    seconds = nepers / damping
    damped = (after > 0.0) & (seconds > after)
    return np.where(damped, (nepers + under * after) / (damping + under), seconds).max(axis=1, initial=0.0)


def _tone_tables(sample_rate: float) -> dict[str, Any]:
    """The fields of `_Tones` but the loop; arrays as they are, float64."""
    mels = mel(KNOTS)
    return {
        "sample_rate": sample_rate,
        "reference_rate": RATE,
        "top": rows.top(sample_rate),
        "fade": rows.FADE,
        "first_mel": mels[0],
        "mel_spacing": (mels[-1] - mels[0]) / (len(mels) - 1),
        "knots": cast(KNOTS, np.float64),
        "share_knots": cast(SHARE_KNOTS, np.float64),
        "phases": cast(rows.phases(), np.float64),
        "bands": cast(rows.noise(sample_rate).weights, np.float64),
    }


def _own_fields(tables: dict[str, Any]) -> dict[str, Any]:
    return {k: v.ctypes.data if isinstance(v, np.ndarray) else v for k, v in tables.items()}


def _library() -> ctypes.CDLL:
    found = native.open_library()
    native.declare(found, _SIGNATURES)
    numbers = np.zeros(6, np.int64)
    found.rt_decoder_layout(numbers.ctypes.data)
    expected = [ctypes.sizeof(_Config), EVENT.itemsize, rows.HARMONICS, VOICES, STRIKES, PUSHED]
    if numbers.tolist() != expected or EVENT.itemsize != 16 + 4 * DIMENSIONS:
        raise RtsynthError(f"the compiled decoder does not fit this version of rtsynth. {native.REBUILD}")
    return found
