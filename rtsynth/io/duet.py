"""A composer at an instrument, step by step as it sounds: by itself, or by turns with whoever plays the MIDI inputs.

By turns it is silent while keys are held or have been let go just now; then it hears what was played and goes on from
there, on the player's own grid of steps, until a key is struck again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtsynth.engine import Engine
from rtsynth.io.midi_bytes import ALL_NOTES_OFF, ALL_SOUND_OFF
from rtsynth.messages import MESSAGE, Kind, Messages, message

LEAD_SECONDS = 0.1  # a step is composed and sent this long before it sounds
PERIOD_SECONDS = 0.01
PAUSE_STEPS = 2.0  # without a key held: then it is the composer's turn
CHANNEL = 1  # the player's keys are on another, as a rule the first
VELOCITY, TOP_VELOCITY = 0.55, 0.7  # the highest key of a step carries the tune

Roll = NDArray[np.bool_]  # (T, 88)
OnGrid = Callable[[NDArray[np.float64], float], Roll]  # notes (N, 3) and a step -> roll


class Composer(Protocol):
    """As rtsynth.sequence.music.Composer: (88,) of keys that sound, one step a call."""

    def hear(self, notes: NDArray[np.bool_], /) -> None: ...
    def step(self) -> NDArray[np.bool_]: ...


class Duet:
    """Plays `composer` into `engine` between `start` and `stop`; what MIDI inputs `send` goes to the engine too.

    step_seconds: of the grid. on_grid: notes to steps; with it by turns, without it the composer plays on and on.
    lowest: the MIDI key of a step's first column.
    """

    done = False  # it has no end of its own
    last_time = 0

    def __init__(
        self,
        engine: Engine,
        composer: Composer,
        step_seconds: float,
        lowest: int,
        on_grid: OnGrid | None = None,
    ) -> None:
        self._engine, self._composer, self._on_grid = engine, composer, on_grid
        rate = engine.sample_rate
        self._step, self._lead = step_seconds * rate, LEAD_SECONDS * rate  # samples
        self._lowest = lowest
        self._turn = on_grid is None  # whether the composer plays
        self._origin, self._count = 0.0, 0  # the grid's first sample, and the next step's number
        self._sounding: NDArray[np.bool_] | None = None
        self._unsent = np.empty(0, MESSAGE)
        self._overheard: SimpleQueue[Messages] = SimpleQueue()  # from the thread of the MIDI inputs
        self._held: dict[tuple[int, int], int] = {}  # (channel, key): since which sample
        self._phrase: list[tuple[int, int, int]] = []  # begin, end, key
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtsynth-composer", daemon=True)

    # --- for the MIDI inputs: in the engine's place -------------------------------------------------------------------

    def send(self, messages: Messages) -> int:
        """On to the engine; what was taken is overheard."""
        sent = self._engine.send(messages)
        if self._on_grid is not None and sent:
            self._overheard.put(messages[:sent].copy())
        return sent

    def stamp(self, monotonic_ns: int | None = None) -> int:
        return self._engine.stamp(monotonic_ns)

    # --- its own thread -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.advance()
        self._thread.start()

    def stop(self) -> None:
        """Compose no more; what sounds is let go. Again is harmless."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
            self._fall_silent()

    def _run(self) -> None:
        while not self._stopping.wait(PERIOD_SECONDS):
            self.advance()

    def advance(self) -> None:
        """All that is due now: what was overheard, whose turn it is, steps that begin soon."""
        while not self._overheard.empty():
            for row in self._overheard.get():
                self._overhear(row)
        now = self._engine.time
        if not self._turn and self._pauses(now):
            self._take_over(now)
        if self._turn:
            self._play(now)
        self._send([])

    # --- listening ----------------------------------------------------------------------------------------------------

    def _overhear(self, row: np.void) -> None:
        kind, channel, number, time = row["kind"], int(row["channel"]), int(row["number"]), int(row["time"])
        if kind == Kind.NOTE_ON:
            if self._turn:
                self._turn = False
                self._fall_silent()
            self._let_go((channel, number), time)
            self._held[channel, number] = time
        elif kind == Kind.NOTE_OFF:
            self._let_go((channel, number), time)
        elif kind == Kind.RESET or (kind == Kind.CONTROL and number in (ALL_SOUND_OFF, ALL_NOTES_OFF)):
            for held in [held for held in self._held if kind == Kind.RESET or held[0] == channel]:
                self._let_go(held, time)

    def _let_go(self, held: tuple[int, int], time: int) -> None:
        if held in self._held:
            self._phrase.append((self._held.pop(held), time, held[1]))

    def _pauses(self, now: int) -> bool:
        if not self._phrase or self._held:
            return False
        return now - max(end for _, end, _ in self._phrase) >= PAUSE_STEPS * self._step

    def _take_over(self, now: int) -> None:
        """Hear the phrase, and go on at the next step of its grid."""
        assert self._on_grid is not None
        notes = np.array(self._phrase, float)
        self._phrase = []
        self._origin = float(notes[:, 0].min())
        notes[:, :2] -= self._origin
        for step in self._on_grid(notes, self._step):
            self._composer.hear(step)
        self._turn, self._count = True, 0
        self._skip_to(now + self._lead)

    # --- playing ------------------------------------------------------------------------------------------------------

    def _play(self, now: int) -> None:
        self._skip_to(now)
        while self._begin(self._count) <= now + self._lead:
            self._sound(self._composer.step(), self._begin(self._count))
            self._count += 1

    def _skip_to(self, time: float) -> None:
        """Steps that should have begun are left out, not crowded together."""
        self._count = max(self._count, int(np.ceil((time - self._origin) / self._step)))

    def _begin(self, count: int) -> int:
        return round(self._origin + count * self._step)

    def _sound(self, notes: NDArray[np.bool_], time: int) -> None:
        """Keys that go on are held; the others end before new ones begin."""
        before = np.zeros_like(notes) if self._sounding is None else self._sounding
        top = np.flatnonzero(notes)[-1:]
        rows = [
            self._message(Kind.NOTE_OFF, time, key, 0.5) for key in np.flatnonzero(before & ~notes).tolist()
        ]
        for key in np.flatnonzero(notes & ~before).tolist():
            velocity = TOP_VELOCITY if key in top else VELOCITY
            rows.append(self._message(Kind.NOTE_ON, time, key, velocity))
        self._sounding = notes
        self._send(rows)

    def _fall_silent(self) -> None:
        """Let go of what sounds: now, or where the latest step that was sent is still to begin, at its begin."""
        if self._sounding is not None:
            time = max(self._engine.time, self._begin(self._count - 1))
            self._sound(np.zeros_like(self._sounding), time)

    def _message(self, kind: Kind, time: int, key: int, value: float) -> Messages:
        return message(kind, time, CHANNEL, key + self._lowest, value)

    def _send(self, rows: list[Messages]) -> None:
        """In order; what the engine's ring has no room for waits until the next time."""
        waiting = np.concatenate([self._unsent, *rows])
        if len(waiting):
            self._unsent = waiting[self._engine.send(waiting) :]
