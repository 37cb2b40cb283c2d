"""The pen: loss and error beside an untrained and a blind network, how legible it writes, and a long text.

    python bench/pen.py --fonts FOLDER --text FILE [--pen pen.pt --blind blind.pt] [--model pen] [--json]

pen.pt and blind.pt are the checkpoints beside what `rtsynth train pen` wrote, the second with --blind; without them
the first table is left out. Legible: every character's points, as a blurred picture of 12 by 12, are given to the
nearest of 40 pictures of each letter and digit, from lines of the fonts themselves in random hands; upper and lower
case count as one. `fonts` is how often that finds the character in other such lines. Ends with 6 where the pen at bias
1 is more than 10 points below that, or loses its place in a text of 1000 characters.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.sequence.pen import Pen
from rtsynth.sequence.strokes import CHARACTERS, Strokes
from rtsynth.training import hershey, strokes

Array = NDArray[np.float64]

SIDE = 12
EXAMPLES = 40  # of a character
WORDS = "the quick brown fox jumps over a lazy dog and packs my box with five dozen liquor jugs"
KNOWN = [c for c in CHARACTERS if c.isalnum()]
ALLOWED = 0.10
BLUR = np.exp(-0.5 * (np.arange(SIDE)[:, None] - np.arange(SIDE)) ** 2 / 0.8**2)


def picture(points: Array, ends: NDArray[np.bool_]) -> Array:
    """A character's points (N, 2), absolute, as (SIDE · SIDE,) of unit norm; place and size are taken out."""
    parts = [part for part in np.split(points, np.flatnonzero(ends) + 1) if len(part)]
    fine = []
    for part in parts:
        steps = np.linspace(0, len(part) - 1, 16 * len(part))
        fine.append(np.column_stack([np.interp(steps, np.arange(len(part)), axis) for axis in part.T]))
    ink = np.concatenate(fine)
    low, high = ink.min(axis=0), ink.max(axis=0)
    place = ((ink - (low + high) / 2) / max(float((high - low).max()), 1e-6) * (SIDE - 2) + SIDE / 2).clip(
        0, SIDE - 1e-6
    )
    grid = np.histogram2d(*place.T, bins=SIDE, range=[[0, SIDE]] * 2)[0]
    blurred = BLUR @ np.minimum(grid, 16.0) @ BLUR
    return (blurred / np.linalg.norm(blurred)).ravel()


def pictures(text: str, drawn: Strokes, places: NDArray[np.int64]) -> list[tuple[str, Array]]:
    """Every letter and digit of a line with its picture."""
    points, ends = np.cumsum(drawn.offsets[:, :2], axis=0), drawn.offsets[:, 2] > 0.5
    found = []
    for place in np.unique(places):
        if text[place].isalnum():
            there = places == place
            found.append((text[place].lower(), picture(points[there], ends[there])))
    return found


class Reader:
    """The nearest of the examples."""

    def __init__(self, fonts: Path, rng: np.random.Generator) -> None:
        self._fonts = [hershey.read_font(fonts / f"{name}.jhf") for name in strokes.STYLES.values()]
        self._rng = rng
        lines = [self.line("".join(rng.permutation(KNOWN))) for _ in range(EXAMPLES)]
        self._names = np.array([name for line in lines for name, _ in line])
        self._examples = np.stack([shown for line in lines for _, shown in line])

    def line(self, text: str) -> list[tuple[str, Array]]:
        """Pictures of a text in a random hand."""
        font = self._fonts[int(self._rng.integers(len(self._fonts)))]
        line = hershey.write_line(font, text, hershey.Hand.drawn(self._rng, font.joins), self._rng)
        return pictures(text, Strokes(line.offsets, text), line.places)

    def share(self, shown: list[tuple[str, Array]], meant: int) -> float:
        """Of `meant` characters, how many are read as what they are."""
        nearest = (np.stack([one for _, one in shown]) @ self._examples.T).argmax(axis=1)
        return float((self._names[nearest] == np.array([name for name, _ in shown])).sum()) / meant


def legibility(pen: Pen, fonts: Path, lines: int) -> dict[str, float]:
    reader = Reader(fonts, np.random.default_rng(1))
    meant = sum(c.isalnum() for c in WORDS) * lines
    found = {"fonts": reader.share([one for _ in range(lines) for one in reader.line(WORDS)], meant)}
    for bias in (0.0, 0.5, 1.0, 2.0):
        written = [pen.write(WORDS, bias, seed) for seed in range(1, lines + 1)]
        shown = [one for w in written for one in pictures(WORDS, w.strokes, w.places)]
        found[f"bias {bias:g}"] = reader.share(shown, meant)
    for style in pen.styles:
        written = [pen.write(WORDS, 1.0, seed, pen.style(style)) for seed in range(1, lines + 1)]
        shown = [one for w in written for one in pictures(WORDS, w.strokes, w.places)]
        found[f"bias 1, {style}"] = reader.share(shown, meant)
    return found


def long_text(pen: Pen, words: list[str], length: int = 1000) -> dict[str, float]:
    """A text of `length` characters: did it reach the end, how many characters were left out, how long did it take."""
    text = " ".join(words)[:length].strip()
    begun = time.process_time()
    writing = pen.write(text, 1.0, 1)
    seconds = time.process_time() - begun
    written = set(writing.places.tolist())
    missed = sum(c != " " and n not in written for n, c in enumerate(text))
    return {
        "characters": len(text),
        "whole": float(writing.whole),
        "left out": missed,
        "microseconds a point": 1e6 * seconds / len(writing.places),
    }


def scores(fonts: Path, text: Path, trained: Path, blind: Path) -> dict[str, dict[str, float | None]]:
    import torch

    from rtsynth.training.pen import PenNetwork, Recipe, Training
    from rtsynth.training.pen_scores import score

    source, unseen = strokes.written(fonts, text), strokes.written(fonts, text, held_out=True)
    torch.manual_seed(1)
    networks = {"untrained": PenNetwork(Recipe())}
    for name, path in (("blind", blind), ("reads", trained)):
        training = Training.resume(path, source)
        networks[f"{name}, {training.update} updates"] = training.network
    return {name: asdict(score(network, unseen, 128)) for name, network in networks.items()}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for flag in ("--fonts", "--text"):
        parser.add_argument(flag, type=Path, required=True)
    for flag in ("--pen", "--blind"):
        parser.add_argument(flag, type=Path)
    parser.add_argument("--model", default="pen")
    parser.add_argument("--lines", type=int, default=6)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    pen = Pen(options.model)
    found: dict[str, dict] = {}
    if options.pen and options.blind:
        found["scores"] = scores(options.fonts, options.text, options.pen, options.blind)
    found["legible"] = legibility(pen, options.fonts, options.lines)
    found["long text"] = long_text(pen, hershey.words_of(options.text)[-400:])
    print(json.dumps(found) if options.json else json.dumps(found, indent=1))
    below = found["legible"]["fonts"] - found["legible"]["bias 1"]
    return 0 if below <= ALLOWED and found["long text"]["whole"] else 6


if __name__ == "__main__":
    sys.exit(main())
