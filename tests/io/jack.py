"""A JACK server of the test's own, with the dummy driver: real audio and MIDI ports on any machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

PERIOD = 64
RATE = 48000
PATIENCE = 10.0  # seconds


def why_not() -> str | None:
    """Why no server can be started here; None when it can."""
    missing = [
        name for name in ("jackd", "jack_lsp", "jack_connect", "jack_wait") if shutil.which(name) is None
    ]
    return f"{', '.join(missing)} not installed" if missing else None


def environment(name: str) -> dict[str, str]:
    """What a client needs in its environment to find the server `name` and no other."""
    return {"JACK_DEFAULT_SERVER": name, "JACK_NO_START_SERVER": "1", "JACK_NO_AUDIO_RESERVATION": "1"}


@contextmanager
def server(name: str, rate: int = RATE, period: int = PERIOD) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server called `name`, synchronous so that no slow client is dropped; end only this one.

    One that was killed stays in JACK's list of the eight servers a machine may have, until another of its name ends
    in peace: `forget` it.
    """
    process = _start(name, rate, period)
    try:
        _wait_for(name, process)
        yield process
    finally:
        _end(process)


def forget(name: str) -> None:
    """Take a killed server out of JACK's list."""
    with server(name):
        pass


def _start(name: str, rate: int, period: int) -> subprocess.Popen[bytes]:
    command = ["jackd", "-n", name, "-S", "-r", "-d", "dummy", "-r", str(rate), "-p", str(period)]
    return subprocess.Popen(
        command, env=os.environ | environment(name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for(name: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if "system" in _run(["jack_lsp"], name):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the JACK server {name} did not start")


def disconnect(name: str, source: str, destination: str) -> None:
    """The reverse of `connect`."""
    _run(["jack_disconnect", source, destination], name)


def connect(name: str, source: str, destination: str) -> None:
    """Connect two ports by their full names."""
    _run(["jack_connect", source, destination], name)


def ports(name: str) -> list[str]:
    """Full names of all ports."""
    return _run(["jack_lsp"], name).splitlines()


def connections(name: str) -> dict[str, list[str]]:
    """The ports that each port is connected to, by full names."""
    found: dict[str, list[str]] = {}
    ends: list[str] = []
    for line in _run(["jack_lsp", "-c"], name).splitlines():
        if line.startswith(" "):
            ends.append(line.strip())
        else:
            ends = found[line] = []
    return found


def _run(command: list[str], name: str) -> str:
    done = subprocess.run(
        command,
        env=os.environ | environment(name),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout
