"""A sound server that dies under `play`: told, waited for, and Ctrl-C at any time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
import soundfile

from tests.cli.command import PATIENCE, PROGRAM, environment
from tests.io import jack

GONE = "JACK: system has gone: waiting for it to come back, Ctrl-C to stop"
BACK = "JACK: system is back"


@pytest.fixture
def name() -> Iterator[str]:
    reason = jack.why_not()
    if reason is not None:
        pytest.skip(reason)
    name = f"rtsynth-outage-{os.getpid()}"
    yield name
    jack.forget(name)


@contextmanager
def play(name: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """`rtsynth play`, killed at the end, or when it says nothing more for too long."""
    process = subprocess.Popen(
        [*PROGRAM, "play", "piano", "--json", *map(str, arguments)],
        env=environment(**jack.environment(name)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    too_long = threading.Timer(PATIENCE, process.kill)
    too_long.start()
    try:
        yield process
    finally:
        too_long.cancel()
        process.kill()
        process.communicate()


def next_event(out: IO[str] | None, *kinds: str) -> dict[str, Any]:
    assert out is not None
    for line in out:
        event = json.loads(line)
        if event["event"] in kinds:
            return event
    raise AssertionError(f"no {kinds}")


def test_a_killed_server_is_waited_for_and_the_playing_goes_on(name: str, tmp_path: Path) -> None:
    record = tmp_path / "x.wav"
    with jack.server(name) as server, play(name, "--midi-in", "all", "--record", record) as playing:
        next_event(playing.stdout, "status")
        server.kill()
        server.wait()
        gone = next_event(playing.stdout, "device")
        assert gone == {"event": "device", "state": "gone", "device": "JACK: system"}
        with jack.server(name):
            assert next_event(playing.stdout, "device")["state"] == "back"
            next_event(playing.stdout, "status")
            playing.send_signal(signal.SIGINT)
            out, err = playing.communicate(timeout=PATIENCE)
    end = json.loads(out.splitlines()[-1])
    assert playing.returncode == 130
    assert (end["event"], end["ending"], end["outages"]) == ("end", "interrupted", 1)
    playing_line, *lines = err.splitlines()
    assert playing_line.startswith("Playing piano on system 48000 Hz / 64 frames (1.3 ms)")
    assert lines[:2] == [GONE, BACK]
    assert len(lines) == 3  # and where the recording is
    assert soundfile.info(record).duration == pytest.approx(end["seconds"], abs=1e-3)


def test_ctrl_c_while_it_waits_ends_at_once_with_130(name: str) -> None:
    with jack.server(name) as server, play(name, "--midi-in", "all") as playing:
        next_event(playing.stdout, "status")
        server.kill()
        server.wait()
        next_event(playing.stdout, "device")
        playing.send_signal(signal.SIGINT)
        out, err = playing.communicate(timeout=5)
    assert playing.returncode == 130
    assert err.count(GONE) == 1
    assert "Traceback" not in err
    assert json.loads(out.splitlines()[-1])["event"] == "end"
