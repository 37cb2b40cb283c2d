"""What is seen while something runs: a line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rtsynth.cli.flags import Talk
from rtsynth.cli.measurements import as_json
from rtsynth.cli.output import emit

if TYPE_CHECKING:
    from collections.abc import Callable

    from rtsynth.io.performance import Presence, Status

METER_CELLS = 20
METER_FLOOR_DB = -60.0
JSON_SECONDS = 1.0
PROGRESS_SECONDS = 10.0  # between two lines where there is no terminal


def meter(level: float, cells: int = METER_CELLS) -> str:
    """A level (linear) as a bar from -60 dB to full scale and its value in dB."""
    level_db = 20 * math.log10(level) if level > 0 else -math.inf
    share = min(1.0, max(0.0, 1 - level_db / METER_FLOOR_DB))
    filled = round(share * cells)
    text = f"{level_db:6.1f} dB" if level > 0 else "  silent "
    return "█" * filled + "·" * (cells - filled) + " " + text


def status_line(status: Status) -> str:
    """Levels in and out, or level and voices; time of the slowest hundredth of the blocks against the budget; late ones
    by cause.
    """
    report = status.report
    budget = report.budget_ns or 1
    causes = [f"{cause.name.lower()} {count}" for cause, count in report.late.items() if count]
    late = f"{report.late.total()}" + (f" ({', '.join(causes)})" if causes else "")
    if report.heard_peak is None:
        levels = f"{meter(status.level)}  {status.voices:3d} voices"
    else:
        levels = f"in {meter(status.heard, METER_CELLS // 3)}  out {meter(status.level, METER_CELLS // 3)}"
    share = 100 * report.wall.percentile(99) / budget
    return f"{status.seconds:7.1f} s  {levels}  block p99 {share:3.0f} %  late {late}"


def _levels(status: Status) -> dict[str, float]:
    """Peaks since the last look, dB of full scale."""
    shown = {"level_db": status.level}
    if status.report.heard_peak is not None:
        shown["heard_db"] = status.heard
    return {name: 20 * math.log10(level) if level > 0 else -math.inf for name, level in shown.items()}


class Display:
    """The lines of a running performance. `headline` is asked for once, when the sound has begun."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._live: Any = None
        self.measured: Callable[[], dict[str, Any]] = dict  # what the source counts itself, for --json
        self._begun = False
        self._heard = False
        self._next_json = 0.0
        self.headline: Callable[[], str] = lambda: ""
        self.begun: Callable[[], dict[str, Any]] = dict  # the same for --json

    def say(self, text: str) -> None:
        """A line that stays; from any thread."""
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def update(self, status: Status) -> None:
        """Show how it goes."""
        if not self._begun:
            self._begin()
        if self._live is not None:
            self._live.update(status_line(status), refresh=True)
        if self._talk.json and status.level > 0 and not self._heard:
            self._heard = True
            emit({"event": "sound", "seconds": status.seconds})
        if self._talk.json and status.seconds >= self._next_json:
            self._next_json = status.seconds + JSON_SECONDS
            told = _levels(status) | as_json(status.report, status.voices) | self.measured()
            emit({"event": "status", "seconds": status.seconds, **told})

    def device(self, presence: Presence, name: str) -> None:
        """The device has gone, or is back; people have been told."""
        if self._talk.json:
            emit({"event": "device", "state": presence.value, "device": name})

    def _begin(self) -> None:
        self._begun = True
        if self._talk.json:
            emit({"event": "start", **self.begun()})
        if self._talk.quiet:
            return
        self.say(self.headline())
        if sys.stderr.isatty() and not self._talk.json:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
            self._live.start()

    def close(self) -> None:
        """Leave the terminal as it was. Again is harmless."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def progress(what: str, talk: Talk) -> Iterator[Callable[[float], None]]:
    """A function to call with the share done, 0…1: a bar on a terminal, else a line every ten seconds."""
    if talk.quiet:
        yield lambda share: None
    elif sys.stderr.isatty():
        with _bar(what) as update:
            yield update
    else:
        yield _occasional_lines(what)


@contextmanager
def _bar(what: str) -> Iterator[Callable[[float], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda share: bar.update(task, completed=share)


def _occasional_lines(what: str) -> Callable[[float], None]:
    latest = time.monotonic()

    def update(share: float) -> None:
        nonlocal latest
        if time.monotonic() - latest >= PROGRESS_SECONDS:
            latest = time.monotonic()
            print(f"{what}: {100 * share:.0f} %", file=sys.stderr, flush=True)

    return update
