"""A composer at the instrument: on its grid, held keys held, and by turns with the player. No clock but the test's."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from rtsynth.io.devices import find_output
from rtsynth.io.duet import CHANNEL, LEAD_SECONDS, PAUSE_STEPS, Duet
from rtsynth.io.performance import Performance
from rtsynth.messages import Kind, Messages, message
from rtsynth.sequence.music import KEYS, LOWEST, on_grid
from tests.engine.probe import Probe
from tests.io.test_midi_ports import Keyboard, wait_until

RATE = 1000.0
STEP = 500  # samples
LEAD = round(LEAD_SECONDS * RATE)


class Listener:
    """An engine that only keeps what it is sent; `room`: how many messages it takes at once."""

    sample_rate = RATE

    def __init__(self) -> None:
        self.time, self.room = 0, 1000
        self.sent: list[np.void] = []

    def send(self, messages: Messages) -> int:
        taken = messages[: self.room]
        self.sent += list(taken)
        return len(taken)

    def stamp(self, monotonic_ns: int | None = None) -> int:
        return self.time

    def composed(self) -> list[tuple[str, int, int]]:
        """(on or off, time, key) of what the composer played."""
        return [
            ("on" if row["kind"] == Kind.NOTE_ON else "off", int(row["time"]), int(row["number"]))
            for row in self.sent
            if row["channel"] == CHANNEL
        ]


class Scale:
    """Plays one key after the other, each for two steps; remembers what it heard."""

    def __init__(self) -> None:
        self.count = 0
        self.heard: list[list[int]] = []

    def hear(self, notes: np.ndarray) -> None:
        self.heard.append((np.flatnonzero(notes) + LOWEST).tolist())

    def step(self) -> np.ndarray:
        notes = np.zeros(KEYS, bool)
        notes[self.count // 2] = True
        self.count += 1
        return notes


@pytest.fixture
def engine() -> Listener:
    return Listener()


def duet(engine: Listener, composer: Scale, by_turns: bool = False) -> Duet:
    return Duet(engine, composer, STEP / RATE, LOWEST, on_grid if by_turns else None)  # type: ignore[arg-type]


def pass_time(engine: Listener, made: Duet, until: int) -> None:
    for time in range(engine.time, until + 1, 10):
        engine.time = time
        made.advance()


def play(engine: Listener, made: Duet, key: int, begin: int, end: int) -> None:
    pass_time(engine, made, begin)
    made.send(message(Kind.NOTE_ON, begin, 0, key, 0.8))
    pass_time(engine, made, end)
    made.send(message(Kind.NOTE_OFF, end, 0, key, 0.5))
    made.advance()


def test_steps_lie_on_a_grid_and_held_keys_are_held(engine: Listener) -> None:
    made = duet(engine, Scale())
    pass_time(engine, made, 2000)
    wanted = [("on", 0, 21), ("off", 1000, 21), ("on", 1000, 22), ("off", 2000, 22), ("on", 2000, 23)]
    assert engine.composed() == wanted


def test_a_step_is_composed_no_sooner_than_it_must_be(engine: Listener) -> None:
    composer = Scale()
    made = duet(engine, composer)
    made.advance()
    assert composer.count == 1
    pass_time(engine, made, STEP - LEAD - 10)
    assert composer.count == 1
    pass_time(engine, made, STEP - LEAD)
    assert composer.count == 2


def test_steps_that_were_missed_are_left_out(engine: Listener) -> None:
    """Nobody called for 3.2 steps: it goes on with the fourth, and nothing is sent into the past."""
    made = duet(engine, Scale())
    made.advance()
    engine.time = 1600
    made.advance()
    pass_time(engine, made, 2000)
    assert engine.composed() == [("on", 0, 21)]  # the second step of the key it holds
    pass_time(engine, made, 2500)
    assert engine.composed()[1:] == [("off", 2500, 21), ("on", 2500, 22)]


def test_by_turns_it_waits_hears_the_phrase_and_goes_on_in_its_grid(engine: Listener) -> None:
    composer = Scale()
    made = duet(engine, composer, by_turns=True)
    pass_time(engine, made, 1030)
    assert composer.count == 0
    play(engine, made, 60, 1030, 1500)
    play(engine, made, 64, 1540, 2490)  # a step late and two long, nearly
    assert composer.heard == []
    takes_over = 2490 + round(PAUSE_STEPS * STEP)
    pass_time(engine, made, takes_over - 10)
    assert composer.heard == []
    pass_time(engine, made, takes_over + STEP)
    assert composer.heard == [[60], [64], [64]]
    first = engine.composed()[0]
    assert first[:1] + first[2:] == ("on", 21)
    assert (first[1] - 1030) % STEP == 0
    assert takes_over + LEAD <= first[1] < takes_over + LEAD + STEP


def test_a_key_that_is_held_is_no_pause(engine: Listener) -> None:
    composer = Scale()
    made = duet(engine, composer, by_turns=True)
    play(engine, made, 60, 0, 300)
    made.send(message(Kind.NOTE_ON, 300, 0, 64, 0.8))
    pass_time(engine, made, 10 * STEP)
    assert composer.count == 0


def test_it_falls_silent_when_a_key_is_struck_and_listens_again(engine: Listener) -> None:
    composer = Scale()
    made = duet(engine, composer, by_turns=True)
    play(engine, made, 60, 0, 500)
    pass_time(engine, made, 3000)
    count = composer.count
    assert count > 0
    play(engine, made, 72, 3130, 3600)
    played = engine.composed()
    sounding = [key for what, _, key in played if what == "on"]
    assert sorted(sounding) == sorted(key for what, _, key in played if what == "off")
    assert played[-1][1] <= 3130 + 10
    assert composer.count == count
    pass_time(engine, made, 3600 + round(PAUSE_STEPS * STEP) + STEP)
    assert composer.heard == [[60], [72]]
    assert composer.count > count


def test_a_step_sent_ahead_is_not_left_hanging(engine: Listener) -> None:
    """Struck between a step's sending and its begin: it is let go at its begin, not before."""
    made = duet(engine, Scale(), by_turns=True)
    play(engine, made, 60, 0, 500)
    pass_time(engine, made, 2000 - LEAD + 20)
    on = engine.composed()[-1]
    assert on == ("on", 2000, 21)
    made.send(message(Kind.NOTE_ON, engine.time, 0, 72, 0.8))
    made.advance()
    assert engine.composed()[-1] == ("off", 2000, 21)


