"""The audio devices that there are. The `null` device is always there.

JACK's are the clients that have audio ports, and come first; the others are PortAudio's, whose own JACK is left out:
it hangs when its server goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rtsynth.io import jack
from rtsynth.io.portaudio import portaudio, running

RATES = (44100, 48000, 88200, 96000)  # hertz; those that are tried
JACK = "JACK"
LOOKING_PATIENCE = 0.5  # seconds for a JACK server to answer while it is looked for again and again
_PORTAUDIOS_JACK = "JACK Audio Connection Kit"


@dataclass(frozen=True)
class Device:
    """An audio device; latencies are what the driver says, in milliseconds."""

    index: int  # in the list; NULL_INDEX for the null device
    host_api: str
    name: str
    inputs: int  # channels
    outputs: int
    default: bool  # what `play` opens when no output is named
    default_rate: float  # hertz
    rates: tuple[int, ...]  # hertz, of RATES, that it takes
    low_latency_ms: float
    high_latency_ms: float
    default_input: bool = False  # what its host API hears with when no input is named
    input_rates: tuple[int, ...] = ()  # hertz, of RATES, that it hears at
    low_input_latency_ms: float = 0.0
    portaudio_index: int | None = None  # None where it is not PortAudio's

    @property
    def is_jack(self) -> bool:
        """Whether it belongs to the JACK driver."""
        return self.host_api == JACK

    @property
    def is_null(self) -> bool:
        """Whether this is the null device."""
        return self.index == NULL_INDEX

    @property
    def full_name(self) -> str:
        """`host API: name`, which tells devices of one name apart."""
        return f"{self.host_api}: {self.name}"


NULL_INDEX, NULL_NAME = -1, "null"


def null_device(default: bool = False) -> Device:
    """The device that is always there: real time without a sound card, its output thrown away."""
    return Device(NULL_INDEX, "rtsynth", NULL_NAME, 0, 2, default, 48000.0, RATES, 0.0, 0.0)


def list_devices() -> list[Device]:
    """Every device there is now, the null device last; exactly one of them is the default output."""
    return with_others(list_jack())


def with_others(found: list[Device]) -> list[Device]:
    """JACK's devices, and all the others."""
    library = portaudio()
    if library is not None:
        found = [*found, *_query(library, len(found), default=not any(device.default for device in found))]
    return [*found, null_device(default=not any(device.default for device in found))]


def list_jack(patience: float = jack.PATIENCE) -> list[Device]:
    """The clients of the running JACK server, by name; the first with physical ports is the default.

    Raises DeviceError where it does not answer within `patience` seconds.
    """
    server = jack.look(patience)
    if server is None:
        return []
    names = list(dict.fromkeys(port.client for port in server.ports))
    played, heard = (
        [port.client for port in server.ports if port.physical and port.takes == takes]
        for takes in (True, False)
    )
    return [
        _jack_device(index, name, server, default=name in played[:1], default_input=name in heard[:1])
        for index, name in enumerate(names)
    ]


def _jack_device(index: int, name: str, server: jack.Server, *, default: bool, default_input: bool) -> Device:
    """A client as a device: its inputs are what we play to, its outputs what we hear."""
    ports = [port for port in server.ports if port.client == name]
    taking, giving = ([port for port in ports if port.takes == takes] for takes in (True, False))
    playback_ms, capture_ms = (
        1e3 * max((port.latency for port in side), default=0) / server.rate for side in (taking, giving)
    )
    return Device(
        index=index,
        host_api=JACK,
        name=name,
        inputs=len(giving),
        outputs=len(taking),
        default=default,
        default_rate=float(server.rate),
        rates=(server.rate,) if taking else (),
        low_latency_ms=playback_ms,
        high_latency_ms=playback_ms,
        default_input=default_input,
        input_rates=(server.rate,) if giving else (),
        low_input_latency_ms=capture_ms,
    )


def _query(library: Any, first: int, *, default: bool) -> list[Device]:
    """PortAudio's devices, numbered from `first` on; one of them is the default if that is wanted."""
    with running(library):
        host_apis = library.query_hostapis()
        infos = [
            info for info in library.query_devices() if host_apis[info["hostapi"]]["name"] != _PORTAUDIOS_JACK
        ]
        chosen = _default_output(library, host_apis, infos) if default else -1
        return [
            _device(library, info, host_apis, index, info["index"] == chosen)
            for index, info in enumerate(infos, start=first)
        ]


def _default_output(
    library: Any, host_apis: Sequence[dict[str, Any]], infos: Sequence[dict[str, Any]]
) -> int:
    """PortAudio's index of the output to open when none is named, -1 for none."""
    defaults = [
        library._lib.Pa_GetDefaultOutputDevice(),
        *(api["default_output_device"] for api in host_apis),
    ]
    there = {info["index"] for info in infos}
    return next((index for index in defaults if index in there), -1)


def _device(
    library: Any, info: dict[str, Any], host_apis: Sequence[dict[str, Any]], index: int, default: bool
) -> Device:
    host_api = host_apis[info["hostapi"]]
    return Device(
        index=index,
        host_api=host_api["name"],
        name=info["name"],
        inputs=info["max_input_channels"],
        outputs=info["max_output_channels"],
        default=default,
        default_rate=info["default_samplerate"],
        rates=tuple(rate for rate in RATES if takes(library, info, rate)),
        low_latency_ms=1e3 * info["default_low_output_latency"],
        high_latency_ms=1e3 * info["default_high_output_latency"],
        default_input=info["index"] == host_api["default_input_device"],
        input_rates=tuple(rate for rate in RATES if hears(library, info, rate)),
        low_input_latency_ms=1e3 * info["default_low_input_latency"],
        portaudio_index=info["index"],
    )


def takes(library: Any, info: dict[str, Any], rate: float) -> bool:
    """Whether the output in PortAudio's record `info` runs at `rate` hertz; PortAudio must be running."""
    channels = min(2, info["max_output_channels"])
    return _passes(library, library.check_output_settings, info, channels, rate)


def hears(library: Any, info: dict[str, Any], rate: float) -> bool:
    """The same for the input."""
    channels = min(2, info["max_input_channels"])
    return _passes(library, library.check_input_settings, info, channels, rate)


def _passes(library: Any, check: Callable, info: dict[str, Any], channels: int, rate: float) -> bool:
    if channels == 0:
        return False
    try:
        check(info["index"], channels=channels, dtype="float32", samplerate=rate)
    except library.PortAudioError:
        return False
    return True


def find_again(device: Device) -> Device | None:
    """`device` as it is now, by its name; None while it is not there. Raises DeviceError while JACK hangs."""
    if device.is_null:
        return device
    for found in list_jack(LOOKING_PATIENCE) if device.is_jack else list_devices():
        both = bool(found.outputs) >= bool(device.outputs) and bool(found.inputs) >= bool(device.inputs)
        if found.full_name == device.full_name and both:
            return found
    return None
