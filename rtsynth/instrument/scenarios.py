"""What the selftest plays: passages of messages, and the windows of them that are compared with the law.

Low, middle and high keys; the variance knob; a key struck again and another key beside a sounding one; dampers half on,
then wholly; the wheel. What happens does so off the control grid, and within blocks of odd sizes (`trial.BLOCKS`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtsynth.instrument.law import BOTTOM, MIDDLE, TOP
from rtsynth.instrument.passage import SUSTAIN, VARIANCE, Samples
from rtsynth.instrument.preset import Preset
from rtsynth.instrument.rows import SINGLE, Channel, rows_of_key
from rtsynth.messages import Kind, Messages, message

WINDOW = 512  # samples of a window: 16 segments, and a dense covariance that takes a fraction of a second
VELOCITY = float(np.float32(0.8))  # what a message carries
EVENT = 9701  # sample at which something happens to a held note; on no grid
STRUCK_AGAIN, RELEASED, BENT = "struck again", "released, half pedal", "bent"


@dataclass(frozen=True, eq=False)
class Window:
    """Samples of a passage that are compared; `whole`: they follow one another."""

    at: Samples
    whole: bool


@dataclass(frozen=True, eq=False)
class Scenario:
    """A passage, what is listened to, and where."""

    name: str
    messages: Messages  # by time
    windows: tuple[Window, ...]
    channel: Channel = "mid"

    @property
    def length(self) -> int:
        """Samples to play."""
        return 1 + max(int(window.at[-1]) for window in self.windows)


def whole(start: int, length: int) -> Window:
    """Samples that follow one another."""
    return Window(start + np.arange(length), True)


def spread(start: int, end: int, length: int) -> Window:
    """Samples scattered over a stretch, early ones closer together: they tell a cent and a decay."""
    steps = np.floor((end - start) * (np.arange(length) / length) ** 1.5) - np.arange(length)
    return Window(
        start + np.maximum.accumulate(np.maximum(steps, 0)).astype(np.int64) + np.arange(length), False
    )


def scenarios(preset: Preset, window: int = WINDOW, sample_rate: float = 48000.0) -> list[Scenario]:
    """What is played, but for what `left_out` tells."""
    second, middle = round(sample_rate), _on(MIDDLE)
    around = (whole(EVENT - window // 4, window), spread(EVENT - window // 4, EVENT + second // 8, window))
    at_start = (whole(0, window), spread(0, second // 4, window))
    later = (whole(second // 8, window), spread(0, 2 * second, window), whole(7 * second // 5, window))
    found = [
        Scenario(f"held, key {BOTTOM}", _on(BOTTOM), at_start, "left"),
        Scenario(f"held, key {MIDDLE}", middle, (whole(0, window), *later)),
        Scenario(f"held, key {TOP}", _on(TOP), at_start, "right"),
        Scenario("variance half way", np.concatenate([_control(VARIANCE, 64.0), middle]), at_start),
        Scenario(STRUCK_AGAIN, _all(middle, _on(MIDDLE, EVENT)), around, "left"),
        Scenario("two keys", _all(_on(MIDDLE - 5), _on(MIDDLE + 2, EVENT)), around, "right"),
        Scenario(RELEASED, _all(middle, *_released()), around),
        Scenario(BENT, _all(middle, *_wheel()), around),
    ]
    return [scenario for scenario in found if scenario.name not in left_out(preset, sample_rate)]


def left_out(preset: Preset, sample_rate: float = 48000.0) -> dict[str, str]:
    """Passages whose law is not stated for this preset, and why."""
    found = {}
    rows = rows_of_key(preset, MIDDLE, sample_rate)
    if preset.form == "innovations":
        found[BENT] = (
            "the innovations form keeps its noise's gain under the wheel: off its law by 0.2 dB at most"
        )
    if ((rows.variance < 1.0) & ((rows.settled > 0.0) | (rows.pole != SINGLE))).any():
        found[STRUCK_AGAIN] = "strikes of a key share the take of rows that noise keeps alive"
    last = EVENT / sample_rate + 0.125
    if any(motion.loop is not None and motion.loop[1] < last for motion in rows.motions):
        found[RELEASED] = "the recorded note has begun its loop, which it leaves when it is released"
    return found


def _on(note: int, time: int = 0) -> Messages:
    return message(Kind.NOTE_ON, time, number=note, value=VELOCITY)


def _control(number: int, value: float, time: int = 0) -> Messages:
    return message(Kind.CONTROL, time, number=number, value=value)


def _released() -> tuple[Messages, ...]:
    """The dampers half on the strings, then wholly."""
    off = message(Kind.NOTE_OFF, EVENT, number=MIDDLE, value=0.5)
    return _control(SUSTAIN, 60.0, EVENT - 1000), off, _control(SUSTAIN, 0.0, EVENT + 201)


def _wheel() -> tuple[Messages, ...]:
    turns = ((EVENT, 0.5), (EVENT + 99, -1.0), (EVENT + 1501, 0.125))
    return tuple(message(Kind.BEND, time, value=value) for time, value in turns)


def _all(*messages: Messages) -> Messages:
    joined = np.concatenate(messages)
    return joined[np.argsort(joined["time"], kind="stable")]
