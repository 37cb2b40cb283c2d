"""`rtsynth live MODEL`: a streaming network on files and the null device: the first line, the figures, the errors."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.command import PATIENCE, PROGRAM, Inside, environment, rtsynth
from tests.data import SHARED

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'rtsynth[models]'")

RATE = 48000
OFFLINE = 63  # samples that `drive` waits for the rest of a frame
GTCRN = SHARED / "weights" / "gtcrn_stream" / "gtcrn.onnx"


@pytest.fixture
def strings(tmp_path: Path) -> Path:
    """A second of decaying partials, mono."""
    time = np.arange(RATE) / RATE
    sound = sum(np.exp(-3 * time) * np.sin(2 * np.pi * f * time) for f in (196, 392, 588)) / 6
    path = tmp_path / "strings.wav"
    soundfile.write(path, sound, RATE, subtype="FLOAT")
    return path


def test_a_file_is_answered_as_the_whole_run_says(tmp_path: Path, strings: Path, inside: Inside) -> None:
    from rtsynth.inference.manifest import load_manifest
    from rtsynth.inference.model import StreamingModel
    from rtsynth.inference.offline import run_offline

    heard = soundfile.read(strings, dtype="float32")[0]
    whole = run_offline(StreamingModel(load_manifest("drive")), heard, RATE)[:, 0]
    answers = []
    for block in (64, 37):
        out = tmp_path / f"{block}.wav"
        done = inside(
            "live", "drive", "--audio-in", f"file:{strings}", "--audio-out", f"file:{out}",
            "--block", block, "--subtype", "FLOAT",
        )  # fmt: skip
        assert done.code == 0
        assert f"It answers {OFFLINE} samples (1.3 ms) after what it heard" in done.err
        answers.append(soundfile.read(out, dtype="float32")[0][:, 0])
    np.testing.assert_array_equal(answers[0], answers[1])
    played = answers[0][OFFLINE : OFFLINE + len(whole)]
    np.testing.assert_allclose(played, whole, atol=1e-5 * np.abs(whole).max())
    assert np.abs(whole).max() > 0.05


def test_in_real_time_the_first_line_is_a_sum(strings: Path) -> None:
    done = rtsynth(
        "live", "drive", "--audio-in", f"file:{strings}", "--audio-out", "null", "--midi-in", "none",
        "--block", 37,
    )  # fmt: skip
    assert done.code == 0, done.err
    about, first, *_ = done.err.splitlines()
    assert about.startswith(
        "Valve drive: 48000 Hz, frames of 64, 10 states, CPU; checked at export: chunks = whole"
    )
    assert "receptive field" in about
    assert first.startswith(
        "Answering strings.wav on null 48000 Hz / 37 frames, device 0.8 + framing 1.3 + computing "
    )
    assert " ms to the ear, MIDI: none" in first
    parts = first.split("frames, ")[1].split(" ms to the ear")[0]
    summands, total = parts.split(" = ")
    added = sum(float(part.split()[-1]) for part in summands.split(" + "))
    assert added == pytest.approx(float(total), abs=0.2)
    assert "model frames" in done.out


def test_json_tells_of_the_model(strings: Path) -> None:
    done = rtsynth(
        "live",
        "drive",
        "--audio-in",
        f"file:{strings}",
        "--audio-out",
        "null",
        "--midi-in",
        "none",
        "--json",
        "-q",
    )
    start, *statuses, end = map(json.loads, done.out.splitlines())
    assert (start["event"], start["rate"], start["block"]) == ("start", RATE, 64)
    assert sum(ms for name, ms in start["delay_ms"].items() if name != "total") == start["delay_ms"]["total"]
    model = end["model"]
    assert (model["name"], model["frame"], model["states"]) == ("drive", 64, 10)
    assert sum(model["delay_samples"].values()) == end["latency"]["samples"]
    assert model["frames"] + model["idle"] >= 740  # of a second's 750
    assert model["wall_us"]["p50"] > 0
    assert any(status["event"] == "status" and "model" in status for status in statuses)


def test_dry_is_what_was_heard_as_late(tmp_path: Path, strings: Path, inside: Inside) -> None:
    out = tmp_path / "dry.wav"
    done = inside(
        "live", "drive", "--wet", 0, "--audio-in", f"file:{strings}", "--audio-out", f"file:{out}",
        "--subtype", "FLOAT", "-q",
    )  # fmt: skip
    assert done.code == 0
    heard, dry = (soundfile.read(path, dtype="float32")[0] for path in (strings, out))
    np.testing.assert_array_equal(dry[OFFLINE : OFFLINE + len(heard), 0], heard)


@pytest.mark.skipif(not GTCRN.exists(), reason="the shared data has no gtcrn here")
def test_a_spectral_model_by_a_shipped_manifest(tmp_path: Path, strings: Path, inside: Inside) -> None:
    out = tmp_path / "x.wav"
    done = inside(
        "live", GTCRN, "--manifest", "gtcrn", "--audio-in", f"file:{strings}", "--audio-out", f"file:{out}", "--json",
        "-q",
    )  # fmt: skip
    assert done.code == 0
    told = json.loads(done.out)
    assert told["model"]["delay_samples"] == {"framing": 767, "computing": 0, "resampling": 309, "model": 768}
    assert told["latency"]["samples"] == 1844


@pytest.mark.parametrize(
    ("arguments", "code", "texts"),
    [
        (["nosuch"], 5, ["no model named 'nosuch'", "drive"]),
        (["nosuch.onnx"], 5, ["nosuch.onnx"]),
        (["gtcrn"], 5, ["gtcrn.onnx is not there", "rtsynth live path/to/gtcrn.onnx --manifest gtcrn"]),
        (["broken.onnx"], 5, ["broken.onnx", "damaged"]),
        (["drive", "--wet", "1.5"], 2, ["1.5"]),
        (["drive", "--ahead-ms", "-1"], 2, ["-1 ms ahead"]),
        (["drive", "--policy", "loud"], 2, ["loud"]),
        (["drive", "--manifest", "nosuch.toml"], 5, ["nosuch.toml"]),
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
    Path("broken.onnx").write_bytes(b"\x08\x07broken")
    done = inside("live", *arguments, "--audio-in", "null", "--audio-out", "null", "--midi-in", "none")
    assert (done.code, done.out) == (code, "")
    for text in texts:
        assert text in done.complaint


def test_ctrl_c_ends_the_audio_and_the_process_of_the_model(tmp_path: Path) -> None:
    """A terminal sends it to both; it is the audio that ends the model, after its fade."""
    command = [*PROGRAM, "live", "drive", "--audio-in", "null", "--audio-out", "null", "--midi-in", "none"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    try:
        assert process.stderr is not None
        while "Answering" not in process.stderr.readline():
            assert process.poll() is None
        workers = children(process.pid)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out.startswith("blocks")
    assert "Traceback" not in err
    assert len(workers) == 1
    deadline = time.monotonic() + 10
    while Path(f"/proc/{workers[0]}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{workers[0]}").exists()


def children(pid: int) -> list[int]:
    """Process ids of a process's children."""
    if shutil.which("pgrep") is None:
        pytest.skip("no pgrep here")
    done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in done.stdout.split()]
