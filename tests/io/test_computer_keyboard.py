"""The computer's keyboard: from a terminal's bytes to messages, with releases told and without."""

from __future__ import annotations

import random

import numpy as np
import pytest

from rtsynth.engine import Engine
from rtsynth.io.computer_keyboard import LOWEST, ComputerKeyboard
from rtsynth.io.panic import panic, panic_messages
from rtsynth.io.terminal_bytes import Action, Key, TerminalBytes
from rtsynth.messages import Kind, Messages, message
from tests.instrument.playing import steady

PRESS, REPEAT, RELEASE = Action


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"zq", [Key("z"), Key("q")]),
        (b"Z", [Key("z")]),
        (b" ", [Key("space")]),
        (b"\x1b[A\x1bOB", [Key("up"), Key("down")]),
        (b"\x1b[122;1:1u", [Key("z")]),
        (b"\x1b[122;1:3u", [Key("z", RELEASE)]),
        (b"\x1b[122:90;2:2u", [Key("z", REPEAT)]),
        (b"\x1b[121::122;1:1u", [Key("z")]),  # a German keyboard: where Y is printed lies Z
        (b"\x1b[99;5u", [Key("c", control=True)]),
        (b"\x03", [Key("c", control=True)]),
        (b"\x1b[27u", [Key("escape")]),
        (b"\x1b[32;1:3u", [Key("space", RELEASE)]),
        (b"\x1b[1;1:3D", [Key("left", RELEASE)]),
        (b"\x1b[57358u", []),  # caps lock
        (b"\x1b[?15u\x1b[?62;c", [Key("(kitty)"), Key("(answered)")]),
        (b"\x1b\x1bz", [Key("escape"), Key("escape"), Key("z")]),
        ("ä€𝄞".encode(), [Key("ä"), Key("€"), Key("𝄞")]),
        (b"\x1b[3~\x1b[1;2:9u\xff", []),
    ],
)
def test_bytes_are_keys_however_they_are_cut(data: bytes, keys: list[Key]) -> None:
    assert TerminalBytes().feed(data) == keys
    parser = TerminalBytes()
    assert [key for byte in data for key in parser.feed(bytes([byte]))] == keys


def test_an_escape_that_nothing_follows_is_the_key() -> None:
    parser = TerminalBytes()
    assert parser.feed(b"\x1b") == []
    assert parser.rest() == [Key("escape")]
    assert parser.feed(b"\x1b[") == []
    assert parser.rest() == []
    assert parser.feed(b"z") == [Key("z")]


def test_no_bytes_are_too_odd() -> None:
    odd = random.Random(1)
    parser, keyboard = TerminalBytes(), ComputerKeyboard()
    alphabet = bytes(range(256)) + b"\x1b[;:u?0123456789A" * 12
    for step in range(3000):
        keys = parser.feed(bytes(odd.choices(alphabet, k=odd.randrange(1, 12))))
        for row in [row for key in keys for row in keyboard.feed(key, step / 10)]:
            assert row["kind"][0] in (Kind.NOTE_ON, Kind.NOTE_OFF, Kind.CONTROL)
            assert 0 <= row["number"][0] <= 127


def told(rows: list[Messages]) -> list[tuple[str, int]]:
    return [(Kind(row["kind"][0]).name, int(row["number"][0])) for row in rows]


def played(presses: list[tuple[float, str]], until: float) -> list[tuple[float, str, int]]:
    """(seconds, kind, note) of keys on a terminal that tells no releases, looked at every 10 ms."""
    keyboard, found = ComputerKeyboard(), []
    waiting = list(presses)
    for now in np.arange(0.0, until, 0.01).round(2).tolist():
        rows = []
        while waiting and waiting[0][0] <= now:
            rows += keyboard.feed(Key(waiting.pop(0)[1]), now)
        found += [(now, *each) for each in told(rows + keyboard.due(now))]
    return found


def held(start: float, seconds: float, delay: float = 0.5, name: str = "z") -> list[tuple[float, str]]:
    """What a terminal sends of a key that is held so long."""
    repeats = np.arange(start + delay, start + seconds, 0.03).tolist()
    return [(start, name), *((time, name) for time in repeats)]


def test_a_held_key_is_one_note_that_ends_with_its_repeats() -> None:
    (on, off) = played(held(0.1, 2.0), 4.0)
    assert on == (0.1, "NOTE_ON", LOWEST)
    assert off[1:] == ("NOTE_OFF", LOWEST)
    assert 2.05 <= off[0] <= 2.25


def test_a_tap_ends_by_itself_and_quick_taps_are_struck_each() -> None:
    taps = played([(0.1, "z"), (0.22, "z"), (0.34, "z")], 3.0)
    assert [kind for _, kind, _ in taps] == ["NOTE_ON", "NOTE_OFF"] * 3
    assert taps[-1][0] < 1.1


