"""The live codec: what a microphone hears becomes events in a process of its own, and sound again in the audio thread.

    heard → link → worker: features and network → one record a frame → link → decoder, in the callback

A record is an event as numbers in the place of sound: 1, gain, the vector, 1. native/live_codec.h says what becomes
of those that come too late. Between a sound and its answer lie the network's look-ahead and frame, the way to its rate,
and the time that the worker and the device's blocks take; the decoder adds nothing.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_bool, c_double, c_float, c_int32, c_int64, c_uint8, c_void_p
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth import native
from rtsynth.codec.event import CONTROL, DIMENSIONS, EVENT, Events, Kind
from rtsynth.errors import InputError, RtsynthError, UsageError
from rtsynth.source import Loop

if TYPE_CHECKING:
    from rtsynth.codec.decoder import Decoder
    from rtsynth.inference.live import LiveModel
    from rtsynth.inference.model import StreamingModel

MARK = 1.0  # first and last number of a record
NUMBERS = DIMENSIONS + 3  # of a record
STEPS = 6  # control steps from one record to the next
TAIL_SECONDS = 0.5
PATIENCE_SECONDS = 0.15  # without an event, after which the voice falls silent
DENSITY = 19  # controller: 0…127 is a share of 0…1 of the events, at least …
SPARSEST = 0.1  # … so that a gap is no longer than the 63 steps of a file's code
EVENT_BITS = 59  # of one event by the quantiser "live-59"
_ENOUGH = 0.999  # ENOUGH of native/live_codec.c
_CHUNK = 256  # RT_REMOTE_CHUNK of native/remote.h


class _Event(Structure):
    """`rt_event` of native/event.h."""

    _fields_ = [
        ("time", c_int64),
        ("kind", c_uint8),
        ("voice", c_uint8),
        ("gain", c_float),
        ("vector", c_float * DIMENSIONS),
    ]


class _Parameters(Structure):
    """`rt_live_codec_parameters` of native/live_codec.h."""

    _fields_ = [
        ("remote", c_void_p),
        ("decoder", c_void_p),
        ("step", c_double),
        ("patience", c_int32),
        ("wet", c_float),
        ("density", c_float),
    ]


class _State(Structure):
    """`rt_live_codec_state` of native/live_codec.h."""

    _fields_ = [
        ("record", c_float * NUMBERS),
        ("collected", c_int32),
        ("begun", c_bool),
        ("faded", c_bool),
        ("since", c_int64),
        ("density", c_float),
        ("due", c_float),
        ("latest", _Event),
        ("dry", c_float * (NUMBERS - 1)),
        ("dry_place", c_int32),
        ("dry_share", c_float),
        ("dry_wanted", c_float),
        *((name, c_int64) for name in ("events", "thinned", "refused", "outages")),
    ]


class _Record(Structure):
    """`rt_live_codec` of native/live_codec.h."""

    _fields_ = [("parameters", _Parameters), ("state", _State), ("found", c_float * (2 * _CHUNK))]


_SIGNATURES: native.Signatures = {
    "rt_live_codec_loop": (None, [c_void_p, c_void_p, c_int32, c_void_p, c_void_p, c_void_p, c_int32]),
    "rt_live_codec_reset": (None, [c_void_p]),
    "rt_live_codec_layout": (None, [c_void_p]),
}


class Counts(NamedTuple):
    """What the audio thread has counted since the source was made."""

    events: int  # played
    refused: int  # with a number that no decoder can work with
    outages: int  # times the voice fell silent for want of events
    thinned: int  # left out for the density


class LiveCodec:
    """A source that hears and answers with the codec's voice; `close` it after its engine.

    `model` answers with records and is this source's own from here on, `decoder` plays them: its knobs, keys and pedal
    are the source's. `wet` is the decoder's share beside what was heard, 0…1, and what controller 91 sets; `density`
    the share of the events that is played, 0.1…1, and what controller 19 sets: the model makes no more than it makes.

    Raises InputError for a model that answers with something else; `prepare` raises what `LiveModel.prepare` does.
    """

    def __init__(self, model: LiveModel, decoder: Decoder, *, wet: float = 1.0, density: float = 1.0) -> None:
        manifest = model.manifest
        if manifest.answers != "records" or (manifest.frame or 0) < NUMBERS:
            raise InputError(
                f"{manifest.name} does not answer with events. Next: rtsynth live {manifest.name}"
            )
        if not 0 <= wet <= 1:
            raise UsageError(f"a wet share of {wet:g}: want 0 (as heard) … 1 (the codec alone)")
        if not SPARSEST <= density <= 1:
            raise UsageError(f"a density of {density:g}: want {SPARSEST:g} (a tenth of the events) … 1 (all)")
        self.model, self.decoder = model, decoder
        self._wet, self._density, self._rate = wet, density, 0.0
        self._library = _library()
        self._record = _Record()

    def prepare(self, sample_rate: float, max_block: int = 0) -> None:
        """[main thread] Start the worker, wait until it is ready, and prepare the decoder."""
        self.model.prepare(sample_rate, max_block)
        self.decoder.prepare(sample_rate, max_block)
        self._rate = sample_rate
        self._record.parameters = _Parameters(
            remote=self.model.loop.state,
            decoder=self.decoder.loop.state,
            step=CONTROL * sample_rate,
            patience=round(PATIENCE_SECONDS * sample_rate),
            wet=self._wet,
            density=self._density,
        )
        self.reset()

    def close(self) -> None:
        """[main thread, not while running] End the worker. Again is harmless."""
        self.model.close()

    def reset(self) -> None:
        """[main thread, not while running] Silence, in the network too; counts are kept."""
        self.model.reset()
        self.decoder.reset()
        self._library.rt_live_codec_reset(self._address)

    @property
    def loop(self) -> Loop:
        """The compiled loop; valid until the next `prepare` or `close`."""
        address = ctypes.cast(self._library.rt_live_codec_loop, c_void_p).value
        assert address is not None
        return Loop(address, self._address, hears=True, liaison=self.model.loop.liaison)

    @property
    def latency(self) -> int:
        """Samples from what is heard to its answer, and to the dry sound."""
        return self.model.latency + NUMBERS - 1 if self.model.latency else 0

    @property
    def delays(self) -> dict[str, int]:
        """What the latency is made of, in samples; `record`: until an event's last number is there."""
        return {**self.model.delays, "record": NUMBERS - 1}

    @property
    def tail(self) -> int:
        """The voice follows what is heard: silence, once the network has heard it for so long."""
        return round(TAIL_SECONDS * self._rate)

    @property
    def active_voices(self) -> int:
        return self.decoder.active_voices

    @property
    def counts(self) -> Counts:
        """From any thread, while running."""
        state = self._record.state
        return Counts(state.events, state.refused, state.outages, state.thinned)

    def measured(self) -> dict[str, float]:
        """The counts, and events a second since the first one, with the bits that "live-59" would take for them."""
        counts = self.counts
        seconds = self.decoder.time / self._rate if self._rate else 0.0
        rate = counts.events / seconds if seconds else 0.0
        return {**counts._asdict(), "events_per_second": rate, "bits_per_second": EVENT_BITS * rate}

    @property
    def _address(self) -> int:
        return ctypes.addressof(self._record)


