"""What handwriting is learned from: lines set in fonts, with their text; or characters that people drew, without."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError
from rtsynth.sequence.strokes import Strokes
from rtsynth.training import hershey
from rtsynth.training.hershey import Hand
from rtsynth.training.pen import Source

Array = NDArray[np.float64]

STYLES = {"print": "futural", "script": "scripts"}  # a name for each font that is learned
HELD_OUT_SEED = 1_000_003  # of lines that nothing is trained on
DRAWN_CREDIT = "Omniglot, © 2015 Brenden Lake, MIT"
LARGEST = 1 << 20  # bytes of one drawing's file
KEPT_PEOPLE = 16  # of the twenty who drew each character
PIXELS = 15.0  # of Omniglot in one of our units


def written(fonts: Path, text: Path | None, held_out: bool = False) -> Source:
    """Lines in the fonts of a folder, of the words of a text where there is one; `held_out`: of its last tenth."""
    found = [hershey.read_font(fonts / f"{name}.jhf") for name in STYLES.values()]
    words = hershey.words_of(text) if text else []
    kept = len(words) - len(words) // 10
    words = words[kept:] if held_out else words[:kept]

    def draw(rng: np.random.Generator, longest: int) -> tuple[Array, NDArray[np.int64], str]:
        font = found[int(rng.integers(len(found)))]
        said = hershey.draw_text(words, longest, rng)
        line = hershey.write_line(font, said, Hand.drawn(rng, font.joins), rng)
        return line.offsets, line.places, line.text

    return Source(draw, hershey.CREDIT)


SAMPLES = {  # a hand by name: its font, how it is held, what it writes
    "print": ("futural", Hand(jitter=0.1), "A quiet house"),
    "italic": ("futural", Hand(slant=0.35, jitter=0.1), "A quiet house"),
    "script": ("scripts", Hand(jitter=0.1), "A quiet house"),
    "upright": ("scripts", Hand(slant=-0.15, jitter=0.1), "A quiet house"),
}


def styles(fonts: Path) -> dict[str, Strokes]:
    """A sample of each hand, to prime a network with."""
    read = {name: hershey.read_font(fonts / f"{name}.jhf") for name in STYLES.values()}
    found = {}
    for name, (font, hand, text) in SAMPLES.items():
        line = hershey.write_line(read[font], text, hand, np.random.default_rng(HELD_OUT_SEED))
        found[name] = Strokes(line.offsets, text)
    return found


def drawn(archive: Path, held_out: bool = False) -> Source:
    """Rows of characters that people drew, without text: Omniglot's archive of text files, an alphabet a row.

    `held_out`: the last four of the twenty people, whom nothing is trained on.
    """
    alphabets = _alphabets(archive, held_out)

    def draw(rng: np.random.Generator, longest: int) -> tuple[Array, NDArray[np.int64], str]:
        characters = alphabets[int(rng.integers(len(alphabets)))]
        chosen = rng.integers(len(characters), size=max(1, longest // 4))
        offsets, edge = [], 0.0
        for number in chosen:
            points, ends = characters[int(number)]
            shown = points - [points[:, 0].min() - edge, 0.0]
            edge = float(shown[:, 0].max()) + 1.5
            offsets.append(np.column_stack([shown, ends]))
        row = np.concatenate(offsets)
        row[:, :2] = np.diff(row[:, :2], axis=0, prepend=np.zeros((1, 2)))
        return row, np.zeros(len(row), np.int64), ""

    return Source(draw, DRAWN_CREDIT)


def _alphabets(archive: Path, held_out: bool) -> list[list[tuple[Array, NDArray[np.bool_]]]]:
    """By alphabet: (points (N, 2) in our units, y down from the middle; ends (N,))."""
    found: dict[str, list[tuple[Array, NDArray[np.bool_]]]] = {}
    try:
        with zipfile.ZipFile(archive) as files:
            for file in sorted(files.infolist(), key=lambda file: file.filename):
                parts = Path(file.filename).parts
                if parts[0] == "__MACOSX" or not file.filename.endswith(".txt") or file.file_size > LARGEST:
                    continue
                if (int(Path(file.filename).stem.split("_")[1]) > KEPT_PEOPLE) == held_out:
                    found.setdefault(parts[-3], []).append(_drawing(files.read(file).decode("ascii")))
    except (OSError, ValueError, IndexError, zipfile.BadZipFile) as error:
        raise InputError(f"{archive} is not Omniglot's archive of strokes: {error}") from None
    if not found:
        raise InputError(f"{archive} holds no drawings (…/alphabet/character/number_person.txt)")
    return list(found.values())


def _drawing(text: str) -> tuple[Array, NDArray[np.bool_]]:
    """Lines "x,y,milliseconds" between START and BREAK, x and y in pixels of 105, y up from the top and so negative."""
    points: list[list[float]] = []
    ends: list[bool] = []
    for line in text.split():
        if line == "BREAK":
            ends[-1] = True
        elif line != "START":
            x, y, _ = map(float, line.split(","))
            points.append([x, -y - 52.0])
            ends.append(False)
    ends[-1] = True
    kept, lifts = hershey.thinned(np.array(points), np.array(ends), 1.5)
    return kept / PIXELS, lifts
