"""What `doctor` looks at that sounds: devices, servers and their blocks, MIDI, and how it went the last time."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from rtsynth.cli import latest
from rtsynth.cli.finding import LIMITS_HINT, Finding
from rtsynth.errors import RtsynthError

LONG_MS = 6.0  # a block that lasts longer is felt under the fingers: a key may wait for two of them
LOW_RATE = 44100.0  # hertz; below, a device is a telephone
PATIENCE = 2.0  # seconds for another program to answer
_STEPS = {  # by the cause of late blocks
    "engine": "it computed too long: a larger block, or fewer voices in the preset. What fits: rtsynth bench",
    "preempted": f"other programs took the processor: {LIMITS_HINT}",
    "host": "the sound server came too late: give it a larger block, or close what else uses it",
    "worker": "the model answered too late: rtsynth live MODEL --ahead-ms 40, or what fits: rtsynth bench MODEL",
}


def audio() -> list[Finding]:
    """PortAudio, and the output that is opened when none is named."""
    from rtsynth.io.devices import find_output, list_devices
    from rtsynth.io.portaudio import install_hint, portaudio

    library = portaudio()
    if library is None:
        return [Finding("note", "PortAudio", "missing: no sound card but JACK's can be used", install_hint())]
    version = library.get_portaudio_version()[1].split(",")[0]
    devices = list_devices()
    default = find_output(None, devices)
    own = [device for device in devices if device.portaudio_index is not None]
    findings = [Finding("ok", "PortAudio", f"{version}, {len(own)} devices")]
    if default.is_null:
        text = "no sound card or JACK server: playing goes to null"
        step = "connect one, or hear files: rtsynth render piano piece.mid -o piece.wav"
        return [*findings, Finding("note", "audio output", text, step)]
    return [*findings, output_finding(default.full_name, default.default_rate, default.low_latency_ms)]


def output_finding(name: str, rate: float, latency_ms: float) -> Finding:
    """The default output, at its own rate in hertz."""
    text = f"{name}, {rate:g} Hz, {latency_ms:.1f} ms"
    if rate < LOW_RATE:
        step = "a headset in its telephone mode? Choose its music profile (A2DP), or another: rtsynth devices"
        return Finding("note", "audio output", f"{text}: everything above {rate / 2:g} Hz is lost", step)
    return Finding("ok", "audio output", text)


def chosen_output() -> list[Finding]:
    """Whether the output and the rate that settings ask `play` for are there; nothing where they ask for none."""
    from rtsynth.io.devices import choose_rate, find_output

    try:
        said = _settings_of_play()
        name, rate = said.get("audio-out"), said.get("rate")
        if name is None and rate is None:
            return []
        if name is not None and name.startswith("file:"):
            return [Finding("ok", "chosen output", name)]
        device = find_output(name)
        hertz = choose_rate(device, None if rate is None else float(rate))
    except RtsynthError as problem:
        return [
            Finding("note", "chosen output", str(problem), "change the setting: rtsynth doctor --config play")
        ]
    return [Finding("ok", "chosen output", f"{device.full_name}, {hertz:g} Hz")]


def _settings_of_play() -> dict[str, str]:
    from rtsynth.cli import build_app
    from rtsynth.cli.config import layers
    from rtsynth.cli.doctor_config import values_of

    values = values_of(build_app()["play"], ("play",), layers(), defaults=False)
    return {value.flag: value.value for value in values}


def jack() -> list[Finding]:
    """The JACK server, and how long its cycle is."""
    from rtsynth.io.jack import has_library, look

    if not has_library():
        step = "only if you want JACK: apt install libjack-jackd2-0, or pipewire-jack"
        return [Finding("ok", "JACK", f"no library ({step})")]
    try:
        server = look()
    except RtsynthError as problem:
        return [Finding("note", "JACK", "a server that does not answer", str(problem))]
    if server is None:
        return [Finding("ok", "JACK", "no server (none is needed)")]
    return [cycle_finding(server.rate, server.period)]


def cycle_finding(rate: int, period: int) -> Finding:
    """A server's cycle: `period` frames at `rate` hertz."""
    milliseconds = 1e3 * period / rate
    text = f"a server is running at {rate} Hz / {period} frames ({milliseconds:.1f} ms): its output is the default"
    if milliseconds <= LONG_MS:
        return Finding("ok", "JACK", text)
    return Finding("note", "JACK", text, f"for playing by hand: jack_bufsize {_shorter(rate)}")


