"""Retarget events of one voice in 59 or 49 bits each: what goes into a file, and what a decoder gets back.

    gap 6 · ramp 3 · ln f0 6 · gain 5 · shares 4 · shape 35 or 25

gap     control steps since the last event, 1…63; code 0: 63 steps pass and nothing happens. The first counts from -1.
ramp    1 + (unit - 1) k / 7 steps; the unit is the gap that follows, at most 63 ("file"), or 7 steps ("live", where
        the gap that follows is not known yet).
f0      the step of ln f0 from the decoded one before, by a table that is fine near 0 (sinh companding).
gain    a table relative to the sound's `level`, which stands once in the header.
shares  one of 16 vectors (5,).
shape   what a linear prediction leaves, as a sum of 7 (or the first 5) vectors (24,), one of 32 each: a multi-stage
        vector quantiser, searched with the best beginnings kept, loud knots weighing more. Predicted from the event's
        own decoded gain and shares, and from the event before as far as it is remembered: by exp(-gap / 16 steps).

Encoder and decoder run the same arithmetic on the same decoded past, so what `quantise` returns is what a file gives
back, to the bit.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.event import DIMENSIONS, EVENT, LN_F0, RAMP, SHAPE, SHARES, Array, Events, Kind
from rtsynth.codec.quantiser_tables import MEMORY, SOONEST, Tables, shipped_tables
from rtsynth.errors import InputError

Codes = NDArray[np.int64]  # (..., FIELDS): ramp, f0, gain, shares, stages

LONGEST_GAP = 63  # control steps
LIVE_UNIT = 7  # control steps: 28 ms, the look-ahead of the live encoder
LAST_GAP = 16  # control steps: what counts as the gap after the last event
FIRST_F0 = np.log(150.0)  # what the first f0 steps from
F0_RANGE = np.log(50.0), np.log(600.0)
F0_FINEST, F0_WIDEST = 0.012, 2.4  # of a step of ln f0
BEGINNINGS = 16
BITS = (3, 6, 5, 4)  # ramp, f0, gain, shares
STAGE_BITS = 5
GAP_BITS = 6
NAMES = {"file-59": 7, "file-49": 5, "live-59": 7, "live-49": 5}  # stages


def f0_steps() -> Array:
    """(64,) steps of ln f0, ascending, 0 among them."""
    k = np.arange(-32, 32) / 32.0
    bend = _bend(F0_FINEST * 32.0 / F0_WIDEST)
    return F0_WIDEST * np.sinh(bend * k) / np.sinh(bend)


def _bend(slope: float) -> float:
    """b with b / sinh b = slope, by bisection."""
    low, high = 1e-6, 50.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if middle / np.sinh(middle) > slope else (low, middle)
    return low


class Quantiser:
    """One of the codings `NAMES`, for the retarget events of one voice."""

    def __init__(self, name: str, tables: Tables) -> None:
        if name not in NAMES:
            raise InputError(f"no quantiser named '{name}'. There are: {', '.join(NAMES)}")
        self.name, self.live, self.stages = name, name.startswith("live"), NAMES[name]
        self.tables = Tables(*(np.asarray(table, np.float64) for table in tables))
        self.widths = [GAP_BITS, *BITS, *[STAGE_BITS] * self.stages]
        self.f0 = f0_steps()

    @classmethod
    def load(cls, name: str = "file-59") -> Quantiser:
        """The shipped one."""
        return cls(name, shipped_tables())

    @property
    def bits(self) -> int:
        """Of one event."""
        return sum(self.widths)

    @property
    def fingerprint(self) -> bytes:
        """4 bytes that another set of tables would not have."""
        return hashlib.sha256(b"".join(table.astype("<f4").tobytes() for table in self.tables)).digest()[:4]

    def quantise(self, events: Events, level: float = 0.0) -> Events:
        """What a decoder will be given: events (N',) of one voice; of several at one step the last is kept."""
        times, codes = self.codes(events, level)
        return self.events(times, codes, level, int(events["voice"][0]) if len(events) else 0)

    def codes(self, events: Events, level: float = 0.0) -> tuple[NDArray[np.int64], Codes]:
        """Times (N',) and codes (N', F) of the events of one voice."""
        _check_one_voice(events)
        last = np.append(np.diff(events["time"]) > 0, True)[: len(events)]
        kept = events[last]
        times = kept["time"].astype(np.int64)
        codes, _ = self.encode_sequence(self.gaps(times), kept["gain"] - level, kept["vector"])
        return times, codes

    def events(self, times: NDArray[np.int64], codes: Codes, level: float, voice: int) -> Events:
        """The inverse of `codes`, up to quantising."""
        decoded = self.decode_sequence(self.gaps(times), codes)
        out = np.zeros(len(times), EVENT)
        out["time"], out["kind"], out["voice"] = times, Kind.RETARGET, voice
        out["gain"], out["vector"] = decoded[:, 0] + level, decoded[:, 1:]
        return out

    def gaps(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """(N, 2): control steps since the event before and until the one after."""
        before = np.diff(times, prepend=-1)
        return np.stack([before, np.append(before[1:], LAST_GAP)[: len(times)]], axis=-1)

    # ---- arrays: any batch of sequences (..., N) ----

    def encode_sequence(
        self, gaps: NDArray[np.int64], gain: NDArray[Any], vectors: NDArray[Any]
    ) -> tuple[Codes, Array]:
        """Codes (..., N, F), and what they decode to, (..., N, 1 + 32), gain first.

        gaps (..., N, 2), gain (..., N) re the level, vectors (..., N, 32) of retargets. Training calls it on batches.
        """
        gain, vectors = np.asarray(gain, np.float64), np.asarray(vectors, np.float64)
        unit = self._unit(gaps)
        codes = np.zeros((*gain.shape, len(BITS) + self.stages), np.int64)
        codes[..., 0] = np.clip(np.rint((vectors[..., RAMP] - 1.0) * 7.0 / np.maximum(unit - 1.0, 1.0)), 0, 7)
        codes[..., 2] = nearest(gain, self.tables.gain)
        codes[..., 3] = _nearest_shares(vectors[..., SHARES], self.tables.shares)
        weights = knot_weights(vectors[..., SHAPE])
        base, memory = self._base(gaps, codes)
        shape, f0 = np.zeros((*gain.shape[:-1], 24)), np.full(gain.shape[:-1], FIRST_F0)
        for n in range(gain.shape[-1]):
            predicted = base[..., n, :] + memory[..., n, :] * (shape @ self.tables.prediction[-24:])
            left = vectors[..., n, SHAPE] - predicted
            codes[..., n, 4:] = search(left, weights[..., n, :], self.tables.stages[: self.stages])
            shape = predicted + self._sum(codes[..., n, 4:])
            codes[..., n, 1] = nearest(np.clip(vectors[..., n, LN_F0], *F0_RANGE) - f0, self.f0)
            f0 = np.clip(f0 + self.f0[codes[..., n, 1]], *F0_RANGE)
        return codes, self.decode_sequence(gaps, codes)

    def decode_sequence(self, gaps: NDArray[np.int64], codes: Codes) -> Array:
        """(..., N, 1 + 32) from codes (..., N, F): gain re the level, then the vector."""
        out = np.zeros((*codes.shape[:-1], 1 + DIMENSIONS))
        vectors = out[..., 1:]
        out[..., 0] = self.tables.gain[codes[..., 2]]
        vectors[..., RAMP] = 1.0 + (self._unit(gaps) - 1.0) * codes[..., 0] / 7.0
        vectors[..., SHARES] = self.tables.shares[codes[..., 3]]
        base, memory = self._base(gaps, codes)
        left = base + self._sum(codes[..., 4:])
        shape, f0 = np.zeros((*codes.shape[:-2], 24)), np.full(codes.shape[:-2], FIRST_F0)
        for n in range(codes.shape[-2]):
            shape = left[..., n, :] + memory[..., n, :] * (shape @ self.tables.prediction[-24:])
            f0 = np.clip(f0 + self.f0[codes[..., n, 1]], *F0_RANGE)
            vectors[..., n, SHAPE], vectors[..., n, LN_F0] = shape, f0
        return out

    def _unit(self, gaps: NDArray[np.int64]) -> Array:
        return np.full(gaps.shape[:-1], LIVE_UNIT) if self.live else np.minimum(gaps[..., 1], LONGEST_GAP)

    def _base(self, gaps: NDArray[np.int64], codes: Codes) -> tuple[Array, Array]:
        """Prediction (..., N, 24) but for the shape before, and how far that is remembered, (..., N, 1)."""
        memory = remembered(gaps)
        known = context(self.tables.gain[codes[..., 2]], self.tables.shares[codes[..., 3]])
        return np.concatenate([known, memory * before(known)], axis=-1) @ self.tables.prediction[:-24], memory

    def _sum(self, stages: Codes) -> Array:
        """(..., 24) of codes (..., S)."""
        return sum((self.tables.stages[s][stages[..., s]] for s in range(stages.shape[-1])), np.zeros(1))


def remembered(gaps: NDArray[np.int64]) -> Array:
    """(..., N, 1): how much of an event is still true at the next one; gaps (..., N, 2). Nothing before the first."""
    memory = np.exp(-np.maximum(gaps[..., :1], SOONEST) / MEMORY)
    memory[..., :1, :] = 0.0
    return memory


def context(gain: Array, logits: Array) -> Array:
    """(..., 7) of events: 1, gain re the level, logits of the noise's shares."""
    return np.concatenate([np.ones((*gain.shape, 1)), gain[..., None], logits], axis=-1)


def before(rows: Array) -> Array:
    """Rows (..., N, D) of events moved by one, so that each event has those of the one before it; 0 for the first."""
    return np.concatenate([np.zeros_like(rows[..., :1, :]), rows[..., :-1, :]], axis=-2)


def nearest(values: Array, table: Array) -> NDArray[np.int64]:
    """Index into an ascending table of what is nearest to each value."""
    return np.searchsorted(0.5 * (table[1:] + table[:-1]), values)


def knot_weights(shape: Array) -> Array:
    """What an error at each knot counts (..., 24): least where the envelope is far below its peak, and above 4 kHz."""
    loud = np.clip((shape - shape.max(axis=-1, keepdims=True) + 5.0) / 4.0, 0.25, 1.0)
    return loud * np.where(np.arange(24) < 18, 1.0, 0.8)


def _nearest_shares(logits: Array, table: Array) -> NDArray[np.int64]:
    return ((logits[..., None, :] - table) ** 2).sum(axis=-1).argmin(axis=-1)


def search(vectors: Array, weights: Array, stages: Array, beginnings: int = BEGINNINGS) -> Codes:
    """Codes (..., S) of the sum of one vector a stage (S, 32, 24) that is near each vector (..., 24).

    Squared error under weights (..., 24); after every stage the best `beginnings` are kept, so it is near, not nearest.
    """
    flat, weight = vectors.reshape(-1, 24), weights.reshape(-1, 1, 24)
    left, codes = flat[:, None, :], np.zeros((len(flat), 1, 0), np.int64)  # (B, M, 24), (B, M, s)
    rows = np.arange(len(flat))[:, None]
    for book in stages:
        energy = (weight * left**2).sum(axis=-1)[..., None] + weight @ (book**2).T
        error = (energy - 2.0 * (weight * left) @ book.T).reshape(len(flat), -1)  # (B, M K)
        best = np.argsort(error, axis=1, kind="stable")[:, :beginnings]
        origin, choice = best // len(book), best % len(book)
        left = left[rows, origin] - book[choice]
        codes = np.concatenate([codes[rows, origin], choice[..., None]], axis=-1)
    return codes[:, 0].reshape(*vectors.shape[:-1], len(stages))


def _check_one_voice(events: Events) -> None:
    if len(events) and ((events["kind"] != Kind.RETARGET) | (events["voice"] != events["voice"][0])).any():
        raise InputError("the quantiser takes the retarget events of one voice at a time")
