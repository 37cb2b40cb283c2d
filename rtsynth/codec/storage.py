"""Events as a file, .events: a header, a chunk for each kind and voice, a checksum. docs/codec.md, byte by byte.

Little-endian throughout; no compression, no code, no pickle; every number is checked on the way in.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from rtsynth.codec.coding import Coding, coding, name_for
from rtsynth.codec.event import EVENT, LONGEST, Events, check_events, in_order
from rtsynth.errors import InputError, RtsynthError, UsageError
from rtsynth.target import check_target

SUFFIX = ".events"
MAGIC = b"\x93EVENTS"
VERSION = 1
STEP = Fraction(1, 250)  # seconds
LONGEST_SECONDS = 48 * 3600
LEVELS = 8  # a chunk's level is in eighths of a neper
_HEAD = struct.Struct("<7sBIIIQ8sH")  # magic, version, step's two halves, rate, samples, scheme, chunks
_CHUNK = struct.Struct("<BBh8s4sII")  # kind, voice, level, coding, fingerprint, events, bytes
_CRC = struct.Struct("<I")


@dataclass(frozen=True)
class EventFile:
    """What a file holds. `rate` (hertz) and `samples` are those of the sound that was encoded, or is meant."""

    events: Events
    rate: int
    samples: int
    scheme: str = "retarget"  # who is to render it
    step: Fraction = STEP  # seconds a control step
    codings: dict[tuple[int, int], str] = field(default_factory=dict)  # (kind, voice): its coding's name
    payload: int = 0  # bytes of all chunks, without their headers

    @property
    def seconds(self) -> float:
        return self.samples / self.rate


def write_events(path: str | Path, file: EventFile, coding: str = "file-59", force: bool = False) -> int:
    """Write events, whole or not at all; returns the file's bytes.

    Retargets go by `coding`, strikes and codes by theirs; with "float" all as they are. Raises UsageError for
    another suffix or a file that is there (without `force`), InputError for events that no decoder plays or where it
    cannot be written.
    """
    path = Path(path)
    check_events_target(path, force)
    data = pack(file, coding)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as problem:
        part.unlink(missing_ok=True)
        raise InputError(
            f"cannot write {path}: {problem.strerror}. Choose another place with -o"
        ) from problem
    return len(data)


def check_events_target(path: Path, force: bool) -> None:
    """Can events be written here? Before the work begins. Raises as `write_events` does."""
    if path.suffix != SUFFIX:
        raise UsageError(f"{path}: a file of events ends in {SUFFIX}. Try -o {path.with_suffix(SUFFIX)}")
    check_target(path, force)


def read_events(path: str | Path) -> EventFile:
    """What a file holds; InputError, one line, for whatever is not a whole and sound one."""
    path = Path(path)
    again = f"rtsynth codec encode in.wav -o {path}"
    try:
        return unpack(path.read_bytes())
    except OSError as problem:
        raise InputError(f"cannot read {path}: {problem.strerror}. Make it: {again}") from problem
    except (ValueError, RtsynthError) as problem:
        raise InputError(f"{path} holds no events: {problem}. Make it again: {again} -f") from problem


def pack(file: EventFile, coding_name: str) -> bytes:
    """The file's bytes."""
    events = check_events(file.events)
    chunks = [_chunk(part, coding(name_for(part, coding_name))) for part in _parts(events)]
    scheme = file.scheme.encode("ascii")
    if not 0 < len(scheme) <= 8 or not 0 < file.rate < 1 << 32 or not 0 <= file.seconds <= LONGEST_SECONDS:
        raise InputError("events need a scheme of up to 8 letters, a rate, and a length to be written")
    head = _HEAD.pack(
        MAGIC,
        VERSION,
        file.step.numerator,
        file.step.denominator,
        file.rate,
        file.samples,
        scheme,
        len(chunks),
    )
    data = b"".join([head, *chunks])
    return data + _CRC.pack(zlib.crc32(data))


def _parts(events: Events) -> list[Events]:
    """The events of each kind and voice."""
    key = events["kind"].astype(np.int64) << 8 | events["voice"]
    return [events[key == one] for one in np.unique(key)]


def _chunk(events: Events, by: Coding) -> bytes:
    level = math.ceil(LEVELS * float(events["gain"].max()))
    count, bits = by.encode(events, level / LEVELS)
    data = np.packbits(bits).tobytes()
    first = events[0]
    head = _CHUNK.pack(
        first["kind"], first["voice"], level, by.name.encode(), by.fingerprint, count, len(data)
    )
    return head + data


def unpack(data: bytes) -> EventFile:
    """The inverse of `pack`. Raises ValueError or InputError for anything but a whole and sound file."""
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("it begins with other bytes")
    if len(data) < _HEAD.size + _CRC.size:
        raise ValueError("it is cut short")
    if (version := data[len(MAGIC)]) != VERSION:
        raise ValueError(f"it is of version {version}, and this version of rtsynth reads {VERSION}")
    if zlib.crc32(data[: -_CRC.size]) != _CRC.unpack(data[-_CRC.size :])[0]:
        raise ValueError("its checksum is wrong, so it was damaged or cut short")
    _, _, top, bottom, rate, samples, scheme, count = _HEAD.unpack_from(data)
    if not top or not bottom or not rate or samples > LONGEST_SECONDS * rate:
        raise ValueError("its rate, step or length is impossible")
    at, parts, codings, payload = _HEAD.size, [np.zeros(0, EVENT)], {}, 0
    for _ in range(count):
        events, key, name, length = _read_chunk(data, at)
        if key in codings:
            raise ValueError("two chunks of it are of one kind and voice")
        parts.append(events)
        codings[key] = name
        at, payload = at + _CHUNK.size + length, payload + length
    if at != len(data) - _CRC.size:
        raise ValueError("there is something after its last chunk")
    events = check_events(in_order(np.concatenate(parts)))
    return EventFile(events, rate, samples, _text(scheme), Fraction(top, bottom), codings, payload)


def _read_chunk(data: bytes, at: int) -> tuple[Events, tuple[int, int], str, int]:
    """Events, (kind, voice), coding and bytes of the chunk that begins at byte `at`."""
    if at + _CHUNK.size > len(data) - _CRC.size:
        raise ValueError("it ends within a chunk")
    kind, voice, level, name, fingerprint, count, length = _CHUNK.unpack_from(data, at)
    begin = at + _CHUNK.size
    if begin + length > len(data) - _CRC.size or count > 8 * length:
        raise ValueError("it ends within a chunk")
    by = coding(_text(name))
    if by.fingerprint != fingerprint:
        raise ValueError(f"it was made with other tables of '{by.name}' than this version of rtsynth has")
    if kind not in by.kinds:
        raise ValueError(f"'{by.name}' is no coding for events of kind {kind}")
    events = by.decode(count, np.unpackbits(np.frombuffer(data, np.uint8, length, begin)), level / LEVELS)
    if count and int(events["time"][-1]) > LONGEST:
        raise ValueError("it has times beyond all measure")
    events["kind"], events["voice"] = kind, voice
    return events, (kind, voice), by.name, length


def _text(field: bytes) -> str:
    text = field.rstrip(b"\0").decode("ascii")
    if not text.isprintable() or not text:
        raise ValueError("a name in it is not printable")
    return text
