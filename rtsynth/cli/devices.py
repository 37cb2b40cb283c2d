"""`rtsynth devices`: what can be heard through, and what can be played with."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import columns, emit, say

if TYPE_CHECKING:
    from rtsynth.io.devices import Device

_HEADER = ("", "index", "host API", "name", "in", "out", "rates in Hz", "latency low / high")


def devices(*, talk: Talk = TALK) -> int:
    """List audio devices and MIDI inputs; the default output has a star."""
    from rtsynth.io.devices import list_devices
    from rtsynth.io.midi_system import list_inputs, usable_apis
    from rtsynth.io.portaudio import install_hint, portaudio

    audio, midi = list_devices(), list_inputs()
    if talk.json:
        emit({"audio": [_as_json(device) for device in audio], "midi": midi})
        return 0
    print("Audio\n" + columns([_HEADER, *map(_row, audio)]))
    print("\nMIDI inputs\n" + ("\n".join(midi) or "none"))
    if portaudio() is None:
        say(talk, f"\nNo PortAudio, so no sound cards are seen. Install it: {install_hint()}")
    if not usable_apis():
        say(talk, "\nNo MIDI system here (neither ALSA's sequencer nor a JACK server). See: rtsynth doctor")
    return 0


def _as_json(device: Device) -> dict[str, object]:
    return asdict(device) | {"index": None if device.is_null else device.index}


def _row(device: Device) -> tuple[str, ...]:
    low_high = f"{device.low_latency_ms:.1f} / {device.high_latency_ms:.1f} ms"
    rates = [f"{rate:g}{' (its own)' * (rate == device.default_rate)}" for rate in _rates(device)]
    return (
        "*" if device.default else "",
        "" if device.is_null else str(device.index),
        device.host_api,
        device.name,
        str(device.inputs),
        str(device.outputs),
        ", ".join(rates) or "none of the usual",
        "a block" if device.is_null else low_high,
    )


def _rates(device: Device) -> list[float]:
    """The rates it takes, its own among them."""
    own = [device.default_rate] if device.outputs else []
    return sorted({*map(float, device.rates), *own})
