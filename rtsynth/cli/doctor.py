"""`rtsynth doctor`: what this machine has and lacks for real-time sound, and what to do about it."""

from __future__ import annotations

import os
import platform
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import columns, emit
from rtsynth.errors import RtsynthError

LIMITS_HINT = "echo '@audio - rtprio 95' | sudo tee /etc/security/limits.d/audio.conf, and join group audio"
_PACKAGES = ("numpy", "scipy", "numba", "sounddevice", "soundfile", "python-rtmidi", "mido")


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `state`: "ok", "note" (it goes without), "broken" (nothing plays until it is mended)."""

    state: str
    subject: str
    text: str
    next_step: str = ""


def doctor(*, talk: Talk = TALK) -> int:
    """Check this machine; exit code 1 when something is broken."""
    findings = [finding for check in _CHECKS for finding in check()]
    if talk.json:
        for finding in findings:
            emit(asdict(finding))
    else:
        print(columns([(f.state, f.subject, f.text) for f in findings]))
        steps = [f"- {f.subject}: {f.next_step}" for f in findings if f.next_step]
        print("\nNothing to do." if not steps else "\nTo do\n" + "\n".join(steps))
    return RtsynthError.exit_code if any(finding.state == "broken" for finding in findings) else 0


def _versions() -> list[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    findings = [Finding("ok", "Python", f"{platform.python_version()}, {platform.machine()}")]
    for package in _PACKAGES:
        try:
            findings.append(Finding("ok", package, version(package)))
        except PackageNotFoundError:
            findings.append(Finding("broken", package, "missing", f"pip install {package}"))
    return findings


def _native_engine() -> list[Finding]:
    from rtsynth.engine.binding import load

    try:
        load()
    except RtsynthError as problem:
        return [Finding("broken", "native engine", "not usable", str(problem))]
    return [Finding("ok", "native engine", "compiled and of this version")]


def _compiled_loops() -> list[Finding]:
    from rtsynth.sampler.compiled import cache_directory, is_cached

    if is_cached():
        return [Finding("ok", "sampler", f"compiled, kept in {cache_directory()}")]
    return [Finding("note", "sampler", "not compiled yet: the first sound takes about 3 s longer")]


def _realtime_priority() -> list[Finding]:
    if not hasattr(os, "sched_setscheduler"):
        return [Finding("note", "real-time priority", f"not looked at on {sys.platform}")]
    if _takes_fifo():
        return [Finding("ok", "real-time priority", "granted (SCHED_FIFO)")]
    return [Finding("note", "real-time priority", "refused: other programs can delay the sound", LIMITS_HINT)]


def _takes_fifo() -> bool:
    """Whether a thread of this process may run at the null device's priority."""
    granted = []

    def try_it() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))  # 0: this thread alone
            granted.append(True)
        except OSError:
            pass

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()
    return bool(granted)


def _locked_memory() -> list[Finding]:
    try:
        import resource
    except ImportError:
        return []
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    text = "unlimited" if limit == resource.RLIM_INFINITY else f"{limit // 2**20} MiB"
    return [Finding("ok", "lockable memory", text)]


def _processor() -> list[Finding]:
    governors = {
        path.read_text().strip()
        for path in Path("/sys/devices/system/cpu").glob("cpu*/cpufreq/scaling_governor")
    }
    cores = f"{os.cpu_count()} cores"
    if governors and governors != {"performance"}:
        step = "for small blocks: sudo cpupower frequency-set -g performance"
        return [Finding("note", "processor", f"{cores}, governor {', '.join(sorted(governors))}", step)]
    governor = "governor performance" if governors else "no frequency governor"
    return [Finding("ok", "processor", f"{cores}, {governor}")]


def _audio() -> list[Finding]:
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
        return [
            *findings,
            Finding("note", "audio output", "no sound card or JACK server: playing goes to null"),
        ]
    own_rate = f"{default.default_rate:g} Hz"
    return [
        *findings,
        Finding("ok", "audio output", f"{default.full_name}, {own_rate}, {default.low_latency_ms:.1f} ms"),
    ]


def _jack() -> list[Finding]:
    from rtsynth.io.jack import has_library, look

    if not has_library():
        step = "only if you want JACK: apt install libjack-jackd2-0, or pipewire-jack"
        return [Finding("ok", "JACK", f"no library ({step})")]
    server = look()
    if server is None:
        return [Finding("ok", "JACK", "no server (none is needed)")]
    cycle = f"{server.rate} Hz / {server.period} frames"
    return [Finding("ok", "JACK", f"a server is running at {cycle}: its output is the default")]


def _midi() -> list[Finding]:
    from rtsynth.io.midi_system import list_inputs, usable_apis

    apis = usable_apis()
    if not apis:
        step = "connect a keyboard (needs /dev/snd/seq: modprobe snd-seq), or start jackd"
        return [Finding("note", "MIDI", "neither ALSA's sequencer nor a JACK server", step)]
    inputs = list_inputs()
    return [Finding("ok", "MIDI", f"{', '.join(apis.values())}: {', '.join(inputs) or 'no inputs now'}")]


def _models() -> list[Finding]:
    """The runtime of live models, and what else could compute them: one finding each."""
    from rtsynth.inference.cuda import installation
    from rtsynth.sampler import cuda

    found = installation()
    if not found.onnxruntime:
        step = "for live models: pip install 'rtsynth[models]'"
        return [Finding("note", "live models", "no onnxruntime", step)]
    runtime = Finding("ok", "live models", found.onnxruntime)
    if not found.gpu:
        return [runtime, Finding("ok", "GPU", "none (none is needed)")]
    if found.problem:
        return [runtime, Finding("note", "GPU", f"{found.gpu}: {found.problem}", found.repair)]
    lack = cuda.why_not()
    return [runtime, Finding("note" if lack else "ok", "GPU", f"{found.gpu}" + (f": {lack}" if lack else ""))]


_CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    _versions,
    _native_engine,
    _compiled_loops,
    _realtime_priority,
    _locked_memory,
    _processor,
    _audio,
    _jack,
    _midi,
    _models,
)
