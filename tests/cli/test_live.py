"""`rtsynth live gp` on files and the null device: the first line, the report, the bytes, the errors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsynth.cli import answering, live
from tests.cli.command import PATIENCE, PROGRAM, Inside, environment, rtsynth
from tests.io import jack

RATE = 48000


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Half a second of noise in syllables, at another rate than the engine's, in stereo."""
    time = np.arange(11025) / 22050
    noise = np.random.default_rng(1).standard_normal((11025, 2)) * (np.sin(2 * np.pi * 8 * time) > 0)[:, None]
    path = tmp_path / "speech.wav"
    soundfile.write(path, 0.1 * noise, 22050, subtype="PCM_16")
    return path


def test_a_file_is_answered_in_real_time_and_offline_alike(
    tmp_path: Path, speech: Path, inside: Inside
) -> None:
    done = rtsynth(
        "live", "gp", "--audio-in", f"file:{speech}", "--audio-out", "null", "--midi-in", "none",
        "--record", tmp_path / "live.wav",
    )  # fmt: skip
    assert done.code == 0
    first = next(line for line in done.err.splitlines() if "compiling" not in line)
    assert first.startswith(
        "Answering speech.wav on null 48000 Hz / 64 frames, device 1.3 + vocoder 10.9 = 12.2 ms to the ear"
    )
    assert first.endswith("MIDI: none, Ctrl-C to stop")
    assert "input peak" in done.out
    for block in (64, 37):
        rendered = inside(
            "live", "gp", "--audio-in", f"file:{speech}", "--audio-out", f"file:{tmp_path / 'x.wav'}", "-f",
            "--block", block,
        )  # fmt: skip
        assert rendered.code == 0
        assert rendered.out.strip() == str(tmp_path / "x.wav")
        assert "It answers 523 samples (10.9 ms) after what it heard" in rendered.err
        played, offline = (soundfile.read(tmp_path / name)[0] for name in ("live.wav", "x.wav"))
        length = RATE // 2 + 523
        assert min(len(played), len(offline)) >= length
        assert np.abs(offline).max() > 0.05
        np.testing.assert_array_equal(played[:length], offline[:length])


def test_json_tells_the_latency_and_the_input(tmp_path: Path, speech: Path, inside: Inside) -> None:
    out = tmp_path / "x.wav"
    done = inside("live", "gp", "--audio-in", f"file:{speech}", "--audio-out", f"file:{out}", "--json", "-q")
    told = json.loads(done.out)
    assert told["path"] == str(out)
    assert told["latency"] == {"samples": 523, "ms": pytest.approx(10.9, abs=0.05)}
    assert told["input"]["peak_db"] < 0
    assert (told["input"]["underflows"], told["input"]["overflows"]) == (0, 0)


def test_at_variance_0_it_is_what_was_heard(tmp_path: Path, speech: Path, inside: Inside) -> None:
    out = tmp_path / "x.wav"
    done = inside(
        "live", "gp", "--audio-in", f"file:{speech}", "--channel", 2, "--rate", 22050, "--variance", 0,
        "--audio-out", f"file:{out}", "--subtype", "FLOAT", "--json", "-q",
    )  # fmt: skip
    assert done.code == 0
    latency = json.loads(done.out)["latency"]["samples"]
    heard, answered = soundfile.read(speech)[0][:, 1], soundfile.read(out)[0][:, 0]
    np.testing.assert_array_equal(answered[latency : latency + len(heard)], heard)


def test_thru_is_the_control(tmp_path: Path, speech: Path, inside: Inside) -> None:
    """What comes in goes out: bit for bit, at once."""
    out = tmp_path / "x.wav"
    done = inside(
        "live", "thru", "--audio-in", f"file:{speech}", "--channel", 2, "--rate", 22050, "--block", 37,
        "--audio-out", f"file:{out}", "--subtype", "FLOAT", "--json", "-q",
    )  # fmt: skip
    assert done.code == 0
    assert json.loads(done.out)["latency"]["samples"] == 0
    heard, answered = soundfile.read(speech)[0][:, 1], soundfile.read(out)[0]
    np.testing.assert_array_equal(answered[: len(heard), 0], heard)
    np.testing.assert_array_equal(answered[:, 0], answered[:, 1])


