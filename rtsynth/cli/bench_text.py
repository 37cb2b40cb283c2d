"""The result of `rtsynth bench` on a terminal: a block of lines for each source, then what to take."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from rtsynth.cli.bench_document import PERCENTILES, Document
from rtsynth.cli.output import columns, warn
from rtsynth.engine import machine
from rtsynth.engine.comparison import Change, late_now
from rtsynth.engine.meter import Histogram
from rtsynth.engine.timing import Row, Unmeasured
from rtsynth.engine.verdict import recommendations, remark, verdict

HEADINGS = ("block", "", *PERCENTILES, "max", "late", "verdict")


def tell(document: Document, older: Document | None, changes: Sequence[Change] | None) -> None:
    """Print it."""
    asked = document.asked
    print(machine.line(document.machine))
    print(
        f"{asked.rate:g} Hz, {asked.seconds:g} s a row, microseconds and per cent of the block{_priority(document)}"
    )
    for _, rows in groupby(document.rows, lambda row: row.source):
        measured = list(rows)
        print(f"\n{heading(measured[0])}")
        print(table([HEADINGS, *(line for row in measured for line in lines(row))]))
        for text in delays(measured, asked.rate):
            print(text)
    for text in unmeasured_lines(document.unmeasured):
        print(text)
    if document.rows:
        print("\n" + "\n".join(recommendations(document.rows)))
    note = remark(document.rows, asked.seconds)
    if note:
        print(f"Note: {note}")
    if older is not None and changes is not None:
        print("\n" + comparison(document, older, changes))
    if document.interrupted:
        warn(f"interrupted: {len(document.rows)} rows were measured")


def heading(row: Row) -> str:
    """The source, and how many voices sound: those that are dying away are more than are held."""
    return row.source if row.voices is None else f"{row.source} ({row.voices:.0f} voices sound)"


def _priority(document: Document) -> str:
    return "" if all(row.realtime_priority for row in document.rows) else "; WITHOUT real-time priority"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns, right in those that begin with a figure."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    right = [any(row[i][:1].isdigit() for row in rows) for i in range(len(widths))]
    return columns(
        [
            [
                text.rjust(width) if to_right else text
                for text, width, to_right in zip(row, widths, right, strict=True)
            ]
            for row in rows
        ]
    )


def lines(row: Row) -> Iterator[tuple[str, ...]]:
    """Wall time, CPU time, the control's wall time; for a model its frames too."""
    own, control, worker = row.own, row.control, row.worker
    where = "" if row.device == "cpu" else f" {row.device}"
    yield (
        f"{row.block}{where}",
        "wall",
        *_figures(own.wall, own.budget_ns),
        _late(own.late),
        verdict(row).value,
    )
    if own.cpu.count:
        yield "", "CPU", *_figures(own.cpu, own.budget_ns), "", ""
    yield "", "empty", *_figures(control.wall, control.budget_ns), _late(control.late), ""
    if worker is not None:
        skipped = f"{worker.skipped} skipped" if worker.skipped else ""
        yield "", "frame", *_figures(worker.wall, worker.budget_ns), skipped, ""
        yield "", "turn", *_figures(worker.turnaround, worker.budget_ns), "", ""


def delays(rows: Sequence[Row], rate: float) -> list[str]:
    """The samples a model adds at each block, as a sum."""
    texts = []
    for row in rows:
        parts = row.worker.latency if row.worker else {}
        listed = " + ".join(f"{name} {samples}" for name, samples in parts.items() if samples)
        total = sum(parts.values())
        if parts:
            texts.append(
                f"adds at {row.block}: {listed or 0} = {total} samples ({1e3 * total / rate:.1f} ms)"
            )
    return texts


def _figures(histogram: Histogram, budget_ns: int) -> Iterator[str]:
    for ns in (*(histogram.percentile(q) for q in PERCENTILES.values()), histogram.max):
        yield f"{ns / 1e3:.0f} ({_per_cent(ns / budget_ns)})"


def _per_cent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"


def _late(late: dict[str, int]) -> str:
    return ", ".join(f"{count} {cause}" for cause, count in late.items() if count) or "0"


def unmeasured_lines(unmeasured: Sequence[Unmeasured]) -> list[str]:
    """One line for each source, device and reason."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for one in unmeasured:
        found.setdefault((one.source, one.device, one.why), []).append(str(one.block))
    return [
        f"{source} on {device}, {', '.join(blocks)} samples: not measured ({why})"
        for (source, device, why), blocks in found.items()
    ]


def comparison(document: Document, older: Document, changes: Sequence[Change]) -> str:
    """Then and now, with the ratio, and what the ratio of the control was."""
    if not changes:
        return "Nothing to compare: no row of the older result was measured again"
    rows = [("compared", "", "then µs", "now µs", "ratio", "interval", "unchanged code", "")]
    rows += [change_row(change) for change in changes]
    texts = [table(rows)]
    texts += [f"{name}: late now, and was not" for name in late_now(older.rows, document.rows)]
    if older.machine.get("cpu") != document.machine.get("cpu"):
        texts.append(f"The older result is from another processor ({older.machine.get('cpu')})")
    return "\n".join(texts)


def change_row(change: Change) -> tuple[str, str, str, str, str, str, str, str]:
    """A change as texts."""
    word = "WORSE" if change.worse else "better" if change.better else ""
    then, now = (f"{ns / 1e3:.1f}" for ns in (change.old_ns, change.new_ns))
    interval, unchanged = _interval(change.interval), _interval(change.unchanged)
    return change.row, change.figure, then, now, f"{change.ratio:.2f}", interval, unchanged, word


def _interval(interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{low:.2f}…{high:.2f}" if math.isfinite(high) else "unknown"
