"""What a measurement of time must say about the machine it was made on."""

from __future__ import annotations

import gzip
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("rtsynth", "numpy", "numba", "onnxruntime", "onnxruntime-gpu")
_OPTION = re.compile(
    r"^CONFIG_(HZ|PREEMPT_RT|PREEMPT_NONE|PREEMPT_VOLUNTARY|PREEMPT_LAZY|PREEMPT)=(\w+)$", re.M
)


def facts() -> dict[str, Any]:
    """Processor, kernel, limits and versions; None for what cannot be read here."""
    options = dict(_OPTION.findall(_kernel_options()))
    return {
        "cpu": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "virtual": " hypervisor" in _text("/proc/cpuinfo"),
        "kernel": platform.release(),
        "preemption": _preemption(options),
        "hz": int(options["HZ"]) if "HZ" in options else None,
        "governor": _governor(),
        "rt_runtime_us": _number("/proc/sys/kernel/sched_rt_runtime_us"),
        "rtprio_limit": _rtprio_limit(),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": _versions(),
    }


def stolen() -> tuple[int, int] | None:
    """Ticks that a hypervisor took from the cores since they were started, and all ticks; None where not counted."""
    fields = _text("/proc/stat").partition("\n")[0].split()[1:9]
    ticks = [int(field) for field in fields]
    return (ticks[7], sum(ticks)) if len(ticks) == 8 else None


def stolen_percent(before: tuple[int, int] | None, now: tuple[int, int] | None) -> float | None:
    """Time stolen from the cores between two readings, in per cent of it."""
    if before is None or now is None or now[1] <= before[1]:
        return None
    return 100.0 * (now[0] - before[0]) / (now[1] - before[1])


def line(facts: dict[str, Any]) -> str:
    """The facts in a line."""
    parts = [
        f"{facts['cpu']}, {facts['cores']} cores{', virtual' if facts['virtual'] else ''}",
        f"Linux {facts['kernel']}" if platform.system() == "Linux" else facts["kernel"],
        f"preemption {facts['preemption'] or 'unknown'}",
        f"{facts['hz']} Hz" if facts["hz"] else "",
        f"governor {facts['governor']}" if facts["governor"] else "no governor",
        f"load {facts['load'][0]:.1f}" if facts["load"] else "",
    ]
    return ", ".join(part for part in parts if part)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _number(path: str) -> int | None:
    text = _text(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", _text("/proc/cpuinfo"), re.M)
    return found[1] if found else platform.machine()


def _kernel_options() -> str:
    try:
        return gzip.decompress(Path("/proc/config.gz").read_bytes()).decode(errors="replace")
    except (OSError, EOFError):
        return _text(f"/boot/config-{platform.release()}")


def _preemption(options: dict[str, str]) -> str | None:
    """How kernel code may be interrupted: what debugfs says is chosen, else what the kernel was built with."""
    chosen = re.search(r"\((\w+)\)", _text("/sys/kernel/debug/sched/preempt"))
    if chosen:
        return chosen[1]
    built = [name.removeprefix("PREEMPT_").lower() for name in options if name.startswith("PREEMPT_")]
    if built:
        return built[0]
    return "full" if "PREEMPT" in options else None


def _governor() -> str | None:
    paths = sorted(Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"))
    return ", ".join(sorted({_text(str(path)).strip() for path in paths})) or None


def _rtprio_limit() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    return resource.getrlimit(resource.RLIMIT_RTPRIO)[0] if hasattr(resource, "RLIMIT_RTPRIO") else None


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            if package == "rtsynth":
                from rtsynth import __version__

                found[package] = __version__
    return found
