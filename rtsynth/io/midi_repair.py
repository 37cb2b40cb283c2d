"""What a player forgives in a standard MIDI file, put right before mido reads it.

Chunks other than MThd and MTrk are skipped, as the standard asks ("your program should expect alien chunks
and treat them as if they weren't there"); system messages that may not stand in a track are dropped; a track
that breaks off keeps what came before. Source: Standard MIDI Files 1.0 (RP-001).
"""

from __future__ import annotations

import struct

from rtsynth.io.midi_bytes import LONGEST_SYSEX, message_length

_META, _SYSEX, _ESCAPE = 0xFF, 0xF0, 0xF7
_TRACK_NAME, _END_OF_TRACK, _TEMPO = 0x03, 0x2F, 0x51
_KEPT_METAS = {_TRACK_NAME: range(1, 1024), _END_OF_TRACK: range(1), _TEMPO: range(3, 4)}  # lengths they have
_END = b"\xff\x2f\x00"
_SEARCHED = 4096  # bytes; how far into the file the header may stand (RIFF and MacBinary wrappers)


class BrokenError(ValueError):
    """The bytes are no MIDI file, or nothing of it can be played."""


def repair(data: bytes) -> tuple[bytes, list[str]]:
    """A well-formed MIDI file with the notes, controls, tempi and names in `data`, and what was wrong.

    Raises BrokenError, with the cause, where there is nothing to play.
    """
    start, header = _read_header(data)
    tracks, warnings = _read_tracks(data, start, header[1])
    if not tracks:
        raise BrokenError("it has no tracks")
    chunks = [_chunk(b"MThd", struct.pack(">HHH", header[0], len(tracks), header[2]))]
    return b"".join(chunks + [_chunk(b"MTrk", track) for track in tracks]), warnings


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack(">L", len(body)) + body


def _read_header(data: bytes) -> tuple[int, tuple[int, int, int]]:
    """Where the first chunk after the header starts, and (format, tracks, division)."""
    if not data:
        raise BrokenError("it is empty")
    start = data.find(b"MThd", 0, _SEARCHED)
    if start < 0:
        raise BrokenError("it is not a MIDI file (no MThd header)")
    if len(data) < start + 14:
        raise BrokenError("it ends inside its header")
    length, kind, tracks, division = struct.unpack(">LHHH", data[start + 4 : start + 14])
    if length < 6:
        raise BrokenError(f"its header has {length} bytes, not 6")
    if kind > 2:
        raise BrokenError(f"it has format {kind}; 0, 1 and 2 are known")
    if division == 0 or (division & 0x8000 and not division & 0xFF):
        raise BrokenError("its header says 0 ticks per beat")
    return start + 8 + length, (kind, tracks, division)


def _read_tracks(data: bytes, at: int, announced: int) -> tuple[list[bytes], list[str]]:
    """Every track of `data` from `at` on, in clean bytes."""
    tracks: list[bytes] = []
    warnings: list[str] = []
    while len(data) - at >= 8:
        name, length = struct.unpack(">4sL", data[at : at + 8])
        if name != b"MTrk":
            if not _is_chunk(data, at):
                warnings.append(f"{len(data) - at} bytes after the last track are no chunk and were skipped")
                break
            warnings.append(f"chunk {name.decode('latin-1')!r} was skipped")
            at += 8 + length
            continue
        track = _Track(data, at + 8, length)
        tracks.append(track.clean())
        warnings += [f"track {len(tracks)}: {warning}" for warning in dict.fromkeys(track.warnings)]
        at = track.next_chunk
    if len(tracks) != announced:
        warnings.append(f"the header announces {announced} tracks, {len(tracks)} are there")
    return tracks, warnings


def _is_chunk(data: bytes, at: int) -> bool:
    """Whether a chunk, or nothing more, can start here."""
    name = data[at : at + 4]
    return len(data) - at < 8 or (name.isascii() and name.decode("ascii").isprintable())


class _Track:
    """One pass over one track's events; `clean` gives them back without what has no place there."""

    def __init__(self, data: bytes, start: int, length: int) -> None:
        self._data = data
        self._at = start
        self._declared_end = start + length
        self._trusted = self._declared_end <= len(data) and _is_chunk(data, self._declared_end)
        self._end = self._declared_end if self._trusted else len(data)
        self._running = 0
        self._ended = False
        self.warnings: list[str] = []

    def clean(self) -> bytes:
        """The track's events in well-formed bytes, closed by an end of track."""
        out = bytearray()
        delta = 0  # ticks of dropped events, which the next kept one inherits
        try:
            while self._at < self._end and not self._ended:
                delta += self._variable_length()
                event = self._event()
                if event:
                    out += _as_variable_length(delta) + event
                    delta = 0
        except BrokenError as problem:
            self.warnings.append(f"{problem} at byte {self._at}: the rest of the track is not played")
        if not self._ended:
            out += _as_variable_length(delta) + _END
        if not self._trusted and self._at != self._declared_end:
            self.warnings.append("the length in its header is wrong")
        return bytes(out)

    @property
    def next_chunk(self) -> int:
        """Where the next chunk starts; after `clean`."""
        at_a_track = self._data[self._at : self._at + 4] == b"MTrk"
        if self._at == self._declared_end or (self._trusted and not at_a_track):
            return self._declared_end
        found = self._data.find(b"MTrk", self._at)
        return found if found >= 0 else len(self._data)

    def _event(self) -> bytes:
        """The next event's bytes with its status; empty for what is dropped."""
        status = self._peek()
        if status < 0x80:
            status = self._running
            if not status:
                raise BrokenError("a data byte without a status")
        else:
            self._at += 1
        if status == _META:
            return self._meta()
        if status in (_SYSEX, _ESCAPE):
            return self._system_exclusive(status)
        if status >= 0xF0:
            return self._stray_system(status)
        self._running = status  # kept over metas too: files rely on it
        return bytes((status,)) + self._data_bytes(message_length(status) - 1)

    def _meta(self) -> bytes:
        kind = self._take(1)[0]
        body = self._take(self._variable_length())
        self._ended = kind == _END_OF_TRACK
        if len(body) not in _KEPT_METAS.get(kind, ()):
            return _END if self._ended else b""
        return bytes((_META, kind)) + _as_variable_length(len(body)) + body

    def _system_exclusive(self, status: int) -> bytes:
        """A whole system exclusive; empty for escapes and packets of a divided one: no source reads them."""
        body = self._take(self._variable_length())
        whole = status == _SYSEX and body.endswith(b"\xf7") and len(body) <= LONGEST_SYSEX
        if not whole or max(body[:-1], default=0) > 127:
            return b""
        return bytes((_SYSEX,)) + _as_variable_length(len(body)) + body

    def _stray_system(self, status: int) -> bytes:
        self._data_bytes(max(0, message_length(status) - 1))
        self.warnings.append(f"system message {status:02X}, which has no place in a file, was skipped")
        return b""

    def _data_bytes(self, count: int) -> bytes:
        body = self._data[self._at : self._at + count]
        if any(byte > 127 for byte in body):
            raise BrokenError(f"a data byte {max(body):02X} above 7F")
        return self._take(count)

    def _peek(self) -> int:
        if self._at >= self._end:
            raise BrokenError("the file ends inside an event")
        return self._data[self._at]

    def _take(self, count: int) -> bytes:
        if self._at + count > self._end:
            raise BrokenError("the file ends inside an event")
        self._at += count
        return self._data[self._at - count : self._at]

    def _variable_length(self) -> int:
        value = 0
        for _ in range(4):
            byte = self._take(1)[0]
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise BrokenError("a number longer than four bytes")


def _as_variable_length(value: int) -> bytes:
    """A number in seven-bit groups; delays of dropped events can add up to more than four bytes."""
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))
