"""Events one by one: what each adds to the sum, how it sounds alone, and the same events shuffled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.decoder import strike_seconds
from rtsynth.codec.event import (
    BURST,
    LN_F0,
    MODES,
    RAMP,
    SHARE_KNOTS,
    Events,
    Kind,
    in_order,
    noise_share,
    target,
)
from rtsynth.codec.info import modes_of

Array = NDArray[np.float64]
Render = Callable[[Events, float], NDArray[Any]]  # events, seconds -> samples (N,)
Progress = Callable[[float], None]

FADE = 0.005  # seconds from one event's share of a voice to the next one's
SHIFT = 10  # control steps: 10 of 4 ms are whole samples at every rate that is a multiple of 25 Hz
SPRITE_SECONDS = 60.0  # of all events alone, at most
ALONE = (0.06, 0.4)  # seconds of one event alone, least and most


class Part(NamedTuple):
    """What one event adds to the sum, from sample `start` on."""

    start: int
    samples: Array  # (n,)

    @property
    def energy(self) -> float:
        return float(self.samples @ self.samples)


class Sprite(NamedTuple):
    """Every event alone, one after the other."""

    samples: Array  # (N,)
    starts: NDArray[np.int64]  # (events,) samples
    lengths: NDArray[np.int64]  # (events,) samples


class Grid(NamedTuple):
    """Where control steps are among the samples of the page."""

    rate: float  # hertz
    step: float  # seconds a control step

    def sample(self, steps: Any) -> Any:
        """The sample of a control step, or of several."""
        return np.round(np.asarray(steps) * self.step * self.rate).astype(np.int64)


# ---- shares of the sum ----


def parts(events: Events, render: Render, grid: Grid, count: int) -> list[Part]:
    """What each event adds to the sum of `count` samples, in the order of `events`.

    A strike or a code adds its own sound. A retargeted voice is one sound that never stops: an event has it from its
    time to the next one's, faded over, so that the voice is the sum of its events' shares.
    """
    found: dict[int, Part] = {}
    for voice in np.unique(events["voice"][events["kind"] == Kind.RETARGET]):
        mine = np.flatnonzero((events["kind"] == Kind.RETARGET) & (events["voice"] == voice))
        sound = fitted(render(events[mine], count / grid.rate), count)
        found.update(zip(mine.tolist(), _cut(sound, events["time"][mine], grid), strict=True))
    for index in np.flatnonzero(events["kind"] != Kind.RETARGET).tolist():
        found[index] = _one(events[index : index + 1], render, grid, count)
    return [found[index] for index in range(events.size)]


def added(shares: Sequence[Part], count: int) -> Array:
    """The sum (count,)."""
    total = np.zeros(count)
    for part in shares:
        total[part.start : part.start + part.samples.size] += part.samples
    return total


def _cut(sound: Array, times: NDArray[Any], grid: Grid) -> list[Part]:
    """A voice's sound (count,) as the shares of its events; what sounds before the first is the first's."""
    starts = np.minimum(grid.sample(times), sound.size)
    starts[0] = 0
    ends = np.append(starts[1:], sound.size)
    lengths = np.minimum(round(FADE * grid.rate), np.append(np.diff(starts), sound.size - starts[-1]))
    lengths[0] = 0
    shares = []
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        after = int(lengths[index + 1]) if index + 1 < starts.size else 0
        share = sound[start : end + after].copy()
        share[: lengths[index]] *= _rise(int(lengths[index]))
        if after:
            share[end - start :] *= 1.0 - _rise(after)
        shares.append(Part(int(start), share))
    return shares


def _rise(length: int) -> Array:
    return (np.arange(length) + 0.5) / max(length, 1)


def _one(event: Events, render: Render, grid: Grid, count: int) -> Part:
    """One event's own sound: a code's in its place, for that decides it; else from the start of time, and put there."""
    if event["kind"][0] == Kind.CODE:
        whole = fitted(render(event, count / grid.rate), count)
        start, end = (np.flatnonzero(whole)[[0, -1]] + [0, 1]).tolist() if whole.any() else (0, 0)
        return Part(start, whole[start:end])
    shifted = event.copy()
    shifted["time"] %= SHIFT
    start = min(int(grid.sample(event["time"][0] - shifted["time"][0])), count)
    seconds = min((count - start) / grid.rate, ringing_seconds(event) + SHIFT * grid.step)
    return Part(start, fitted(render(shifted, seconds), round(seconds * grid.rate)))


def ringing_seconds(event: Events) -> float:
    """How long a strike (1,) is heard: until -120 dB."""
    return float(strike_seconds(event)[0])


def fitted(sound: NDArray[Any], count: int) -> Array:
    """Samples (count,) in float64, cut or followed by silence."""
    cut = np.asarray(sound, np.float64)[:count]
    return np.pad(cut, (0, count - cut.size))


# ---- alone ----


def sprite(events: Events, shares: Sequence[Part], render: Render, grid: Grid) -> Sprite:
    """Every event alone: a retarget's target held, the others' own sound; cut to one length and faded."""
    steps = round(np.clip(SPRITE_SECONDS / max(1, events.size), *ALONE) / grid.step)
    edges = grid.sample(np.arange(events.size + 1) * steps)
    sound = np.zeros(int(edges[-1]))
    held = np.flatnonzero(events["kind"] == Kind.RETARGET)
    if held.size:
        row = events[held].copy()
        row["time"], row["voice"], row["vector"][:, RAMP] = np.arange(held.size) * steps, 0, 1.0
        glide = fitted(render(row, held.size * steps * grid.step), int(edges[held.size]))
        for place, index in enumerate(held.tolist()):
            piece = glide[edges[place] : edges[place + 1]]
            _put(sound[edges[index] : edges[index + 1]], piece, round(3 * FADE * grid.rate))
    for index in np.flatnonzero(events["kind"] != Kind.RETARGET).tolist():
        event, part = events[index], shares[index]
        late = int(grid.sample(event["time"])) - part.start  # nothing sounds before the event
        _put(sound[edges[index] : edges[index + 1]], part.samples[max(0, late) :], 0)
    return Sprite(sound, edges[:-1], np.diff(edges))


def _put(place: Array, piece: Array, rising: int) -> None:
    """Write a piece into its place in the sprite, faded at its end, and at its start where it does not begin itself."""
    length = min(place.size, piece.size)
    place[:length] = piece[:length]
    fade = min(max(rising, 1), length // 2)
    falling = min(length // 4, round(length / 4))
    if rising and fade:
        place[:fade] *= _rise(fade)
    if falling:
        place[length - falling : length] *= _rise(falling)[::-1]


# ---- shuffled ----


def random_vectors(events: Events, seed: int) -> Events:
    """Vectors drawn anew, each number between the least and the greatest of its kind; times, gains and ramps stay.

    A strike's modes and its burst are drawn whole from all strikes: a mode's decay without its frequency says nothing.
    """
    rng = np.random.default_rng(seed)
    out = events.copy()
    for kind in np.unique(events["kind"]):
        which = np.flatnonzero(events["kind"] == kind)
        known = events["vector"][which]
        if kind == Kind.STRIKE:
            modes = known[:, MODES].reshape(-1, 3)
            drawn = modes[rng.integers(len(modes), size=len(modes))].reshape(len(which), -1)
            bursts = known[rng.integers(len(which), size=len(which)), BURST]
            fresh = known.copy()
            fresh[:, MODES], fresh[:, BURST] = drawn, bursts
        else:
            fresh = rng.uniform(known.min(axis=0), known.max(axis=0), known.shape).astype(np.float32)
            if kind == Kind.RETARGET:
                fresh[:, RAMP] = known[:, RAMP]
        out["vector"][which] = fresh
    return out


def random_times(events: Events, steps: int, seed: int) -> Events:
    """The same events at times drawn evenly below `steps`; those of one time stay together, as a note."""
    rng = np.random.default_rng(seed)
    old, which = np.unique(events["time"], return_inverse=True)
    out = events.copy()
    out["time"] = rng.permutation(rng.choice(max(steps, old.size), old.size, replace=False))[which]
    return in_order(out)


# ---- measured ----


def hertz(event: Any) -> float | None:
    """A retarget's f0, or the loudest mode of a strike (its burst's centre where it has none)."""
    if event["kind"] == Kind.RETARGET:
        return float(np.exp(event["vector"][LN_F0]))
    if event["kind"] == Kind.STRIKE:
        modes = modes_of(event)
        return float(np.exp(modes[modes[:, 2].argmax(), 0] if len(modes) else event["vector"][BURST][1]))
    return None


def noisiness(event: Any) -> float | None:
    """The noise's share of a retarget's power, 0…1, the mean over its knots."""
    if event["kind"] != Kind.RETARGET:
        return None
    return float(noise_share(target(event), SHARE_KNOTS).mean())


def projection(events: Events) -> Array:
    """(N,) in 0…1: t-SNE of the vectors and gains to one dimension, each number scaled to its own range first."""
    numbers = scaled(np.column_stack([events["vector"], events["gain"]]))
    if events.size < 4 or not np.ptp(numbers, axis=0).any():
        return np.linspace(0.0, 1.0, events.size) if events.size > 1 else np.full(events.size, 0.5)
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (events.size - 1) / 3.0)
    found = TSNE(1, perplexity=perplexity, init="pca", random_state=0).fit_transform(numbers)
    return scaled(found.astype(np.float64))[:, 0]


def scaled_vectors(events: Events) -> Array:
    """(N, 32): vectors with every number scaled to its range among the events of its kind."""
    out = np.zeros(events["vector"].shape)
    for kind in np.unique(events["kind"]):
        out[events["kind"] == kind] = scaled(events["vector"][events["kind"] == kind])
    return out


def scaled(numbers: NDArray[Any]) -> Array:
    """Every column of (N, D) to 0…1; one that never changes to 0."""
    low = numbers.min(axis=0, initial=np.inf)
    span = np.ptp(numbers, axis=0) if len(numbers) else np.ones(numbers.shape[1])
    return np.asarray((numbers - low) / np.where(span > 0.0, span, 1.0), np.float64)


def random_colours(events: Events, seed: int = 7) -> NDArray[np.uint8]:
    """(N, 3) red, green, blue: a random projection of the scaled vectors, each stretched to the range 40…215."""
    rng = np.random.default_rng(seed)
    projected = scaled_vectors(events) @ rng.standard_normal((events["vector"].shape[1], 3))
    return (40.0 + 175.0 * scaled(projected)).astype(np.uint8)
