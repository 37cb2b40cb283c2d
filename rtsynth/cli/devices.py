"""`rtsynth devices`: what can be heard through, and what can be played with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import columns, emit, say

if TYPE_CHECKING:
    from rtsynth.io.devices import Device

_HEADER = ("", "index", "host API", "name", "in", "out", "rates in Hz", "latency low / high")
_MARKS = """\
* the output that play and live open when none is named, < the input of its host API that live hears then"""


def devices(*, talk: Talk = TALK) -> int:
    """List audio devices and MIDI inputs; the default output has a star, default inputs an arrow."""
    from rtsynth.io.devices import list_devices
    from rtsynth.io.jack import has_library
    from rtsynth.io.midi_system import list_inputs, usable_apis
    from rtsynth.io.portaudio import install_hint, portaudio

    audio, midi = list_devices(), list_inputs()
    if talk.json:
        emit({"audio": [_as_json(device) for device in audio], "midi": midi})
        return 0
    print("Audio\n" + columns([_HEADER, *map(_row, audio)]))
    print(_MARKS)
    print("\nMIDI inputs\n" + ("\n".join(midi) or "none"))
    if portaudio() is None:
        others = "only JACK's" if has_library() else "no"
        say(talk, f"\nNo PortAudio, so {others} sound cards are seen. Install it: {install_hint()}")
    if not usable_apis():
        say(talk, "\nNo MIDI system here (neither ALSA's sequencer nor a JACK server). See: rtsynth doctor")
    return 0


def _as_json(device: Device) -> dict[str, object]:
    fields = asdict(device) | {"index": None if device.is_null else device.index}
    del fields["portaudio_index"]
    return fields


def _row(device: Device) -> tuple[str, ...]:
    return (
        "*" * device.default + "<" * device.default_input,
        "" if device.is_null else str(device.index),
        device.host_api,
        device.name,
        str(device.inputs),
        str(device.outputs),
        _rates(device),
        "a block" if device.is_null else _latencies(device),
    )


def _rates(device: Device) -> str:
    """The rates it takes, its own among them; as an input apart, where they differ."""
    played = _listed(device.rates, device.default_rate) if device.outputs else ""
    heard = _listed(device.input_rates, device.default_rate) if device.inputs else ""
    if played and heard and played != heard:
        return f"out {played}; in {heard}"
    return played or heard or "none of the usual"


def _listed(taken: Sequence[int], own: float) -> str:
    return ", ".join(f"{rate:g}{' (its own)' * (rate == own)}" for rate in sorted({*map(float, taken), own}))


def _latencies(device: Device) -> str:
    """Of the output, low and high; of an input, low."""
    played = f"{device.low_latency_ms:.1f} / {device.high_latency_ms:.1f} ms"
    heard = f"in {device.low_input_latency_ms:.1f} ms"
    return ", ".join([played] * bool(device.outputs) + [heard] * bool(device.inputs))
