"""JACK: whether a server runs, the ports it has, and a client of it that runs an engine (native/jack.h)."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable
from ctypes import c_char_p, c_int32, c_void_p
from functools import cache
from typing import Any, NamedTuple

from rtsynth import native
from rtsynth.errors import DeviceError

HERE, GONE, OTHER_RATE = 0, 1, 2  # enum rt_jack_state
# Seconds for a server to answer before it is given up. One that has a client killed answers nobody for five.
PATIENCE = 8.0
CLOSING_SECONDS = 2.0
_NO_ANSWER = "the JACK server does not answer. Start it anew, or see what holds it: jack_lsp"
_LOOKING = "rtsynth-look"
_TEXT_SIZE = 1 << 16  # bytes, for the list of ports; longer ones are asked for again

_CLIENT = c_void_p
_SIGNATURES: native.Signatures = {
    "rt_jack_library": (c_int32, []),
    "rt_jack_quieten": (None, [c_char_p]),
    "rt_jack_open": (c_void_p, [c_char_p]),
    "rt_jack_close": (None, [_CLIENT]),
    "rt_jack_rate": (c_int32, [_CLIENT]),
    "rt_jack_period": (c_int32, [_CLIENT]),
    "rt_jack_ports": (c_int32, [_CLIENT, c_char_p, c_int32]),
    "rt_jack_start": (c_int32, [_CLIENT, c_void_p, c_int32, c_int32]),
    "rt_jack_stop": (None, [_CLIENT]),
    "rt_jack_connect": (c_int32, [_CLIENT, c_int32, c_int32, c_char_p]),
    "rt_jack_latency": (c_int32, [_CLIENT, c_int32]),
    "rt_jack_announce_latency": (None, [_CLIENT, c_int32]),
    "rt_jack_ports_changed": (c_int32, [_CLIENT]),
    "rt_jack_state": (c_int32, [_CLIENT]),
}


@cache
def _load() -> ctypes.CDLL:
    library = native.open_library()
    native.declare(library, _SIGNATURES)
    return library


def has_library() -> bool:
    """Whether libjack is installed."""
    return bool(_load().rt_jack_library())


def quieten_copies() -> None:
    """Keep every libjack that this process has loaded off the terminal: python-rtmidi brings its own."""
    with contextlib.suppress(OSError), open("/proc/self/maps") as maps:
        for path in {line.split()[-1] for line in maps if "libjack" in line}:
            _load().rt_jack_quieten(path.encode())


class Port(NamedTuple):
    """An audio port of some client."""

    takes: bool  # sound; else it gives some
    physical: bool
    latency: int  # frames, to the ear if it takes sound, else from the air
    name: str  # client:port

    @property
    def client(self) -> str:
        return self.name.partition(":")[0]


class _Call:
    """Something that may wait for ever for a server that hangs, on a thread of its own."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.result: Any = None
        self._act = act
        self._thread = threading.Thread(target=self._run, name="rtsynth-jack", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.result = self._act()

    def returns_within(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()


_unanswered: _Call | None = None  # an attempt to open that nobody waits for any more


def _open(name: str, patience: float) -> int | None:
    """A client's address; None where no server runs. Raises DeviceError where one does not answer."""
    global _unanswered
    if not has_library():
        return None
    if _unanswered is not None:
        if not _unanswered.returns_within(patience):
            raise DeviceError(_NO_ANSWER)
        if _unanswered.result is not None:
            Client(_unanswered.result).close()
        _unanswered = None
    call = _Call(lambda: _load().rt_jack_open(name.encode()))
    if not call.returns_within(patience):
        _unanswered = call
        raise DeviceError(_NO_ANSWER)
    return call.result


class Client:
    """A client of the running server; `close` it. One thread uses it."""

    def __init__(self, address: int) -> None:
        self._library = _load()
        self._native: int | None = address

    @classmethod
    def open(cls, name: str = "rtsynth", patience: float = PATIENCE) -> Client | None:
        """None where no server runs; none is started. Raises DeviceError where one does not answer."""
        address = _open(name, patience)
        return None if address is None else cls(address)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> bool:
        """Leave the server; False where it never came back from that, and is left behind. Again is harmless."""
        address, self._native = self._native, None
        if address is None:
            return True
        return _Call(lambda: self._library.rt_jack_close(address)).returns_within(CLOSING_SECONDS)

    @property
    def rate(self) -> int:
        """Hertz."""
        return self._library.rt_jack_rate(self._native)

    @property
    def period(self) -> int:
        """Frames of the server's cycle now."""
        return self._library.rt_jack_period(self._native)

    @property
    def state(self) -> int:
        """HERE, GONE or OTHER_RATE; GONE after `close`."""
        return GONE if self._native is None else self._library.rt_jack_state(self._native)

    def ports(self) -> list[Port]:
        """All audio ports but our own, in the server's order; none where it has gone."""
        size = _TEXT_SIZE
        while True:
            text = ctypes.create_string_buffer(size)
            needed = self._library.rt_jack_ports(self._native, text, size)
            if needed <= size:
                break
            size = needed
        return [_port(line) for line in text.value.decode(errors="replace").splitlines()]

    def start(self, engine: int, outputs: int, inputs: int) -> bool:
        """Run the rt_engine at address `engine` from now on; False where that does not go."""
        return self._library.rt_jack_start(self._native, engine, outputs, inputs) == 0

    def stop(self) -> None:
        """The engine is left alone when this returns."""
        self._library.rt_jack_stop(self._native)

    def connect_output(self, number: int, port: str) -> bool:
        """Whether our output, counted from 0, is connected to `port` now."""
        return self._library.rt_jack_connect(self._native, 0, number, port.encode()) == 0

    def connect_input(self, number: int, port: str) -> bool:
        """The same for an input."""
        return self._library.rt_jack_connect(self._native, 1, number, port.encode()) == 0

    def latency(self) -> tuple[int, int]:
        """Frames from the air to our inputs, and from our outputs to the ear."""
        capture, playback = (self._library.rt_jack_latency(self._native, side) for side in (1, 0))
        return capture, playback

    def announce_latency(self, frames: int) -> None:
        """Tell the other clients that what comes in goes out `frames` later."""
        self._library.rt_jack_announce_latency(self._native, frames)

    def ports_changed(self) -> bool:
        """Whether ports have appeared or gone since the last call."""
        return bool(self._library.rt_jack_ports_changed(self._native))


def _port(line: str) -> Port:
    takes, physical, latency, name = line.split(" ", 3)
    return Port(takes == "1", physical == "1", int(latency), name)


class Server(NamedTuple):
    """A look at the running server."""

    rate: int  # hertz
    period: int  # frames
    ports: list[Port]


def look(patience: float = PATIENCE) -> Server | None:
    """The running server; None where there is none. Raises DeviceError where it does not answer."""
    client = Client.open(_LOOKING, patience)
    if client is None:
        return None
    with client:
        return Server(client.rate, client.period, client.ports())