def _shorter(rate: float) -> int:
    """The longest power of two of frames that is not felt."""
    return int(2 ** int(LONG_MS * 1e-3 * rate).bit_length() / 2)


def pipewire() -> list[Finding]:
    """PipeWire's quantum and rate; nothing where it does not run, or cannot be asked."""
    folder = Path(os.environ.get("PIPEWIRE_RUNTIME_DIR") or os.environ.get("XDG_RUNTIME_DIR") or "/nowhere")
    if not (folder / "pipewire-0").exists():
        return []
    command = shutil.which("pw-metadata")
    if command is None:
        step = "to see and set its block: apt install pipewire-bin"
        return [Finding("note", "PipeWire", "running; its block is not known", step)]
    try:
        told = subprocess.run(
            [command, "-n", "settings", "0"], capture_output=True, text=True, timeout=PATIENCE, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return [Finding("note", "PipeWire", "does not answer", "systemctl --user restart pipewire")]
    return [quantum_finding(told)]


def quantum_finding(told: str) -> Finding:
    """From what pw-metadata prints of PipeWire's settings."""
    values = {key: int(value) for key, value in re.findall(r"key:'clock\.([\w-]+)' value:'(\d+)'", told)}
    rate = values.get("force-rate") or values.get("rate") or 48000
    quantum = values.get("force-quantum") or values.get("quantum")
    if quantum is None:
        return Finding("note", "PipeWire", "running; its block is not known", "pw-metadata -n settings")
    milliseconds = 1e3 * quantum / rate
    text = f"quantum {quantum} at {rate} Hz ({milliseconds:.1f} ms)"
    if milliseconds <= LONG_MS:
        return Finding("ok", "PipeWire", text)
    step = (
        f"for playing by hand: pw-metadata -n settings 0 clock.force-quantum {_shorter(rate)} (0 undoes it)"
    )
    return Finding("note", "PipeWire", text, step)


def midi() -> list[Finding]:
    """MIDI systems and inputs."""
    from rtsynth.io.midi_system import list_inputs, usable_apis

    apis = usable_apis()
    if not apis:
        step = "connect a keyboard (needs /dev/snd/seq: modprobe snd-seq), start jackd, or rtsynth play piano --keys"
        return [Finding("note", "MIDI", "neither ALSA's sequencer nor a JACK server", step)]
    inputs = list_inputs()
    return [Finding("ok", "MIDI", f"{', '.join(apis.values())}: {', '.join(inputs) or 'no inputs now'}")]


def latest_performance() -> list[Finding]:
    """What was missed the last time that something was played, and what most of it was due to."""
    kept = latest.load()
    if kept is None:
        return [Finding("ok", "last performance", "none is known of")]
    return [performance_finding(kept, time.time())]


def performance_finding(kept: dict[str, Any], now: float) -> Finding:
    """From what `latest.keep` wrote; `now` in seconds since 1970."""
    late: dict[str, int] = {cause: count for cause, count in kept["late"].items() if count}
    ago = _ago(max(0.0, now - kept["ended"]))
    text = f"{kept['command']}, {ago}: {sum(late.values())} of {kept['blocks']} blocks late"
    if not late:
        return Finding("ok", "last performance", text)
    causes = ", ".join(f"{cause} {count}" for cause, count in late.items())
    text += f" ({causes}), the slowest took {kept['wall_us']['max']:.0f} of {kept['budget_us']:.0f} µs"
    return Finding("note", "last performance", text, _STEPS[max(late, key=lambda cause: late[cause])])


def _ago(seconds: float) -> str:
    for name, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name} ago"
    return f"{seconds:.0f} s ago"
