"""`rtsynth report`: from a recording to its page, by the encoders and the decoder that ship."""

from __future__ import annotations

import builtins
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from rtsynth.codec.event import retarget
from rtsynth.codec.live import MARK, NUMBERS
from rtsynth.codec.storage import EventFile, write_events
from tests.cli.browser import Page, browsing
from tests.cli.command import Inside
from tests.cli.sketch import notes, speech
from tests.inference import networks

pytest.importorskip("jinja2")
pytest.importorskip("sklearn")

RATE = 16000
SECONDS = 1.2


def buzz(rate: int = RATE, seconds: float = SECONDS) -> np.ndarray:
    """A voice of sorts: harmonics of a gliding fundamental, in two syllables."""
    now = np.arange(round(seconds * rate)) / rate
    phase = 2.0 * np.pi * (140.0 * now + 30.0 * now**2)
    tone = sum(np.sin(h * phase) / h for h in range(1, 20))
    return 0.2 * tone * np.sin(np.pi * np.minimum(1.0, 2.0 * now / seconds % 1.0)) ** 2


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "in.wav"
    soundfile.write(path, buzz(), RATE)
    return path


def data_of(page: Path) -> dict[str, Any]:
    """What the page's script reads."""
    found = re.search(
        r'<script id="data" type="application/json">(.*?)</script>', page.read_text(encoding="utf-8")
    )
    assert found
    return json.loads(found[1])


