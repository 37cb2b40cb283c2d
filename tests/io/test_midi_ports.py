"""MIDI inputs: arrival times from a driver's deltas, and real ports of a JACK server coming and going."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from rtsynth.errors import DeviceError
from rtsynth.io import midi_ports, midi_system
from rtsynth.io.midi_ports import (
    HORIZON_NS,
    OLDEST_NS,
    ArrivalClock,
    MidiInputs,
)
from rtsynth.io.midi_system import list_inputs, stable_names
from rtsynth.messages import MESSAGE, Kind, Messages
from tests.io import jack

MS = 1_000_000  # ns


class Listener:
    """Stands in for the engine, at one sample a nanosecond: keeps what it is sent, `room` messages at a time."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.received = np.empty(0, MESSAGE)

    def stamp(self, monotonic_ns: int | None = None) -> int:
        return time.monotonic_ns() if monotonic_ns is None else monotonic_ns

    def send(self, messages: Messages) -> int:
        taken = messages[: self.room]
        self.received = np.concatenate([self.received, taken])
        return len(taken)

    def numbers(self, kind: Kind) -> list[int]:
        return self.received["number"][self.received["kind"] == kind].tolist()


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


# ---- arrival times ----


class FetchingTime:
    """The planted fault: what is fetched now arrived now."""

    def arrival_ns(self, fetched_ns: int, delta_seconds: float) -> int:
        return fetched_ns


def errors_of(
    clock: ArrivalClock | FetchingTime, waits_ns: list[int], deltas_ns: list[int], drift: float = 0.0
) -> np.ndarray:
    """Error in ns for messages `deltas_ns` apart that waited `waits_ns` until they were fetched."""
    arrival = 10**12
    errors = []
    for wait, delta in zip(waits_ns, deltas_ns, strict=True):
        arrival += delta
        errors.append(clock.arrival_ns(arrival + wait, delta * (1 + drift) * 1e-9) - arrival)
    return np.array(errors)


def polled_errors(clock: ArrivalClock | FetchingTime, drift: float = 0.0) -> np.ndarray:
    """Errors for messages 10 ms apart, fetched 0.05 … 1.1 ms later; without the first 500."""
    source = random.Random(1)
    waits = [source.randint(50_000, 1_100_000) for _ in range(5000)]
    return errors_of(clock, waits, [10 * MS] * 5000, drift)[500:]


@pytest.mark.parametrize("drift", [0.0, 1e-4, -1e-4])
def test_arrivals_are_known_to_a_fraction_of_the_poll(drift: float) -> None:
    errors = polled_errors(ArrivalClock(), drift)
    assert errors.min() >= 0  # never before it arrived
    assert np.percentile(errors, 95) < 250_000


def test_the_check_sees_a_clock_that_stamps_on_fetching() -> None:
    assert np.percentile(polled_errors(FetchingTime()), 95) > 250_000


def test_a_driver_without_time_stamps_is_not_believed() -> None:
    errors = []
    clock = ArrivalClock()
    for fetched in range(10**12, 10**12 + 1000 * MS, 7 * MS):
        errors.append(fetched - clock.arrival_ns(fetched, 0.0))
    assert 0 <= min(errors) <= max(errors) <= OLDEST_NS


def test_after_an_hour_of_silence_the_clock_starts_anew() -> None:
    errors = errors_of(
        ArrivalClock(), [300_000, 900_000, 400_000], [0, 3600 * 1000 * MS, 10 * MS], drift=1e-4
    )
    assert all(0 <= error <= 900_000 for error in errors)


def test_names_stay_when_numbers_change() -> None:
    before = ["KeyLab 61:KeyLab 61 MIDI 1 20:0", "Pedal:Pedal 24:0", "Pedal:Pedal 28:0"]
    after = ["Pedal:Pedal 20:0", "Pedal:Pedal 32:0", "KeyLab 61:KeyLab 61 MIDI 1 36:0"]
    assert stable_names(before) == ["KeyLab 61:KeyLab 61 MIDI 1", "Pedal:Pedal", "Pedal:Pedal (2)"]
    assert set(stable_names(after)) == set(stable_names(before))


# ---- without a MIDI system ----


@pytest.fixture
def no_midi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(midi_system, "rtmidi", lambda: None)


