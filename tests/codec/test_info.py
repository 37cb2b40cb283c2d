"""Figures, tables and notes of event sequences whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.codec.event import Event, Events, as_events, as_list, retarget, strike
from rtsynth.codec.info import described, redundant, summary, table
from rtsynth.codec.notes import notes
from rtsynth.codec.storage import EventFile, pack, unpack
from tests.codec.made import spoken, struck

STEP = 0.004


def sung(time: int, key: float, db: float = -20.0, voiced: bool = True) -> Event:
    ln_f0 = np.log(440.0) + (key - 69.0) * np.log(2.0) / 12.0
    return retarget(time, 2.0, ln_f0, np.full(24, db / 20 * np.log(10)), np.full(5, -3.0 if voiced else 3.0))


def read_back(events: Events, samples: int = 160_000, coding: str = "float") -> tuple[EventFile, int]:
    data = pack(EventFile(events, 16000, samples), coding)
    return unpack(data), len(data)


def test_the_figures() -> None:
    events = as_events([*as_list(spoken(299, longest_gap=8)), struck(40)])
    file, size = read_back(events, coding="file-59")
    told = summary(file, size)
    assert told["seconds"] == 10.0
    assert told["kinds"] == {"retarget": 299, "strike": 1, "code": 0}
    assert told["events_per_second"] == 30.0
    assert told["bits_per_second"] == pytest.approx((299 * 59 + 273 + 6) / 10.0, abs=1.6)
    assert told["file_bits_per_second"] == pytest.approx(0.8 * size)
    assert told["codings"] == ["file-59", "strike"]
    empty, size = read_back(as_events([]), samples=0)
    assert summary(empty, size)["events_per_second"] == 0.0
    assert summary(empty, size)["bits_per_event"] == 0.0


def test_redundant_are_those_within_23_ms_of_their_voice() -> None:
    listed = [sung(t, 60) for t in (0, 5, 11, 16, 40)]  # gaps 20, 24, 20, 96 ms
    file, _ = read_back(as_events([*listed, struck(1), struck(1, voice=1)]))
    assert redundant(file) == pytest.approx(2 / 7)


def test_the_table_says_what_an_event_is() -> None:
    group = strike(25, 0.0, [[np.log(440.0), np.log(0.5), -1.0]], [-2.0, 7.0, 6.0, -2.0, 1.0])
    file, _ = read_back(as_events([sung(0, 69), group]))
    glide, stroke = described(file)
    assert glide == {
        "seconds": 0.0,
        "kind": "retarget",
        "voice": 0,
        "gain_db": -20.0,
        "ramp_ms": 8.0,
        "f0": 440.0,
        "noise": 0.05,
    }
    assert stroke["seconds"] == 0.1
    assert (stroke["modes"], stroke["frequencies"], stroke["t60"]) == (1, [440.0], 0.5)
    assert "damped_after" not in stroke
    rows = table(file)
    assert len(rows) == 3
    assert rows[1] == ("0.000", "retarget", "0", "-20.0", "ramp_ms 8.0, f0 440.0, noise 0.05")


def test_a_damper_ends_a_note_and_is_told() -> None:
    modes, burst = [[np.log(440.0), np.log(8.0), -1.0]], [-2.0, 7.0, 6.0, -2.0, 1.0]
    listed = [strike(25, 0.0, modes, burst), strike(25, 0.0, modes, burst, 1, damped=(0.3, -2.0))]
    file, _ = read_back(as_events(listed), coding="file-59")
    assert file.codings == {(1, 0): "strike", (1, 1): "damped"}
    assert [told.get("damped_after") for told in described(file)] == [None, 0.3]
    assert (
        keys(listed[0]) == keys(*listed) == [(0.1, 2.0, 69)]
    )  # a quarter of 8 s, but for the end; not all are damped
    assert keys(listed[1]) == [(0.1, 0.4, 69)]


def keys(*listed: Event, seconds: float = 2.0) -> list[tuple[float, float, int]]:
    return [(round(n.begin, 3), round(n.end, 3), n.key) for n in notes(as_events(listed), seconds, STEP)]


def test_a_note_lasts_while_the_voice_does() -> None:
    assert keys(sung(25, 60), sung(50, 60.2), sung(100, 60, voiced=False)) == [(0.1, 0.4, 60)]
    assert keys(sung(25, 60), sung(100, 60, db=-80.0)) == [(0.1, 0.4, 60)]
    assert keys(sung(25, 60)) == [(0.1, 2.0, 60)]
    assert keys(sung(25, 60, voiced=False)) == []
    assert keys() == []


def test_a_turn_or_a_rise_is_another_note_and_a_glide_by_little_is_not() -> None:
    assert keys(sung(0, 60), sung(25, 62)) == [(0.0, 0.1, 60), (0.1, 2.0, 62)]
    assert keys(sung(0, 60, db=-30.0), sung(25, 60)) == [(0.0, 0.1, 60), (0.1, 2.0, 60)]
    assert keys(sung(0, 60), sung(25, 60.6), sung(50, 59.5)) == [(0.0, 2.0, 60)]


def test_louder_is_a_higher_velocity() -> None:
    listed = [sung(0, 60, db=-20.0), sung(50, 64, db=-30.0), sung(100, 67, db=-10.0)]
    found = [n.velocity for n in notes(as_events(listed), 2.0, STEP)]
    assert found[1] < found[0] < found[2]
    assert found[2] == 127


def test_strikes_of_one_time_are_one_note() -> None:
    low = strike(50, -1.0, [[np.log(261.6), 0.0, -1.0], [np.log(100.0), 0.0, -9.0]], np.zeros(5), 0)
    high = strike(50, -1.0, [[np.log(523.3), 0.0, 0.0]], np.zeros(5), 1)
    found = notes(as_events([low, high, struck(300)]), 2.0, STEP)
    assert [(n.begin, n.channel) for n in found] == [(0.2, 1), (1.2, 1)]
    assert found[0].key == 60
    assert found[0].velocity == 127
    assert found[0].end == pytest.approx(0.45)
