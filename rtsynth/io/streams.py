"""Opening a device for an engine, whichever driver it belongs to, and what its stream can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rtsynth.errors import DeviceError
from rtsynth.io.hearing import Hearing
from rtsynth.io.listing import Device
from rtsynth.io.portaudio import install_hint

if TYPE_CHECKING:
    from rtsynth.engine import Engine

__all__ = ["Hearing", "Stream", "open_output"]


class Stream(Protocol):
    """An open device that runs an engine; start, stop and close it, in that order. One thread does."""

    sample_rate: float  # hertz

    @property
    def latency(self) -> float:
        """Seconds from the air of the input to the ear, or of the side there is; a block's own length included."""

    @property
    def block(self) -> int:
        """Frames the device asks for at once; 0 where that is not known before it runs."""

    @property
    def finished(self) -> bool:
        """Whether a started stream has stopped by itself: its device or its server is gone."""

    def start(self) -> None:
        """Make sound from now on; raises DeviceError when the device does not start."""

    def tend(self) -> list[str]:
        """To be called now and then: mends what it can; returns a line for each thing worth telling."""

    def stop(self) -> None:
        """Stop after what is already buffered has been played. Again is harmless."""

    def close(self) -> bool:
        """Give the device back; False where it hangs, and may yet run the engine. Again is harmless."""


def open_output(engine: Engine, device: Device, hearing: Hearing | None = None) -> Stream:
    """Open `device` for `engine`, at the engine's rate; the engine splits whatever block the host chooses.

    With `hearing` its input is heard; then `device` may be the null one, and only the input is opened. Raises
    RateError, naming the rates that go, or DeviceError when it is busy or gone.
    """
    output = None if device.is_null else device
    first = output or (hearing.device if hearing else None)
    if first is None:
        raise DeviceError(f"no sound device to open. Install PortAudio: {install_hint()}")
    if first.is_jack:
        from rtsynth.io.jack_stream import JackStream

        return JackStream(engine, output, hearing)
    from rtsynth.io.portaudio_stream import open_portaudio

    return open_portaudio(engine, output, hearing)
