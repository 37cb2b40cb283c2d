"""The page of `rtsynth bench`: what to take, percentiles over the block, histograms with the control behind them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.cli.bench_document import Document
from rtsynth.cli.bench_text import change_row, delays, heading, lines, unmeasured_lines
from rtsynth.cli.page import Section, Table, curves, write_page
from rtsynth.engine import machine
from rtsynth.engine.comparison import Change
from rtsynth.engine.meter import HISTOGRAM_BITS, Histogram, bucket_tops_ns
from rtsynth.engine.timing import Row
from rtsynth.engine.verdict import SAFE_SHARE, recommendations, remark, verdict

Array = NDArray[np.float64]

BARS_PER_OCTAVE = 8
QUANTILES = (50.0, 99.0, 99.9, 100.0)
COLOURS = ("#9db4e8", "#4f74d9", "#1f3fa8", "#0c1b52")  # of p50, p99, p99.9 and the maximum
OWN, CONTROL, WORKER, LIMIT = "#3c5ac8", "#9aa3ad", "#b8642c", "#c0392b"

READ_ME = (
    "Wall time is what the block took, CPU time what of that its thread was computing. The empty engine ran in turns "
    "with the source, on the same driver, at the same priority: what it suffers too is the machine's. The null driver "
    "is a timer: no sound card, converter or driver is in these figures. docs/latency.md says how to read them."
)


def write_report(path: Path, document: Document, changes: Sequence[Change] | None) -> None:
    """Write the page."""
    asked = document.asked
    lead = f"{machine.line(document.machine)}. {asked.rate:g} Hz, {asked.seconds:g} s a row."
    sections = [_summary(document)]
    for _, rows in groupby(document.rows, lambda row: row.source):
        sections.append(_of_source(list(rows), asked.rate))
    if changes:
        sections.append(_compared(changes))
    sections.append(_machine(document))
    write_page(path, "What a block takes", lead, sections)


def _summary(document: Document) -> Section:
    notes = [*recommendations(document.rows), *unmeasured_lines(document.unmeasured)]
    if not all(row.realtime_priority for row in document.rows):
        notes.append(
            "Measured without real-time priority: every program could delay the blocks. See rtsynth doctor"
        )
    if document.interrupted:
        notes.append("Interrupted: the rest was not measured")
    note = remark(document.rows, document.asked.seconds)
    headings = (
        "source",
        "device",
        "block",
        "blocks",
        "p99.9 of the block",
        "late",
        "empty engine late",
        "verdict",
    )
    rows = [
        (
            row.source,
            row.device,
            str(row.block),
            str(row.own.blocks),
            f"{100 * row.share:.1f} %",
            str(row.own.missed),
            str(row.control.missed),
            verdict(row).value,
        )
        for row in document.rows
    ]
    return Section(
        "What to take", READ_ME, notes=notes + ([note] if note else []), table=Table(headings, rows)
    )


def _of_source(rows: Sequence[Row], rate: float) -> Section:
    figures = [percentiles(list(group), device) for device, group in _by_device(rows)]
    figures += [histogram(row) for row in rows]
    headings = ("block", "µs (of the block)", "p50", "p99", "p99.9", "max", "late", "verdict")
    text = (
        "Dashed: the whole block, and half of it. In the histograms each bar is an eighth of an octave wide."
    )
    return Section(
        heading(rows[0]),
        text,
        notes=delays(rows, rate),
        figures=figures,
        table=Table(headings, [line for row in rows for line in lines(row)]),
    )


def _by_device(rows: Sequence[Row]) -> Any:
    return groupby(sorted(rows, key=lambda row: row.device), lambda row: row.device)


def percentiles(rows: Sequence[Row], device: str) -> Any:
    """Wall time over the block, both in logarithms; the control's p99.9 dotted."""
    blocks = np.array([row.block for row in rows])

    def share(histogram: Histogram, q: float, budget_ns: int) -> float:
        return 100 * (histogram.max if q == 100 else histogram.percentile(q)) / budget_ns

    named = {
        ("maximum" if q == 100 else f"p{q:g}"): np.array(
            [share(r.own.wall, q, r.own.budget_ns) for r in rows]
        )
        for q in QUANTILES
    }
    control = np.array([share(row.control.wall, 99.9, row.control.budget_ns) for row in rows])
    figure = curves(
        blocks,
        named | {"empty engine p99.9": control},
        x_title="block, samples",
        y_title="per cent of the block",
    )
    for trace, colour in zip(figure.data, (*COLOURS, CONTROL), strict=True):
        trace.update(mode="lines+markers", line={"color": colour, "width": 2})
    figure.data[-1].line.dash = "dot"
    for limit in (100.0, 100.0 * SAFE_SHARE):
        figure.add_hline(limit, line={"color": LIMIT, "dash": "dash", "width": 1})
    figure.update_xaxes(type="log", tickvals=blocks, ticktext=[str(block) for block in blocks])
    figure.update_yaxes(type="log", dtick=1)
    figure.update_layout(title={"text": f"Wall time on {device}", "y": 0.99, "font": {"size": 14}})
    return figure


