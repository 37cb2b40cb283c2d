"""Audio devices: what there is, and which one is meant. The `null` device is always there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rtsynth.errors import DeviceError, RateError
from rtsynth.io.names import choose
from rtsynth.io.portaudio import portaudio, running

RATES = (44100, 48000, 88200, 96000)  # hertz; those that are tried
LIST_COMMAND = "rtsynth devices"


@dataclass(frozen=True)
class Device:
    """An audio device as PortAudio lists it; latencies are what the driver says, in milliseconds."""

    index: int  # PortAudio's; NULL_INDEX for the null device
    host_api: str
    name: str
    inputs: int  # channels
    outputs: int
    default: bool  # what `play` opens when no output is named
    default_rate: float  # hertz
    rates: tuple[int, ...]  # hertz, of RATES, that it takes
    low_latency_ms: float
    high_latency_ms: float

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
    """Every device there is now, the null device last; exactly one of them is the default."""
    library = portaudio()
    found = _query(library) if library else []
    return [*found, null_device(default=not any(device.default for device in found))]


def _query(library: Any) -> list[Device]:
    with running(library):
        host_apis = library.query_hostapis()
        infos = library.query_devices()
        chosen = _default_output(library, host_apis)
        return [_device(library, info, host_apis, info["index"] == chosen) for info in infos]


def _default_output(library: Any, host_apis: Sequence[dict[str, Any]]) -> int:
    """Index of the output to open when none is named, -1 for none: a running JACK server has the card."""
    by_name = {api["name"]: api["default_output_device"] for api in host_apis}
    candidates = [by_name.get("JACK Audio Connection Kit", -1), library._lib.Pa_GetDefaultOutputDevice()]
    return next((index for index in [*candidates, *by_name.values()] if index >= 0), -1)


def _device(library: Any, info: dict[str, Any], host_apis: Sequence[dict[str, Any]], default: bool) -> Device:
    rates = tuple(rate for rate in RATES if takes(library, info, rate))
    return Device(
        index=info["index"],
        host_api=host_apis[info["hostapi"]]["name"],
        name=info["name"],
        inputs=info["max_input_channels"],
        outputs=info["max_output_channels"],
        default=default,
        default_rate=info["default_samplerate"],
        rates=rates,
        low_latency_ms=1e3 * info["default_low_output_latency"],
        high_latency_ms=1e3 * info["default_high_output_latency"],
    )


def takes(library: Any, info: dict[str, Any], rate: float) -> bool:
    """Whether the output in PortAudio's record `info` runs at `rate` hertz; PortAudio must be running."""
    channels = min(2, info["max_output_channels"])
    if channels == 0:
        return False
    try:
        library.check_output_settings(info["index"], channels=channels, dtype="float32", samplerate=rate)
    except library.PortAudioError:
        return False
    return True


def find_output(wanted: str | int | None, devices: Sequence[Device] | None = None) -> Device:
    """The output meant: None for the default, an index, a name or a unique part of one, or `host API: name`.

    Raises DeviceError naming the nearest one that exists.
    """
    if wanted == NULL_NAME:
        return null_device()  # at once: looking for the others takes a fifth of a second
    outputs = [device for device in (list_devices() if devices is None else devices) if device.outputs > 0]
    if wanted is None:
        return next((device for device in outputs if device.default), null_device(default=True))
    text = str(wanted).strip()
    if text.lstrip("-").isdigit():
        return _by_index(int(text), outputs)
    names = [device.name for device in outputs]
    full_names = [device.full_name for device in outputs]
    host_apis = {device.host_api.casefold() for device in outputs}
    by_full_name = text.partition(":")[0].casefold() in host_apis  # ALSA's own names have colons too
    return outputs[choose(text, full_names if by_full_name else names, what="output", hint=LIST_COMMAND)]


def _by_index(index: int, outputs: Sequence[Device]) -> Device:
    for device in outputs:
        if device.index == index and not device.is_null:
            return device
    known = ", ".join(f"{device.index} ({device.name})" for device in outputs if not device.is_null) or "none"
    raise DeviceError(f"no output with index {index}. There are: {known}. List: {LIST_COMMAND}")


def choose_rate(device: Device, wanted: float | None) -> float:
    """The rate to run `device` at, hertz; raises RateError, naming what it takes, for one it does not."""
    if wanted is None:
        return device.default_rate
    # A rate outside RATES was not tried: opening the device will tell.
    if wanted in device.rates or wanted == device.default_rate or wanted not in RATES or device.is_null:
        return wanted
    raise RateError(refusal(device, wanted))


def refusal(device: Device, rate: float) -> str:
    """What to say about a rate a device does not take."""
    taken = ", ".join(map(str, device.rates)) or f"{device.default_rate:g}"
    return f"{device.full_name} does not run at {rate:g} Hz. It takes {taken}: --rate {taken.split(',')[0]}"
