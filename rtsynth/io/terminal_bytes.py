"""What a terminal sends when keys are pressed: presses only, or with the kitty protocol releases too.

Sources: ECMA-48 (control sequences), xterm's ctlseqs, kitty's "Comprehensive keyboard handling in terminals".
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

ASK = b"\x1b[?u\x1b[c"  # the protocol's flags, then what every terminal answers: whether there is a first answer
ENTER, LEAVE = b"\x1b[>15u", b"\x1b[<u"  # tell releases, every key, and where it lies on the keyboard
KITTY, ANSWERED = "(kitty)", "(answered)"  # names of the two answers
ESCAPE, SPACE = "escape", "space"
_ARROWS = {"A": "up", "B": "down", "C": "right", "D": "left"}
_NAMED = {27: ESCAPE, 32: SPACE}
_CONTROL = 4  # bit of the modifiers


class Action(IntEnum):
    """As the kitty protocol counts them."""

    PRESS = 1
    REPEAT = 2
    RELEASE = 3


class Key(NamedTuple):
    """What happened to a key: the character on it, small, or its name."""

    name: str
    action: Action = Action.PRESS
    control: bool = False


class TerminalBytes:
    """Cuts a terminal's bytes, in pieces of any size, into keys; what it does not know is dropped, nothing raised."""

    def __init__(self) -> None:
        self._partial = b""

    def feed(self, data: bytes) -> list[Key]:
        """The keys that `data` completes."""
        text = self._partial + data
        found: list[Key] = []
        while text:
            length = _length(text)
            if length == 0:
                break
            key = _key(text[:length])
            found += [key] if key else []
            text = text[length:]
        self._partial = text
        return found

    def rest(self) -> list[Key]:
        """Nothing has followed for a while: an escape that began no sequence was the key."""
        waiting, self._partial = self._partial, b""
        return [Key(ESCAPE)] if waiting == b"\x1b" else []


def _length(text: bytes) -> int:
    """Bytes of the first key; 0: more are to come."""
    if text[0] == 0x1B:
        if len(text) == 1:
            return 0
        if text[1:2] == b"O":
            return 3 if len(text) >= 3 else 0
        if text[1:2] != b"[":
            return 1
        end = next((i for i, byte in enumerate(text[2:], 2) if not 0x20 <= byte < 0x40), None)
        return 0 if end is None else end + 1
    lead = text[0]
    length = 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    return length if len(text) >= length else 0


def _key(raw: bytes) -> Key | None:
    if raw[:2] in (b"\x1b[", b"\x1bO"):
        return _sequence(raw[2:].decode("ascii", "replace"))
    text = raw.decode(errors="ignore").lower()
    if text == "\x1b":
        return Key(ESCAPE)
    if text == " ":
        return Key(SPACE)
    if len(text) == 1 and text < " ":
        return Key(chr(ord(text) + 96), control=True)
    return Key(text) if text else None


def _sequence(text: str) -> Key | None:
    """A control sequence without its introducer: `1;1:3A`, or `122:90:121;5:1u`."""
    body, final = text[:-1], text[-1:]
    if body[:1] == "?":
        return {"u": Key(KITTY), "c": Key(ANSWERED)}.get(final)
    fields = [[int(part) if part.isdigit() else 0 for part in field.split(":")] for field in body.split(";")]
    modifiers = fields[1] if len(fields) > 1 else [1]
    action = modifiers[1] if len(modifiers) > 1 else 1
    if action not in set(Action):
        return None
    control = bool((max(1, modifiers[0]) - 1) & _CONTROL)
    if final in _ARROWS:
        return Key(_ARROWS[final], Action(action), control)
    return Key(name, Action(action), control) if final == "u" and (name := _name(fields[0])) else None


def _name(codes: list[int]) -> str:
    """Of a kitty key: its own code, that of shift, that of the same place on a US keyboard, where they are told."""
    code = codes[2] if len(codes) > 2 and codes[2] else codes[0]
    if code in _NAMED:
        return _NAMED[code]
    printable = 32 < code < 0x7F or 0xA0 <= code < 0xD800  # beyond: keys without a character
    return chr(code).lower() if printable else ""
