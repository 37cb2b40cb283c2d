"""What a block costs, and what happens to it beside a busy Python thread, against a pass-through running
beside it.

    python bench/callback.py --driver null
    python bench/callback.py --driver jack --seconds 60 --json

First the notes sound alone: CPU time per block in percent of the block, from a histogram of every block.
Then, in turns, the same with and without a Python thread spinning in this process, while an engine with no
sources (the control) runs beside it under the same driver. Both are disturbed by the machine alike; what
rtsynth is late beyond that is its own. Ends with 6 when the cost is above 25 % at p99.9, or rtsynth is late
more often than chance allows for.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jack_driver import Control, JackServer, late_by_cause, playing

import rtsynth
from rtsynth.engine import Engine, Report
from rtsynth.engine.verdict import p_value
from rtsynth.engine.workload import RESTRIKE_SECONDS, Feeder, notes
from rtsynth.errors import DeviceError, RtsynthError

MAX_COST_PERCENT = 25.0
SIGNIFICANT = 0.05  # one chance in twenty of calling equal lateness unequal
SETTLE_SECONDS = 0.5


@dataclass(frozen=True)
class Running:
    """An engine playing, and a control playing beside it."""

    engine: Engine
    reset: Callable[[], None]
    control: Callable[[], dict[str, int]]


@contextlib.contextmanager
def null_driver(engine: Engine, rate: int, block: int) -> Iterator[Running]:
    with Engine([], rate) as control:
        control.start_null(block)
        engine.start_null(block)

        def reset() -> None:
            engine.reset_report()
            control.reset_report()

        yield Running(engine, reset, lambda: late_by_cause(control))
        engine.stop_null()


def may_be_realtime() -> bool:
    """Whether this user may run threads with real-time priority, as jackd does of itself."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        return False
    os.sched_setscheduler(0, policy, parameters)
    return True


@contextlib.contextmanager
def jack_driver(engine: Engine, rate: int, block: int, realtime: bool) -> Iterator[Running]:
    with JackServer(rate, block, realtime), Control(rate) as control, playing(engine):

        def reset() -> None:
            control.ask("reset")
            engine.reset_report()

        yield Running(engine, reset, lambda: control.ask("report"))


@contextlib.contextmanager
def spinning() -> Iterator[None]:
    """A pure-Python thread that never gives the GIL up of itself."""
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            sum(range(1000))

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def cost(report: Report) -> dict[str, float]:
    """CPU time of a block in percent of the block."""
    figures = {f"p{q:g}": report.cpu.percentile(q) for q in (50, 99, 99.9)} | {"max": report.cpu.max}
    return {label: round(100 * ns / report.budget_ns, 2) for label, ns in figures.items()}


def measure(running: Running, feeder: Feeder, seconds: float, rounds: int) -> dict[str, Any]:
    feeder.run(RESTRIKE_SECONDS + SETTLE_SECONDS)  # until every key has been struck
    running.reset()
    feeder.voices.clear()
    feeder.run(seconds)
    alone = running.engine.report()
    late: dict[str, dict[str, Counter[str]]] = {
        load: {"rtsynth": Counter(), "control": Counter()} for load in ("idle", "spinning")
    }
    for _ in range(rounds):
        for load, totals in late.items():
            with spinning() if load == "spinning" else contextlib.nullcontext():
                feeder.run(SETTLE_SECONDS)
                running.reset()
                feeder.run(seconds / rounds)
                totals["rtsynth"].update(late_by_cause(running.engine))
                totals["control"].update(running.control())
    return {
        "blocks": alone.blocks,
        "budget_us": alone.budget_ns / 1e3,
        "cpu_percent": cost(alone),
        "voices": {"median": statistics.median(feeder.voices), "least": min(feeder.voices)},
        "realtime_priority": alone.realtime_priority,
        "late": late,
        "p_value": p_value(
            late_blocks(late["spinning"]["rtsynth"]), late_blocks(late["spinning"]["control"])
        ),
    }


def late_blocks(counts: Counter[str]) -> int:
    return counts["engine"] + counts["preempted"] + counts["host"]


def verdict(result: dict[str, Any]) -> list[str]:
    """What missed its threshold; empty when nothing did."""
    missed = []
    if result["cpu_percent"]["p99.9"] > MAX_COST_PERCENT:
        missed.append(
            f"CPU p99.9 is {result['cpu_percent']['p99.9']} % of the block: want {MAX_COST_PERCENT:g} %"
        )
    if result["p_value"] < SIGNIFICANT:
        missed.append(
            f"late more often than the control beside a spinning thread (p = {result['p_value']:.2g})"
        )
    return missed


def show(result: dict[str, Any], arguments: argparse.Namespace) -> None:
    voices, late = result["voices"], result["late"]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    priority = ", real-time priority" if result["realtime_priority"] else ""
    print(f"{machine}; driver {arguments.driver}{priority}")
    print(f"{arguments.preset}, {voices['median']:.0f} voices (at least {voices['least']}): ", end="")
    print(f"{result['blocks']} blocks of {result['budget_us']:.0f} µs")
    print(
        "CPU of the block: "
        + ", ".join(f"{label} {value} %" for label, value in result["cpu_percent"].items())
    )
    for load, totals in late.items():
        for who, counts in totals.items():
            print(
                f"late, Python {load:8} {who:8} {late_blocks(counts):5} of {counts['blocks']}  {dict(counts)}"
            )
    print(f"as often as the control, by chance alone: p = {result['p_value']:.3f}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--driver", choices=["null", "jack"], default="null")
    parser.add_argument("--preset", default="piano")
    parser.add_argument("--voices", type=int, default=32)
    parser.add_argument("--rate", type=int, default=48000)
    parser.add_argument("--block", type=int, default=64, help="samples")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each of the three kinds of run")
    parser.add_argument("--rounds", type=int, default=3, help="turns between idle and spinning")
    parser.add_argument("--jack-normal", action="store_true", help="jackd without real-time priority")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    from rtsynth.instrument import Instrument

    instrument = Instrument(rtsynth.load_preset(arguments.preset), seed=1)
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(Engine([instrument], arguments.rate))
        if arguments.driver == "null":
            driver = null_driver(engine, arguments.rate, arguments.block)
        else:
            realtime = not arguments.jack_normal and may_be_realtime()
            driver = jack_driver(engine, arguments.rate, arguments.block, realtime)
        total = 3 * arguments.seconds + 2 * (arguments.rounds + 1) * (SETTLE_SECONDS + RESTRIKE_SECONDS)
        feeder = Feeder(engine, notes(arguments.voices, total, arguments.rate))
        result = measure(stack.enter_context(driver), feeder, arguments.seconds, arguments.rounds)
    print(json.dumps(result)) if arguments.json else show(result, arguments)
    missed = verdict(result)
    for line in missed:
        print(f"callback: {line}", file=sys.stderr)
    return 6 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DeviceError as error:
        print(f"callback: skipped: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except RtsynthError as error:
        print(f"callback: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
