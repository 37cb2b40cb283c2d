"""Handwriting out of a network: a text, or nothing, to strokes (Graves, arXiv 1308.0850, §4 and §5).

A network that reads sees LETTERS characters of the text at a time; they follow its window, so a text may be of any
length. What it draws next hangs on its states, on how high above the base line the pen is, and on the seed's numbers.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError, UsageError
from rtsynth.sequence.mixture import bivariate, draw
from rtsynth.sequence.network import StepNetwork, load
from rtsynth.sequence.strokes import (
    CHARACTERS,
    Strokes,
    codes_of,
    read_strokes,
    strokes_of,
    unit_offsets,
    writable,
)
from rtsynth.sequence.window import is_past

KIND = "pen"
LARGEST_BIAS = 50.0
PATIENCE = 150  # points that a character may take
LINE = 7.0  # from one line to the next, where the offsets of a stroke have unit variance

Array = NDArray[np.floating]


class Point(NamedTuple):
    """Where the pen goes next."""

    offset: tuple[float, float]  # x to the right, y down
    end: bool  # it lifts after this point
    place: int  # of the character that the window stands at


class Writing(NamedTuple):
    """A text as it was written."""

    strokes: Strokes
    places: NDArray[np.int64]  # (N,): the character of the text that each point belongs to
    whole: bool  # the stop rule ended it; else the pen lost its way


class Pen:
    """A shipped network by name, or one of `rtsynth train pen`."""

    def __init__(self, model: str | Path = "pen") -> None:
        self.network: StepNetwork = load(model, KIND)
        settings, where = self.network.settings, self.network.path
        self.reads = settings.get("reads") is True
        self._letters = (self.network.inputs.get("letters") or (1, 1, 1))[1]
        letters = {"letters": (1, self._letters, len(CHARACTERS)), "first": (1, 1)} if self.reads else {}
        seen = {"phi": (1, self._letters + 1)} if self.reads else {}
        said = self.network.outputs.get("said", (1, 1))
        fits = said[0] == 1 and said[-1] > 6 and said[-1] % 6 == 1
        fits = fits and self.network.inputs == {"pen": (1, 4)} | letters
        if not fits or self.network.outputs != {"said": said} | seen:
            raise InputError(f"{where}: what goes in and comes out is not that of a pen")
        if self.reads and settings.get("characters") != CHARACTERS:
            raise InputError(f"{where}: the characters among its settings are not those of this rtsynth")
        styles = settings.get("styles", {})
        if not isinstance(styles, dict):
            raise InputError(f"{where}: the styles among its settings are damaged")
        self._styles = styles

    @property
    def styles(self) -> list[str]:
        """Names of the hands that it has a sample of."""
        return sorted(self._styles)

    def style(self, name: str | Path) -> Strokes:
        """A sample of a hand, with its text: one that the network brings, or a file. InputError."""
        if str(name) in self._styles:
            return strokes_of(self._styles[str(name)], f"{self.network.path}: style {name}")
        path = Path(name)
        if not path.suffix and not path.exists():
            near = difflib.get_close_matches(str(name), self.styles, 1)
            hint = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(self.styles) or 'none'}"
            raise InputError(f"no style '{name}'. {hint}; or give a file of strokes, .json")
        found = read_strokes(path)
        if not found.text.strip():
            raise InputError(f'{path} does not say what is written: add "text" to it')
        return found

    def write(
        self,
        text: str,
        bias: float = 0.5,
        seed: int = 1,
        style: Strokes | None = None,
        progress: Callable[[float], None] = lambda share: None,
    ) -> Writing:
        """All of it. The first row of the strokes leads from the base line to the first point."""
        points = []
        for point in self.points(text, bias, seed, style):
            points.append(point)
            if len(points) % 1000 == 0:
                progress(point.place / len(text))
        rows = np.array([(*point.offset, point.end) for point in points], float).reshape(-1, 3)
        places = np.array([point.place for point in points], np.int64)
        return Writing(Strokes(rows, writable(text)), places, self._past)

    def points(
        self, text: str, bias: float = 0.5, seed: int = 1, style: Strokes | None = None
    ) -> Iterator[Point]:
        """Point after point, until the window has passed the text.

        `bias`: 0 as it learned, more is tidier. `style`: a sample of a hand with its text, to go on in. UsageError,
        InputError.
        """
        _check(bias, seed)
        if not self.reads:
            raise UsageError(f"{self.network.path.name} reads no text: leave the text out")
        return self._written(writable(text), bias, seed, style)

    def scrawl(self, count: int, bias: float = 0.5, seed: int = 1) -> Strokes:
        """`count` points of a network that reads nothing."""
        _check(bias, seed)
        if self.reads:
            raise UsageError(f"{self.network.path.name} writes a text: say which")
        hand = _Hand(self.network, bias, seed)
        return Strokes(np.array([hand.draw(hand.step()) for _ in range(count)], float).reshape(-1, 3))

    def _written(self, text: str, bias: float, seed: int, style: Strokes | None) -> Iterator[Point]:
        primer = f"{writable(style.text)} " if style else ""
        eye = _Eye(codes_of(primer + text), self._letters)
        hand = _Hand(self.network, bias, seed)
        self._past = False
        for row in unit_offsets(style) if style else ():
            hand.step(eye)
            hand.move(*row.tolist())
        start, first = hand.height, style is not None  # behind a sample a text begins anew on the base line
        patience, place = PATIENCE, eye.place
        while patience:
            said = hand.step(eye)
            if eye.past:
                self._past = True
                return
            patience = PATIENCE if eye.place > place else patience - 1
            place = max(place, eye.place)
            dx, dy, end = hand.draw(said)
            offset, first = ((0.0, start + dy), False) if first else ((dx, dy), False)
            yield Point(offset, end > 0.5, max(0, place - len(primer)))


class _Hand:
    """The network, the pen it moves, and the numbers it draws with."""

    def __init__(self, network: StepNetwork, bias: float, seed: int) -> None:
        network.reset()
        self._network, self._bias = network, bias
        self._rng = np.random.Generator(np.random.Philox(seed))
        self._pen = np.zeros(4, np.float32)  # dx, dy, end, height

    @property
    def height(self) -> float:
        return float(self._pen[3])

    def step(self, eye: _Eye | None = None) -> Array:
        """What the network says of the next point, (6 M + 1,)."""
        out = self._network.step(pen=self._pen, **(eye.news() if eye else {}))
        if eye:
            eye.look(out["phi"][0])
        return out["said"][0].astype(np.float64)

    def draw(self, said: Array) -> tuple[float, float, float]:
        """dx, dy, end."""
        uniform, normals = self._rng.random(2), self._rng.standard_normal(2)
        dx, dy = draw(bivariate(said[:-1], self._bias), uniform[0], normals).tolist()
        end = float(uniform[1] < 0.5 + 0.5 * math.tanh(0.5 * float(said[-1])))
        self.move(dx, dy, end)
        return dx, dy, end

    def move(self, dx: float, dy: float, end: float) -> None:
        self._pen[:] = dx, dy, end, self._pen[3] + dy


class _Eye:
    """The piece of the text that the network has before it, and what its window says of it."""

    def __init__(self, codes: NDArray[np.int64], letters: int) -> None:
        self._codes, self._letters = codes, letters
        self._first, self._shown = 0, -1
        self.place = 0  # of the character under the window
        self.past = False

    def news(self) -> dict[str, Array]:
        """What the network must be shown, where that has changed."""
        if self._shown == self._first:
            return {}
        self._shown = self._first
        letters = np.zeros((1, self._letters, len(CHARACTERS)), np.float32)
        there = self._codes[self._first : self._first + self._letters]
        letters[0, np.arange(len(there)), there] = 1.0
        return {"letters": letters, "first": np.full((1, 1), self._first, np.float32)}

    def look(self, phi: Array) -> None:
        """phi (LETTERS + 1,), of the step that was made."""
        left = len(self._codes) - self._first  # where the place after the last character lies
        self.past = left < len(phi) and is_past(phi[: left + 1])
        reached = int(phi[: left + 1].argmax())
        self.place = self._first + reached
        if 3 * reached > 2 * self._letters and left > self._letters:
            self._first = min(self.place - self._letters // 3, len(self._codes) - self._letters)


def _check(bias: float, seed: int) -> None:
    if not 0.0 <= bias <= LARGEST_BIAS or seed < 0:
        raise UsageError(f"a bias is 0 (as it learned) to {LARGEST_BIAS:g} (tidiest), a seed 0 or more")


def rows(writing: Writing, columns: int) -> list[Array]:
    """Polylines (points, 2) of a long text in lines of at most `columns` characters, broken at spaces if possible."""
    text, starts = writing.strokes.text, [0]
    while len(text) - starts[-1] > columns:
        cut = text.rfind(" ", starts[-1] + 1, starts[-1] + columns + 1)
        starts.append(cut + 1 if cut > 0 else starts[-1] + columns)
    row = np.searchsorted(starts, writing.places, side="right") - 1
    drawn: list[Array] = []
    points = np.cumsum(writing.strokes.offsets[:, :2], axis=0)
    ends = writing.strokes.offsets[:, 2] > 0.5
    for number in np.unique(row):
        there = row == number
        place = points[there] - [points[there, 0].min(), -LINE * number]
        drawn += [part for part in np.split(place, np.flatnonzero(ends[there]) + 1) if len(part)]
    return drawn
