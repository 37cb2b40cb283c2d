"""Text out of a network, a character at a time."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError, UsageError
from rtsynth.sequence.network import StepNetwork, load

KIND = "text"
_ALIKE = str.maketrans("‘’‚‛“”„‟‐‑‒–—―−\t\r\u00a0", "''''\"\"\"\"-------   ")


class TextNetwork:
    """A shipped network by name, or one of `rtsynth train text`: which characters it knows, and what comes next."""

    def __init__(self, model: str | Path = "text") -> None:
        self.network: StepNetwork = load(model, KIND)
        characters, said = self.network.settings.get("characters"), self.network.outputs.get("scores", ())
        if not isinstance(characters, str) or not characters or said != (1, len(characters)):
            raise InputError(f"{self.network.path}: the characters among its settings do not fit it")
        if self.network.inputs != {"character": (1,)}:
            raise InputError(f"{self.network.path}: a network for text is asked for one character at a time")
        self.characters = characters
        self._codes = {character: code for code, character in enumerate(characters)}

    def codes(self, text: str) -> list[int]:
        """Accents off, typographic signs as plain ones, where it knows no better. InputError for what it never saw."""
        known = "".join(self._known(character) for character in text)
        unknown = "".join(dict.fromkeys(c for c in known if c not in self._codes))
        if unknown:
            listed = ", ".join(repr(c) for c in unknown[:5]) + (", …" if len(unknown) > 5 else "")
            raise InputError(f"{self.network.path.name} never saw {listed}. It knows {self.characters!r}")
        return [self._codes[character] for character in known]

    def _known(self, character: str) -> str:
        if character in self._codes:
            return character
        plain = unicodedata.normalize("NFKD", character.translate(_ALIKE))
        return "".join(c for c in plain if not unicodedata.combining(c)).translate(_ALIKE)

    def generate(
        self, prime: str = "", length: int = 500, temperature: float = 1.0, seed: int = 1
    ) -> Iterator[str]:
        """`length` characters that go on from `prime` (a new line where there is none), each as it is drawn.

        Temperature 1 draws as the network says, less is tidier, 0 takes the likeliest. UsageError, InputError.
        """
        if not 0.0 <= temperature <= 100.0 or length < 0 or seed < 0:
            raise UsageError("text takes a temperature of 0 to 100, a length and a seed from 0")
        return self._drawn(self.codes(prime or self.characters[0]), length, temperature, seed)

    def _drawn(self, heard: list[int], length: int, temperature: float, seed: int) -> Iterator[str]:
        uniform = np.random.Generator(np.random.Philox(seed))
        self.network.reset()
        for code in heard:
            scores = self.network.step(character=code)["scores"]
        for _ in range(length):
            code = chosen(scores.reshape(-1), temperature, uniform.random())
            yield self.characters[code]
            scores = self.network.step(character=code)["scores"]


def chosen(scores: NDArray[np.floating], temperature: float, uniform: float) -> int:
    """A code drawn by softmax(scores / temperature), from a number uniform in [0, 1)."""
    if temperature == 0.0:
        return int(scores.argmax())
    heights = np.exp((scores.astype(np.float64) - scores.max()) / temperature)
    reached = np.cumsum(heights)
    return min(int(np.searchsorted(reached, uniform * reached[-1], side="right")), len(scores) - 1)


def bits(network: TextNetwork, text: str) -> float:
    """Bits per character over a text of two or more, its state carried from the first to the last."""
    codes = network.codes(text)
    if len(codes) < 2:
        raise InputError("a text of one character has no next one to be said")
    network.network.reset()
    total = 0.0
    for code, after in pairwise(codes):
        scores = network.network.step(character=code)["scores"].reshape(-1).astype(np.float64)
        total += float(np.logaddexp.reduce(scores) - scores[after])
    return total / np.log(2.0) / (len(codes) - 1)