def nominal(density: float = 1.0) -> tuple[float, float]:
    """Events a second, and kilobits a second by the quantiser "live-59"."""
    rate = density / (STEPS * CONTROL)
    return rate, 1e-3 * EVENT_BITS * rate


def thinned(events: Events, density: float) -> Events:
    """Of a live model's events (K,) those that are played at a density, 0…1: the specification of the live one.

    Evenly, and with the ramps they have: longer ramps, over the time of those left out, would bring the voice to every
    target later, and by figures (bench/live_codec.py) are worse; so is leaving out those that change least.
    """
    due, played = 1.0 - density, np.zeros(len(events), bool)
    for index in range(len(events)):
        due += density
        if due >= _ENOUGH:
            played[index] = True
            due = max(due - 1.0, 0.0)
    return events[played]


def encode_live(model: StreamingModel, samples: NDArray[Any]) -> Events:
    """Events of a whole sound (N,) at the model's rate, as they would come live: one every 24 ms, from its start on."""
    model.reset()
    late = model.frame - model.latency  # so that the first whole frame's event acts where the sound begins
    count = 1 + -(-len(samples) // model.frame)  # the first frame's acts before
    padded = np.zeros(count * model.frame, np.float32)
    kept = samples[: len(padded) - late]
    padded[late : late + len(kept)] = kept
    records = [model.step(frame)[:NUMBERS, 0] for frame in padded.reshape(count, model.frame)]
    return events_of(np.stack(records[1:]))


def events_of(records: NDArray[Any]) -> Events:
    """Events (K,) from what a model says of K frames, (K, NUMBERS) or more columns: one every 6 steps, from step 0."""
    found = np.zeros(len(records), EVENT)
    found["time"] = STEPS * np.arange(len(records))
    found["kind"] = Kind.RETARGET
    found["gain"], found["vector"] = records[:, 1], records[:, 2 : NUMBERS - 1]
    return found


@cache
def _library() -> ctypes.CDLL:
    found = native.open_library()
    native.declare(found, _SIGNATURES)
    sizes = np.zeros(2, np.int64)
    found.rt_live_codec_layout(sizes.ctypes.data)
    if sizes.tolist() != [ctypes.sizeof(_Record), NUMBERS]:
        raise RtsynthError(f"the compiled live codec does not fit this version of rtsynth. {native.REBUILD}")
    return found
