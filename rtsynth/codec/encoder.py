"""A recording as retarget events: analysed every 4 ms, cut where it costs least, one target for every cut.

In pieces of a minute, each with the sound around it in view, so a recording of any length needs the memory of one. A
piece ends where the next one begins, at an event, and the next one starts from the state it leaves; the last two
seconds of cuts are made again with the future known. How the samples come in, in blocks of whatever size, makes no
difference to the events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import soxr
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter

from rtsynth.codec.analysis import STEP, Tracks, analyse, as_mono
from rtsynth.codec.event import CONTROL, GAIN, LN_F0, RATE, SHAPE, SHARES, Events, target
from rtsynth.codec.targets import fit_targets
from rtsynth.codec.times import choose_times, features, shortest_gap
from rtsynth.errors import InputError, UsageError

Array = NDArray[np.float64]

EVENTS_PER_SECOND = 30.0
FEWEST, MOST = 5.0, 60.0  # events a second
PIECE = 15_000  # control steps: a minute
CONTEXT = 250  # steps: a second of sound to both sides of a piece
TAIL = 500  # steps: the cuts of the last two seconds of a piece are made again
CONSTANT = 10.0  # hertz, -3 dB: what is slower is an offset, and no sound
SAME = 0.02  # neper: a target this near to where the voice stays anyway says nothing


class Join(NamedTuple):
    """Where a piece begins."""

    step: int
    before: NDArray[np.void] | None  # the event whose target is the state there
    events: int  # so far


def encode(samples: ArrayLike, rate: float, *, events_per_second: float = EVENTS_PER_SECOND) -> Events:
    """Retarget events (K,) of samples (N,) or (N, channels), full scale ±1, at `rate` hertz.

    UsageError for a rate of events out of range, InputError for an empty sound or one that is not finite.
    """
    return np.concatenate(list(encode_blocks([samples], rate, events_per_second=events_per_second)))


def encode_blocks(
    blocks: Iterable[ArrayLike], rate: float, *, events_per_second: float = EVENTS_PER_SECOND
) -> Iterator[Events]:
    """The same from blocks of any sizes, as they come: events of about a minute at a time, in bounded memory."""
    if not FEWEST <= events_per_second <= MOST:
        raise UsageError(
            f"{events_per_second:g} events a second are out of range: {FEWEST:g} to {MOST:g}. Try {EVENTS_PER_SECOND:g}"
        )
    join, begin, sound = Join(0, None, 0), 0, np.empty(0)  # `sound` starts at step `begin`
    for longer in _gathered(_resampled(blocks, rate)):
        sound = np.concatenate([sound, longer])
        while sound.size > (reach := (join.step - begin + PIECE + CONTEXT) * STEP):
            tracks = analyse(sound[:reach], RATE).part(join.step - begin, join.step - begin + PIECE)
            events, join = _piece(tracks, join, events_per_second, TAIL)
            yield events
            kept = max(0, join.step - CONTEXT)
            sound, begin = sound[(kept - begin) * STEP :], kept
    tracks = analyse(sound, RATE)
    yield _piece(tracks.part(join.step - begin, len(tracks)), join, events_per_second, 0)[0]


def _piece(tracks: Tracks, join: Join, events_per_second: float, tail: int) -> tuple[Events, Join]:
    """Events of the tracks from the join on, but for the last `tail` steps, and the join for what follows."""
    a_step = CONTROL * events_per_second
    spent = max(join.events, int(join.step * a_step))  # what a pause has saved is not spent on what follows
    wanted = int((join.step + len(tracks)) * a_step) - spent
    times = choose_times(features(tracks), max(wanted, 1), shortest_gap(events_per_second))
    count = int(np.searchsorted(times, len(tracks) - tail))
    events = fit_targets(tracks, times, join.before)[:count]
    events["time"] += join.step
    step = join.step + int(np.append(times, len(tracks))[count])
    events = without_holds(events, join.before)
    before = events[-1].copy() if len(events) else join.before
    return events, Join(step, before, join.events + len(events))


def without_holds(events: Events, before: NDArray[np.void] | None = None) -> Events:
    """Events (K,) of one voice but for those whose target is within SAME of the last one's: the voice stays there.

    `before`: the event before the first one.
    """
    kept = np.ones(len(events), bool)
    at = None if before is None else target(before)
    for index, event in enumerate(events):
        goal = target(event)
        if at is not None and np.abs(goal - at)[_HEARD].max() < SAME:
            kept[index] = False
        else:
            at = goal
    return events[kept]


_HEARD = np.r_[GAIN, LN_F0, SHAPE, SHARES]


def _resampled(blocks: Iterable[ArrayLike], rate: float) -> Iterator[Array]:
    """Blocks at 16 kHz, one channel, without a constant; InputError where there is not one sample."""
    stream, count, state = None, 0, np.empty(0)
    for block in blocks:
        mono = as_mono(block, rate)
        if count == 0:
            state = -mono[:1]  # as if the first sample had been there for ever: no step at the start
        count += mono.size
        if mono.size:
            mono, state = lfilter([1.0, -1.0], [1.0, -np.exp(-2.0 * np.pi * CONSTANT / rate)], mono, zi=state)
        if rate == RATE:
            yield mono
            continue
        stream = stream or soxr.ResampleStream(rate, RATE, 1, dtype="float64")
        yield np.asarray(stream.resample_chunk(mono))
    if count == 0:
        raise InputError("the sound is empty: there is not one sample to encode")
    if stream is not None:
        yield np.asarray(stream.resample_chunk(np.empty(0), last=True))


def _gathered(parts: Iterable[Array]) -> Iterator[Array]:
    """The same in parts of a piece or more, but for the last."""
    held: list[Array] = []
    for part in parts:
        held.append(part)
        if sum(p.size for p in held) >= PIECE * STEP:
            yield np.concatenate(held)
            held = []
    yield np.concatenate([np.empty(0), *held])
