"""Where speech that is being made is played: a vocoder's samples on a tape, events by the codec's bank."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rtsynth.cli.saying import QUIET_SECONDS, Saying, Vocoder

if TYPE_CHECKING:
    from rtsynth.engine import Engine
    from rtsynth.io.narration import Narration
    from rtsynth.source import Source

AHEAD_SECONDS = 1.0  # that are made before they are played


@dataclass(frozen=True)
class Mouth:
    """A source, and what supplies it once an engine runs it."""

    source: Source
    narration: Callable[[Engine], Narration]
    measured: Callable[[], dict[str, Any]]


def tape(saying: Saying, vocoder: Vocoder) -> Mouth:
    """Samples of a vocoder, at the engine's rate."""
    from rtsynth.engine.tape import Tape
    from rtsynth.io.narration import Narration, resampled

    source = Tape(1 << 16)

    def narration(engine: Engine) -> Narration:
        made = resampled(saying.sound(vocoder), vocoder.sample_rate, engine.sample_rate)
        return Narration(made, source.write, source.end, lambda: source.over)

    return Mouth(source, narration, lambda: {"tape": source.counts._asdict()})


def bank(saying: Saying, seed: int) -> Mouth:
    """Events to the codec's decoder."""
    from rtsynth.codec.decoder import Decoder
    from rtsynth.codec.event import CONTROL, Events
    from rtsynth.io.narration import Narration

    source = Decoder(seed=seed)

    def narration(engine: Engine) -> Narration:
        def give(events: Events) -> int:
            until = (engine.time / engine.sample_rate + AHEAD_SECONDS) / CONTROL
            due = int(np.searchsorted(events["time"], until, side="right"))
            return source.push(events[:due])

        def over() -> bool:
            return engine.time > (saying.seconds + QUIET_SECONDS) * engine.sample_rate

        return Narration(saying.events(), give, lambda: None, over)

    return Mouth(source, narration, dict)