def test_without_a_midi_system_all_means_none(no_midi: None) -> None:
    with MidiInputs(Listener(), "all") as inputs:  # type: ignore[arg-type]
        assert not inputs.available
        assert inputs.names == []
    assert list_inputs() == []


@pytest.mark.parametrize("wanted", ["KeyLab", "virtual", "virtual:Foo"])
def test_without_a_midi_system_what_needs_one_is_refused(no_midi: None, wanted: str) -> None:
    with pytest.raises(DeviceError, match="no MIDI system here"):
        MidiInputs(Listener(), wanted)  # type: ignore[arg-type]


# ---- on a JACK server ----


class Keyboard:
    """A MIDI keyboard that can be unplugged: a virtual output port of its own."""

    def __init__(self, name: str) -> None:
        rtmidi = pytest.importorskip("rtmidi")
        self._out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=name)
        self._out.open_virtual_port("keys")

    def send(self, *messages: str) -> None:
        for message in messages:
            self._out.send_message(bytes.fromhex(message))

    def unplug(self) -> None:
        self._out.delete()


@pytest.fixture
def keyboard(jack_server: str) -> Iterator[Callable[[str], Keyboard]]:
    plugged: list[Keyboard] = []

    def plug_in(name: str) -> Keyboard:
        plugged.append(Keyboard(name))
        return plugged[-1]

    yield plug_in
    for each in plugged:
        if not each._out.is_deleted:
            each.unplug()


@pytest.fixture(autouse=True)
def _fast_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(midi_ports, "SCAN_SECONDS", 0.2)


def test_a_hundred_messages_arrive_in_order_clock_and_sysex_among_them(
    keyboard: Callable[[str], Keyboard],
) -> None:
    keys = keyboard("Hundred")
    listener = Listener()
    with MidiInputs(listener, "hundred") as inputs:  # type: ignore[arg-type]
        assert inputs.names == ["Hundred:keys"]
        port = next(iter(inputs._open.values()))
        raw: list[bytes] = []
        decode, port._decoded = port._decoded, lambda data, *when: raw.append(data) or decode(data, *when)  # type: ignore[method-assign,func-returns-value]
        for number in range(98):
            keys.send(f"90 {number:02X} 40")
            keys.send("F8", "FE") if number % 10 == 0 else None
        keys.send("F0 7E 7F 09 01 F7", "E0 7F 7F")
        assert wait_until(lambda: len(listener.received) == 100)
    assert listener.numbers(Kind.NOTE_ON) == list(range(98))
    assert listener.received["kind"][-2:].tolist() == [Kind.RESET, Kind.BEND]
    assert (raw.count(b"\xf8"), raw.count(b"\xfe")) == (10, 10)  # nothing is filtered
    assert (np.diff(listener.received["time"]) >= 0).all()


def test_a_message_is_due_one_horizon_after_it_arrived(keyboard: Callable[[str], Keyboard]) -> None:
    keys = keyboard("Timed")
    listener = Listener()
    sent = []
    with MidiInputs(listener, "Timed"):  # type: ignore[arg-type]
        for number in range(40):
            sent.append(time.monotonic_ns())
            keys.send(f"90 {number:02X} 40")
            time.sleep(0.005)
        assert wait_until(lambda: len(listener.received) == 40)
    delay = listener.received["time"] - np.array(sent) - HORIZON_NS
    period_ns = 1e9 * jack.PERIOD / jack.RATE
    assert delay.min() > -period_ns  # JACK hands over a period's messages at its end
    assert np.median(delay) < 3 * period_ns


def test_a_port_that_vanishes_is_released_and_opened_again(keyboard: Callable[[str], Keyboard]) -> None:
    keys = keyboard("Stage")
    listener = Listener()
    lines: list[str] = []
    with MidiInputs(listener, "stage", say=lines.append) as inputs:  # type: ignore[arg-type]
        keys.send("92 3C 40", "B2 40 7F", "95 3C 40")
        assert wait_until(lambda: len(listener.received) == 3)
        keys.unplug()
        assert wait_until(lambda: len(listener.received) == 7)
        released = listener.received[3:]
        assert released["channel"].tolist() == [2, 2, 5, 5]
        assert released["number"].tolist() == [123, 64, 123, 64]
        assert inputs.names == []
        returned = time.monotonic()
        keys = keyboard("Stage")
        assert wait_until(lambda: inputs.names == ["Stage:keys"])
        assert time.monotonic() - returned < 2.0
        keys.send("90 40 40")
        assert wait_until(lambda: listener.numbers(Kind.NOTE_ON) == [60, 60, 64])
    assert len(lines) == 2
    assert "'Stage:keys' is gone" in lines[0]
    assert "'Stage:keys' is back" in lines[1]


