"""A live model as it is spoken of: its delays, what its manifest says, what it measured; for people and in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtsynth.engine import Histogram
    from rtsynth.inference.link import Durations
    from rtsynth.inference.live import LiveModel

_SHARES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}


def remarks(model: LiveModel) -> list[str]:
    """What runs, and what of it nobody has stated or checked."""
    facts, manifest = model.facts, model.manifest
    states = f"{facts.states} state{'' if facts.states == 1 else 's'}"
    rate = f"{facts.model_rate:g} Hz" + ("" if facts.rate_stated else " (not stated: the device's)")
    lines = [f"{manifest.title or facts.name}: {rate}, frames of {facts.frame}, {states}, {facts.provider}"]
    if manifest.export is not None:
        checked = f"checked at export: chunks = whole within {manifest.export.error:.1e} of the peak"
        field = manifest.receptive_field
        lines[0] += f"; {checked}" + ("" if field is None else f", receptive field {field} samples")
    if not facts.latency_stated:
        lines.append(
            f"{facts.name} does not state its latency: 0 is assumed. Say latency = N in a manifest (docs/models.md)"
        )
    return lines


def rows(model: LiveModel) -> list[tuple[str, str]]:
    """What it measured, for the table at the end."""
    measured = model.measurements()
    played, computed = measured.played, measured.computed
    frame_ns = 1e9 * model.facts.frame / model.facts.model_rate
    wall = _histogram(computed.wall)
    figures = ", ".join(f"{name} {wall.percentile(q) / 1e3:.0f} µs" for name, q in _SHARES.items())
    table = [("model frames", f"{computed.frames} of {frame_ns / 1e3:.0f} µs ({figures})")]
    troubles = {
        "frames skipped": computed.skipped,
        "answers late": played.episodes,
        "asked for too early by the host": played.hurried,
        "samples played in their place": played.concealed,
        "times the delay changed": played.delay_changes,
        "not-finite samples of the model": computed.nan,
        "restarts": measured.restarts,
    }
    return table + [(label, str(count)) for label, count in troubles.items() if count]


def as_json(model: LiveModel) -> dict[str, Any]:
    """The same, and what was measured of every frame; durations in microseconds."""
    facts, measured = model.facts, model.measurements()
    played, computed = measured.played, measured.computed
    manifest = model.manifest
    return {
        "name": facts.name,
        "rate": facts.model_rate,
        "frame": facts.frame,
        "states": facts.states,
        "provider": facts.provider,
        "delay_samples": model.delays,
        "latency_stated": facts.latency_stated,
        "receptive_field": manifest.receptive_field,
        "parity_error": None if manifest.export is None else manifest.export.error,
        "frames": computed.frames,
        "idle": computed.idle,
        "skipped": computed.skipped,
        "nan_samples": computed.nan,
        "late": played.episodes,
        "hurried": played.hurried,
        "concealed_samples": played.concealed,
        "delay_changes": played.delay_changes,
        "restarts": measured.restarts,
        "wall_us": _percentiles(computed.wall),
        "cpu_us": _percentiles(computed.cpu),
        "turnaround_us": _percentiles(computed.turnaround),
    }


def _histogram(durations: Durations) -> Histogram:
    from rtsynth.engine import Histogram

    return Histogram(*durations)


def _percentiles(durations: Durations) -> dict[str, float]:
    histogram = _histogram(durations)
    return {name: histogram.percentile(q) / 1e3 for name, q in _SHARES.items()} | {"max": histogram.max / 1e3}