def test_a_recording_becomes_a_page_that_plays(recording: Path, tmp_path: Path, inside: Inside) -> None:
    out = tmp_path / "page.html"
    done = inside("report", recording, "-o", out, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["path"] == str(out)
    assert told["kinds"]["retarget"] == told["events"] > 10
    assert told["codings"] == ["file-59"]
    data = data_of(out)
    assert len(data["events"]["time"]) == told["events"]
    assert data["seconds"] == SECONDS
    voiced = [
        f for f, noise in zip(data["events"]["hertz"], data["events"]["noise"], strict=True) if noise < 0.5
    ]
    assert all(100.0 < f < 260.0 for f in voiced)
    with browsing(tmp_path / "profile") as browser:
        page = Page(browser)
        page.open(out)
        page.until("byId('movie-said').textContent")
        page.click("#map [data-event='3']")
        page.until("piece !== null || byId('said').textContent")
        assert page.complaints() == []
        assert page.requests() == []


def test_struck_sound_by_strikes(tmp_path: Path, inside: Inside) -> None:
    now = np.arange(RATE) / RATE
    ring = 0.3 * np.sin(2 * np.pi * 500 * now) * np.exp(-8 * now) * (now > 0.2)
    soundfile.write(tmp_path / "note.wav", ring, RATE)
    done = inside("report", tmp_path / "note.wav", "-o", tmp_path / "p.html", "--scheme", "strike", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["kinds"]["strike"] == told["events"] >= 1
    data = data_of(tmp_path / "p.html")
    assert any(abs(f - 500.0) < 5.0 for f in data["events"]["hertz"])
    assert data["movie"]["residual"][-1] < -10.0
    assert data["stream"]["sound"] == "decoded"  # the live encoder is of speech


def test_only_the_beginning_of_a_long_recording(recording: Path, tmp_path: Path, inside: Inside) -> None:
    out = tmp_path / "page.html"
    assert inside("report", recording, "-o", out, "--seconds", 0.5).code == 0
    assert data_of(out)["seconds"] == 0.5
    assert "Only the first 0.5 s of the recording." in out.read_text(encoding="utf-8")
    assert inside("report", recording, "-o", out, "-f").code == 0
    assert "Only the first" not in out.read_text(encoding="utf-8")


def test_a_stereo_recording_at_96_khz(tmp_path: Path, inside: Inside) -> None:
    sound = buzz(96000, 0.5)
    soundfile.write(tmp_path / "in.wav", np.stack([sound, 0.5 * sound], axis=1), 96000)
    done = inside("report", tmp_path / "in.wav", "-o", tmp_path / "page.html", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["rate"] == 48000
    assert data_of(tmp_path / "page.html")["seconds"] == 0.5


@pytest.mark.parametrize("samples", [1, 160, 8000])
def test_silence_and_next_to_nothing(tmp_path: Path, inside: Inside, samples: int) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros(samples), RATE)
    assert inside("report", tmp_path / "in.wav", "-o", tmp_path / "page.html").code == 0


# ---- events of a file ----


def test_events_of_a_file_are_shown(recording: Path, tmp_path: Path, inside: Inside) -> None:
    events = np.concatenate([speech(SECONDS), notes(SECONDS, 2)])
    events = events[np.argsort(events["time"], kind="stable")]
    write_events(tmp_path / "in.events", EventFile(events, RATE, round(SECONDS * RATE)), "float")
    out = tmp_path / "page.html"
    done = inside("report", recording, "-o", out, "--events", tmp_path / "in.events", "--json")
    assert done.code == 0, done.err
    assert data_of(out)["events"]["time"] == pytest.approx(events["time"] * 0.004, abs=1e-4)
    assert json.loads(done.out)["bits_per_event"] == pytest.approx(8 * 140, abs=1)


def test_events_of_another_recording_are_refused(recording: Path, tmp_path: Path, inside: Inside) -> None:
    write_events(tmp_path / "other.events", EventFile(speech(2.0), RATE, 2 * RATE), "float")
    done = inside("report", recording, "-o", tmp_path / "p.html", "--events", tmp_path / "other.events")
    assert done.code == 5
    assert "2.00 s" in done.complaint
    assert not (tmp_path / "p.html").exists()


def test_a_file_that_holds_no_events_is_refused(recording: Path, tmp_path: Path, inside: Inside) -> None:
    (tmp_path / "in.events").write_bytes(b"not events")
    done = inside("report", recording, "-o", tmp_path / "p.html", "--events", tmp_path / "in.events")
    assert done.code == 5
    assert "rtsynth codec encode" in done.complaint


# ---- a live encoder ----

FRAME, DELAY = 384, 16  # samples at 16 kHz


def live_model(folder: Path, *, answers: str = "records") -> Path:
    """A network that answers each frame with the same event, a voice at 220 Hz."""
    pytest.importorskip("onnx")
    record = np.zeros((1, FRAME), np.float32)
    voice = retarget(0, 6.0, np.log(220.0), np.full(24, -4.0), np.full(5, -4.0))
    record[0, :NUMBERS] = [MARK, voice.gain, *voice.vector, MARK]
    nodes = [networks.node("Mul", "x nothing", "silent"), networks.node("Add", "silent record", "y")]
    ports = [("x", (1, FRAME))], [("y", (1, FRAME))]
    weights = {"nothing": np.zeros((1, FRAME), np.float32), "record": record}
    networks.save(folder / "same.onnx", nodes, *ports, weights)
    (folder / "same.toml").write_text(
        f'schema = 1\nname = "same"\nfile = "same.onnx"\nsample_rate = {RATE}.0\nframe = {FRAME}\n'
        f'latency = {DELAY}\nanswers = "{answers}"\n'
    )
    return folder / "same.onnx"


def test_the_stream_is_a_live_encoders_if_one_is_named(
    recording: Path, tmp_path: Path, inside: Inside
) -> None:
    pytest.importorskip("onnxruntime")
    out = tmp_path / "page.html"
    done = inside("report", recording, "-o", out, "--live", live_model(tmp_path), "--json")
    assert done.code == 0, done.err
    stream = data_of(out)["stream"]
    assert stream["latency"] == (FRAME + DELAY) / RATE
    assert stream["sound"] == "live"
    assert stream["times"] == pytest.approx(0.024 * np.arange(SECONDS / 0.024))
    assert stream["hertz"] == pytest.approx([220.0] * len(stream["times"]), abs=0.1)
    assert "and knows the 25 ms that follow" in out.read_text(encoding="utf-8")


def test_speech_streams_by_the_shipped_encoder_unless_none_is_asked_for(
    recording: Path, tmp_path: Path, inside: Inside
) -> None:
    pytest.importorskip("onnxruntime")
    out, streams = tmp_path / "page.html", []
    for flags in ([], ["--live", "none"]):
        assert inside("report", recording, "-o", out, "-f", *flags).code == 0
        streams.append(data_of(out)["stream"])
    assert [stream["sound"] for stream in streams] == ["live", "decoded"]
    assert streams[0]["latency"] == 0.025
    assert streams[0]["times"] == pytest.approx(0.024 * np.arange(SECONDS / 0.024))
    assert streams[1]["latency"] == 0.0


# ---- the published scheme ----


def test_the_published_schemes_events_are_a_page_and_their_sum_is_the_sound(
    recording: Path, tmp_path: Path, inside: Inside
) -> None:
    """Encoded here, and from a file: the same page but for who made the events."""
    pytest.importorskip("onnxruntime")
    pages = tmp_path / "a.html", tmp_path / "b.html"
    done = inside("report", recording, "-o", pages[0], "--scheme", "article", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["codings"], told["rate"]) == (["code-4"], 16000)
    assert told["kinds"]["code"] == told["events"] > 5
    text = pages[0].read_text(encoding="utf-8")
    apart = re.search(r"sum of the events alone against all decoded.*?(-\d+) dB", text, re.DOTALL)
    assert apart
    assert int(apart[1]) < -90
    data = data_of(pages[0])
    assert data["stream"]["sound"] == "decoded"
    assert data["movie"]["residual"][-1] < data["movie"]["residual"][0]
    events = tmp_path / "in.events"
    assert inside("codec", "encode", recording, "-o", events, "--scheme", "article").code == 0
    assert inside("report", recording, "-o", pages[1], "--events", events).code == 0
    assert data_of(pages[1]) == data


def test_a_model_of_another_kind_is_refused(recording: Path, tmp_path: Path, inside: Inside) -> None:
    pytest.importorskip("onnxruntime")
    model = live_model(tmp_path, answers="sound")
    done = inside("report", recording, "-o", tmp_path / "page.html", "--live", model)
    assert done.code == 5
    assert "does not answer with events" in done.complaint


# ---- errors ----


def test_a_page_that_is_there_is_not_overwritten(recording: Path, tmp_path: Path, inside: Inside) -> None:
    out = tmp_path / "page.html"
    out.write_text("mine")
    done = inside("report", recording, "-o", out)
    assert done.code == 2
    assert "-f" in done.complaint
    assert out.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--seconds", "0"], 2, "--seconds"),
        (["--seed", "-1"], 2, "--seed"),
        (["--coding", "mp3"], 2, "file-59"),
        (["--events-per-second", "1000"], 2, "events a second"),
        (["--scheme", "sing"], 2, "scheme"),
        (["--events", "nosuch.events"], 5, "nosuch.events"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    recording: Path, tmp_path: Path, inside: Inside, arguments: list[str], code: int, text: str
) -> None:
    done = inside("report", recording, "-o", tmp_path / "page.html", *arguments)
    assert done.code == code
    assert text in done.complaint
    assert not (tmp_path / "page.html").exists()


def test_too_many_events_for_a_page_name_what_fits(
    recording: Path, tmp_path: Path, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtsynth.cli.report.MOST_EVENTS", 10)
    done = inside("report", recording, "-o", tmp_path / "page.html")
    assert done.code == 2
    assert "--seconds" in done.complaint


@pytest.mark.parametrize("missing", ["jinja2", "sklearn"])
def test_a_missing_extra_is_named(
    recording: Path, tmp_path: Path, inside: Inside, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    found = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == missing:
            raise ImportError(f"no {missing}", name=missing)
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    done = inside("report", recording, "-o", tmp_path / "page.html")
    assert done.code == 1
    assert f"no {missing}: pip install 'rtsynth[report]'" in done.complaint