def test_the_check_sees_a_port_that_keeps_its_notes(
    keyboard: Callable[[str], Keyboard], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(midi_ports._Port, "releases", lambda port: [])
    keys = keyboard("Careless")
    listener = Listener()
    lines: list[str] = []
    with MidiInputs(listener, "careless", say=lines.append):  # type: ignore[arg-type]
        keys.send("92 3C 40")
        assert wait_until(lambda: len(listener.received) == 1)
        keys.unplug()
        assert wait_until(lambda: len(lines) == 1)
        assert len(listener.received) == 1


def test_all_opens_what_is_there_and_what_comes(keyboard: Callable[[str], Keyboard]) -> None:
    first = keyboard("First")
    listener = Listener()
    lines: list[str] = []
    with MidiInputs(listener, say=lines.append) as inputs:  # type: ignore[arg-type]
        assert inputs.names == ["First:keys"]
        second = keyboard("Second")
        assert wait_until(lambda: set(inputs.names) == {"First:keys", "Second:keys"})
        first.send("90 01 40")
        second.send("90 02 40")
        assert wait_until(lambda: sorted(listener.numbers(Kind.NOTE_ON)) == [1, 2])
    assert lines == ["MIDI input 'Second:keys' is new: it plays too"]
    assert list_inputs() == ["First:keys", "Second:keys"]


def test_a_virtual_port_takes_connections(jack_server: str, keyboard: Callable[[str], Keyboard]) -> None:
    keys = keyboard("Sender")
    listener = Listener()
    with MidiInputs(listener, "virtual:Organ") as inputs:  # type: ignore[arg-type]
        assert inputs.names == ["virtual"]
        (ours,) = [name for name in jack.ports(jack_server) if name.endswith(":Organ")]
        jack.connect(jack_server, "Sender:keys", ours)
        keys.send("90 3C 40")
        assert wait_until(lambda: listener.numbers(Kind.NOTE_ON) == [60])


def test_looking_for_inputs_leaves_no_client_behind(jack_server: str) -> None:
    """The server would wait for each of them when this process ends, and answer nobody for five seconds."""
    list_inputs()
    before = len(os.listdir("/proc/self/fd"))
    list_inputs()
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_unknown_port_names_the_nearest(keyboard: Callable[[str], Keyboard]) -> None:
    keyboard("KeyLab 61")
    with pytest.raises(DeviceError, match="Did you mean 'KeyLab 61:keys'") as caught:
        MidiInputs(Listener(), "KeyLob 61:key")  # type: ignore[arg-type]
    assert caught.value.exit_code == 3


def test_a_full_ring_delays_messages_but_drops_none(keyboard: Callable[[str], Keyboard]) -> None:
    keys = keyboard("Dense")
    listener = Listener(room=3)
    with MidiInputs(listener, "Dense"):  # type: ignore[arg-type]
        keys.send(*(f"90 {number:02X} 40" for number in range(60)))
        assert wait_until(lambda: len(listener.received) == 60)
    assert listener.numbers(Kind.NOTE_ON) == list(range(60))


def test_active_sensing_that_stops_ends_the_notes(keyboard: Callable[[str], Keyboard]) -> None:
    keys = keyboard("Old")
    listener = Listener()
    with MidiInputs(listener, "Old"):  # type: ignore[arg-type]
        keys.send("91 3C 40")
        time.sleep(0.5)
        assert len(listener.received) == 1  # a keyboard that never sent it is not expected to
        keys.send("FE")
        assert wait_until(lambda: len(listener.received) == 3, 1.0)
        time.sleep(0.5)
    assert listener.received["number"].tolist() == [60, 123, 64]


def test_one_thread_polls_and_it_ends(keyboard: Callable[[str], Keyboard]) -> None:
    keyboard("Thread")
    before = threading.active_count()
    inputs = MidiInputs(Listener(), "all")  # type: ignore[arg-type]
    inputs.start()
    assert threading.active_count() == before + 1
    inputs.stop()
    inputs.stop()
    assert threading.active_count() == before