def test_what_the_ring_has_no_room_for_is_sent_later(engine: Listener) -> None:
    made = duet(engine, Scale())
    made.advance()
    engine.room = 1
    pass_time(engine, made, 2000)
    engine.room = 1000
    pass_time(engine, made, 2010)
    wanted = [("on", 0, 21), ("off", 1000, 21), ("on", 1000, 22), ("off", 2000, 22), ("on", 2000, 23)]
    assert engine.composed() == wanted


def test_all_notes_off_ends_what_is_held(engine: Listener) -> None:
    composer = Scale()
    made = duet(engine, composer, by_turns=True)
    made.send(message(Kind.NOTE_ON, 0, 0, 60, 0.8))
    pass_time(engine, made, 400)
    made.send(message(Kind.CONTROL, 400, 0, 123))
    pass_time(engine, made, 400 + round(PAUSE_STEPS * STEP) + STEP)
    assert composer.heard == [[60]]


def test_it_starts_and_stops(engine: Listener) -> None:
    made = duet(engine, Scale())
    made.start()
    made.stop()
    made.stop()
    assert engine.composed() == [("on", 0, 21), ("off", 0, 21)]


def test_a_keyboard_is_overheard_and_answered(jack_server: str, probe: Callable[[], Probe]) -> None:
    """Through MIDI inputs, engine and device: one key is played and heard, the composer's sound after it."""
    keys, source, composer, stop = Keyboard("Soloist"), probe(), Scale(), threading.Event()
    with Performance(source, find_output("system"), sample_rate=48000) as performance:
        performance.improvise(composer, 0.1, LOWEST, on_grid)
        performance.listen("soloist")
        thread = threading.Thread(target=lambda: performance.run(stop))
        thread.start()
        try:
            assert wait_until(lambda: performance.engine.time > 4800)
            keys.send("90 3C 40")
            assert wait_until(lambda: source.active_voices == 1)
            assert composer.count == 0
            keys.send("80 3C 40")
            assert wait_until(lambda: composer.count > 2)
            assert composer.heard[0] == [60]
            assert wait_until(lambda: source.active_voices == 1)
        finally:
            stop.set()
            thread.join()
            keys.unplug()
