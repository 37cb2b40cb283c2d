"""Random MIDI of every kind, on sixteen channels, in bursts of 5000 messages a second: what sticks, what gives way?

    python bench/endurance.py --minutes 10
    python bench/endurance.py --preset violin --minutes 1 --json

On the null driver, in real time, an engine without sources (the control) beside it. Ends with 6 where a voice is left
after all notes off and pedals up, a sample is not finite or beyond full scale, a message is lost or out of order, or
blocks are late in more seconds than the control's, beyond what chance allows for (one in a hundred).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import rtsynth
from rtsynth.engine import Engine
from rtsynth.engine.machine import facts, line
from rtsynth.engine.verdict import p_value
from rtsynth.errors import RtsynthError
from rtsynth.instrument import Instrument
from rtsynth.io.midi_ports import HORIZON_NS
from rtsynth.io.random_midi import RandomMidi, all_released
from rtsynth.messages import Messages

BLOCK = 64
RATE = 48000.0
SETTLING_SECONDS = 60.0  # at most, where an instrument does not say how long it may ring by itself
SIGNIFICANT = 0.01


@dataclass
class Watch:
    """What was seen so far."""

    sent: int = 0
    applied: int = 0
    refused: int = 0
    wrong: int = 0  # applied, and not what was sent then
    loudest: float = 0.0
    most_voices: int = 0
    late_seconds: dict[str, int] = field(default_factory=lambda: {"rtsynth": 0, "control": 0})
    late_before: dict[str, int] = field(default_factory=lambda: {"rtsynth": 0, "control": 0})
    waiting: list[bytes] = field(default_factory=list)  # sent, and not yet applied; without their times

    def send(self, engine: Engine, messages: Messages) -> None:
        messages["time"] = engine.stamp(time.monotonic_ns() + HORIZON_NS)
        took = engine.send(messages)
        self.sent += len(messages)
        self.refused += len(messages) - took
        self.waiting += contents(messages[:took])

    def look(self, engine: Engine) -> None:
        """Take what was applied, and compare it with what was sent."""
        found = contents(engine.read_journal())
        self.applied += len(found)
        self.wrong += sum(mine != theirs for mine, theirs in zip(found, self.waiting, strict=False))
        self.wrong += max(0, len(found) - len(self.waiting))
        del self.waiting[: len(found)]
        peak = max(engine.meter())
        self.loudest = peak if math.isnan(peak) else max(self.loudest, peak)
        self.most_voices = max(self.most_voices, engine.active_voices)

    def count_late(self, name: str, engine: Engine) -> None:
        """Once a second: whether any block was late in it."""
        late = engine.report().late.total()
        self.late_seconds[name] += late > self.late_before[name]
        self.late_before[name] = late


def contents(messages: Messages) -> list[bytes]:
    """Each message without its time, which is the sample it was applied at."""
    plain = messages.copy()
    plain["time"] = 0
    return [row.tobytes() for row in plain]


def play(engine: Engine, control: Engine, watch: Watch, seconds: float, seed: int) -> None:
    """Send the stream in real time; what falls behind is caught up with."""
    begun = time.monotonic()
    due, next_second = begun, begun + 1.0
    for step, messages in RandomMidi(seed).bursts():
        due += step
        time.sleep(max(0.0, due - time.monotonic()))
        watch.send(engine, messages)
        watch.look(engine)
        if due >= next_second:
            next_second += 1.0
            watch.count_late("rtsynth", engine)
            watch.count_late("control", control)
        if due - begun >= seconds:
            return


def settle(engine: Engine, watch: Watch, tail: int) -> tuple[int, float]:
    """Voices left after all notes off and all pedals up, and how long the last one rang."""
    begun = time.monotonic()
    limit = SETTLING_SECONDS if tail < 0 else tail / RATE + 1.0
    watch.send(engine, all_released())
    time.sleep(0.1)
    while engine.active_voices and time.monotonic() - begun < limit:
        time.sleep(0.02)
        watch.look(engine)
    watch.look(engine)
    return engine.active_voices, time.monotonic() - begun


def measure(preset: str, minutes: float, seed: int) -> dict[str, Any]:
    instrument, watch = Instrument(rtsynth.load_preset(preset)), Watch()
    with Engine([instrument], RATE) as engine, Engine([], RATE) as control:
        engine.open_journal()
        control.start_null(BLOCK)
        engine.start_null(BLOCK)
        play(engine, control, watch, 60 * minutes, seed)
        report, beside = engine.report(), control.report()
        left, rang = settle(engine, watch, instrument.tail)
        engine.stop_null()
        control.stop_null()
        watch.look(engine)
        lost, _ = engine.journal_lost
    return {
        "preset": preset,
        "seconds": 60 * minutes,
        "seed": seed,
        "messages": watch.sent,
        "refused": watch.refused,
        "unapplied": len(watch.waiting) - lost,
        "wrong": watch.wrong,
        "journal_lost": lost,
        "notes": instrument.counts["notes"],
        "steals": instrument.counts["steals"],
        "most_voices": watch.most_voices,
        "voices_left": left,
        "rang_seconds": round(rang, 1),
        "loudest": watch.loudest,
        "not_finite": report.nan_samples + instrument.counts["bad_voices"],
        "late_messages": report.late_messages,
        "blocks": report.blocks,
        "late": {cause.name.lower(): count for cause, count in report.late.items()},
        "late_control": {cause.name.lower(): count for cause, count in beside.late.items()},
        "late_seconds": watch.late_seconds,
        "p_value": p_value(watch.late_seconds["rtsynth"], watch.late_seconds["control"]),
        "wall_us": {f"p{q:g}": report.wall.percentile(q) / 1e3 for q in (50, 99, 99.9)},
        "budget_us": report.budget_ns / 1e3,
        "realtime_priority": report.realtime_priority,
    }


def missed(result: dict[str, Any]) -> list[str]:
    """What was asked for and is not so."""
    late = result["late_seconds"]
    checks = {
        f"{result['voices_left']} voices left": result["voices_left"] > 0,
        f"{result['not_finite']} samples or voices not finite": result["not_finite"] > 0,
        f"a sample of {result['loudest']:g}": not result["loudest"] <= 1.0,
        f"{result['refused']} messages refused": result["refused"] > 0,
        f"{result['unapplied']} messages not applied": result["unapplied"] != 0,
        f"{result['wrong']} messages out of order": result["wrong"] > 0,
        f"late in {late['rtsynth']} seconds, the control in {late['control']}": result["p_value"]
        < SIGNIFICANT,
    }
    return [text for text, bad in checks.items() if bad]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="piano")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.preset, options.minutes, options.seed)
    if options.json:
        print(json.dumps(result | {"machine": facts()}, default=np.ndarray.tolist))
    else:
        print(line(facts()))
        print("\n".join(f"{name:18} {value}" for name, value in result.items()))
    problems = missed(result)
    for text in problems:
        print(f"endurance: {text}", file=sys.stderr)
    return 6 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RtsynthError as error:
        print(f"endurance: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
