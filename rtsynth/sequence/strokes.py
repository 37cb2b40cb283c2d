"""Pen strokes as a value and as a file: offsets from point to point, and where the pen lifts.

The file is JSON: {"text": "what it says", "strokes": [[dx, dy, end], …]}; x to the right, y down, end 1 where the pen
lifts after the point, 0 elsewhere. The first row is the way from the start of the base line to the first point.
"""

from __future__ import annotations

import json
import math
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError

Array = NDArray[np.float64]

CHARACTERS = "".join(map(chr, range(32, 127)))  # that can be written; their code is their place
LARGEST = 1 << 24  # bytes of a file
_ALIKE = str.maketrans("‘’‚‛“”„‟‐‑‒–—―−…×÷\t\n\r\u00a0", "''''\"\"\"\"-------.x/    ")


@dataclass(frozen=True)
class Strokes:
    """offsets (N, 3): dx, dy, end; and the text they say, empty where it is not known."""

    offsets: Array
    text: str = ""

    def lines(self) -> list[Array]:
        """One polyline a stroke, (points, 2), absolute; the pen starts at (0, 0)."""
        points = np.cumsum(self.offsets[:, :2], axis=0)
        cuts = np.flatnonzero(self.offsets[:, 2] > 0.5) + 1
        return [part for part in np.split(points, cuts) if len(part)]

    def as_json(self) -> dict[str, Any]:
        rows = [[round(x, 4), round(y, 4), int(end > 0.5)] for x, y, end in self.offsets.tolist()]
        return {"text": self.text, "strokes": rows}


def read_strokes(path: Path) -> Strokes:
    """A file of strokes; InputError, in one line, for anything else."""
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} is larger than {LARGEST >> 20} MiB: not a line of handwriting")
        return strokes_of(json.loads(path.read_text()), str(path))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise InputError(f'{path} is not JSON: want {{"text": …, "strokes": [[dx, dy, end], …]}}') from None


def strokes_of(tree: object, where: str) -> Strokes:
    """The same from parsed JSON called `where` in errors."""
    rows, text = (tree.get(name) if isinstance(tree, dict) else None for name in ("strokes", "text"))
    if not isinstance(rows, list) or not isinstance(text, str | None) or not rows:
        raise InputError(f'{where}: want {{"text": …, "strokes": [[dx, dy, end], …]}}, at least one row')
    try:
        offsets = np.array(rows, np.float64)
    except (ValueError, TypeError):
        offsets = np.zeros(0)
    if offsets.ndim != 2 or offsets.shape[1] != 3 or not np.isfinite(offsets).all():
        raise InputError(f"{where}: strokes: every row is three finite numbers, dx, dy, end")
    if not np.isin(offsets[:, 2], (0.0, 1.0)).all():
        raise InputError(f"{where}: strokes: the third number of a row is 0, or 1 where the pen lifts")
    if np.abs(offsets[:, :2]).max() > 1e6:
        raise InputError(f"{where}: strokes: an offset above a million")
    if not offsets[:, :2].any():
        raise InputError(f"{where}: strokes: the pen never moves")
    return Strokes(offsets, text or "")


def unit_offsets(strokes: Strokes) -> Array:
    """(N, 3) with offsets of unit variance, both axes by one factor: the size that a network was trained on."""
    offsets = strokes.offsets.copy()
    moved = offsets[1:, :2] if len(offsets) > 1 else offsets[:, :2]
    offsets[:, :2] /= max(math.sqrt(float(np.mean(moved**2))), 1e-12)
    return offsets


def writable(text: str) -> str:
    """The text in CHARACTERS: accents off, typographic signs as plain ones, other white space as a space.

    InputError, naming them, where characters are left that have no letter here, or where there is nothing to write.
    """
    plain = unicodedata.normalize("NFKD", text.translate(_ALIKE))
    plain = "".join(c for c in plain if not unicodedata.combining(c)).translate(_ALIKE)
    unknown = "".join(dict.fromkeys(c for c in plain if c not in CHARACTERS))
    if unknown:
        listed = ", ".join(f"{c!r}" for c in unknown[:5]) + (", …" if len(unknown) > 5 else "")
        raise InputError(
            f"cannot write {listed}: the pen knows the {len(CHARACTERS)} printable characters of ASCII"
        )
    if not plain.strip():
        raise InputError('there is nothing to write. Example: rtsynth generate pen "write this" -o out.svg')
    return plain.strip()


def codes_of(text: str) -> NDArray[np.int64]:
    """(U,) places in CHARACTERS."""
    return np.array([CHARACTERS.index(c) for c in text], np.int64)
