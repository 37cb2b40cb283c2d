"""The JACK driver on a server of the tests' own: what it costs in samples, what is connected, what is counted."""

from __future__ import annotations

import ctypes
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtsynth.engine import Engine
from rtsynth.errors import DeviceError, RateError
from rtsynth.io import jack as binding
from rtsynth.io import listing
from rtsynth.io.devices import find_input, find_output, list_devices, null_device
from rtsynth.io.hearing import Hearing
from rtsynth.io.streams import open_output
from rtsynth.source import Source
from rtsynth.speech.live import Vocoder
from tests.engine.probe import Echo
from tests.io import jack
from tests.io.tape import Tape
from tests.io.test_midi_ports import wait_until

FRAMES = 24_000  # of test signal: half a second
Echoes = Callable[[int], Echo]
Tapes = Callable[..., Tape]


def noise(frames: int = FRAMES) -> np.ndarray:
    return np.random.default_rng(7).uniform(-0.5, 0.5, frames).astype(np.float32)


def delay_between(played: np.ndarray, heard: np.ndarray) -> int:
    """How much later `heard` is, in samples: the peak of the correlation."""
    size = 1 << (2 * max(len(played), len(heard)) - 1).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(played, size))
    lag = int(np.argmax(np.fft.irfft(spectrum, size)))
    return lag if lag < size // 2 else lag - size


# ---- latency, to the sample ----


def measure(source: Source, tapes: Tapes, *, in_air: int, to_ear: int) -> tuple[int, int, np.ndarray]:
    """Samples from the air to the ear: as measured, and as the stream and the source say; and what was heard."""
    signal_in, heard = noise(), np.zeros(FRAMES, np.float32)
    player = tapes("player", signal_in, plays=True, latency=in_air)
    recorder = tapes("recorder", heard, plays=False, channels=2, latency=to_ear)
    output = find_output("JACK: recorder")
    with Engine([source], jack.RATE) as engine:
        stream = open_output(engine, output, Hearing(find_input("player", output)))
        try:
            before = stream.latency
            stream.start()
            recorder.run()
            player.run()
            assert wait_until(lambda: recorder.over and player.over)
            assert stream.latency == before  # known before it sounds
            told = round(stream.latency * jack.RATE) + source.latency
        finally:
            stream.close()
    assert player.gaps == recorder.gaps == 0
    offset = recorder.first_frame - player.first_frame
    return offset + delay_between(signal_in, heard), told, heard


@pytest.mark.parametrize(("latency", "in_air", "to_ear"), [(0, 0, 0), (100, 0, 0), (7, 480, 1024)])
def test_the_way_from_air_to_ear_is_as_long_as_is_said(
    jack_server: str, echo: Echoes, tapes: Tapes, latency: int, in_air: int, to_ear: int
) -> None:
    measured, told, _ = measure(echo(latency), tapes, in_air=in_air, to_ear=to_ear)
    assert told == latency + in_air + to_ear
    assert measured == told


def test_the_check_sees_one_sample(jack_server: str, echo: Echoes, tapes: Tapes) -> None:
    liar = echo(100)
    liar.latency = 99
    measured, told, _ = measure(liar, tapes, in_air=0, to_ear=0)
    assert (measured, told) == (100, 99)


def test_the_vocoder_without_variance_gives_back_what_it_hears(jack_server: str, tapes: Tapes) -> None:
    measured, told, heard = measure(Vocoder(variance=0.0), tapes, in_air=0, to_ear=0)
    assert told == 523
    assert measured == told
    first = int(np.flatnonzero(heard)[0])
    count = FRAMES - first
    np.testing.assert_array_equal(heard[first:], noise()[:count])


