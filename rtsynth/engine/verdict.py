"""What the measured blocks say: who was late, the smallest block to take, where a GPU begins to pay."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum

from rtsynth.engine.timing import Row

SIGNIFICANT = 0.01  # of a row: one in a hundred is called late that is late no more often than the control
SAFE_SHARE = 0.5  # of a block that p99.9 of the wall time may take
ENOUGH_BLOCKS = 1000  # below, p99.9 is the longest of all


class Verdict(StrEnum):
    """Of a row, by its late blocks."""

    OK = "ok"  # none
    MACHINE = "machine"  # no more than the control
    UNCLEAR = "unclear"  # more, as chance alone would have it more than once in a hundred rows
    LATE = "late"


def p_value(ours: int, control: int) -> float:
    """How likely chance alone makes us late at least this often, were both equally prone (one-sided sign test)."""
    from scipy.special import bdtrc

    return float(bdtrc(ours - 1, ours + control, 0.5)) if ours else 1.0


def verdict(row: Row) -> Verdict:
    """By windows in which blocks were late, not by blocks: those of one stall are not independent."""
    ours, control = row.own.disturbed, row.control.disturbed
    if ours == 0:
        return Verdict.OK
    if ours <= control:
        return Verdict.MACHINE
    return Verdict.LATE if p_value(ours, control) < SIGNIFICANT else Verdict.UNCLEAR


def is_safe(row: Row) -> bool:
    """Half the block is left at p99.9, and it was late no more often than the control."""
    return row.share <= SAFE_SHARE and verdict(row) in (Verdict.OK, Verdict.MACHINE)


def recommendations(rows: Sequence[Row]) -> list[str]:
    """A sentence for each source and device, and one for each source that was measured on both."""

    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.source, row.device), []).append(row)
    lines = [_smallest_safe(sorted(group, key=lambda row: row.block)) for group in groups.values()]
    for (name, device), group in groups.items():
        if device == "cuda" and (name, "cpu") in groups:
            lines.append(gpu_pays(groups[name, "cpu"], group))
    return lines


def _smallest_safe(rows: Sequence[Row]) -> str:
    safe = next((row for row in rows if is_safe(row)), None)
    name = f"{rows[0].source} on {rows[0].device}"
    if safe is None:
        return f"{name}: no block measured is safe: {_reason(rows[-1])}"
    length = f"{safe.block} samples ({safe.own.budget_ns / 1e6:.1f} ms)"
    taken = (
        f"{name}: {length} are the smallest safe block, with {100 * safe.share:.0f} % of it taken at p99.9"
    )
    open_ones = [
        str(row.block)
        for row in rows
        if row.block < safe.block and row.share <= SAFE_SHARE and _is_unclear(row)
    ]
    return f"{taken}; {', '.join(open_ones)} may be (measure longer)" if open_ones else taken


def _is_unclear(row: Row) -> bool:
    return verdict(row) is Verdict.UNCLEAR


def _reason(row: Row) -> str:
    taken = f"{100 * row.share:.0f} % is taken at p99.9"
    empty = row.control.wall.percentile(99.9) / row.control.budget_ns
    late = f"late {row.own.missed} times, the empty engine {row.control.missed}"
    if row.share <= SAFE_SHARE:
        advice = " (too few to tell: measure longer)" if _is_unclear(row) else ""
        return f"at {row.block}, {taken}, but it was {late}{advice}"
    machine = f"; of the empty engine's {100 * empty:.0f} %: it is the machine" if empty > SAFE_SHARE else ""
    return f"at {row.block}, {taken}{machine}"


def gpu_pays(cpu: Iterable[Row], cuda: Iterable[Row]) -> str:
    """Where the GPU's p99 is below the processor's: of a model's turn-around, of a bank's block."""
    on_cpu = {row.block: row for row in cpu}
    both = sorted((row.block, on_cpu[row.block], row) for row in cuda if row.block in on_cpu)
    if not both:
        return "no block was measured on both devices"
    for block, slow, fast in both:
        if _effort_ns(fast) < _effort_ns(slow):
            figures = f"p99 {_effort_ns(fast) / 1e3:.0f} µs, {_effort_ns(slow) / 1e3:.0f} µs on the processor"
            return f"{fast.source}: the GPU pays from blocks of {block} samples on ({figures})"
    block, slow, fast = both[-1]
    figures = f"p99 {_effort_ns(fast) / 1e3:.0f} µs, {_effort_ns(slow) / 1e3:.0f} µs on the processor"
    return f"{fast.source}: the GPU does not pay, not even at {block} samples ({figures})"


def _effort_ns(row: Row) -> int:
    return (row.worker.turnaround if row.worker else row.own.wall).percentile(99)


def beyond_share(rows: Iterable[Row], share: float) -> list[str]:
    """Rows of which p99 of the wall time is more than `share` of the block, or of a frame in the worker."""
    found = []
    for row in rows:
        parts = [("", row.own.wall, row.own.budget_ns)]
        if row.worker:
            parts.append((" in the worker", row.worker.wall, row.worker.budget_ns))
        for where, wall, budget in parts:
            taken = wall.percentile(99) / budget
            if taken > share:
                found.append(f"{row.name}: {taken:.2g}{where}")
    return found


def remark(rows: Iterable[Row], seconds: float) -> str | None:
    """Where p99.9 says no more than the maximum, and how long it would take to say more."""
    few = [row for row in rows if row.own.blocks < ENOUGH_BLOCKS]
    if not few:
        return None
    blocks = ", ".join(str(block) for block in sorted({row.block for row in few}))
    longest = max(row.own.budget_ns for row in few) * ENOUGH_BLOCKS / 1e9
    return (
        f"at {blocks} samples fewer than {ENOUGH_BLOCKS} blocks were measured: their p99.9 is the longest. "
        f"For more: --seconds {math.ceil(max(longest, seconds))}"
    )
