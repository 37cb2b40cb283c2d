"""Codings: how the events of one kind and voice become bytes in a file, and how they come back.

"float" keeps every number; "file-59", "file-49", "live-59", "live-49" are the quantiser's, for retargets; "strike" is
that of strikes, "damped" where one has a damper, "code-4" that of codes. docs/codec.md has the bits.
"""

from __future__ import annotations

from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.event import DAMPED_AFTER, EVENT, Events, Kind
from rtsynth.codec.quantiser import GAP_BITS, LONGEST_GAP, NAMES, Quantiser

Bits = NDArray[np.uint8]  # of 0 and 1

FLOAT, STRIKE, DAMPED, CODE = "float", "strike", "damped", "code-4"
_OWN = {Kind.STRIKE: STRIKE, Kind.CODE: CODE}  # codings of kinds that have one
_PLAIN = np.dtype([("time", "<i8"), ("gain", "<f4"), ("vector", "<f4", EVENT["vector"].shape)])  # 140 bytes


class Coding(Protocol):
    """Events of one kind and voice as bytes."""

    name: str
    fingerprint: bytes  # 4 bytes: of the tables it works with
    kinds: frozenset[int]  # that it can hold

    def encode(self, events: Events, level: float) -> tuple[int, Bits]:
        """How many events the bits hold, and the bits."""

    def decode(self, count: int, bits: Bits, level: float) -> Events:
        """The events, kind and voice 0; ValueError for bits that hold none."""


@cache
def coding(name: str) -> Coding:
    """By its name in a file; raises InputError for one that this version does not know."""
    if name in (STRIKE, DAMPED):
        from rtsynth.codec.strike_coding import StrikeQuantiser

        return StrikeQuantiser(damped=name == DAMPED)
    if name == CODE:
        from rtsynth.codec.code_coding import CodeQuantiser

        return CodeQuantiser()
    return Plain() if name == FLOAT else Packed(Quantiser.load(name))


def names() -> list[str]:
    """Codings that may be asked for; strikes and codes have one of their own."""
    return [FLOAT, *NAMES]


def name_for(events: Events, asked: str) -> str:
    """The coding of events of one kind, where `asked` is what retargets are to have."""
    name = asked if asked == FLOAT else _OWN.get(Kind(events["kind"][0]), asked)
    return DAMPED if name == STRIKE and events["vector"][:, DAMPED_AFTER].any() else name


class Plain:
    """Every number as it is."""

    name = FLOAT
    fingerprint = bytes(4)
    kinds: frozenset[int] = frozenset(Kind)

    def encode(self, events: Events, level: float) -> tuple[int, Bits]:
        plain = np.zeros(len(events), _PLAIN)
        for field in _PLAIN.names or ():
            plain[field] = events[field]
        return len(events), np.unpackbits(np.frombuffer(plain.tobytes(), np.uint8))

    def decode(self, count: int, bits: Bits, level: float) -> Events:
        if bits.size != 8 * count * _PLAIN.itemsize:
            raise ValueError("a chunk of it has another length than its events")
        plain = np.frombuffer(np.packbits(bits).tobytes(), _PLAIN)
        events = np.zeros(count, EVENT)
        for field in _PLAIN.names or ():
            events[field] = plain[field]
        return events


class Packed:
    """Retarget events by the quantiser: all gaps first, then the fields of one event after the other."""

    kinds: frozenset[int] = frozenset({Kind.RETARGET})

    def __init__(self, quantiser: Quantiser) -> None:
        self.quantiser, self.name = quantiser, quantiser.name
        self.fingerprint = quantiser.fingerprint

    def encode(self, events: Events, level: float) -> tuple[int, Bits]:
        times, codes = self.quantiser.codes(events, level)
        gaps = to_bits(gap_codes(times)[:, None], [GAP_BITS])
        return len(times), np.concatenate([gaps, to_bits(codes, self.quantiser.widths[1:])])

    def decode(self, count: int, bits: Bits, level: float) -> Events:
        width = self.quantiser.bits - GAP_BITS
        padded = bits.size - count * width
        if padded < 0:
            raise ValueError("a chunk of it is shorter than its events")
        gaps = from_bits(bits[: padded // GAP_BITS * GAP_BITS], [GAP_BITS])[:, 0]
        events_at = np.flatnonzero(gaps)[:count]
        used = 1 + int(events_at[-1]) if count and len(events_at) == count else 0
        if used * GAP_BITS + count * width + 7 < bits.size or len(events_at) < count:
            raise ValueError("the times in a chunk of it do not fit its events")
        times = np.cumsum(np.where(gaps == 0, LONGEST_GAP, gaps))[events_at] - 1
        start = used * GAP_BITS
        codes = from_bits(bits[start : start + count * width], self.quantiser.widths[1:])
        return self.quantiser.events(times, codes, level, voice=0)


def gap_codes(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Codes of the gaps between ascending times, the first from -1: 0 for every 63 steps without an event."""
    gaps = np.diff(times, prepend=-1)
    skips = (gaps - 1) // LONGEST_GAP
    out = np.zeros(len(gaps) + int(skips.sum()), np.int64)
    out[np.arange(len(gaps)) + np.cumsum(skips)] = gaps - skips * LONGEST_GAP
    return out


def to_bits(codes: NDArray[np.int64], widths: list[int]) -> Bits:
    """Codes (N, F) as N · sum(widths) bits, the most significant of a field first."""
    columns = [
        codes[:, field, None] >> np.arange(width - 1, -1, -1) & 1 for field, width in enumerate(widths)
    ]
    return np.concatenate(columns, axis=1).astype(np.uint8).ravel()


def from_bits(bits: Bits, widths: list[int]) -> NDArray[np.int64]:
    """The inverse of `to_bits`: (N, F)."""
    rows = bits.reshape(-1, sum(widths)).astype(np.int64)
    ends = np.cumsum(widths)
    columns = [
        rows[:, e - w : e] @ (1 << np.arange(w - 1, -1, -1)) for w, e in zip(widths, ends, strict=True)
    ]
    return np.stack(columns, axis=1)
