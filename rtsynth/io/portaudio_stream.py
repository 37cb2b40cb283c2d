"""A running PortAudio stream, of output, input or both, whose callback never enters Python.

sounddevice's `_StreamBase` takes a C callback (its documentation offers it to library authors; python-rtmixer
does the same); the engine's is compiled, so a busy interpreter costs no block.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from rtsynth.errors import DeviceError, RateError
from rtsynth.io.devices import LIST_COMMAND, refusal
from rtsynth.io.hearing import Hearing
from rtsynth.io.listing import Device, hears, takes
from rtsynth.io.portaudio import end_if_idle, install_hint, open_streams, portaudio, running

if TYPE_CHECKING:
    from rtsynth.engine import Engine

CLOSING_SECONDS = 2.0  # how long a device may take to stop before it is given up
LONGEST_LATENCY = 10.0  # seconds


class PortAudioStream:
    """An open device that calls an engine's compiled callback; start, stop and close it, in that order."""

    def __init__(
        self, library: Any, engine: Engine, device: Device | None, hearing: Hearing | None = None
    ) -> None:
        """Open `device` for output, `hearing` for input, or both; raises sounddevice's PortAudioError."""
        sides = _sides(device, hearing)
        stream = _open(library, engine, sides, hearing is not None)
        self._library = library
        self._engine = engine
        self._stream = stream
        self._started = False
        self._abandoned = False
        self._outputs = sides[-1].channels if device else 0
        self._hearing = hearing
        self.device = sides[-1].device  # what it is called by
        self.sample_rate: float = stream.samplerate  # hertz, what the driver runs at
        told = stream.latency if len(sides) == 2 else (stream.latency,)
        # Seconds from input to output, or of the one there is.
        self.latency = sum(_sensible(seconds, side) for seconds, side in zip(told, sides, strict=True))

    def start(self) -> None:
        """Make sound from now on; raises DeviceError when the device does not start."""
        inputs = self._hearing.channels if self._hearing else 0
        channel = self._hearing.channel if self._hearing else None
        self._engine.begin_stream(self._outputs, inputs, None if channel is None else channel - 1)
        try:
            self._stream.start()
        except self._library.PortAudioError as problem:
            raise DeviceError(f"{self.device.full_name} does not start: {_cause(problem)}") from problem
        self._started = True

    @property
    def block(self) -> int:
        """Frames the device asks for at once; 0 where that is not known before it runs."""
        return self._engine.latest_block

    def tend(self) -> list[str]:
        """Nothing comes or goes but the whole device."""
        return []

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

    def close(self) -> bool:
        """Give the device back; False where it hangs, and may yet run the engine. Again is harmless."""
        self.stop()
        if self in open_streams and not self._abandoned and self._finishes(self._stream.close):
            open_streams.discard(self)
            end_if_idle()
        return not self._abandoned

    def _finishes(self, act: Callable[[], None]) -> bool:
        """Whether `act` came back. PortAudio may wait for ever for a server that has gone, even at exit."""
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


def open_portaudio(engine: Engine, output: Device | None, hearing: Hearing | None) -> PortAudioStream:
    """Open `output`, the input of `hearing`, or both; the host chooses the block, the engine splits it.

    A block size asked for would cost a period of latency more and bunch the callbacks. Raises RateError, naming the
    rates that go, or DeviceError when it is busy or gone.
    """
    library = portaudio()
    if library is None:
        raise DeviceError(f"no sound device to open. Install PortAudio: {install_hint()}")
    with running(library):
        if output is not None:
            _info(library, output)
        if hearing is not None:
            _info(library, hearing.device)
        try:
            stream = PortAudioStream(library, engine, output, hearing)
        except library.PortAudioError as problem:
            _check_rates(library, engine.sample_rate, output, hearing)
            names = " with ".join(side.device.full_name for side in _sides(output, hearing))
            raise DeviceError(f"cannot open {names}: {_cause(problem)}. List: {LIST_COMMAND}") from problem
        open_streams.add(stream)
    return stream


def _check_rates(library: Any, rate: float, output: Device | None, hearing: Hearing | None) -> None:
    """Raise RateError where it is the rate that keeps a device from opening."""
    if output is not None and not takes(library, _info(library, output), rate):
        raise RateError(refusal(output, rate, output.rates))
    if hearing is not None and not hears(library, _info(library, hearing.device), rate):
        raise RateError(refusal(hearing.device, rate, hearing.device.input_rates))


def _info(library: Any, device: Device) -> dict[str, Any]:
    """PortAudio's record of `device`, whose index is another device's by now if something was unplugged."""
    infos, index = library.query_devices(), device.portaudio_index
    if index is None or index >= len(infos) or infos[index]["name"] != device.name:
        raise DeviceError(f"{device.full_name} has gone. List: {LIST_COMMAND}")
    return infos[index]


class _Side(NamedTuple):
    """One direction of a stream."""

    device: Device
    channels: int
    low_latency_ms: float


def _sides(device: Device | None, hearing: Hearing | None) -> list[_Side]:
    """What is to be opened: the input first, as PortAudio has it."""
    sides = []
    if hearing is not None:
        sides.append(_Side(hearing.device, hearing.channels, hearing.device.low_input_latency_ms))
    if device is not None:
        sides.append(_Side(device, min(2, device.outputs), device.low_latency_ms))
    return sides


def _sensible(told: float, side: _Side) -> float:
    """A latency in seconds, as the driver says where that makes sense: PipeWire has said a day."""
    return told if 0 < told < LONGEST_LATENCY else side.low_latency_ms / 1e3


def _open(library: Any, engine: Engine, sides: list[_Side], hears: bool) -> Any:
    address, userdata = engine.portaudio_callback
    kind = "duplex" if len(sides) == 2 else "input" if hears else "output"
    indices = tuple(side.device.portaudio_index for side in sides)
    channels = tuple(side.channels for side in sides)
    return library._StreamBase(
        kind=kind,
        device=indices if kind == "duplex" else indices[0],
        samplerate=engine.sample_rate,
        blocksize=0,
        channels=channels if kind == "duplex" else channels[0],
        dtype="float32",
        latency="low",
        callback=library._ffi.cast("PaStreamCallback*", address),
        userdata=library._ffi.cast("void*", userdata),
    )


def _cause(problem: Exception) -> str:
    """PortAudio's text without its error number."""
    return str(problem.args[0] if problem.args else problem).split(" [PaErrorCode")[0]
