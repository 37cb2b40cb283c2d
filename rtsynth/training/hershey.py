"""Handwriting without end: lines of text set in the single-stroke fonts of A. V. Hershey, no two alike.

A font is a .jhf file: a glyph a line, the characters from space on in the order of ASCII. Columns 0 to 4 number it,
5 to 7 count its pairs of characters, the first of which is its left and right edge; the others are points, relative to
'R', and " R" lifts the pen.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError
from rtsynth.sequence.strokes import CHARACTERS

Array = NDArray[np.float64]

BASE = 9.0  # y of the base line in a glyph
UNIT = 5.0  # of the font's units in one of ours: then offsets have about unit variance
LONGEST = 9.0  # font units between two points of a stroke; what is longer is divided
THIN = 0.45  # font units
JOINED = 2.0  # font units between the end of a glyph and the start of the next that the pen does not lift for
CREDIT = (
    "The Hershey Fonts were originally created by Dr. A. V. Hershey while working at the U. S. National Bureau of "
    "Standards. The format of the Font data in this distribution was originally created by James Hurt, Cognition, "
    "Inc., 900 Technology Park Drive, Billerica, MA 01821 (mit-eddie!ci-dandelion!hurt)."
)


@dataclass(frozen=True)
class Glyph:
    points: Array  # (N, 2), x from the left edge, y down from the base line
    ends: NDArray[np.bool_]  # (N,): the pen lifts after this point
    advance: float


@dataclass(frozen=True)
class Font:
    name: str
    glyphs: tuple[Glyph, ...]  # of CHARACTERS
    joins: bool  # the letters of a word hang together


@dataclass(frozen=True)
class Line:
    """A written line: offsets (N, 3) in network units, and which character of the text each point belongs to."""

    offsets: Array
    places: NDArray[np.int64]  # (N,), 0…U-1
    text: str


def read_font(path: Path) -> Font:
    """InputError for what is no font of this format."""
    try:
        rows = path.read_text("ascii").splitlines()
        glyphs = tuple(_glyph(row) for row in rows[: len(CHARACTERS)])
    except (OSError, ValueError, IndexError) as error:
        raise InputError(f"{path} is no Hershey font: {error}") from None
    if len(glyphs) < len(CHARACTERS):
        raise InputError(f"{path} has {len(glyphs)} glyphs; a font has {len(CHARACTERS)}")
    return Font(path.stem, glyphs, joins=_touching(glyphs))


def _glyph(row: str) -> Glyph:
    count = int(row[5:8])
    body = row[8 : 8 + 2 * count]
    if count < 1 or len(body) < 2 * count or any(not 32 <= ord(c) < 127 for c in body):
        raise ValueError("a glyph that is cut off")
    left, right = ord(body[0]) - ord("R"), ord(body[1]) - ord("R")
    points: list[tuple[float, float]] = []
    ends: list[bool] = []
    for n in range(2, 2 * count, 2):
        pair = body[n : n + 2]
        if pair == " R":
            ends[-1] = True
        else:
            points.append((ord(pair[0]) - ord("R") - left, ord(pair[1]) - ord("R") - BASE))
            ends.append(False)
    if ends:
        ends[-1] = True
    kept, lifts = thinned(np.array(points, float).reshape(-1, 2), np.array(ends, bool), THIN)
    return Glyph(kept, lifts, float(right - left))


def thinned(points: Array, ends: NDArray[np.bool_], far: float) -> tuple[Array, NDArray[np.bool_]]:
    """Without the points that a stroke passes within `far` of anyway (Ramer, Douglas and Peucker)."""
    keep = np.zeros(len(points), bool)
    first = 0
    for last in np.flatnonzero(ends):
        keep[first] = keep[last] = True
        _keep_corners(points, keep, first, int(last), far)
        first = int(last) + 1
    return points[keep], ends[keep]


def _keep_corners(points: Array, keep: NDArray[np.bool_], first: int, last: int, most: float) -> None:
    if last - first < 2:
        return
    way, between = points[last] - points[first], points[first + 1 : last] - points[first]
    along = np.clip(between @ way / max(float(way @ way), 1e-12), 0.0, 1.0)
    far = np.hypot(*(between - along[:, None] * way).T)
    if far.max() > most:
        corner = first + 1 + int(far.argmax())
        keep[corner] = True
        _keep_corners(points, keep, first, corner, most)
        _keep_corners(points, keep, corner, last, most)


def _touching(glyphs: tuple[Glyph, ...]) -> bool:
    """Whether most lower-case letters end at the right edge at about the height where letters begin at the left."""
    letters = [glyphs[CHARACTERS.index(c)] for c in "aeimntu"]
    return bool(np.mean([abs(g.points[-1, 0] - g.advance) < 2.5 for g in letters]) > 0.6)


@dataclass(frozen=True)
class Hand:
    """How a line is written; lengths in font units, where a capital is 21 high."""

    slant: float = 0.0  # of an upright, dx / -dy
    size: float = 1.0
    aspect: float = 1.0  # of x
    spacing: float = 0.0  # beside what the font says
    wobble: float = 0.0  # of the base line
    unrest: float = 0.0  # of every glyph's place and size
    jitter: float = 0.0  # of every point

    @classmethod
    def drawn(cls, rng: np.random.Generator, joins: bool) -> Hand:
        """A hand like no other: print may lean to the right, what hangs together leans already."""
        return cls(
            slant=rng.uniform(-0.15, 0.15) if joins else rng.uniform(-0.1, 0.45),
            size=float(np.exp(0.1 * rng.standard_normal())),
            aspect=float(np.exp(0.1 * rng.standard_normal())),
            spacing=0.0 if joins else rng.uniform(-1.0, 1.5),
            wobble=rng.uniform(0.0, 1.0),
            unrest=rng.uniform(0.0, 0.6),
            jitter=rng.uniform(0.05, 0.35),
        )


def write_line(font: Font, text: str, hand: Hand, rng: np.random.Generator) -> Line:
    """The text in this hand. It holds a character that is seen."""
    points, ends, places = _set(font, text, hand, rng)
    points, ends, places = _divided(points, ends, places)
    points = points + hand.jitter * rng.standard_normal(points.shape)
    phase, wave = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(100.0, 300.0)
    points[:, 1] += hand.wobble * np.sin(2.0 * np.pi * points[:, 0] / wave + phase)
    points[:, 0] -= hand.slant * points[:, 1]
    points *= np.array([hand.size * hand.aspect, hand.size]) / UNIT
    offsets = np.diff(points, axis=0, prepend=np.zeros((1, 2)))
    return Line(np.column_stack([offsets, ends]), places, text)


def _set(
    font: Font, text: str, hand: Hand, rng: np.random.Generator
) -> tuple[Array, NDArray[np.bool_], NDArray[np.int64]]:
    """Glyph after glyph along the base line: points, ends, places."""
    parts: list[Array] = []
    ends: list[NDArray[np.bool_]] = []
    places: list[int] = []
    x = 0.0
    for place, character in enumerate(text):
        glyph = font.glyphs[CHARACTERS.index(character)]
        if len(glyph.points):
            stretch = 1.0 + 0.06 * hand.unrest * rng.standard_normal(2)
            shown = glyph.points * stretch + [x, hand.unrest * rng.standard_normal()]
            lifts = glyph.ends
            if font.joins and parts and np.hypot(*(shown[0] - parts[-1][-1])) < JOINED + hand.unrest:
                shown, lifts = shown[1:], lifts[1:]  # the pen stays down: the end before is the start
                ends[-1] = np.concatenate([ends[-1][:-1], [False]])
            parts.append(shown)
            ends.append(lifts)
            places += [place] * len(shown)
        x += glyph.advance + hand.spacing
    return np.concatenate(parts), np.concatenate(ends), np.array(places, np.int64)


def _divided(
    points: Array, ends: NDArray[np.bool_], places: NDArray[np.int64]
) -> tuple[Array, NDArray[np.bool_], NDArray[np.int64]]:
    """Long segments in equal parts, so that offsets are of about one size."""
    before = np.concatenate([points[:1], points[:-1]])
    down = np.concatenate([[False], ~ends[:-1]])
    way = points - before
    pieces = np.where(down, np.ceil(np.hypot(*way.T) / LONGEST), 1.0).astype(int).clip(1)
    last = np.cumsum(pieces)
    of = np.repeat(np.arange(len(points)), pieces)
    share = (np.arange(last[-1]) - np.repeat(last - pieces, pieces) + 1) / pieces[of]
    divided = before[of] + share[:, None] * way[of]
    divided[last - 1] = points
    lifts = np.zeros(last[-1], bool)
    lifts[last - 1] = ends
    return divided, lifts, places[of]


def draw_text(words: list[str], longest: int, rng: np.random.Generator) -> str:
    """From half of `longest` to `longest` characters: words as they follow each other, else signs of all kinds."""
    length = int(rng.integers(max(1, longest // 2), longest + 1))
    kind = rng.uniform()
    if kind < 0.2 or not words:
        inked = np.array(list(CHARACTERS[1:] + "etaoinshrdlu" * 4 + " " * 12))
        text = "".join(rng.choice(inked, length))
    else:
        first = int(rng.integers(len(words)))
        text = " ".join(words[first : first + length])[:length]
        text = text.upper() if kind > 0.95 else text.title() if kind > 0.9 else text
    return text.strip() or str(rng.integers(10))


@functools.cache
def words_of(path: Path) -> list[str]:
    """The words of a text, as far as they can be written."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the text {path}: {error}") from None
    return [word for word in text.split() if all(c in CHARACTERS for c in word)]
