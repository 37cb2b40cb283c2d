"""Scales and keyboard maps in Scala's formats (.scl, .kbm): the pitch that every key sounds at.

Pitches are fractional MIDI notes re A4 = 440 Hz: 69.0 is 440 Hz, 0.01 is a cent. Source: the format pages of Scala
(Manuel Op de Coul, huygens-fokker.org/scala): scl_format.html, help.htm#mappings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError

KEYS = 128
A4, A4_KEY, MIDDLE_C = 440.0, 69, 60
LARGEST = 1 << 20  # bytes of a file, and far more notes than anybody has fingers for
UNMAPPED = "x"

_RATIO = re.compile(r"(\d{1,400})(?:\s*/\s*(\d{1,400}))?(?![\w./])")
_CENTS = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+)(?![\w./])")
_INTEGER = re.compile(r"[-+]?\d+(?![\w./])")


@dataclass(frozen=True)
class Scale:
    """Degrees of a scale in cents above degree 0; the last is the interval at which it repeats."""

    name: str
    cents: tuple[float, ...]  # of degrees 1 … n

    def pitch(self, degree: int) -> float:
        """Cents of any degree above degree 0: the scale goes on in both directions. NaN where there is no such one."""
        if not self.cents:  # a scale of degree 0 alone, which nothing repeats
            return 0.0 if degree == 0 else math.nan
        turns, within = divmod(degree, len(self.cents))
        return turns * self.cents[-1] + (self.cents[within - 1] if within else 0.0)


@dataclass(frozen=True)
class KeyboardMap:
    """Which degree lies on which key, and one key's frequency. With no `degrees` key after key, degree after degree."""

    first: int = 0  # keys from first to last are tuned; the others stay in equal temperament
    last: int = KEYS - 1
    middle: int = MIDDLE_C  # the key of the map's first entry
    reference: int = MIDDLE_C
    frequency: float = A4 * 2.0 ** ((MIDDLE_C - A4_KEY) / 12)  # hertz, of the reference key
    repeat: int = 0  # the degree that the map repeats at; 0: the scale's last
    degrees: tuple[int | None, ...] = ()  # None: a key that does not sound

    def degree(self, key: int, scale: Scale) -> tuple[int, int] | None:
        """(times the map has repeated, degree) of a key; None where nothing lies on it."""
        if not self.degrees:
            return 0, key - self.middle
        turns, entry = divmod(key - self.middle, len(self.degrees))
        degree = self.degrees[entry]
        return None if degree is None else (turns, degree)


def pitches(scale: Scale, keyboard: KeyboardMap | None = None) -> NDArray[np.float64]:
    """(128,) the pitch of every key, NaN where it does not sound.

    Without a map degree 0 is middle C, tuned as ever. InputError where the key whose frequency is given has no degree.
    """
    keyboard = keyboard or KeyboardMap()
    above = _cents_above(keyboard.reference, scale, keyboard)
    if math.isnan(above):
        raise InputError(
            f"the keyboard map gives key {keyboard.reference} a frequency, but no degree of the scale: map it"
        )
    reference = A4_KEY + 12.0 * math.log2(keyboard.frequency / A4)
    found = np.arange(KEYS, dtype=np.float64)
    for key in range(keyboard.first, keyboard.last + 1):
        found[key] = reference + (_cents_above(key, scale, keyboard) - above) / 100.0
    return found


def _cents_above(key: int, scale: Scale, keyboard: KeyboardMap) -> float:
    """Cents of a key above degree 0 on the middle key; NaN where it does not sound."""
    place = keyboard.degree(key, scale)
    if place is None:
        return math.nan
    turns, degree = place
    interval = scale.pitch(keyboard.repeat or len(scale.cents))
    return (turns * interval if turns else 0.0) + scale.pitch(degree)


def equal_temperament(a4: float = A4) -> NDArray[np.float64]:
    """(128,) the usual tuning with the A above middle C at `a4` hertz."""
    return np.arange(KEYS, dtype=np.float64) + 12.0 * math.log2(a4 / A4)


def load_tuning(scale: str | Path, keyboard: str | Path | None = None) -> NDArray[np.float64]:
    """(128,) pitches from a .scl file and perhaps a .kbm file. Raises InputError: file, line, cause."""
    return pitches(read_scale(scale), None if keyboard is None else read_keyboard_map(keyboard))