def test_jack_iodelay_reads_the_same(own_name: str, tmp_path: Path) -> None:
    """Its way back is a loop in the server's graph, which costs one period. It reads phases, to about 0.01 samples."""
    if shutil.which("jack_iodelay") is None:
        pytest.skip("jack_iodelay not installed")
    with jack.server(own_name) as server, open(tmp_path / "ruler", "w+") as said:
        ruler = subprocess.Popen(["stdbuf", "-oL", "jack_iodelay"], stdout=said)
        try:
            assert wait_until(lambda: "jack_delay:in" in jack.ports(own_name))
            output = find_output("jack_delay")
            with Engine([Vocoder(variance=0.0)], jack.RATE) as engine:
                stream = open_output(engine, output, Hearing(find_input("jack_delay", output)))
                stream.start()
                pattern = re.compile(r"([\d.]+) frames .* total roundtrip")
                assert wait_until(lambda: pattern.search(said.seek(0) or said.read()) is not None)
                stream.close()
        finally:
            server.kill()  # first: it would wait for a client that has died
            server.wait()
            ruler.kill()
            ruler.wait()
        said.seek(0)
        found = pattern.findall(said.read())
    assert float(found[-1]) == pytest.approx(523 + jack.PERIOD, abs=0.05)


def test_other_clients_are_told_how_late_we_are(jack_server: str, echo: Echoes, tapes: Tapes) -> None:
    output = find_output("system")
    with Engine([echo(321)], jack.RATE) as engine:
        stream = open_output(engine, output, Hearing(find_input("system", output)))
        stream.start()
        server = binding.look()
        stream.close()
    assert server is not None
    latencies = {port.name: port.latency for port in server.ports if port.client == "rtsynth"}
    capture = next(port.latency for port in server.ports if port.name == "system:capture_1")
    assert latencies["rtsynth:out_left"] == latencies["rtsynth:out_right"] == capture + 321


# ---- devices and connections ----


def test_jack_s_devices_are_its_clients(jack_server: str, tapes: Tapes) -> None:
    tapes("player", noise(), plays=True)
    devices = {device.full_name: device for device in list_devices()}
    system, player = devices["JACK: system"], devices["JACK: player"]
    assert (system.default, system.default_input, system.inputs, system.outputs) == (True, True, 2, 2)
    assert (player.default, player.default_input, player.inputs, player.outputs) == (False, False, 1, 0)
    assert system.rates == system.input_rates == player.input_rates == (jack.RATE,)
    assert system.low_latency_ms == pytest.approx(1e3 * jack.PERIOD / jack.RATE)
    assert not any("Connection Kit" in name for name in devices)  # PortAudio's JACK is left out
    assert [device.index for device in devices.values()] == [*range(len(devices) - 1), listing.NULL_INDEX]


@pytest.mark.parametrize("wanted", [None, "system", "JACK: system", "SYSTEM"])
def test_a_jack_device_is_found_without_portaudio(
    jack_server: str, monkeypatch: pytest.MonkeyPatch, wanted: str | None
) -> None:
    monkeypatch.setattr(listing, "portaudio", lambda: pytest.fail("looked for sound cards"))
    output = find_output(wanted)
    assert output.full_name == "JACK: system"
    assert find_input(wanted, output).full_name == "JACK: system"
    with pytest.raises(pytest.fail.Exception):
        find_output("sys")  # may be a part of some other name; and the trap works


