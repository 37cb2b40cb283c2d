"""What `rtsynth bench --json` writes and `--compare` reads: one document, histograms and all.

A histogram is a list of [ns, count]: so many blocks took at most that long, and longer than the next shorter bucket
(6 bits of an octave: a bucket is at most 1.6 % wide).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rtsynth.engine.comparison import Change
from rtsynth.engine.meter import HISTOGRAM_BUCKETS, Histogram, bucket_tops_ns
from rtsynth.engine.timing import Row, Unmeasured
from rtsynth.engine.verdict import recommendations, verdict
from rtsynth.errors import InputError

KIND, SCHEMA = "rtsynth bench", 1
PERCENTILES = {"p50": 50.0, "p99": 99.0, "p99.9": 99.9}


@dataclass(frozen=True)
class Asked:
    """What was to be measured."""

    sources: list[str]
    blocks: list[int]
    devices: list[str]
    rate: float
    seconds: float


@dataclass(frozen=True)
class Document:
    """A measurement, or as much of it as there was time for."""

    asked: Asked
    machine: dict[str, Any]
    rows: list[Row]
    unmeasured: list[Unmeasured] = field(default_factory=list)
    interrupted: bool = False
    kind: str = KIND
    schema: int = SCHEMA


def written(document: Document, changes: list[Change] | None = None) -> dict[str, Any]:
    """The document as JSON has it, with figures and sentences for readers who want no histograms."""
    value = msgspec.to_builtins(document, enc_hook=_encode)
    for row, source in zip(value["rows"], document.rows, strict=True):
        row["verdict"] = verdict(source).value
        row["figures"] = figures(source)
    value["recommendations"] = recommendations(document.rows)
    if changes is not None:
        value["changes"] = [
            msgspec.to_builtins(change) | {"ratio": change.ratio, "worse": change.worse} for change in changes
        ]
    return value


def figures(row: Row) -> dict[str, dict[str, float]]:
    """Percentiles in µs and their shares of the block, or of the frame in the worker."""
    parts = {
        "wall": (row.own.wall, row.own.budget_ns),
        "cpu": (row.own.cpu, row.own.budget_ns),
        "control_wall": (row.control.wall, row.control.budget_ns),
        "control_cpu": (row.control.cpu, row.control.budget_ns),
    }
    if row.worker:
        parts["frame_wall"] = (row.worker.wall, row.worker.budget_ns)
        parts["frame_cpu"] = (row.worker.cpu, row.worker.budget_ns)
        parts["frame_turnaround"] = (row.worker.turnaround, row.worker.budget_ns)
    return {name: _figures(*part) for name, part in parts.items()}


def _figures(histogram: Histogram, budget_ns: int) -> dict[str, float]:
    ns = {name: histogram.percentile(q) for name, q in PERCENTILES.items()} | {"max": histogram.max}
    shares = {f"{name}_share": value / budget_ns for name, value in ns.items()}
    return {f"{name}_us": value / 1e3 for name, value in ns.items()} | shares


def read(path: Path) -> Document:
    """An older measurement. Raises InputError for a file that is none, or one of another schema."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    try:
        head = msgspec.json.decode(data)
        if not isinstance(head, dict) or head.get("kind") != KIND:
            raise InputError(f"{path} is no result of: rtsynth bench --json")
        if head.get("schema") != SCHEMA:
            raise InputError(
                f"{path} has schema {head.get('schema')}, and this version reads {SCHEMA}. Measure anew: "
                "rtsynth bench --json"
            )
        document = msgspec.convert(head, Document, dec_hook=_decode)
        _check(document)
    except (msgspec.DecodeError, ValueError) as error:
        raise InputError(f"{path} is no result of rtsynth bench --json: {error}") from None
    return document


def _check(document: Document) -> None:
    for row in document.rows:
        budgets = [row.own.budget_ns, row.control.budget_ns, row.worker.budget_ns if row.worker else 1]
        if min(budgets) < 1 or not row.own.blocks or not row.control.blocks:
            raise ValueError(f"{row.name}: without blocks, or blocks without length")


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        (counted,) = np.nonzero(value)
        return [[int(bucket_tops_ns()[bucket]), int(value[bucket])] for bucket in counted]
    raise NotImplementedError(type(value))


def _decode(kind: type, value: Any) -> Any:
    """Counts of a histogram; ValueError, for msgspec to say where, when they are none."""
    pairs = msgspec.convert(value, list[tuple[int, int]])
    buckets = np.zeros(HISTOGRAM_BUCKETS, np.uint64)
    tops = bucket_tops_ns()
    for top, count in pairs:
        bucket = int(np.searchsorted(tops, top))
        if bucket == HISTOGRAM_BUCKETS or tops[bucket] != top or not 0 <= count < 2**53:
            raise ValueError(f"[{top}, {count}] is no bucket of a histogram")
        buckets[bucket] = count
    return buckets
