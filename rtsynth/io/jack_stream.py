"""A running JACK client: the engine in the server's cycle, its ports connected to those of the devices asked for.

The ports of a device that goes while the server stays are connected again when they return.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rtsynth.errors import DeviceError, RateError
from rtsynth.io.devices import LIST_COMMAND, refusal
from rtsynth.io.hearing import Hearing
from rtsynth.io.jack import HERE, Client, Port
from rtsynth.io.listing import Device

if TYPE_CHECKING:
    from rtsynth.engine import Engine


class JackStream:
    """An open client; the engine runs between `start` and `stop`."""

    def __init__(self, engine: Engine, output: Device | None, hearing: Hearing | None) -> None:
        """Join the server as a client; raises DeviceError where it or a device is gone, RateError at another rate."""
        self._engine = engine
        self._output = output
        self._hearing = hearing
        self._devices = [device for device in (output, hearing.device if hearing else None) if device]
        self._missing: set[str] = set()  # names of devices whose ports have gone
        self._started = False
        client = Client.open()
        if client is None:
            raise DeviceError(f"{self._devices[0].full_name} has gone. List: {LIST_COMMAND}")
        self._client = client
        self.sample_rate = float(client.rate)
        self._block = client.period
        self._announced = 0  # samples
        try:
            ports = client.ports()
            self._check(ports)
        except Exception:
            client.close()
            raise
        self._latency = self._latency_by_list(ports)

    def _check(self, ports: Sequence[Port]) -> None:
        for device in self._devices:
            if self._engine.sample_rate != self.sample_rate:
                raise RateError(refusal(device, self._engine.sample_rate, (round(self.sample_rate),)))
        targets, sources = self._wanted(ports)
        if (self._output and not targets) or (self._hearing and not sources):
            gone = self._hearing.device if self._hearing and not sources else self._output
            raise DeviceError(f"{gone.full_name if gone else ''} has gone. List: {LIST_COMMAND}")

    def _wanted(self, ports: Sequence[Port]) -> tuple[list[Port], list[Port]]:
        """The ports to connect our outputs and our inputs to, as far as they are there."""
        targets, sources = [], []
        if self._output is not None:
            targets = [port for port in ports if port.takes and port.client == self._output.name]
        if self._hearing is not None:
            name, channel = self._hearing.device.name, self._hearing.channel
            sources = [port for port in ports if not port.takes and port.client == name]
            sources = sources[:2] if channel is None else sources[channel - 1 : channel]
        return targets[:2], sources

    def _latency_by_list(self, ports: Sequence[Port]) -> float:
        sides = (max((port.latency for port in side), default=0) for side in self._wanted(ports))
        return sum(sides) / self.sample_rate

    def start(self) -> None:
        """Make sound from now on; raises DeviceError when the server does not take us."""
        outputs = min(2, self._output.outputs) if self._output else 0
        heard = self._hearing
        inputs = 0 if heard is None else heard.channels if heard.channel is None else 1
        if not self._client.start(self._engine.address, outputs, inputs):
            raise DeviceError(f"{self._devices[0].full_name} does not start. List: {LIST_COMMAND}")
        self._started = True
        self._connect()
        self._announce()

    def _connect(self) -> None:
        targets, sources = self._wanted(self._client.ports())
        for number, port in enumerate(targets):
            self._client.connect_output(number, port.name)
        for number, port in enumerate(sources):
            self._client.connect_input(number, port.name)
        here = {port.client for port in (*targets, *sources)}
        self._missing = {device.name for device in self._devices if device.name not in here}

    def _announce(self) -> None:
        """Let the server's other clients know how much later our output is than our input."""
        self._announced = self._own_latency()
        self._client.announce_latency(self._announced)

    def _own_latency(self) -> int:
        return max((source.latency for source in self._engine.sources if source.loop.hears), default=0)

    def tend(self) -> list[str]:
        """Connect ports that have come back; returns a line for each device that has gone or returned."""
        if not self._started or self.finished:
            return []
        if self._own_latency() != self._announced:
            self._announce()
        if not self._client.ports_changed():
            return []
        before = self._missing
        self._connect()
        names = {device.name: device.full_name for device in self._devices}
        gone = [f"{names[name]} has gone: waiting for it to come back" for name in self._missing - before]
        return [*gone, *(f"{names[name]} is back" for name in before - self._missing)]

    @property
    def latency(self) -> float:
        """Seconds, as the server's ports say; their own share of the cycle is in that."""
        if self._started and self._client.state == HERE:
            told = sum(self._client.latency()) / self.sample_rate
            self._latency = told or self._latency
        return self._latency

    @property
    def block(self) -> int:
        """Frames of the server's cycle, known before it starts."""
        if self._client.state == HERE:
            self._block = self._client.period
        return self._block

    @property
    def finished(self) -> bool:
        """Whether the server has ended, thrown us out, or changed its rate."""
        return self._started and self._client.state != HERE

    def stop(self) -> None:
        """Leave the engine alone. Again is harmless."""
        if self._started:
            self._started = False
            self._client.stop()

    def close(self) -> bool:
        """Leave the server; the engine is free for another stream even if the server never answers."""
        self.stop()
        self._client.close()
        return True
