"""A running output stream whose callback never enters Python.

sounddevice's `_StreamBase` takes a C callback (its documentation offers it to library authors; python-rtmixer
does the same); the engine's is compiled, so a busy interpreter costs no block.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rtsynth.errors import DeviceError, RateError
from rtsynth.io.devices import LIST_COMMAND, Device, refusal, takes
from rtsynth.io.portaudio import end_if_idle, install_hint, open_streams, portaudio, running

if TYPE_CHECKING:
    from rtsynth.engine import Engine

CLOSING_SECONDS = 2.0  # how long a device may take to stop before it is given up
LONGEST_LATENCY = 10.0  # seconds


class Stream:
    """An open output that calls an engine's compiled callback; start, stop and close it, in that order."""

    def __init__(self, library: Any, engine: Engine, device: Device) -> None:
        """Open `device`; raises sounddevice's PortAudioError."""
        stream = _open(library, engine, device)
        self._library = library
        self._engine = engine
        self._stream = stream
        self._started = False
        self._abandoned = False
        self.device = device
        self.sample_rate: float = stream.samplerate  # hertz, what the driver runs at
        # Seconds, as the driver says, where that makes sense: JACK's host API says 0 before its ports are
        # connected, PipeWire's a day.
        sensible = 0 < stream.latency < LONGEST_LATENCY
        self.latency: float = stream.latency if sensible else device.low_latency_ms / 1e3

    def start(self) -> None:
        """Make sound from now on; raises DeviceError when the device does not start."""
        self._engine.begin_stream(self._stream.channels)
        try:
            self._stream.start()
        except self._library.PortAudioError as problem:
            raise DeviceError(f"{self.device.full_name} does not start: {_cause(problem)}") from problem
        self._started = True

    @property
    def finished(self) -> bool:
        """Whether a started stream has stopped by itself: its device or its server is gone."""
        try:
            return self._started and not self._stream.active
        except self._library.PortAudioError:
            return True

    def stop(self) -> None:
        """Stop after what is already buffered has been played. Again is harmless."""
        if self._started:
            self._started = False
            if self._finishes(self._stream.stop):
                self._engine.end_stream()

    def close(self) -> None:
        """Give the device back. Again is harmless."""
        self.stop()
        if self in open_streams and not self._abandoned and self._finishes(self._stream.close):
            open_streams.discard(self)
            end_if_idle()

    def _finishes(self, act: Callable[[], None]) -> bool:
        """Whether `act` came back. PortAudio waits for ever for a JACK server that has gone, even at exit."""
        thread = threading.Thread(target=self._ignoring_errors, args=(act,), daemon=True)
        thread.start()
        thread.join(CLOSING_SECONDS)
        if thread.is_alive():
            self._abandoned = True
            atexit.unregister(self._library._exit_handler)
        return not thread.is_alive()

    def _ignoring_errors(self, act: Callable[[], None]) -> None:
        """A device that has gone cannot be stopped or closed; there is nothing to be done about it."""
        with contextlib.suppress(self._library.PortAudioError):
            act()


def open_output(engine: Engine, device: Device) -> Stream:
    """Open `device` for `engine`, at the engine's rate; the host chooses the block, the engine splits it.

    A block size asked for would cost a period of latency more and bunch the callbacks. Raises RateError,
    naming the rates that go, or DeviceError when it is busy or gone.
    """
    library = portaudio()
    if library is None or device.is_null:
        raise DeviceError(f"no sound device to open. Install PortAudio: {install_hint()}")
    with running(library):
        info = _info(library, device)
        try:
            stream = Stream(library, engine, device)
        except library.PortAudioError as problem:
            if not takes(library, info, engine.sample_rate):
                raise RateError(refusal(device, engine.sample_rate)) from problem
            raise DeviceError(
                f"cannot open {device.full_name}: {_cause(problem)}. List: {LIST_COMMAND}"
            ) from problem
        open_streams.add(stream)
    return stream


def _info(library: Any, device: Device) -> dict[str, Any]:
    """PortAudio's record of `device`, whose index is another device's by now if something was unplugged."""
    infos = library.query_devices()
    if device.index >= len(infos) or infos[device.index]["name"] != device.name:
        raise DeviceError(f"{device.full_name} has gone. List: {LIST_COMMAND}")
    return infos[device.index]


def _open(library: Any, engine: Engine, device: Device) -> Any:
    address, userdata = engine.portaudio_callback
    return library._StreamBase(
        kind="output",
        device=device.index,
        samplerate=engine.sample_rate,
        blocksize=0,
        channels=min(2, device.outputs),
        dtype="float32",
        latency="low",
        callback=library._ffi.cast("PaStreamCallback*", address),
        userdata=library._ffi.cast("void*", userdata),
    )


def _cause(problem: Exception) -> str:
    """PortAudio's text without its error number."""
    return str(problem.args[0] if problem.args else problem).split(" [PaErrorCode")[0]
