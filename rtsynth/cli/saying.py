"""What a speaker says, as sound by a vocoder or as events of the codec's bank, and how that went."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rtsynth.codec.event import CONTROL, Events
from rtsynth.codec.narrated import retargets
from rtsynth.sequence.spelling import reading

if TYPE_CHECKING:
    from rtsynth.sequence.speech import Speaker, Spoken

AUDIBLE = 1e-3  # of full scale: -60 dB
QUIET_SECONDS = 0.05  # after the last frame of the bank's voice


class Vocoder(Protocol):
    """As rtsynth.vocoder.stream.Vocoder: mel frames (80, k) -> samples (n,)."""

    sample_rate: float

    def push(self, mel: Any, /) -> NDArray[np.float32]: ...
    def finish(self) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class Manner:
    """How it is to be said."""

    seed: int = 1
    bias: float | None = None
    speed: float = 1.0


class Saying:
    """One text on its way; counts while `sound` or `events` is gone through."""

    def __init__(self, speaker: Speaker, text: str, manner: Manner) -> None:
        self._speaker, self._cut = speaker, speaker.cut
        self.reading = reading(text)
        self._steps = speaker.speak(self.reading, seed=manner.seed, bias=manner.bias, speed=manner.speed)
        self.frame_seconds = speaker.hop / speaker.sample_rate
        self.frames = 0
        self.sentences = 0
        self._asked: float | None = None
        self.first_sound_ms: float | None = None  # from being asked to the first audible sample's being there

    def sound(self, vocoder: Vocoder) -> Iterator[NDArray[np.float32]]:
        """Samples (n,) at the vocoder's rate."""
        for step in self._told():
            yield self._heard(vocoder.push(step.mel.T))
        yield self._heard(vocoder.finish())

    def events(self) -> Iterator[Events]:
        """For a decoder, from its sample 0 on; the last of them ends the voice."""
        from rtsynth.codec.decoder import ended

        last = None
        for step in self._told():
            last = retargets(step.voice, self.frames - len(step.voice), self.frame_seconds)
            if self.first_sound_ms is None and last["gain"].max() > np.log(AUDIBLE):
                self._note()
            yield last
        if last is not None:
            yield ended(last, round(self.seconds / CONTROL) + 1)[len(last) :]

    @property
    def unknown(self) -> str:
        """Characters that were left out."""
        return self.reading.unknown

    @property
    def cut_short(self) -> int:
        """Sentences whose end was not reached."""
        return self._speaker.cut - self._cut

    @property
    def share(self) -> float:
        """Of the sentences."""
        return self.sentences / len(self.reading.sentences)

    @property
    def seconds(self) -> float:
        """Of speech so far."""
        return self.frames * self.frame_seconds

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        return {
            "spoken_seconds": self.seconds,
            "sentences": self.sentences,
            "first_sound_ms": self.first_sound_ms,
            "cut_short": self.cut_short,
            "left_out": self.unknown,
        }

    def _told(self) -> Iterator[Spoken]:
        self._asked = time.perf_counter()
        for step in self._steps:
            self.frames += len(step.mel)
            self.sentences = step.sentence + 1
            yield step

    def _heard(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.first_sound_ms is None and np.abs(samples).max(initial=0.0) > AUDIBLE:
            self._note()
        return samples

    def _note(self) -> None:
        assert self._asked is not None
        self.first_sound_ms = 1e3 * (time.perf_counter() - self._asked)
