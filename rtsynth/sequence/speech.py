"""Text to frames, a step at a time: two mel frames and two voices of the codec's bank, 23 ms of speech.

    speaker = Speaker("say")
    for step in speaker.speak("Some text."):
        step.mel, step.voice

The reader network sees a whole sentence, the step network goes over it with a soft window, and stops where the window
has passed its end. So the first sound needs one sentence's codes, and as many steps as the vocoder wants.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError, UsageError
from rtsynth.inference.graph import read_graph
from rtsynth.inference.session import one_line, runtime, session_options
from rtsynth.sequence.network import KIND as KIND_FIELD
from rtsynth.sequence.network import load
from rtsynth.sequence.spelling import LONGEST, Reading, reading, symbols

KIND, READER = "speech", "speech reader"
ROOM = LONGEST + 2  # characters of a sentence, its start and end among them
BEGUN = 0.9  # κ: where what is silence before the sentence is over; positions are 1 … U
PATIENCE, MOST = 40, 16  # steps that a sentence may take: so many, and so many a character
SLOWEST, FASTEST = 0.5, 2.0

Floats = NDArray[np.float32]


class Spoken(NamedTuple):
    """What one step says."""

    sentence: int  # counted from 0
    mel: Floats  # (2, 80) natural logarithms
    voice: Floats  # (2, 30): ln f0, ln amplitudes at 24 knots, logits at 5
    phi: Floats  # (U,): the weight of each character of the sentence, its start and end among them
    kappa: float  # where the bump stands: u ± 1/2 while character u, from 1, is spoken


class Reader:
    """The network that reads a sentence; raises InputError where the file is none."""

    def __init__(self, path: Path) -> None:
        graph = read_graph(path)
        if graph.metadata.get(KIND_FIELD) != READER:
            raise InputError(
                f"{path} is no reader of a speech network: rtsynth train say writes one beside it"
            )
        onnxruntime = runtime()
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), session_options(), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own classes derive from nothing narrower
            raise InputError(f"{path} cannot be loaded: {one_line(error)}") from None

    def codes(self, sentence: NDArray[np.int64]) -> Floats:
        """Symbols (U,), U <= ROOM -> codes (ROOM, C), zeros from U on."""
        found = self._session.run(None, {"symbols": sentence[None]})[0][0]
        return np.concatenate((found, np.zeros((ROOM - len(found), found.shape[1]), np.float32)))


class Speaker:
    """A loaded model: `speak` as often as one likes. Raises InputError for a file that is none."""

    def __init__(self, model: str | Path = "say") -> None:
        self.network = load(model, KIND)
        self.reader = Reader(reader_path(self.network.path))
        settings = self.network.settings
        try:
            self.sample_rate, self.hop = float(settings["sample_rate"]), int(settings["hop"])
            self.frames_per_step = int(settings["frames_per_step"])
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{self.network.path}: the settings among its metadata are damaged") from None
        self.cut = 0  # sentences that were left because the window stood still, since it was loaded

    @property
    def card(self) -> str:
        return self.network.card

    def speak(
        self, text: str | Reading, *, seed: int = 1, bias: float | None = None, speed: float = 1.0
    ) -> Iterator[Spoken]:
        """Steps of the text, sentence after sentence. One seed, one take.

        bias: None: the likeliest frames; else they are drawn, their deviations times exp(-bias). speed: of the window.
        Raises InputError where nothing of the text can be said, UsageError for what is out of range.
        """
        if not SLOWEST <= speed <= FASTEST:
            raise UsageError(f"a speed of {speed:g}: want {SLOWEST:g} … {FASTEST:g}")
        if bias is not None and not 0.0 <= bias <= 100.0:
            raise UsageError(f"a bias of {bias:g}: want 0 (as varied as what was learned) … 100")
        said = reading(text) if isinstance(text, str) else text
        return self._said(said.sentences, seed, bias, speed)

    def _said(self, sentences: list[str], seed: int, bias: float | None, speed: float) -> Iterator[Spoken]:
        rng = np.random.Generator(np.random.Philox(seed))
        shape = self.network.inputs["noise"]
        for index, sentence in enumerate(sentences):
            numbers = symbols(sentence)
            codes = self.reader.codes(numbers)
            self.network.reset()
            for _ in range(PATIENCE + round(MOST * len(numbers) / speed)):
                noise = 0.0 if bias is None else np.exp(-bias) * rng.standard_normal(shape)
                step = self._step(codes, noise, speed)
                kappa, phi = step["kappa"], step["phi"]
                if kappa >= BEGUN:
                    yield Spoken(index, step["mel"], step["voice"], phi[: len(numbers)], kappa)
                if (
                    kappa > len(numbers) + 0.5
                ):  # the place after the last weighs more than any: window.is_past
                    break
            else:
                self.cut += 1

    def _step(self, codes: Floats, noise: Any, speed: float) -> dict[str, Any]:
        """One step; the window goes `speed` times as far as it would."""
        before = self.network.state()["kappa"] if speed != 1.0 else 0.0
        said: dict[str, Any] = self.network.step(codes=codes, noise=noise)
        after = self.network.state()["kappa"]
        if speed != 1.0:
            after = before + speed * (after - before)
            self.network.restore({"kappa": after})
        return said | {"kappa": float(np.asarray(after).reshape(-1)[0])}


def reader_path(model: Path) -> Path:
    """Of the network that reads for the one at `model`."""
    return model.with_name(f"{model.stem}.reader.onnx")
