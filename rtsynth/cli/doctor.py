"""`rtsynth doctor`: what this machine has and lacks for real-time sound, and what to do about it."""

from __future__ import annotations

import os
import platform
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rtsynth.cli import doctor_sound
from rtsynth.cli.finding import LIMITS_HINT, Finding
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import columns, emit
from rtsynth.errors import RtsynthError, UsageError

_PACKAGES = ("numpy", "scipy", "numba", "sounddevice", "soundfile", "python-rtmidi", "mido")


def doctor(
    verb: Annotated[
        str | None, Parameter(help="With --config: the flags of this verb alone, all of them.")
    ] = None,
    /,
    *,
    config: Annotated[
        bool, Parameter(help="Instead: where every setting comes from, and what is wrong with it.")
    ] = False,
    talk: Talk = TALK,
) -> int:
    """Check this machine; exit code 1 when something is broken."""
    if config:
        from rtsynth.cli.doctor_config import show

        return show(verb, talk)
    if verb is not None:
        raise UsageError(f"doctor {verb}: a verb is named with --config only: rtsynth doctor --config {verb}")
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

    folder = cache_directory()
    if is_cached():
        return [Finding("ok", "sampler", f"compiled, kept in {folder}")]
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(there, os.W_OK):
        step = "name a folder that you may write: export NUMBA_CACHE_DIR=~/.cache/rtsynth"
        return [Finding("note", "sampler", f"compiled anew every time: {there} cannot be written", step)]
    text = "not compiled yet: the first sound takes about 3 s longer"
    return [Finding("note", "sampler", text, "do it now: rtsynth demo --audio-out null --seconds 1")]


def _realtime_priority() -> list[Finding]:
    if not hasattr(os, "sched_setscheduler"):
        return [Finding("note", "real-time priority", f"not looked at on {sys.platform}")]
    if _takes_fifo():
        return [Finding("ok", "real-time priority", f"granted (SCHED_FIFO), {_rtprio()}")]
    text = f"refused ({_rtprio()}): other programs can delay the sound"
    return [Finding("note", "real-time priority", text, LIMITS_HINT)]


def _rtprio() -> str:
    """The limit on it, which counts for all but the superuser."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_RTPRIO)
    return "no limit" if limit == resource.RLIM_INFINITY else f"limit {limit}"


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


def _settings() -> list[Finding]:
    """What is set outside the command line, and whether all of it can be used."""
    from rtsynth.cli.config import layers

    step = "see where each value comes from: rtsynth doctor --config"
    try:
        places = layers()
    except RtsynthError as problem:
        return [Finding("broken", "settings", str(problem), step)]
    files = [place.name for place in places[1:]]
    return [Finding("ok", "settings", f"read from {', '.join(files)}" if files else "as built in")]


_CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    _versions,
    _settings,
    _native_engine,
    _compiled_loops,
    _realtime_priority,
    _locked_memory,
    _processor,
    doctor_sound.audio,
    doctor_sound.chosen_output,
    doctor_sound.jack,
    doctor_sound.pipewire,
    doctor_sound.midi,
    _models,
    doctor_sound.latest_performance,
)
