"""Strikes of one voice in 273 bits each and 6 or more for the gap: what goes into a file, and what a decoder gets back.

    gain 6 · 8 × (frequency 17 · t60 7 · level 6) · burst: level 6 · centre 6 · width 5 · t60 7 · attack 3

gain        1.5 dB steps below the chunk's level
frequency   logarithmic, 16 Hz … 22 kHz: steps of 0.1 cents; what beats for seconds needs them
t60         logarithmic, 2 ms … 60 s: steps of 8 %, of modes and bursts
level       1 dB steps below the gain; of a burst 1.5 dB steps from 24 dB above the gain down; code 0: nothing
centre      on the ERB-rate scale, 5 Hz … 20 kHz: steps of 2/3 of an ERB
width       logarithmic, 10 Hz … 8 kHz: steps of 24 %
attack      0, 1, 2, 5, 10, 20, 50 or 100 ms

Where a strike of the voice has a damper, the coding is "damped" instead of "strike", and 18 bits follow each burst:

    until the damper falls 13 · t60 under it 5

until       4 ms steps, to 32.8 s; code 0: never
t60         logarithmic, 10 ms … 10 s: steps of 25 %

No tables were learned: the fields are nearly independent, and the phases cost nothing (slots.py).
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.coding import Bits, from_bits, gap_codes, to_bits
from rtsynth.codec.event import (
    ABSENT,
    BURST,
    DAMPED_AFTER,
    DAMPED_T60,
    EVENT,
    MODE_COUNT,
    MODES,
    Array,
    Events,
    Kind,
)
from rtsynth.codec.quantiser import GAP_BITS, LONGEST_GAP
from rtsynth.instrument.fitting.metrics import erb_frequency, erb_rate

Codes = NDArray[np.int64]  # (N, FIELDS)

DB = np.log(10.0) / 20.0  # nepers
ATTACKS = np.array([0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0])  # milliseconds


class Scale(NamedTuple):
    """Codes 0 … 2^bits - 1 at even steps from `first` to `last`."""

    bits: int
    first: float
    last: float

    def code(self, value: Array) -> Codes:
        top = (1 << self.bits) - 1
        share = (np.asarray(value, np.float64) - self.first) / (self.last - self.first)
        return np.rint(np.clip(share, 0.0, 1.0) * top).astype(np.int64)

    def value(self, code: Codes) -> Array:
        return self.first + np.asarray(code, np.float64) * ((self.last - self.first) / ((1 << self.bits) - 1))


GAIN = Scale(6, 0.0, -94.5 * DB)  # re the level
FREQUENCY = Scale(17, np.log(16.0), np.log(22000.0))
T60 = Scale(7, np.log(0.002), np.log(60.0))
LEVEL = Scale(6, 1.0 * DB, -62.0 * DB)  # re the gain; code 0 is no level, code 1 is 0 dB
BURST_LEVEL = Scale(6, 25.5 * DB, -69.0 * DB)
CENTRE = Scale(6, float(erb_rate(5.0)), float(erb_rate(20000.0)))
WIDTH = Scale(5, np.log(10.0), np.log(8000.0))
UNTIL = Scale(13, 0.0, 0.004 * 8191)  # seconds
UNDER = Scale(5, np.log(0.01), np.log(10.0))
WIDTHS = [6, *[17, 7, 6] * MODE_COUNT, 6, 6, 5, 7, 3]
DAMPER_WIDTHS = [13, 5]
NONE = 0


class StrikeQuantiser:
    """Strikes of one voice as numbers of a few bits: the `Coding`s (coding.py) "strike" and, with dampers, "damped"."""

    kinds: frozenset[int] = frozenset({Kind.STRIKE})

    def __init__(self, *, damped: bool = False) -> None:
        self.name, self.damped = "damped" if damped else "strike", damped
        self.widths = WIDTHS + DAMPER_WIDTHS if damped else WIDTHS
        self.bits = sum(self.widths)
        scales = (
            GAIN,
            FREQUENCY,
            T60,
            LEVEL,
            BURST_LEVEL,
            CENTRE,
            WIDTH,
            *((UNTIL, UNDER) if damped else ()),
        )
        self.fingerprint = zlib.crc32(repr((self.widths, *scales)).encode()).to_bytes(4, "little")

    @classmethod
    def of(cls, events: Events) -> StrikeQuantiser:
        """The one that strikes (N,) need: with dampers where one has any."""
        return cls(damped=bool(events["vector"][:, DAMPED_AFTER].any()))

    def quantise(self, events: Events, level: float = 0.0) -> Events:
        """What a decoder will be given for strikes (N,), of any voices; `level` as in a file: no gain is above it."""
        out = self.events(self.codes(events, level), level)
        out["time"], out["voice"] = events["time"], events["voice"]
        return out

    def codes(self, events: Events, level: float) -> Codes:
        """(N, FIELDS)."""
        modes = events["vector"][:, MODES].reshape(-1, MODE_COUNT, 3).astype(np.float64)
        gain = GAIN.code(events["gain"] - level)
        rounded = (events["gain"] - level - GAIN.value(gain))[:, None]  # given to the levels, which are finer
        loudness = modes[..., 2] + rounded
        absent = (modes[..., 2] <= ABSENT) | (loudness < LEVEL.last - 0.5 * DB)
        one = np.stack(
            [FREQUENCY.code(modes[..., 0]), T60.code(modes[..., 1]), np.maximum(LEVEL.code(loudness), 1)],
            axis=-1,
        )
        one[absent] = NONE
        parts = [gain[:, None], one.reshape(-1, 3 * MODE_COUNT), self._burst_codes(events, rounded[:, 0])]
        return np.concatenate(parts + ([self._damper_codes(events)] if self.damped else []), axis=1)

    def _damper_codes(self, events: Events) -> Codes:
        after, ln_t60 = events["vector"][:, [DAMPED_AFTER, DAMPED_T60]].astype(np.float64).T
        codes = np.stack([np.maximum(UNTIL.code(after), 1), UNDER.code(ln_t60)], axis=1)
        codes[after == 0.0] = NONE
        return codes

    def _burst_codes(self, events: Events, rounded: Array) -> Codes:
        level, centre, width, t60, attack = events["vector"][:, BURST].astype(np.float64).T
        level = level + rounded
        codes = [
            np.maximum(BURST_LEVEL.code(level), 1),
            CENTRE.code(erb_rate(np.exp(np.minimum(centre, 12.0)))),
            WIDTH.code(width),
            T60.code(t60),
            np.abs(attack[:, None] - ATTACKS).argmin(axis=1),
        ]
        out = np.stack(codes, axis=1)
        out[level < BURST_LEVEL.last] = NONE
        return out

    def events(self, codes: Codes, level: float) -> Events:
        """The inverse of `codes`, up to quantising; time 0, voice 0."""
        out = np.zeros(len(codes), EVENT)
        out["kind"] = Kind.STRIKE
        out["gain"] = level + GAIN.value(codes[:, 0])
        modes = codes[:, 1 : 1 + 3 * MODE_COUNT].reshape(-1, MODE_COUNT, 3)
        values = np.stack(
            [FREQUENCY.value(modes[..., 0]), T60.value(modes[..., 1]), LEVEL.value(modes[..., 2])], axis=-1
        )
        values[modes[..., 2] == NONE] = 0.0, 0.0, ABSENT
        out["vector"][:, MODES] = values.reshape(-1, 3 * MODE_COUNT)
        loud, centre, width, t60, attack = codes[:, 1 + 3 * MODE_COUNT : len(WIDTHS)].T
        hertz = np.log(erb_frequency(CENTRE.value(centre)))
        burst = [BURST_LEVEL.value(loud), hertz, WIDTH.value(width), T60.value(t60), ATTACKS[attack]]
        out["vector"][:, BURST] = np.where(
            (loud == NONE)[:, None], [ABSENT, 0.0, 0.0, 0.0, 0.0], np.stack(burst, axis=1)
        )
        if self.damped:
            until, under = codes[:, len(WIDTHS) :].T
            out["vector"][:, DAMPED_AFTER] = UNTIL.value(until)
            out["vector"][:, DAMPED_T60] = np.where(until == NONE, 0.0, UNDER.value(under))
        return out

    # ---- in a file ----

    def encode(self, events: Events, level: float) -> tuple[int, Bits]:
        """How many strikes the bits hold, and the bits: all gaps, then the fields of one strike after the other.

        Of strikes of one time in one voice the last is kept.
        """
        kept = events[np.append(np.diff(events["time"]) > 0, True)[: len(events)]]
        gaps = to_bits(gap_codes(kept["time"])[:, None], [GAP_BITS])
        return len(kept), np.concatenate([gaps, to_bits(self.codes(kept, level), self.widths)])

    def decode(self, count: int, bits: Bits, level: float) -> Events:
        """The strikes, voice 0; ValueError for bits that hold none."""
        fields = count * self.bits
        if bits.size < fields:
            raise ValueError("a chunk of it is shorter than its events")
        gaps = from_bits(bits[: (bits.size - fields) // GAP_BITS * GAP_BITS], [GAP_BITS])[:, 0]
        at = np.flatnonzero(gaps)[:count]
        used = GAP_BITS * (1 + int(at[-1])) if count and len(at) == count else 0
        if len(at) < count or used + fields + 7 < bits.size:
            raise ValueError("the times in a chunk of it do not fit its events")
        out = self.events(from_bits(bits[used : used + fields], self.widths), level)
        out["time"] = np.cumsum(np.where(gaps == 0, LONGEST_GAP, gaps))[at] - 1
        return out
