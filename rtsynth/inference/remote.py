"""`Remote`: the audio thread's side of a live model; native/remote.h says how it plays what a worker answers."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_bool, c_double, c_float, c_int32, c_int64, c_void_p
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from rtsynth import native
from rtsynth.errors import RateError, RtsynthError, UsageError
from rtsynth.inference.link import Link
from rtsynth.source import Loop

Policy = Literal["dry", "hold", "silence"]  # in the order of enum rt_policy

FADE_SECONDS = 0.00625
LEAST_FADE = 300  # samples: from a sine's peak to minus that, less than -40 dB of its rms a sample
GLIDE_SECONDS = 0.02  # of the wet share
HELD_SECONDS = 0.02  # what "hold" goes over
PATIENCE_SECONDS = 10.0  # offline, for one block's answer
LONGEST_BLOCK = 65536  # samples, of any host
_CHUNK = 256


class _Liaison(Structure):
    """`rt_liaison` of native/message.h."""

    _fields_ = [
        ("host_blocks", c_int64),
        ("host_block", c_int32),
        ("paced", c_int32),
        ("late_worker", c_int64),
        ("hurried", c_int64),
    ]


class _Parameters(Structure):
    """`rt_remote_parameters` of native/remote.h."""

    _fields_ = [
        ("link", c_void_p),
        ("sample_rate", c_double),
        ("patience_ns", c_int64),
        *((name, c_int32) for name in ("framing", "hop", "compute", "host_block", "fade", "glide", "held")),
        *((name, c_int32) for name in ("line", "most_delay", "policy")),
        ("wet", c_float),
    ]


class _State(Structure):
    """`rt_remote_state` of native/remote.h."""

    _fields_ = [
        *((name, c_int64) for name in ("heard", "origin", "first", "block", "blocks", "grid")),
        *((name, c_int32) for name in ("longest", "shortest", "ahead", "mode", "returned")),
        *((name, c_int64) for name in ("wet_seam", "dry_seam")),
        *((name, c_float) for name in ("wet_from", "wet_to")),
        ("glided", c_int32),
        ("counted", c_bool),
        ("gave_up", c_bool),
        ("rests", c_bool),
        *((name, c_int64) for name in ("answered", "loud")),
        *((name, c_int32) for name in ("delay", "active", "begun")),
        *((name, c_int64) for name in ("episodes", "hurried", "concealed", "delay_changes")),
    ]


class _Seam(Structure):
    """`rt_seam` of native/remote.h."""

    _fields_ = [("latest", c_void_p), ("mirror", c_void_p), ("length", c_int32), ("next", c_int32)]


class _Buffers(Structure):
    """`rt_remote_buffers` of native/remote.h."""

    _fields_ = [
        ("line", c_void_p),
        ("dry", _Seam),
        ("wet", _Seam * 2),
        ("delayed", c_float * _CHUNK),
        ("played", c_float * (2 * _CHUNK)),
    ]


class _Record(Structure):
    """`rt_remote` of native/remote.h."""

    _fields_ = [
        ("liaison", _Liaison),
        ("parameters", _Parameters),
        ("state", _State),
        ("buffers", _Buffers),
    ]


_SIGNATURES: native.Signatures = {
    "rt_remote_loop": (None, [c_void_p, c_void_p, c_int32, c_void_p, c_void_p, c_void_p, c_int32]),
    "rt_remote_reset": (None, [POINTER(_Record)]),
    "rt_remote_size": (c_int64, []),
}


class Counts(NamedTuple):
    """What the audio thread has counted since the remote was made."""

    episodes: int  # times an answer was missing that the worker had had its time for
    hurried: int  # times it had not had it, because the host asked ahead of its own pace
    concealed: int  # samples played in the answer's place
    delay_changes: int  # while playing
    begun: bool  # an answer has been played, or has been late for a second


class Remote:
    """A hearing loop that plays what a worker writes into `link`, `latency` samples after it was heard.

    `framing`: after N samples of input, N - framing of output can be computed, for every N; `hop`: frame length that
    framing counts all but one of, 1 where there is none. `compute`: samples' time the worker is given at least;
    `host_block`: the longest block to expect, 0 to learn it. The link must live as long as the loop runs.

    Raises UsageError for what is out of range, RateError for a delay that is longer than the link can hold.
    """

    def __init__(
        self,
        link: Link,
        sample_rate: float,
        *,
        framing: int,
        hop: int = 1,
        compute: int = 0,
        host_block: int = 0,
        wet: float = 1.0,
        policy: Policy = "dry",
        patience: float = PATIENCE_SECONDS,
        library: Path | None = None,
    ) -> None:
        if policy not in get_args(Policy):
            raise UsageError(f"policy {policy!r}: want one of {', '.join(get_args(Policy))}")
        if not 0 <= wet <= 1:
            raise UsageError(f"a wet share of {wet:g}: want 0 (as heard) … 1 (the model alone)")
        if framing < 0 or hop < 1 or compute < 0 or not 0 <= host_block <= LONGEST_BLOCK:
            raise UsageError(
                f"framing {framing}, hop {hop}, compute {compute}, block {host_block}: out of range"
            )
        self.link = link
        self._library = _load(library)
        # Half of the link, so that no answer is overwritten before it is played (see rt_link_answer).
        most_delay = link.capacity // 2
        if framing + compute + max(1, host_block) > most_delay:
            raise RateError(
                f"a delay of more than {framing + compute} samples at {sample_rate:g} Hz does not fit a link of "
                f"{link.capacity}: make frames or blocks shorter"
            )
        fade = max(LEAST_FADE, round(FADE_SECONDS * sample_rate))
        held = max(fade, round(HELD_SECONDS * sample_rate))
        line = 1 << (most_delay + _CHUNK - 1).bit_length()
        self._kept: list[NDArray[np.float32]] = []  # what the record points to
        parameters = _Parameters(
            link=link.address,
            sample_rate=sample_rate,
            patience_ns=round(patience * 1e9),
            framing=framing,
            hop=hop,
            compute=compute,
            host_block=host_block,
            fade=fade,
            glide=max(1, round(GLIDE_SECONDS * sample_rate)),
            held=held,
            line=line,
            most_delay=most_delay,
            policy=get_args(Policy).index(policy),
            wet=wet,
        )
        buffers = _Buffers(line=self._floats(line), dry=self._seam(fade))
        buffers.wet[0], buffers.wet[1] = self._seam(held), self._seam(held)
        self._record = _Record(parameters=parameters, buffers=buffers)
        self.reset()

    def _floats(self, length: int) -> int:
        self._kept.append(np.zeros(length, np.float32))
        self._kept[-1].fill(0.0)  # touched now, so that the audio thread meets no page for the first time
        return self._kept[-1].ctypes.data

    def _seam(self, length: int) -> _Seam:
        return _Seam(self._floats(length), self._floats(length), length)

    @property
    def loop(self) -> Loop:
        """The compiled loop and its state; valid as long as the remote and its link live."""
        address = ctypes.cast(self._library.rt_remote_loop, c_void_p).value
        assert address is not None
        record = ctypes.addressof(self._record)
        return Loop(address, record, hears=True, liaison=record + _Record.liaison.offset)

    def reset(self) -> None:
        """[main thread, not while running] Forget what was heard and the host's blocks; positions and counts go on."""
        self._library.rt_remote_reset(self._record)

    @property
    def latency(self) -> int:
        """The delay now, in samples, of the wet signal and of the dry. It is known with the first block."""
        return int(self._record.state.delay)

    @property
    def ahead(self) -> int:
        """Samples of the latency that are the worker's time to compute; known with the first block, 0 offline."""
        return int(self._record.state.ahead)

    @property
    def active_voices(self) -> int:
        """1 while input or output was above -100 dB of full scale within the last second."""
        return int(self._record.state.active)

    @property
    def counts(self) -> Counts:
        """What was counted so far. From any thread, while running."""
        state = self._record.state
        return Counts(state.episodes, state.hurried, state.concealed, state.delay_changes, bool(state.begun))


def _load(path: Path | None) -> ctypes.CDLL:
    library = native.open_library(path)
    native.declare(library, _SIGNATURES)
    if library.rt_remote_size() != ctypes.sizeof(_Record):
        raise RtsynthError(f"the compiled remote does not fit this version of rtsynth. {native.REBUILD}")
    return library