def test_once_the_terminals_delay_is_known_slow_taps_are_struck_each_too() -> None:
    taps = [(5.0 + 0.35 * i, "z") for i in range(4)]
    struck = [time for time, kind, _ in played(held(0.1, 1.5) + taps, 9.0) if kind == "NOTE_ON"]
    assert struck == pytest.approx([0.1, *(time for time, _ in taps)], abs=0.011)


def test_no_note_is_left_over() -> None:
    odd = random.Random(2)
    for _ in range(50):
        times = np.cumsum([odd.choice([0.01, 0.03, 0.1, 0.3, 0.5]) for _ in range(40)]).tolist()
        found = played([(time, odd.choice("zxq2")) for time in times], times[-1] + 1.5)
        sounding: set[int] = set()
        for _, kind, note in found:
            assert (note in sounding) == (kind == "NOTE_OFF")  # never struck twice, never let go when up
            sounding ^= {note}
        assert not sounding


def test_where_releases_are_told_they_end_the_note_and_the_pedal() -> None:
    keyboard = ComputerKeyboard(tells_releases=True)
    assert told(keyboard.feed(Key("z"), 0.0)) == [("NOTE_ON", LOWEST)]
    assert keyboard.feed(Key("z", REPEAT), 0.3) == []
    assert keyboard.due(99.0) == []
    assert told(keyboard.feed(Key("z", RELEASE), 99.0)) == [("NOTE_OFF", LOWEST)]
    assert keyboard.feed(Key("z", RELEASE), 99.1) == []
    values = [
        row["value"][0]
        for action in (PRESS, REPEAT, RELEASE)
        for row in keyboard.feed(Key("space", action), 1.0)
    ]
    assert values == [127.0, 0.0]


def test_octave_velocity_and_pedal_are_told() -> None:
    said: list[str] = []
    keyboard = ComputerKeyboard(say=said.append)
    (loud,) = keyboard.feed(Key("q"), 0.0)
    for name in ("right", "down"):
        keyboard.feed(Key(name), 0.1)
    (soft,) = keyboard.feed(Key("w"), 0.2)
    assert (loud["number"][0], soft["number"][0]) == (60, 74)
    assert soft["value"][0] * 127 == pytest.approx(80)
    assert told(keyboard.due(9.0)) == [("NOTE_OFF", 60), ("NOTE_OFF", 74)]  # the note that was struck
    pedal = [row["value"][0] for _ in range(2) for row in keyboard.feed(Key("space"), 1.0)]
    assert pedal == [127.0, 0.0]
    assert said == ["octave +1", "velocity 80", "pedal down: space lets it go", "pedal up"]
    for _ in range(20):
        keyboard.feed(Key("left"), 2.0)
        keyboard.feed(Key("up"), 2.0)
    (lowest,) = keyboard.feed(Key("z"), 3.0)
    assert (lowest["number"][0], lowest["value"][0]) == (0, 1.0)


def test_panic_silences_what_pedals_hold_and_keeps_the_volume() -> None:
    from rtsynth.instrument import Instrument

    with Engine([Instrument(steady())], 48000.0) as engine:
        out = np.empty((4800, 2), np.float32)
        for channel in (0, 9, 15):
            engine.send(message(Kind.CONTROL, channel=channel, number=7, value=127.0))
            engine.send(message(Kind.CONTROL, channel=channel, number=64, value=127.0))
            engine.send(message(Kind.NOTE_ON, channel=channel, number=60, value=0.8))
        engine.process(out)
        loud = abs(out[-480:]).max()
        assert engine.active_voices == 3
        panic(engine)
        engine.process(out)
        assert abs(out[480:]).max() == 0.0  # 5 ms, and a control grid's step
        assert engine.active_voices == 0
        engine.send(message(Kind.NOTE_ON, number=60, value=0.8))
        engine.process(out)
        engine.send(message(Kind.NOTE_OFF, number=60))  # no pedal holds it
        assert abs(out[-480:]).max() == pytest.approx(loud / 3, rel=0.2)
        for _ in range(40):
            engine.process(out)
        assert engine.active_voices == 0


def test_escape_is_panic_and_forgets_what_was_held() -> None:
    keyboard = ComputerKeyboard()
    keyboard.feed(Key("z"), 0.0)
    keyboard.feed(Key("space"), 0.0)
    (rows,) = keyboard.feed(Key("escape"), 0.1)
    np.testing.assert_array_equal(rows, panic_messages())
    assert keyboard.due(9.0) == []
    assert told(keyboard.feed(Key("space"), 0.2)) == [("CONTROL", 64)]