def histogram(row: Row) -> Any:
    """Share of the blocks by what they took, with the control behind and the block's length marked."""
    shown = {"empty engine": (row.control.wall, CONTROL), row.source: (row.own.wall, OWN)}
    if row.worker:
        shown["frames in the worker"] = (row.worker.wall, WORKER)
    edges = bar_edges([histogram for histogram, _ in shown.values()], row.own.budget_ns)
    floor = 50 / max(
        histogram.count for histogram, _ in shown.values()
    )  # half a block: a logarithm has no zero
    bars = {name: np.maximum(bar_shares(histogram, edges), floor) for name, (histogram, _) in shown.items()}
    figure = curves(edges[:-1] / 1e3, bars, x_title="µs", y_title="per cent of the blocks", log_x=True)
    for trace, (_, colour) in zip(figure.data, shown.values(), strict=True):
        trace.update(line={"shape": "hv", "color": colour, "width": 1.2}, fill="tozeroy")
    figure.add_vline(row.own.budget_ns / 1e3, line={"color": LIMIT, "dash": "dash", "width": 1})
    figure.update_yaxes(type="log", dtick=1, range=[np.log10(floor), 2])
    figure.update_layout(title={"text": row.name, "y": 0.99, "font": {"size": 14}})
    return figure


def bar_edges(histograms: Sequence[Histogram], budget_ns: int) -> Array:
    """Edges of bars, in ns, from the shortest of all to beyond the longest and the budget."""
    tops = bucket_tops_ns()
    shortest = min(int(tops[np.flatnonzero(h.buckets)[0]]) for h in histograms if h.count)
    longest = max(budget_ns, *(h.max for h in histograms))
    first, last = (np.floor(BARS_PER_OCTAVE * np.log2(max(1, ns))) for ns in (shortest, longest))
    return np.asarray(2.0 ** (np.arange(first - 1, last + 3) / BARS_PER_OCTAVE))


def bar_shares(histogram: Histogram, edges: Array) -> Array:
    """Per cent of the blocks in each bar (len(edges) - 1,)."""
    middles = bucket_tops_ns() * (1 - 2.0 ** -(HISTOGRAM_BITS + 2))
    counts, _ = np.histogram(middles, edges, weights=histogram.buckets.astype(float))
    return np.asarray(100 * counts / max(1, histogram.count))


def _compared(changes: Sequence[Change]) -> Section:
    headings = ("row", "figure", "then µs", "now µs", "ratio", "interval", "unchanged code", "")
    text = (
        "The interval holds what chance does to the blocks, 99 %. Unchanged code is what the empty engine is in both "
        "results: between these limits the ratio of one more such thing would lie, 99 %, by what the machine does "
        "from run to run. Worse is what has all of its interval above them."
    )
    return Section("Against the older result", text, table=Table(headings, [change_row(c) for c in changes]))


def _machine(document: Document) -> Section:
    rows = [(name, _text(value)) for name, value in document.machine.items()]
    return Section("Machine", table=Table(("fact", "value"), rows))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(f"{item:.2f}" for item in value)
    return f"{value:.2f}" if isinstance(value, float) else str("unknown" if value is None else value)
