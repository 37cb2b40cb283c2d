"""The log of a session: every message as it was applied, to the sample, so that the sound can be made again.

A text file, a JSON value a line:

    {"rtsynth log": 1, "rate": 48000.0, "source": {…}, …}     the header: what was played, and with what
    [4800, "note_on", 0, 60, 0.787…, -1, 0]                   time, kind, channel, number, value, source, option
    {"frames": 96000}                                         all that was applied before this sample stands above
    {"frames": 98304, "end": {…}}                             the last line, where it ended in peace

Messages stand in the order they were applied; values are float32, written so that they are read back to the bit.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from rtsynth.engine.engine import Engine
from rtsynth.errors import InputError
from rtsynth.messages import MESSAGE, Kind, Messages

FORMAT = "rtsynth log"
VERSION = 1
POLL_SECONDS = 0.05
MARK_SECONDS = 1.0
_NAMES = {int(kind): kind.name.lower() for kind in Kind}
_KINDS = {name: kind for kind, name in _NAMES.items()}


def rows(messages: Messages) -> list[list[Any]]:
    """Messages as a log has them: [time, kind, channel, number, value, source, option], null for no number."""
    return [
        [stamp, _NAMES.get(kind, kind), channel, number, None if math.isnan(value) else value, source, option]
        for stamp, value, number, kind, channel, source, option in messages.tolist()
    ]


def _row(listed: list) -> tuple:
    stamp, kind, channel, number, value, source, option = listed
    kind = _KINDS[kind] if isinstance(kind, str) else kind
    return stamp, math.nan if value is None else value, number, kind, channel, source, option


@dataclass(frozen=True)
class Take:
    """A log that was read."""

    path: Path
    header: dict[str, Any]
    messages: Messages  # (n,) in the order they were applied, `time` the sample where they were
    frames: int  # how long it was played, as far as is known
    end: dict[str, Any] | None  # how it ended; None where the process did not live to say it
    remarks: list[dict[str, Any]] = field(default_factory=list)  # what was noted while it was played

    @property
    def rate(self) -> float:
        """Hertz."""
        return float(self.header["rate"])

    @property
    def lost(self) -> int:
        """Messages that were applied and are not here."""
        return int((self.end or {}).get("lost_messages", 0))


def read_log(path: Path) -> Take:
    """A log; the last line may have been cut off. InputError, naming file and line, where it is none."""
    found: list[tuple] = []
    remarks: list[dict[str, Any]] = []
    frames, end = 0, None
    try:
        header, *lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except FileNotFoundError:
        raise InputError(f"no log {path}. Those there are: rtsynth log list") from None
    except (OSError, UnicodeDecodeError, ValueError) as problem:
        raise InputError(f"{path}: not a log: {problem}") from None
    told = _header(path, header)
    for number, line in enumerate(lines, 2):
        try:
            value = json.loads(line)
            if isinstance(value, list):
                found.append(_row(value))
            elif "frames" in value:
                frames, end = int(value["frames"]), value.get("end")
            else:
                remarks.append(dict(value))
        except (ValueError, KeyError, TypeError) as problem:
            if number == len(lines) + 1 and end is None:
                break  # the power went while it was written
            raise InputError(f"{path}:{number}: {type(problem).__name__}: {problem}") from None
    try:
        messages = np.array(found, MESSAGE)
    except (ValueError, OverflowError, TypeError) as problem:
        raise InputError(f"{path}: a message that cannot be: {problem}") from None
    return Take(path, told, messages, frames, end, remarks)


def read_header(path: Path) -> dict[str, Any]:
    """The first line of a log. InputError where there is none."""
    try:
        with open(path, encoding="utf-8") as file:
            return _header(path, file.readline())
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"{path}: not a log: {problem}") from None


def _header(path: Path, line: str) -> dict[str, Any]:
    try:
        header = json.loads(line)
    except ValueError:
        header = None
    if not isinstance(header, dict) or FORMAT not in header or "rate" not in header:
        raise InputError(f"{path}:1: not a log of rtsynth. Those there are: rtsynth log list")
    if header[FORMAT] != VERSION:
        raise InputError(f"{path}: a log of version {header[FORMAT]}; this rtsynth reads version {VERSION}")
    return header


class SessionLog:
    """Writes what `engine` applies from its first block on to a new file `path`, until `stop`.

    `hear` is handed what the sources hear, (n,) float32 at a time. A log that can no longer be written says so in one
    line and leaves the playing alone. Made before a driver starts. Raises OSError where the file cannot be made.
    """

    def __init__(
        self,
        engine: Engine,
        path: Path,
        header: dict[str, Any],
        *,
        hear: Callable[[NDArray[np.float32]], None] | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._engine = engine
        self._say = say
        self._hear = hear
        self._writing = threading.Lock()
        self._stopping = threading.Event()
        self._stopped = False
        self._passed = 0  # the engine's time at the poll before
        self._marked = time.monotonic()
        self.path = path
        self.problem: OSError | None = None
        self.messages = 0  # written
        self._file: TextIO = open(path, "x", encoding="utf-8")  # noqa: SIM115  closed in stop()
        self._write([json.dumps({FORMAT: VERSION, "rate": engine.sample_rate} | header)])
        engine.open_journal(heard=hear is not None)
        self._thread = threading.Thread(target=self._run, name="rtsynth-log", daemon=True)

    def __enter__(self) -> SessionLog:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to write; what was applied before is written too."""
        self._thread.start()

    def note(self, remark: dict[str, Any]) -> None:
        """Put a line of its own between the messages; from any thread."""
        self._write([json.dumps(remark)])

    def stop(self, **end: Any) -> None:
        """[the engine runs no more] Write the rest, and how it ended; close. Again is harmless.

        A log of nothing, where no sample was played, is deleted.
        """
        if self._stopped:
            return
        self._stopped = True
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._drain()
        lost, unheard = self._engine.journal_lost
        told = {"lost_messages": lost, "lost_heard": unheard} | end
        self._write([json.dumps({"frames": self._engine.time, "end": told})])
        self._close()
        if self._engine.time == 0:
            self.path.unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            self._drain()
            self._mark()

    def _drain(self) -> None:
        while len(messages := self._engine.read_journal()):
            self._write(map(json.dumps, rows(messages)))
            self.messages += len(messages)
        while self._hear is not None and len(samples := self._engine.read_heard()):
            self._hear(samples)

    def _mark(self) -> None:
        """Every block that was begun before the poll before has ended, if another one has begun since."""
        now, passed = time.monotonic(), self._passed
        self._passed = self._engine.time
        if now - self._marked >= MARK_SECONDS and self._passed > passed:
            self._marked = now
            self._write([json.dumps({"frames": passed})])

    def _write(self, lines: Iterable[str]) -> None:
        with self._writing:
            if self.problem is not None:
                return
            try:
                self._file.writelines(f"{line}\n" for line in lines)
                self._file.flush()
            except OSError as problem:
                self.problem = problem
        if self.problem is not None:
            self._say(f"the log {self.path} cannot be written: {self.problem.strerror}; the playing goes on")

    def _close(self) -> None:
        try:
            self._file.close()
        except OSError as problem:  # it writes what is buffered
            self.problem = self.problem or problem