# ---- the files: lines that begin with ! are comments; what follows a value on its line is too ----


def read_scale(path: str | Path) -> Scale:
    """A .scl file. Raises InputError."""
    lines = _lines(path)
    name = _next(lines, path, "a description")[1].strip()
    number, text = _next(lines, path, "the number of notes")
    count = _integer(text, path, number, "the number of notes")
    if not 0 <= count <= LARGEST:
        raise InputError(f"{path}, line {number}: {count} notes")
    cents = []
    for note in range(1, count + 1):
        number, text = _next(lines, path, f"note {note} of {count}")
        cents.append(_interval(text, path, number))
    return Scale(name, tuple(cents))


def read_keyboard_map(path: str | Path) -> KeyboardMap:
    """A .kbm file; entries that are left out at its end do not sound. Raises InputError."""
    lines = _lines(path)
    size = _bounded(lines, path, "size of the map", 0, LARGEST)
    first = _bounded(lines, path, "first key", 0, KEYS - 1)
    last = _bounded(lines, path, "last key", 0, KEYS - 1)
    middle = _bounded(lines, path, "middle key", -LARGEST, LARGEST)
    reference = _bounded(lines, path, "reference key", -LARGEST, LARGEST)
    frequency = _frequency(*_next(lines, path, "the reference frequency"), path)
    repeat = _bounded(lines, path, "degree of the formal octave", 0, LARGEST)
    degrees = tuple(_entry(text, path, number) for number, text in islice(lines, size))
    missing = (None,) * (size - len(degrees))
    return KeyboardMap(first, last, middle, reference, frequency, repeat, degrees + missing)


def _lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """(number, text) of the lines that are no comments. Scala writes ISO 8859-1."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    if len(data) > LARGEST or b"\0" in data:
        raise InputError(f"{path}: not a Scala file")
    text = data.decode("latin-1").removeprefix("\xef\xbb\xbf")  # some editors begin with a mark of UTF-8
    numbered = enumerate(text.splitlines(), 1)
    return ((number, line) for number, line in numbered if not line.startswith("!"))


def _next(lines: Iterator[tuple[int, str]], path: str | Path, wanted: str) -> tuple[int, str]:
    found = next(lines, None)
    if found is None:
        raise InputError(f"{path} ends before {wanted}")
    return found


def _integer(text: str, path: str | Path, number: int, wanted: str) -> int:
    found = _INTEGER.match(text.strip())
    if found is None or len(found.group()) > 9:
        raise InputError(f"{path}, line {number}: '{text.strip()[:40]}' where {wanted} should be")
    return int(found.group())


def _bounded(lines: Iterator[tuple[int, str]], path: str | Path, wanted: str, low: int, high: int) -> int:
    number, text = _next(lines, path, f"the {wanted}")
    value = _integer(text, path, number, f"the {wanted}")
    if not low <= value <= high:
        raise InputError(f"{path}, line {number}: {wanted} {value}: want {low} to {high}")
    return value


def _frequency(number: int, text: str, path: str | Path) -> float:
    try:
        frequency = float((text.split() or [""])[0])
    except ValueError:
        frequency = math.nan
    if not 1e-3 <= frequency <= 1e6:
        raise InputError(f"{path}, line {number}: '{text.strip()[:40]}' is no frequency in hertz")
    return frequency


def _entry(text: str, path: str | Path, number: int) -> int | None:
    """One line of the map: a degree, or x."""
    if text.strip().lower().split()[:1] in ([UNMAPPED], []):
        return None
    return _integer(text, path, number, "a degree of the scale or x")


def _interval(text: str, path: str | Path, number: int) -> float:
    """Cents of one line: with a point it is cents, without a ratio."""
    text = text.strip()
    if cents := _CENTS.match(text):
        value = float(cents.group())
    elif ratio := _RATIO.match(text):
        over, under = int(ratio.group(1)), int(ratio.group(2) or 1)
        if over == 0 or under == 0:
            raise InputError(f"{path}, line {number}: the ratio '{ratio.group()}' is no pitch")
        value = 1200.0 * (math.log2(over) - math.log2(under))
    else:
        raise InputError(f"{path}, line {number}: '{text[:40]}' is neither cents (701.955) nor a ratio (3/2)")
    if abs(value) > 1e6:
        raise InputError(f"{path}, line {number}: {value:g} cents")
    return value
