"""Which audio device is meant, and at which rate to run it."""

from __future__ import annotations

from collections.abc import Sequence

from rtsynth.errors import DeviceError, RateError
from rtsynth.io.listing import (
    NULL_INDEX,
    NULL_NAME,
    RATES,
    Device,
    list_devices,
    list_jack,
    null_device,
    with_others,
)
from rtsynth.io.names import choose

__all__ = [
    "NULL_INDEX",
    "NULL_NAME",
    "Device",
    "choose_rate",
    "choose_shared_rate",
    "find_input",
    "find_output",
    "list_devices",
    "null_device",
]

LIST_COMMAND = "rtsynth devices"


def find_output(wanted: str | int | None, devices: Sequence[Device] | None = None) -> Device:
    """The output meant: None for the default, an index, a name or a unique part of one, or `host API: name`.

    Raises DeviceError naming the nearest one that exists.
    """
    if wanted == NULL_NAME:
        return null_device()  # at once: looking for the others takes a fifth of a second
    there = _list_for(wanted) if devices is None else devices
    outputs = [device for device in there if device.outputs > 0]
    if wanted is None:
        return next((device for device in outputs if device.default), null_device(default=True))
    return _named(wanted, outputs, "output")


def find_input(wanted: str | int | None, output: Device, devices: Sequence[Device] | None = None) -> Device:
    """The input meant, as `find_output`; None for the default one of the host API that `output` belongs to.

    One callback serves both, so both must be of one host API, unless one of them is null: silence. Raises DeviceError.
    """
    if wanted == NULL_NAME:
        return null_device()
    there = _list_for(wanted, output) if devices is None else devices
    inputs = [device for device in there if device.inputs > 0]
    if wanted is None:
        return _default_input(inputs, output)
    found = _named(wanted, inputs, "input")
    if not output.is_null and found.host_api != output.host_api:
        raise DeviceError(
            f"{found.full_name} cannot be heard together with {output.full_name}: take two of one host API. "
            f"List: {LIST_COMMAND}"
        )
    return found


def _list_for(wanted: str | int | None, beside: Device | None = None) -> list[Device]:
    """The devices that `wanted` may mean: JACK's alone, where it means one of them, for PortAudio is slow to start."""
    found = list_jack()
    text = str(wanted).strip().casefold()
    names = {name for device in found for name in (device.name.casefold(), device.full_name.casefold())}
    by_default = wanted is None and (beside is None or beside.is_jack) and any(dev.default for dev in found)
    return [*found, null_device()] if by_default or text in names else with_others(found)


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
