"""Where a performance sounds: a device that may go and come back, or the null driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rtsynth.errors import DeviceError, RateError
from rtsynth.io.hearing import Hearing
from rtsynth.io.listing import Device, find_again
from rtsynth.io.streams import Stream, open_output

if TYPE_CHECKING:
    from rtsynth.engine import Engine

FADE_SECONDS = 0.010
LOOK_SECONDS = 1.0  # between two looks for a device that has gone
JACK_LOOK_SECONDS = 0.25  # which cost little


class Outlet:
    """Runs `engine` on `device`, hearing `hearing`; where both are null, in real time and silence.

    Opened when it is made: raises DeviceError and RateError.
    """

    def __init__(
        self,
        engine: Engine,
        device: Device,
        hearing: Hearing | None,
        *,
        block: int,
        say: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._output = device
        self._hearing = hearing
        self._block = block
        self._say = say
        self._refused: str | None = None  # why a device that is back cannot be used
        self._running = False
        self._is_null = device.is_null and hearing is None
        if self._is_null and block < 1:  # said before anything is written down
            raise RateError(f"the null driver cannot run in blocks of {block} samples")
        self._stream: Stream | None = None if self._is_null else open_output(engine, device, hearing)

    @property
    def _named(self) -> Device:
        """The device it is called by: the output, or the input where that is null."""
        return self._hearing.device if self._hearing and self._output.is_null else self._output

    @property
    def name(self) -> str:
        return self._named.full_name

    @property
    def is_jack(self) -> bool:
        return self._named.is_jack

    @property
    def latency_ms(self) -> float:
        """As the driver says; a block where there is no device."""
        if self._stream is not None:
            return 1e3 * self._stream.latency
        return 1e3 * self._block / self._engine.sample_rate

    @property
    def block(self) -> int:
        """Frames asked for at once; 0 where that is not known before it runs."""
        return self._block if self._stream is None else self._stream.block

    @property
    def running(self) -> bool:
        """Whether the engine is being run."""
        return self._running

    @property
    def look_seconds(self) -> float:
        """How long to wait between two tries of `come_back`."""
        return JACK_LOOK_SECONDS if self.is_jack else LOOK_SECONDS

    def start(self) -> None:
        """Sound from now on."""
        if self._stream is not None:
            self._stream.start()
        else:
            self._engine.start_null(self._block)
        self._running = True

    def stop(self) -> None:
        """Sound no more. Again is harmless."""
        if self._stream is not None:
            self._stream.stop()
        elif self._is_null:
            self._engine.stop_null()
        self._running = False

    def close(self) -> None:
        """Give the device back. Again is harmless."""
        if self._stream is not None:
            self._stream.close()

    def has_gone(self) -> bool:
        """Whether the device has gone from under us; mends what else it can, and tells."""
        if self._stream is None:
            return False
        for line in self._stream.tend():
            self._say(line)
        return self._stream.finished

    def let_go(self) -> bool:
        """Leave a device that has gone; False where it hangs, so that the engine cannot be run by another."""
        assert self._stream is not None
        free = self._stream.close()
        self._running = False
        if free:
            self._stream = None
        return free

    def come_back(self) -> bool:
        """Whether the device is there again, and sounds; tells once why not where it is there but does not fit."""
        try:
            output = find_again(self._output)
            microphone = find_again(self._hearing.device) if self._hearing else None
            if output is None or (self._hearing and microphone is None):
                return False
            heard = Hearing(microphone, self._hearing.channel) if self._hearing and microphone else None
            self._stream = self._faded_in(output, heard)
        except (DeviceError, RateError) as problem:  # not answering, gone once more, busy, or another
            self._tell_refusal(problem)
            return False
        self._output, self._hearing = output, heard
        self._running = True
        return True

    def _faded_in(self, output: Device, heard: Hearing | None) -> Stream:
        stream = open_output(self._engine, output, heard)
        self._engine.fade_from_silence(FADE_SECONDS)
        try:
            stream.start()
        except DeviceError:
            stream.close()
            raise
        return stream

    def _tell_refusal(self, problem: Exception) -> None:
        if isinstance(problem, RateError) and str(problem) != self._refused:
            self._refused = str(problem)
            self._say(
                f"{self.name} is back at another rate, and this runs at {self._engine.sample_rate:g} Hz: "
                "give it that rate, or start anew"
            )
