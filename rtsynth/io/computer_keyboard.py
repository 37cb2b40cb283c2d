"""The computer's keyboard as a piano: two rows of keys, an octave and a third each, and more.

    2 3   5 6 7   9 0   =           s d   g h j   l ;
   q w e r t y u i o p [ ]         z x c v b n m , . /
   C                               C, an octave lower

Left and right: an octave down and up; up and down: louder and softer; space: the pedal; escape: panic. A terminal that
tells no releases repeats a key that is held: a note ends when its repeats do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rtsynth.io.midi_bytes import SUSTAIN
from rtsynth.io.panic import panic_messages
from rtsynth.io.terminal_bytes import ESCAPE, SPACE, Action, Key
from rtsynth.messages import Kind, Messages, message

LOWER, UPPER = "zsxdcvgbhnjm,l.;/", "q2w3er5t6y7ui9o0p[=]"
SEMITONES = {name: i for i, name in enumerate(LOWER)} | {name: 12 + i for i, name in enumerate(UPPER)}
LOWEST = 48  # MIDI note of z
VELOCITY, VELOCITY_STEP = 90, 10  # of 127
FIRST_REPEAT = (0.2, 0.7)  # seconds after which a terminal may begin to repeat a key
REPEAT_SECONDS = 0.12  # between two repeats, at most
DELAY_TOLERANCE = 0.06  # seconds by which a known delay varies
MOST_OCTAVES = 4  # to either side


@dataclass
class _Held:
    """State of a key that sounds."""

    note: int
    since: float  # seconds
    latest: float
    first_repeat: float | None = None  # seconds after `since`


class ComputerKeyboard:
    """Keys to messages, time 0. `tells_releases`: the terminal does. `say` gets a line when a setting changes."""

    def __init__(
        self, *, tells_releases: bool = False, say: Callable[[str], None] = lambda line: None
    ) -> None:
        self._tells_releases = tells_releases
        self._say = say
        self._held: dict[str, _Held] = {}
        self._octave = 0
        self._velocity = VELOCITY
        self._pedal = False
        self._delay: float | None = None  # seconds until this terminal repeats a key, once that is known

    def feed(self, key: Key, now: float) -> list[Messages]:
        """What one key asks for at `now` (seconds)."""
        if key.control:
            return []
        if key.name in SEMITONES:
            return self._note(key, now)
        if key.name == SPACE:
            return self._space(key.action)
        if key.action == Action.RELEASE:
            return []
        if key.name == ESCAPE:
            self._held.clear()
            self._pedal = False
            return [panic_messages()]
        self._turn(key.name)
        return []

    def due(self, now: float) -> list[Messages]:
        """What ends by itself: notes whose repeats have stopped."""
        if self._tells_releases:
            return []
        ended = [name for name, held in self._held.items() if now >= self._end(held)]
        return [self._release(name) for name in ended]

    def _note(self, key: Key, now: float) -> list[Messages]:
        held = self._held.get(key.name)
        if key.action == Action.RELEASE:
            return [self._release(key.name)] if held else []
        if held and (key.action == Action.REPEAT or (not self._tells_releases and self._repeats(held, now))):
            return []
        released = [self._release(key.name)] if held else []
        note = LOWEST + 12 * self._octave + SEMITONES[key.name]
        if not 0 <= note <= 127:
            return released
        self._held[key.name] = _Held(note, now, now)
        return [*released, message(Kind.NOTE_ON, number=note, value=self._velocity / 127)]

    def _release(self, name: str) -> Messages:
        return message(Kind.NOTE_OFF, number=self._held.pop(name).note, value=0.5)

    def _repeats(self, held: _Held, now: float) -> bool:
        """Whether a key that comes again is held, rather than struck again; learns how long the terminal waits."""
        if held.first_repeat is not None:
            if self._delay is None and now - held.latest < REPEAT_SECONDS:
                self._delay = held.first_repeat
        elif not self._may_begin(now - held.since):
            return False
        else:
            held.first_repeat = now - held.since
        held.latest = now
        return True

    def _may_begin(self, seconds: float) -> bool:
        if self._delay is not None:
            return abs(seconds - self._delay) <= DELAY_TOLERANCE
        return FIRST_REPEAT[0] <= seconds <= FIRST_REPEAT[1]

    def _end(self, held: _Held) -> float:
        if held.first_repeat is not None:
            return held.latest + REPEAT_SECONDS
        return held.since + (FIRST_REPEAT[1] if self._delay is None else self._delay + DELAY_TOLERANCE)

    def _space(self, action: Action) -> list[Messages]:
        """The pedal: as long as the bar is held, or from one press to the next."""
        if self._tells_releases:
            down = action != Action.RELEASE
        elif action == Action.PRESS:
            down = not self._pedal
        if down == self._pedal:
            return []
        self._pedal = down
        if not self._tells_releases:
            self._say(f"pedal {'down: space lets it go' if down else 'up'}")
        return [message(Kind.CONTROL, number=SUSTAIN, value=127.0 if down else 0.0)]

    def _turn(self, name: str) -> None:
        """Octave or velocity, for the notes to come."""
        if name in ("left", "right"):
            moved = self._octave + (1 if name == "right" else -1)
            self._octave = min(max(moved, -MOST_OCTAVES), MOST_OCTAVES)
            self._say(f"octave {self._octave:+d}")
        elif name in ("up", "down"):
            moved = self._velocity + (VELOCITY_STEP if name == "up" else -VELOCITY_STEP)
            self._velocity = min(max(moved, VELOCITY_STEP), 127)
            self._say(f"velocity {self._velocity}")
