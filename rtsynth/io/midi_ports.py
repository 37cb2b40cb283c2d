"""MIDI inputs: all ports, one by name, or a virtual one, polled by one thread and found again by name.

python-rtmidi's callback would run Python inside JACK's or ALSA's own thread, so it is never set: messages
wait in RtMidi's queue with the driver's time stamps and are fetched a thousand times a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np

from rtsynth.errors import DeviceError
from rtsynth.io.midi_bytes import ByteParser, decode, release_all
from rtsynth.io.midi_clock import Follower
from rtsynth.io.midi_system import Scanner, jack_api, open_port, open_virtual
from rtsynth.io.midi_tuning import TuningDecoder
from rtsynth.io.names import choose
from rtsynth.messages import MESSAGE, Messages

POLL_SECONDS = 0.001
# A message plays one block and this long after it arrived, however long it waited for the poll: its latency
# is constant.
HORIZON_NS = 1_500_000
OLDEST_NS = 20_000_000  # a message said to have waited longer for the poll has a wrong time stamp
DRIFT = 2e-4  # what two clocks of one machine may drift apart, at most
SCAN_SECONDS = 1.0
REQUEST_SECONDS = 5.0  # how long the polling thread may take to do what it is asked for
SENSING_SECONDS = 0.33  # MIDI 1.0: longer silence after active sensing has begun means a broken line
LIST_COMMAND = "rtsynth devices"
_ACTIVE_SENSING = 0xFE


class Receiver(Protocol):
    """What the inputs play: an engine, or what stands before one."""

    def send(self, messages: Messages) -> int: ...
    def stamp(self, monotonic_ns: int | None = None) -> int: ...


class ArrivalClock:
    """When a message arrived, from the time since the one before (the driver's) and the time it was fetched.

    The shortest wait ever seen between arrival and fetching stands for none; it is let grow by DRIFT, so that
    two clocks running apart do not add up.
    """

    def __init__(self) -> None:
        self._driver_ns = 0.0
        self._offset_ns: float | None = None

    def arrival_ns(self, fetched_ns: int, delta_seconds: float) -> int:
        """`time.monotonic_ns()` when the message fetched at `fetched_ns` arrived: not later, hardly earlier."""
        self._driver_ns += delta_seconds * 1e9
        offset = fetched_ns - self._driver_ns
        if self._offset_ns is not None:
            offset = min(offset, self._offset_ns + DRIFT * delta_seconds * 1e9)
        if fetched_ns - (self._driver_ns + offset) > OLDEST_NS:
            offset = fetched_ns - self._driver_ns
        self._offset_ns = offset
        return round(self._driver_ns + offset)


@dataclass(frozen=True)
class _Listeners:
    """Who hears what arrives on any port, beside the instrument itself."""

    tuning: TuningDecoder
    follower: Follower | None

    def hear(self, raw: bytes, arrival_ns: int) -> list[Messages]:
        """Tell them of one message; what they make of it for the instrument."""
        if self.follower is not None and self.follower.clock.feed(raw, arrival_ns):
            self.follower.update()
        return self.tuning.feed(raw)


@dataclass
class _Port:
    """State of one open port."""

    midi_in: Any
    listeners: _Listeners
    clock: ArrivalClock = field(default_factory=ArrivalClock)
    parser: ByteParser = field(default_factory=ByteParser)
    channels: set[int] = field(default_factory=set)  # those that have played
    sensed_ns: int | None = None  # the latest message since active sensing began

    def fetch(self, now_ns: int) -> list[tuple[int, Messages]]:
        """(arrival in monotonic ns, message (1,)) of everything waiting."""
        arrived = []
        while (event := self.midi_in.get_message()) is not None:
            raw, delta_seconds = event
            arrival_ns = self.clock.arrival_ns(now_ns, delta_seconds)
            arrived += [(arrival_ns, row) for row in self._decoded(bytes(raw), arrival_ns, now_ns)]
        return arrived

    def _decoded(self, raw: bytes, arrival_ns: int, now_ns: int) -> list[Messages]:
        messages = self.parser.feed(raw)
        if self.sensed_ns is not None or bytes((_ACTIVE_SENSING,)) in messages:
            self.sensed_ns = now_ns
        rows = [row for row in map(decode, messages) if row is not None]
        self.channels.update(int(row["channel"][0]) for row in rows)
        return rows + [row for whole in messages for row in self.listeners.hear(whole, arrival_ns)]

    def went_silent(self, now_ns: int) -> bool:
        """Whether active sensing has stopped since the last call: the line behind the port is broken."""
        silent = self.sensed_ns is not None and now_ns - self.sensed_ns > SENSING_SECONDS * 1e9
        if silent:
            self.sensed_ns = None
        return silent

    def releases(self) -> list[Messages]:
        """What ends every note this port has started."""
        return [row for channel in sorted(self.channels) for row in release_all(channel)]


class MidiInputs:
    """The inputs of a performance: `wanted` is "all", "none", "virtual", "virtual:NAME" or a port's name.

    Ports are polled for by name: one that disappears has its notes released and is opened again when it
    returns; with "all", new ones are opened too. `say` gets one line for each such event, from the polling
    thread. `tuning` hears tuning messages, `follower` MIDI clock. Raises DeviceError for a name nobody has,
    or where there is no MIDI system and one is needed.
    """

    def __init__(
        self,
        engine: Receiver,
        wanted: str = "all",
        *,
        say: Callable[[str], None] = lambda line: None,
        tuning: TuningDecoder | None = None,
        follower: Follower | None = None,
    ) -> None:
        self._engine = engine
        self._listeners = _Listeners(tuning or TuningDecoder(), follower)
        self._say = say
        self._wanted = wanted
        self._scanner = Scanner() if wanted != "none" else None
        self._open: dict[tuple[int, str], _Port] = {}
        self._lost: set[tuple[int, str]] = set()
        self._virtual: dict[int, _Port] = {}  # by API
        self._requests: SimpleQueue[tuple[Callable[[], None], threading.Event]] = SimpleQueue()
        self._unsent = np.empty(0, MESSAGE)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        try:
            self._chosen = self._choose()
            self._follow_ports(first=True)
        except DeviceError:
            self._close()
            raise

    def _choose(self) -> str | None:
        """The stable name of the one port that was asked for; None for all, none and virtual ones."""
        if self._wanted in ("all", "none"):
            return None
        if self._scanner is None or not self._scanner.apis:
            raise DeviceError(
                "no MIDI system here (neither ALSA's sequencer nor a JACK server). See: rtsynth doctor"
            )
        if self._is_virtual:
            for api in self._scanner.apis:
                self._open_virtual(api)
            return None
        names = [name for _, name in self._scanner.ports()]
        return names[choose(self._wanted, names, what="MIDI input", hint=LIST_COMMAND)]

    @property
    def _is_virtual(self) -> bool:
        return self._wanted.partition(":")[0] == "virtual"

    def _open_virtual(self, api: int) -> None:
        self._virtual[api] = _Port(
            open_virtual(api, self._wanted.partition(":")[2] or "input"), self._listeners
        )

    @property
    def names(self) -> list[str]:
        """Names of the ports that are open; a virtual one as `virtual`."""
        return [name for _, name in self._open] + ["virtual"] * bool(self._virtual)

    @property
    def available(self) -> bool:
        """Whether there is a MIDI system to listen to."""
        return bool(self._scanner and self._scanner.apis)

    def start(self) -> None:
        """Listen from now on."""
        if self.available and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="rtsynth-midi", daemon=True)
            self._thread.start()

    def leave_jack(self) -> None:
        """The JACK server has gone: release its notes and leave it, before this returns.

        libjack crashes in a process that joins a new server while it is still a client of the old.
        """
        self._request(lambda: self._leave(jack_api()))

    def rejoin_jack(self) -> None:
        """The JACK server is back: look for its ports, and offer ours, anew."""
        self._request(lambda: self._rejoin(jack_api()))

    def _request(self, act: Callable[[], None]) -> None:
        """Have `act` done by the polling thread; nobody listens where there is none."""
        if self._thread is not None and self._thread.is_alive():
            done = threading.Event()
            self._requests.put((act, done))
            done.wait(REQUEST_SECONDS)

    def stop(self) -> None:
        """Stop listening and close the ports. Again is harmless."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._close()

    def _close(self) -> None:
        for port in [*self._open.values(), *self._virtual.values()]:
            port.midi_in.delete()
        self._open, self._virtual = {}, {}
        if self._scanner is not None:
            self._scanner.close()
            self._scanner = None

    def __enter__(self) -> MidiInputs:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # ---- the polling thread ----

    def _run(self) -> None:
        next_scan = time.monotonic() + SCAN_SECONDS
        while not self._stopping.is_set():
            for port in [*self._open.values(), *self._virtual.values()]:
                self._poll(port)
            while not self._requests.empty():
                act, done = self._requests.get()
                act()
                done.set()
            if time.monotonic() >= next_scan:
                self._follow_ports()
                next_scan = time.monotonic() + SCAN_SECONDS
            time.sleep(POLL_SECONDS)

    def _poll(self, port: _Port) -> None:
        now_ns = time.monotonic_ns()
        arrived = port.fetch(now_ns)
        for arrival_ns, row in arrived:
            row["time"] = self._engine.stamp(arrival_ns + HORIZON_NS)
        if port.went_silent(now_ns):
            arrived += [(now_ns, row) for row in self._stamped(port.releases())]
        if arrived or len(self._unsent):
            self._send([row for _, row in arrived])

    def _stamped(self, rows: list[Messages]) -> list[Messages]:
        now = self._engine.stamp()
        for row in rows:
            row["time"] = now
        return rows

    def _send(self, rows: list[Messages]) -> None:
        """Queue messages in order; what the engine's ring has no room for waits until the next poll."""
        waiting = np.concatenate([self._unsent, *rows])
        self._unsent = waiting[self._engine.send(waiting) :]

    def _leave(self, api: int) -> None:
        assert self._scanner is not None
        self._scanner.drop(api)
        for key in [key for key in self._open if key[0] == api]:
            self._lose(key)
        if api in self._virtual:
            port = self._virtual.pop(api)
            self._send(self._stamped(port.releases()))
            port.midi_in.delete()

    def _rejoin(self, api: int) -> None:
        assert self._scanner is not None
        try:
            if self._scanner.add(api) and self._is_virtual:
                self._open_virtual(api)
            self._follow_ports()
        except DeviceError:  # the server has gone again: so it will be back again
            self._leave(api)

    def _follow_ports(self, first: bool = False) -> None:
        """Open what is wanted and there, drop what has gone."""
        if self._scanner is None or self._is_virtual:
            return
        there = {key: raw for key, raw in self._scanner.ports().items() if self._chosen in (None, key[1])}
        for key in [key for key in self._open if key not in there]:
            self._lose(key)
        for key, raw in there.items():
            if key not in self._open:
                self._add(key, raw, announce=not first)

    def _lose(self, key: tuple[int, str]) -> None:
        port = self._open.pop(key)
        self._lost.add(key)
        self._send(self._stamped(port.releases()))
        port.midi_in.delete()
        self._say(
            f"MIDI input '{key[1]}' is gone: its notes are released; it is opened again when it returns"
        )

    def _add(self, key: tuple[int, str], raw: str, *, announce: bool) -> None:
        midi_in = open_port(key[0], raw)
        if midi_in is None:  # gone again in the meantime, or busy: the next scan tells
            return
        self._open[key] = _Port(midi_in, self._listeners)
        if announce:
            self._say(f"MIDI input '{key[1]}' is {'back' if key in self._lost else 'new: it plays too'}")
        self._lost.discard(key)