def test_jack_needs_no_portaudio(jack_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # as if importing it failed
    assert [device.name for device in list_devices()] == ["system", "null"]


def test_ports_are_connected_to_the_devices_named(jack_server: str, echo: Echoes, tapes: Tapes) -> None:
    tapes("player", noise(), plays=True)
    tapes("recorder", np.zeros(10, np.float32), plays=False)
    output = find_output("recorder")
    with Engine([echo(0)], jack.RATE) as engine:
        stream = open_output(engine, output, Hearing(find_input("player", output)))
        assert stream.block == jack.PERIOD  # before it starts
        stream.start()
        wires = jack.connections(jack_server)
        stream.close()
    assert wires["rtsynth:out"] == ["recorder:port"]  # one channel: the mean
    assert wires["rtsynth:in_1"] == ["player:port"]


def test_one_channel_or_the_mean_of_two(jack_server: str, echo: Echoes) -> None:
    output = find_output("system")
    for channel, expected in [(None, {"in_1": "capture_1", "in_2": "capture_2"}), (2, {"in_1": "capture_2"})]:
        with Engine([echo(0)], jack.RATE) as engine:
            stream = open_output(engine, output, Hearing(find_input("system", output), channel))
            stream.start()
            wires = jack.connections(jack_server)
            stream.close()
        inputs = {port: ends for port, ends in wires.items() if port.startswith("rtsynth:in")}
        assert inputs == {f"rtsynth:{ours}": [f"system:{theirs}"] for ours, theirs in expected.items()}


def test_two_inputs_are_heard_as_their_mean(jack_server: str, echo: Echoes, tapes: Tapes) -> None:
    signals, heard = [noise(), noise()[::-1].copy()], np.zeros(2 * FRAMES, np.float32)
    players = [tapes(f"player{k}", signal, plays=True) for k, signal in enumerate(signals)]
    recorder = tapes("recorder", heard, plays=False, channels=2)
    output = find_output("recorder")
    with Engine([echo(0)], jack.RATE) as engine:
        stream = open_output(engine, output, Hearing(find_input("system", output)))
        stream.start()
        for k in range(2):
            jack.connect(jack_server, f"player{k}:port", f"rtsynth:in_{k + 1}")
        for one in (recorder, *players):
            one.run()
        assert wait_until(lambda: recorder.over)
        stream.close()
    expected = np.zeros_like(heard)
    for player in players:
        start = player.first_frame - recorder.first_frame
        expected[start : start + FRAMES] += player.samples
    assert heard.any()
    np.testing.assert_array_equal(heard, np.float32(0.5) * expected)


def test_a_client_that_returns_is_connected_again(
    jack_server: str, echo: Echoes, tape_library: ctypes.CDLL
) -> None:
    output = find_output("system")
    with Engine([echo(0)], jack.RATE) as engine:
        with Tape(tape_library, "player", noise(), plays=True):
            stream = open_output(engine, output, Hearing(find_input("player", output)))
            stream.start()
            stream.tend()
            assert stream.tend() == []
        try:
            lines: list[str] = []
            assert wait_until(lambda: bool(lines.extend(stream.tend()) or lines))
            assert lines == ["JACK: player has gone: waiting for it to come back"]
            assert not stream.finished  # the server goes on, and so does the sound
            with Tape(tape_library, "player", noise(), plays=True) as player:
                assert wait_until(lambda: len(lines.extend(stream.tend()) or lines) == 2)
                assert lines[1] == "JACK: player is back"
                assert jack.connections(jack_server)["player:port"] == ["rtsynth:in_1"]
                player.run()
                assert wait_until(lambda: (engine.report().heard_peak or 0) > 0.4)
        finally:
            stream.close()


def test_a_rate_the_server_does_not_run_at(jack_server: str) -> None:
    with Engine([], 44100) as engine, pytest.raises(RateError, match="It takes 48000: --rate 48000"):
        open_output(engine, find_output("system"))


def test_a_device_that_has_gone_since_it_was_listed(jack_server: str, tape_library: ctypes.CDLL) -> None:
    with Tape(tape_library, "recorder", np.zeros(10, np.float32), plays=False):
        output = find_output("recorder")
    with Engine([], jack.RATE) as engine, pytest.raises(DeviceError, match="JACK: recorder has gone"):
        open_output(engine, output)


# ---- what the server reports ----


def test_xruns_are_counted_as_the_server_counts_them(own_name: str, tapes: Tapes) -> None:
    """Stalls of the server: another client is told of as many."""
    with jack.server(own_name) as server, Engine([], jack.RATE) as engine:
        witness = tapes("witness", np.zeros(10, np.float32), plays=False)
        stream = open_output(engine, find_output("system"))
        stream.start()
        engine.reset_report()
        before = witness.xruns
        for _ in range(10):
            server.send_signal(signal.SIGSTOP)
            time.sleep(0.01)
            server.send_signal(signal.SIGCONT)
            time.sleep(0.03)
        witnessed = witness.xruns - before
        assert witnessed >= 10
        assert wait_until(lambda: engine.report().host_xruns >= witnessed)
        stream.close()
        witness.close()


def test_without_a_server_or_a_library_there_is_nothing_and_no_noise(
    own_name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert binding.look() is None
    assert binding.Client.open() is None
    monkeypatch.setattr(binding, "has_library", lambda: False)
    assert binding.look() is None
    assert listing.list_jack() == []
    assert capfd.readouterr() == ("", "")
    assert find_output("null") == null_device()
