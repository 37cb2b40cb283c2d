"""Devices: looking them up in lists made for the test, and a real stream on a JACK server."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rtsynth.engine import Engine
from rtsynth.errors import DeviceError, RateError
from rtsynth.io import devices, listing
from rtsynth.io import jack as jack_binding
from rtsynth.io.devices import Device, choose_rate, find_output, list_devices, null_device
from rtsynth.io.streams import open_output
from rtsynth.messages import Kind, message
from tests.engine.probe import Probe
from tests.io import jack


def device(index: int, host_api: str, name: str, outputs: int = 2, default: bool = False) -> Device:
    return Device(index, host_api, name, 2, outputs, default, 44100.0, (44100, 48000), 3.0, 30.0)


DEVICES = [
    device(0, "ALSA", "Focusrite Scarlett 2i2: USB Audio (hw:1,0)", default=True),
    device(1, "ALSA", "HDA Intel PCH: ALC295 Analog (hw:0,0)"),
    device(2, "ALSA", "USB microphone", outputs=0),
    device(3, "JACK", "system"),
    device(4, "OSS", "system"),
    null_device(),
]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (None, 0),
        ("focusrite", 0),
        (1, 1),
        ("1", 1),
        ("HDA Intel PCH: ALC295", 1),  # a name with a colon is not a host API
        ("ALSA: HDA", 1),
        ("OSS: system", 4),
        ("jack: sys", 3),
        ("null", devices.NULL_INDEX),
    ],
)
def test_an_output_is_found_by_index_name_part_or_host_api(wanted: str | int | None, index: int) -> None:
    assert find_output(wanted, DEVICES).index == index


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (
            "Focusrit 2i2 USB",
            "Did you mean 'Focusrite Scarlett 2i2: USB Audio (hw:1,0)'? List: rtsynth devices",
        ),
        ("microphone", "no output named 'microphone'"),  # it has no outputs
        ("2", "no output with index 2. There are: 0 (Focusrite"),
        ("-1", "no output with index -1"),
    ],
)
def test_an_unknown_output_names_the_nearest(wanted: str, text: str) -> None:
    with pytest.raises(DeviceError) as caught:
        find_output(wanted, DEVICES)
    assert text in str(caught.value)
    assert caught.value.exit_code == 3


def test_the_null_device_is_always_there_and_the_default_without_others() -> None:
    assert find_output(None, []) == null_device(default=True)
    assert list_devices()[-1].is_null
    assert sum(device.default for device in list_devices()) == 1


def test_the_null_device_is_found_without_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "portaudio", lambda: pytest.fail("looked for sound cards"))
    assert find_output("null") == null_device()
    with pytest.raises(pytest.fail.Exception):
        find_output("nul")  # the trap works


def test_without_portaudio_there_is_null_and_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # as if importing it failed
    monkeypatch.setattr(jack_binding, "has_library", lambda: False)
    assert list_devices() == [null_device(default=True)]
    with Engine([], 48000) as engine, pytest.raises(DeviceError, match="Install PortAudio"):
        open_output(engine, DEVICES[0])


def test_rates() -> None:
    assert choose_rate(DEVICES[0], None) == 44100
    assert choose_rate(DEVICES[0], 48000) == 48000
    assert choose_rate(null_device(), 12345) == 12345
    with pytest.raises(RateError, match="It takes 44100, 48000: --rate 44100") as caught:
        choose_rate(DEVICES[0], 96000)
    assert caught.value.exit_code == 4


# ---- on a JACK server ----


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_a_stream_runs_the_engine_in_jacks_own_thread(jack_server: str, probe: Callable[[], Probe]) -> None:
    device = find_output("system")
    assert device.default
    assert device.rates == (jack.RATE,)
    source = probe()
    with Engine([source], jack.RATE) as engine:
        stream = open_output(engine, device)
        try:
            assert stream.sample_rate == jack.RATE
            assert stream.latency > 0
            stream.start()
            assert wait_until(lambda: engine.time > jack.RATE // 10)
            engine.send(message(Kind.NOTE_ON, time=engine.stamp(), value=0.5))
            assert wait_until(lambda: source.active_voices == 1)
            assert engine.latest_block == jack.PERIOD  # the host's choice, not ours
            assert max(engine.meter()) > 0.2
            assert not stream.finished
        finally:
            stream.close()
        stopped_at = engine.time
        time.sleep(0.05)
        assert engine.time == stopped_at
        stream.close()  # again is harmless
        (applied,) = source.applied
        on_time = applied.time == applied.stamp
        assert on_time or engine.report().late_messages == 1  # late only where the machine stalled


def test_the_list_is_not_looked_up_anew_under_an_open_stream(jack_server: str) -> None:
    with Engine([], jack.RATE) as engine:
        stream = open_output(engine, find_output("system"))
        stream.start()
        assert list_devices()[0].name == "system"
        before = engine.time
        assert wait_until(lambda: engine.time > before)
        stream.close()


def test_a_rate_the_server_does_not_run_at(jack_server: str) -> None:
    with Engine([], 44100) as engine, pytest.raises(RateError, match="It takes 48000"):
        open_output(engine, find_output("system"))


UNPLUG = """
import sys, time
from rtsynth.engine import Engine
from rtsynth.io.devices import find_output
from rtsynth.io.streams import open_output
engine = Engine([], 48000)
stream = open_output(engine, find_output("system"))
stream.start()
time.sleep(0.1)
print(stream.finished, flush=True)
sys.stdin.readline()
deadline = time.monotonic() + 5
while not stream.finished and time.monotonic() < deadline:
    time.sleep(0.01)
print(stream.finished, flush=True)
stream.close()
engine.close()
print("closed", flush=True)
"""


def test_a_device_that_goes_away_is_noticed_and_given_up(tmp_path: Path) -> None:
    """Neither the calls nor the interpreter's exit wait for the dead server, as PortAudio's do."""
    import subprocess

    reason = jack.why_not()
    if reason is not None:
        pytest.skip(reason)
    name = f"rtsynth-unplug-{os.getpid()}"
    with jack.server(name) as server:
        client = subprocess.Popen(
            [sys.executable, "-c", UNPLUG],
            env=os.environ | jack.environment(name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert client.stdout is not None
        assert client.stdout.readline() == "False\n"
        server.terminate()
        server.wait(jack.PATIENCE)
        try:
            rest, _ = client.communicate("\n", timeout=20)
        finally:
            client.kill()
    assert rest.split() == ["True", "closed"]
    assert client.returncode == 0
