"""The engine's measurements as the one table at the end, or as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rtsynth.cli.output import columns, warn

if TYPE_CHECKING:
    from rtsynth.engine import Histogram, Report


def table_text(report: Report, voices: int | None, rows: Sequence[tuple[str, str]] = ()) -> str:
    """The report in two aligned columns, then `rows`."""
    from rtsynth.engine import table

    return columns([*table(report, voices), *rows])


def as_json(report: Report, voices: int | None = None) -> dict[str, Any]:
    """The report's figures; durations in microseconds, levels in dB of full scale (null: silence)."""
    return {
        "blocks": report.blocks,
        "budget_us": report.budget_ns / 1e3,
        "wall_us": _percentiles(report.wall),
        "cpu_us": _percentiles(report.cpu),
        "late": {cause.name.lower(): count for cause, count in report.late.items()},
        "late_messages": report.late_messages,
        "voices": voices,
        "peak_db": report.peak_db,
        "limited_samples": report.limited_samples,
        "nan_samples": report.nan_samples,
        "dropped_record_frames": report.dropped_record_frames,
        "host_xruns": report.host_xruns,
        "realtime_priority": report.realtime_priority,
        "input": None if report.heard_peak is None else _input(report),
    }


def _input(report: Report) -> dict[str, Any]:
    return {
        "peak_db": report.heard_peak_db,
        "underflows": report.input_underflows,
        "overflows": report.input_overflows,
        "nan_samples": report.nan_input,
    }


def _percentiles(histogram: Histogram) -> dict[str, float]:
    shares = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}
    return {name: histogram.percentile(q) / 1e3 for name, q in shares.items()} | {"max": histogram.max / 1e3}


def warn_of_limiting(report: Report, gain_db: float) -> None:
    """Tell when the limiter acted, and the gain that would have kept it idle."""
    if report.limited_samples:
        fitting = math.floor(gain_db - report.peak_db)
        warn(
            f"the limiter turned down {report.limited_samples} samples (peak {report.peak_db:+.1f} dB): "
            f"to leave the sound as it is, use --gain-db {fitting}"
        )