def test_the_first_line_is_a_sum(speech: Path) -> None:
    """In JSON: where it sounds, and what the delay is made of."""
    done = rtsynth(
        "live", "gp", "--audio-in", f"file:{speech}", "--audio-out", "null", "--midi-in", "none", "--json", "-q",
        "--seconds", 0.2,
    )  # fmt: skip
    start, *_, end = map(json.loads, done.out.splitlines())
    assert (start["event"], start["device"], start["input"]) == ("start", "null", "speech.wav")
    delays = start["delay_ms"]
    assert delays == {
        "device": pytest.approx(64 / 48), "vocoder": pytest.approx(523 / 48), "total": pytest.approx(587 / 48)
    }  # fmt: skip
    assert end["delay_ms"] == delays


def test_silence_for_a_while(inside: Inside) -> None:
    done = inside(
        "live", "gp", "--audio-in", "null", "--audio-out", "null", "--midi-in", "none", "--seconds", 0.2
    )
    assert done.code == 0
    assert "Answering silence on null" in done.err
    assert [line.split()[-1] for line in done.out.splitlines() if "peak" in line] == ["silence", "silence"]


@pytest.mark.parametrize(
    ("arguments", "code", "texts"),
    [
        (
            ["--audio-out", "null", "--audio-in", "Scarlet"],
            3,
            ["no input named 'Scarlet'", "rtsynth devices"],
        ),
        (["--audio-out", "null", "--audio-in", "99"], 3, ["no input with index 99"]),
        (["--audio-out", "file:x.wav"], 2, ["--audio-in file:", "--record x.wav"]),
        (["--audio-out", "file:x.wav", "--audio-in", "file:y.wav", "--record", "z.wav"], 2, ["--record"]),
        (["--audio-out", "null", "--audio-in", "file:nosuch.wav"], 5, ["nosuch.wav"]),
        (["--audio-out", "null", "--audio-in", "null", "--rate", "100"], 4, ["100 Hz", "--rate 48000"]),
        (["--bands", "0"], 2, ["0 bands", "--bands 48"]),
        (["--variance", "2"], 2, ["variance of 2"]),
        (["--variance", "nan"], 2, ["variance of nan"]),
    ],
)
def test_an_error_is_one_line_and_a_code(
    arguments: list[str],
    code: int,
    texts: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    inside: Inside,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = inside("live", "gp", *arguments)
    assert (done.code, done.out) == (code, "")
    for text in texts:
        assert text in done.complaint
    assert list(tmp_path.iterdir()) == []


def test_without_a_microphone_it_says_so_and_ends_with_3(inside: Inside) -> None:
    if os.environ.get("JACK_DEFAULT_SERVER") or Path("/dev/snd").exists():
        pytest.skip("this machine has a sound device")
    done = inside("live", "gp")
    assert done.code == 3
    assert "no microphone or other input. Hear a file: --audio-in file:x.wav" in done.complaint


def test_ctrl_c_ends_it_cleanly() -> None:
    command = [*PROGRAM, "live", "gp", "--audio-in", "null", "--audio-out", "null", "--midi-in", "none"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    try:
        assert process.stderr is not None
        while "Answering" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out.startswith("blocks")
    assert "Traceback" not in err


def test_a_jack_server_is_heard_and_answered() -> None:
    reason = jack.why_not()
    if reason is not None:
        pytest.skip(reason)
    name = f"rtsynth-live-{os.getpid()}"
    with jack.server(name):
        done = subprocess.run(
            [*PROGRAM, "live", "gp", "--midi-in", "none", "--seconds", "0.5"],
            env=environment(**jack.environment(name)),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert answering.HEADPHONES in done.stderr
    assert "Answering system on system 48000 Hz / 64 frames, device " in done.stderr
    assert " + vocoder 10.9 = " in done.stderr
    assert "input peak" in done.stdout


def test_the_number_of_bands_is_the_vocoders_own() -> None:
    import inspect

    from rtsynth.speech.live import DEFAULT_BANDS

    assert inspect.signature(live.gp).parameters["bands"].default == DEFAULT_BANDS
