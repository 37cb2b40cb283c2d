"""What is heard: files in place of a microphone, inputs by name, rates that go together, and real duplex streams."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsynth.engine import Engine
from rtsynth.errors import DeviceError, InputError, RateError
from rtsynth.io.devices import (
    NULL_INDEX,
    Device,
    choose_rate,
    choose_shared_rate,
    find_input,
    find_output,
    null_device,
)
from rtsynth.io.hearing import read_heard
from rtsynth.io.performance import Ending, Performance
from rtsynth.io.rendering import render_file
from rtsynth.io.streams import Hearing, open_output
from rtsynth.messages import MESSAGE, Kind, message
from tests.engine.probe import Echo, Probe
from tests.io import jack

RATE = 48000
NONE = np.empty(0, MESSAGE)


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


# ---- files ----


def test_a_file_is_heard_as_it_is(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, 1000).astype(np.float32)
    heard = read_heard(write(tmp_path / "x.wav", samples), RATE)
    assert heard.dtype == np.float32
    assert heard.tobytes() == samples.tobytes()


def test_of_several_channels_the_mean_or_the_one_chosen(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, (1000, 3)).astype(np.float32)
    path = write(tmp_path / "x.wav", samples)
    np.testing.assert_allclose(read_heard(path, RATE), samples.mean(axis=1), atol=1e-7)
    for channel in (1, 2, 3):
        assert read_heard(path, RATE, channel).tobytes() == samples[:, channel - 1].tobytes()
    for channel in (0, 4):
        with pytest.raises(InputError, match=f"no channel {channel}: want 1…3"):
            read_heard(path, RATE, channel)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 96000])
def test_another_rate_is_resampled(tmp_path: Path, rate: int) -> None:
    """A tone of 997 Hz comes through where it was, to -90 dB, but for the ends."""
    tone = 0.5 * np.sin(2 * np.pi * 997 / rate * np.arange(rate))
    heard = read_heard(write(tmp_path / "x.wav", tone, rate), RATE)
    assert len(heard) == RATE
    expected = 0.5 * np.sin(2 * np.pi * 997 / RATE * np.arange(RATE))
    assert np.abs(heard - expected)[4800:-4800].max() < 3e-5


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_heard(tmp_path / "nosuch.wav", RATE)


def test_a_file_is_answered_to_its_end_and_alike_in_real_time(
    tmp_path: Path, echo: Callable[[int], Echo]
) -> None:
    heard = np.random.default_rng(1).uniform(-0.9, 0.9, 9600).astype(np.float32)
    with Performance(echo(100), null_device(), sample_rate=RATE, heard=heard) as performance:
        performance.record(tmp_path / "live.wav", subtype="FLOAT", tags={}, force=False)
        outcome = performance.run(threading.Event())
    assert outcome.ending is Ending.OVER
    render_file(echo(100), NONE, tmp_path / "x.wav", sample_rate=RATE, heard=heard, subtype="FLOAT")
    live, offline = (soundfile.read(tmp_path / name, dtype="float32")[0] for name in ("live.wav", "x.wav"))
    for answer in (live, offline):
        assert answer[100:9700, 0].tobytes() == heard.tobytes()


# ---- inputs ----


def device(index: int, host_api: str, name: str, inputs: int, outputs: int, **more: object) -> Device:
    given = {"input_rates": (44100, 48000), "low_input_latency_ms": 4.0} | more
    return Device(index, host_api, name, inputs, outputs, False, 44100.0, (44100, 48000), 3.0, 30.0, **given)  # type: ignore[arg-type]


SPEAKERS = device(0, "ALSA", "HDA Intel PCH", 2, 2)
MICROPHONE = device(1, "ALSA", "USB microphone", 1, 0, default_input=True, input_rates=(48000,))
JACK = device(2, "JACK", "system", 2, 2, default_input=True)
DEVICES = [SPEAKERS, MICROPHONE, JACK, null_device()]


@pytest.mark.parametrize(
    ("wanted", "output", "index"),
    [
        (None, SPEAKERS, 1),  # the default of the output's own host API …
        (None, JACK, 2),
        (None, null_device(), 1),  # … or the first default there is
        ("usb", SPEAKERS, 1),
        ("1", null_device(), 1),
        (0, SPEAKERS, 0),
        ("JACK: system", JACK, 2),
        ("null", SPEAKERS, NULL_INDEX),
    ],
)
def test_an_input_is_found(wanted: str | int | None, output: Device, index: int) -> None:
    assert find_input(wanted, output, DEVICES).index == index


@pytest.mark.parametrize(
    ("wanted", "output", "devices", "text"),
    [
        (
            None,
            null_device(),
            [null_device()],
            "no microphone or other input. Hear a file: --audio-in file:x.wav",
        ),
        (None, JACK, [MICROPHONE], "no microphone or other input beside JACK: system"),
        ("USB mikrophone", SPEAKERS, DEVICES, "Did you mean 'USB microphone'? List: rtsynth devices"),
        ("9", SPEAKERS, DEVICES, "no input with index 9. There are: 0 (HDA Intel PCH), 1 (USB"),
        ("usb", JACK, DEVICES, "take two of one host API"),
    ],
)
def test_a_missing_input_is_one_line(
    wanted: str | None, output: Device, devices: list[Device], text: str
) -> None:
    with pytest.raises(DeviceError) as caught:
        find_input(wanted, output, devices)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_channel_it_does_not_have() -> None:
    assert [Hearing(SPEAKERS).channels, Hearing(MICROPHONE).channels, Hearing(SPEAKERS, 2).channels] == [
        2,
        1,
        2,
    ]
    for channel in (0, 2):
        with pytest.raises(DeviceError, match=f"no channel {channel}: want 1…1"):
            _ = Hearing(MICROPHONE, channel).channels


def test_rates_that_both_take() -> None:
    assert choose_shared_rate(SPEAKERS, JACK, None) == 44100  # the output's own
    assert choose_shared_rate(SPEAKERS, MICROPHONE, 48000) == 48000
    assert choose_shared_rate(null_device(), MICROPHONE, None) == 44100  # its own, whatever that is
    assert choose_shared_rate(SPEAKERS, null_device(), 12345) == 12345
    other = device(3, "ALSA", "other", 1, 0, input_rates=(48000,))
    odd = Device(**{**other.__dict__, "default_rate": 8000.0})
    assert choose_shared_rate(SPEAKERS, odd, None) == 48000  # the first in common
    with pytest.raises(RateError, match=r"not run at 44100 Hz\. It takes 48000: --rate 48000") as caught:
        choose_shared_rate(SPEAKERS, MICROPHONE, 44100)
    assert caught.value.exit_code == 4
    with pytest.raises(RateError, match="no rate in common"):
        choose_shared_rate(SPEAKERS, Device(**{**odd.__dict__, "input_rates": (96000,)}), None)
    with pytest.raises(RateError, match="It takes 48000"):
        choose_rate(MICROPHONE, 96000, hearing=True)


# ---- on a JACK server ----


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_a_duplex_stream_hears_what_is_connected_to_it(
    jack_server: str, probe: Callable[[], Probe], echo: Callable[[int], Echo]
) -> None:
    """A note on the output, wired back to the input: heard once the wire is there, and not before."""
    output = find_output("system")
    with Engine([probe(), echo(0)], jack.RATE) as engine:
        stream = open_output(engine, output, Hearing(find_input(None, output)))
        try:
            assert stream.sample_rate == jack.RATE
            assert stream.latency > 0
            stream.start()
            engine.send(message(Kind.NOTE_ON, time=0, value=0.25))
            assert wait_until(lambda: engine.report().peak > 0.1)
            assert engine.report().heard_peak == 0
            ports = jack.ports(jack_server)
            ours = [port for port in ports if not port.startswith("system")]
            out, into = (next(port for port in ours if port.endswith(end)) for end in ("out_left", "in_1"))
            jack.connect(jack_server, out, into)
            assert wait_until(lambda: (engine.report().heard_peak or 0) > 0.05)
            assert engine.latest_block == jack.PERIOD
        finally:
            stream.close()


def test_an_input_alone_is_the_clock(jack_server: str, echo: Callable[[int], Echo]) -> None:
    hearing = Hearing(find_input("system", null_device()), channel=2)
    stop = threading.Event()
    with Performance(echo(0), null_device(), sample_rate=jack.RATE, hearing=hearing) as performance:
        outcome = performance.run(stop, seconds=0.2)
        assert performance.block == jack.PERIOD
    assert outcome.ending is Ending.OVER
    assert outcome.seconds >= 0.2
    assert outcome.report.heard_peak == 0  # the dummy driver's silence


def test_an_input_at_a_rate_the_server_does_not_run_at(jack_server: str, echo: Callable[[int], Echo]) -> None:
    output = find_output("system")
    with Engine([echo(0)], 44100) as engine, pytest.raises(RateError, match="It takes 48000"):
        open_output(engine, output, Hearing(find_input(None, output)))
    with Engine([echo(0)], 44100) as engine, pytest.raises(RateError, match="It takes 48000"):
        open_output(engine, null_device(), Hearing(find_input(None, output)))
