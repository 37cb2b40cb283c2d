"""A JACK dummy server of our own, an engine as one of its clients, and the pass-through control as another.

The control is a process of its own, so that a busy Python beside the engine is not beside it: this module, run as a
script. It reads a word a line on stdin ("reset", "report") and answers each with a line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from types import TracebackType

from rtsynth.engine import Engine
from rtsynth.errors import DeviceError
from rtsynth.io.devices import find_output
from rtsynth.io.streams import open_output

STARTUP_SECONDS = 10.0


class JackServer:
    """`jackd` with the dummy backend under a name of its own; ends only the server it started."""

    def __init__(self, sample_rate: int, period: int, realtime: bool) -> None:
        if shutil.which("jackd") is None:
            raise DeviceError("jackd is not installed. Install it: apt install jackd2")
        self.name = f"rtsynth-bench-{os.getpid()}"
        priority = ["-R", "-P", "60"] if realtime else ["-r"]
        command = ["jackd", "-n", self.name, "-S", *priority]
        command += ["-d", "dummy", "-r", str(sample_rate), "-p", str(period)]
        os.environ |= {
            "JACK_DEFAULT_SERVER": self.name,
            "JACK_NO_START_SERVER": "1",
            "JACK_NO_AUDIO_RESERVATION": "1",
        }
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self) -> JackServer:
        deadline = time.monotonic() + STARTUP_SECONDS
        while subprocess.run(["jack_lsp"], capture_output=True, check=False).returncode != 0:
            if time.monotonic() > deadline or self._process.poll() is not None:
                self._end()
                raise DeviceError("jackd did not start")
            time.sleep(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait()


@contextlib.contextmanager
def playing(engine: Engine) -> Iterator[None]:
    """A JACK stream of the engine on the server's own output, while in the context."""
    stream = open_output(engine, find_output("JACK: system"))
    stream.start()
    try:
        yield
    finally:
        stream.close()


class Control:
    """The pass-through control in its own process, as its own client of the same server."""

    def __init__(self, sample_rate: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(sample_rate)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, word: str) -> dict[str, int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise DeviceError("the control client ended")
        return json.loads(answer)

    def __enter__(self) -> Control:
        self.ask("report")  # answers once it plays
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def late_by_cause(engine: Engine) -> dict[str, int]:
    """Blocks, late blocks by cause, and xruns of the server, since the report was reset."""
    report = engine.report()
    late = {cause.name.lower(): count for cause, count in report.late.items()}
    return {"blocks": report.blocks, **late, "xruns": report.host_xruns}


def _serve_control(sample_rate: int) -> None:
    with Engine([], sample_rate) as engine, playing(engine):
        for line in sys.stdin:
            if line.strip() == "reset":
                engine.reset_report()
            print(json.dumps(late_by_cause(engine)), flush=True)


if __name__ == "__main__":
    _serve_control(int(sys.argv[1]))
