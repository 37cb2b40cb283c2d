"""`Source`: anything that makes sound, as the engine and the devices know it. Free to every room."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Loop(NamedTuple):
    """What the audio thread calls: a compiled function and the state it is handed.

    The function is `void loop(void *state, const rt_message *messages, int32_t count, float *left, float *right,
    int32_t frames)` of `native/message.h`: apply the `count` messages (all due now), then ADD `frames` samples to
    `left` and `right`. Where it `hears`, it is an rt_hearing_loop instead, which is handed `const float *in` before
    `left`: what comes in at these samples, mono. It never allocates, locks, raises or enters Python.

    `liaison`: address of an `rt_liaison`, for a loop that depends on a worker: there the engine tells it of the host's
    blocks, and it tells the engine when the worker was late. 0: none.
    """

    address: int
    state: int
    hears: bool = False
    liaison: int = 0


class Source(Protocol):
    """The life of a source: `prepare` pays for everything, the loop only fills blocks, `reset` silences it."""

    @property
    def latency(self) -> int:
        """Samples from a message, or from what is heard, to its sound."""

    @property
    def tail(self) -> int:
        """Samples that may still sound after the last note-off, or after the input has fallen silent; -1: without
        bound. Valid from `prepare` on.
        """

    def prepare(self, sample_rate: float, max_block: int) -> None:
        """[main thread] Allocate, build tables, compile, warm up. May be called again with another rate."""

    def reset(self) -> None:
        """[main thread, not while running] Silence; parameters are kept."""

    @property
    def loop(self) -> Loop:
        """The compiled loop; valid from `prepare` until the next `prepare`, as long as the source lives."""

    @property
    def active_voices(self) -> int:
        """Voices sounding now (read at any time, from any thread)."""
