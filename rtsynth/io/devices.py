"""Audio devices: what there is, and which one is meant. The `null` device is always there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    default_input: bool = False  # what its host API hears with when no input is named
    input_rates: tuple[int, ...] = ()  # hertz, of RATES, that it hears at
    low_input_latency_ms: float = 0.0

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
    host_api = host_apis[info["hostapi"]]
    return Device(
        index=info["index"],
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


def find_output(wanted: str | int | None, devices: Sequence[Device] | None = None) -> Device:
    """The output meant: None for the default, an index, a name or a unique part of one, or `host API: name`.

    Raises DeviceError naming the nearest one that exists.
    """
    if wanted == NULL_NAME:
        return null_device()  # at once: looking for the others takes a fifth of a second
    outputs = [device for device in (list_devices() if devices is None else devices) if device.outputs > 0]
    if wanted is None:
        return next((device for device in outputs if device.default), null_device(default=True))
    return _named(wanted, outputs, "output")


def find_input(wanted: str | int | None, output: Device, devices: Sequence[Device] | None = None) -> Device:
    """The input meant, as `find_output`; None for the default one of the host API that `output` belongs to.

    One callback serves both, so both must be of one host API, unless one of them is null: silence. Raises DeviceError.
    """
    if wanted == NULL_NAME:
        return null_device()
    inputs = [device for device in (list_devices() if devices is None else devices) if device.inputs > 0]
    if wanted is None:
        return _default_input(inputs, output)
    found = _named(wanted, inputs, "input")
    if not output.is_null and found.host_api != output.host_api:
        raise DeviceError(
            f"{found.full_name} cannot be heard together with {output.full_name}: take two of one host API. "
            f"List: {LIST_COMMAND}"
        )
    return found


def _default_input(inputs: Sequence[Device], output: Device) -> Device:
    fitting = [device for device in inputs if output.is_null or device.host_api == output.host_api]
    for device in sorted(fitting, key=lambda device: not device.default_input):
        return device
    beside = "" if output.is_null else f" beside {output.full_name}"
    raise DeviceError(
        f"no microphone or other input{beside}. Hear a file: --audio-in file:x.wav, or nothing: --audio-in null. "
        f"List: {LIST_COMMAND}"
    )


def _named(wanted: str | int, devices: Sequence[Device], what: str) -> Device:
    text = str(wanted).strip()
    if text.lstrip("-").isdigit():
        return _by_index(int(text), devices, what)
    names = [device.name for device in devices]
    full_names = [device.full_name for device in devices]
    host_apis = {device.host_api.casefold() for device in devices}
    by_full_name = text.partition(":")[0].casefold() in host_apis  # ALSA's own names have colons too
    return devices[choose(text, full_names if by_full_name else names, what=what, hint=LIST_COMMAND)]


def _by_index(index: int, devices: Sequence[Device], what: str) -> Device:
    for device in devices:
        if device.index == index and not device.is_null:
            return device
    known = ", ".join(f"{device.index} ({device.name})" for device in devices if not device.is_null) or "none"
    raise DeviceError(f"no {what} with index {index}. There are: {known}. List: {LIST_COMMAND}")


def choose_shared_rate(output: Device, microphone: Device, wanted: float | None) -> float:
    """The rate to run both at, hertz: the output's own where the input hears at it, else the first that both take.

    Raises RateError, naming the rates that go, where there is none, or for a `wanted` one that does not.
    """
    if output.is_null or microphone.is_null:
        return choose_rate(microphone if output.is_null else output, wanted, hearing=output.is_null)
    shared = [rate for rate in output.rates if rate in microphone.input_rates]
    if wanted is None:
        own = output.default_rate
        if own in shared or own == microphone.default_rate:
            return own
        if shared:
            return shared[0]
        raise RateError(
            f"{output.full_name} and {microphone.full_name} have no rate in common. "
            f"Take others: {LIST_COMMAND}"
        )
    choose_rate(output, wanted)
    if wanted not in RATES or wanted in microphone.input_rates:
        return wanted
    raise RateError(refusal(microphone, wanted, shared))


def choose_rate(device: Device, wanted: float | None, *, hearing: bool = False) -> float:
    """The rate to run `device` at, hertz; raises RateError, naming what it takes, for one it does not.

    `hearing`: as an input.
    """
    rates = device.input_rates if hearing and not device.is_null else device.rates
    if wanted is None:
        return device.default_rate
    # A rate outside RATES was not tried: opening the device will tell.
    if wanted in rates or wanted == device.default_rate or wanted not in RATES or device.is_null:
        return wanted
    raise RateError(refusal(device, wanted, rates))


def refusal(device: Device, rate: float, rates: Sequence[int]) -> str:
    """What to say about a rate a device does not take, where it takes `rates`."""
    taken = ", ".join(map(str, rates)) or f"{device.default_rate:g}"
    return f"{device.full_name} does not run at {rate:g} Hz. It takes {taken}: --rate {taken.split(',')[0]}"
