"""`rtsynth codec`: a voice to events, a file, figures, notes, and back to sound; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsynth.codec.event import Kind, as_events, as_list
from rtsynth.codec.storage import EventFile, read_events, write_events
from rtsynth.io.midi_files import read_midi
from rtsynth.messages import Kind as MessageKind
from tests.cli.command import Inside, rtsynth
from tests.codec.made import spoken

RATE = 22050


def voice(seconds: float = 1.5, rate: int = RATE) -> np.ndarray:
    """A buzz under two formants that rises from 110 to 150 Hz and pauses in the middle."""
    time = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(110.0 + 40.0 * time / seconds) / rate
    level = [
        np.exp(-(((130.0 * h - 500.0) / 400.0) ** 2)) + 0.2 * np.exp(-(((130.0 * h - 1800.0) / 500.0) ** 2))
        for h in range(1, 25)
    ]
    sound = sum(a * np.cos(h * phase + h * h) for h, a in enumerate(level, 1))
    return 0.1 * sound * (np.abs(time - 0.5 * seconds) > 0.1) + 1e-4 * np.random.default_rng(
        1
    ).standard_normal(time.size)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("codec") / "in.wav"
    soundfile.write(path, voice(), RATE)
    return path


@pytest.fixture(scope="module")
def encoded(recording: Path) -> Path:
    path = recording.with_name("in.events")
    done = rtsynth("codec", "encode", recording, "-o", path)
    assert (done.code, done.out) == (0, f"{path}\n")
    assert "kb/s" in done.err
    return path


def test_a_voice_comes_back_at_its_pitch_and_length(tmp_path: Path, encoded: Path, inside: Inside) -> None:
    out = tmp_path / "out.wav"
    done = inside("codec", "decode", encoded, "-o", out)
    assert (done.code, done.out) == (0, f"{out}\n")
    sound, rate = soundfile.read(out)
    assert (rate, len(sound)) == (RATE, round(1.5 * RATE))
    begin = sound[round(0.1 * RATE) : round(0.3 * RATE), 0]
    spectrum = np.abs(np.fft.rfft(begin * np.hanning(begin.size), 1 << 16))
    autocorrelation = np.fft.irfft(spectrum**2)
    lags = np.arange(RATE // 300, RATE // 60)
    assert RATE / lags[autocorrelation[lags].argmax()] == pytest.approx(115.0, rel=0.04)
    rms = [np.std(x[round(0.1 * RATE) : round(0.6 * RATE)]) for x in (sound[:, 0], voice())]
    assert 0.5 < rms[0] / rms[1] < 2.0
    assert np.std(sound[round(0.72 * RATE) : round(0.78 * RATE), 0]) < 0.2 * rms[0]  # the pause


def test_rate_seed_and_length_are_the_users(tmp_path: Path, encoded: Path, inside: Inside) -> None:
    def drawn(*flags: object) -> np.ndarray:
        assert inside("codec", "decode", encoded, "-o", tmp_path / "x.wav", "-f", "-q", *flags).code == 0
        return soundfile.read(tmp_path / "x.wav")[0]

    whole = drawn("--seconds", 0.3)
    assert len(whole) == round(0.3 * RATE)
    np.testing.assert_array_equal(drawn("--seconds", 0.3, "--block", 17), whole)
    assert not np.array_equal(drawn("--seconds", 0.3, "--seed", 2), whole)
    assert len(drawn("--rate", 48000, "--seconds", 0.2)) == 9600
    np.testing.assert_allclose(drawn("--seconds", 0.3, "--gain-db", -20), 0.1 * whole, atol=1e-4)


def test_bits_and_events_are_as_many_as_asked_for(tmp_path: Path, recording: Path, inside: Inside) -> None:
    told = []
    for flags in (
        ["--events-per-second", 10],
        ["--rate-kbps", 1.8],
        ["--rate-kbps", 1.8, "--coding", "file-49"],
    ):
        done = inside("codec", "encode", recording, "-o", tmp_path / "x.events", "-f", "--json", "-q", *flags)
        told.append(json.loads(done.out))
        assert told[-1]["bytes"] == (tmp_path / "x.events").stat().st_size
    assert told[0]["events_per_second"] <= 10.0
    assert told[1]["bits_per_second"] <= 1820
    assert told[2]["bits_per_second"] <= 1820
    assert told[0]["events"] < told[1]["events"] <= told[2]["events"]
    assert [t["codings"] for t in told] == [["file-59"], ["file-59"], ["file-49"]]


def test_float_is_what_the_encoder_made(tmp_path: Path, recording: Path, inside: Inside) -> None:
    from rtsynth.codec.encoder import encode

    inside("codec", "encode", recording, "-o", tmp_path / "x.events", "--coding", "float", "-q")
    samples, rate = soundfile.read(recording)
    np.testing.assert_array_equal(read_events(tmp_path / "x.events").events, encode(samples, rate))


def test_info_is_figures_and_a_table(encoded: Path, inside: Inside) -> None:
    done = inside("codec", "info", encoded)
    lines = done.out.splitlines()
    file = read_events(encoded)
    assert done.code == 0
    assert lines[0].startswith("length     1.500 s, from 22050 Hz")
    assert len(lines) == 5 + 1 + 1 + len(file.events)
    assert len(inside("codec", "info", encoded, "-q").out.splitlines()) == 5
    told = json.loads(inside("codec", "info", encoded, "--json").out)
    assert told["events"] == len(file.events) == len(told["table"])
    assert told["bits_per_second"] == pytest.approx(8 * file.payload / 1.5)


def test_notes_are_written_beside(tmp_path: Path, encoded: Path, recording: Path, inside: Inside) -> None:
    midi = tmp_path / "x.mid"
    done = inside("codec", "info", encoded, "--midi", midi, "-q")
    assert done.code == 0
    piece = read_midi(midi)
    on = piece.messages["kind"] == MessageKind.NOTE_ON
    times, numbers = piece.times[on], piece.messages["number"][on]
    assert times[0] < 0.1
    assert numbers[0] == 45  # 110 Hz
    assert np.abs(times - 0.85).min() < 0.05  # after the pause
    assert numbers[-1] in (49, 50)  # 150 Hz
    assert (np.diff(numbers) >= 0).all()
    assert inside("codec", "info", encoded, "--midi", midi).code == 2
    assert (
        inside("codec", "encode", recording, "-o", tmp_path / "y.events", "--midi", midi, "-f", "-q").code
        == 0
    )


def plucked() -> np.ndarray:
    """Two damped notes of five partials, (32000,) at 16 kHz."""
    time = np.arange(16000) / 16000
    notes = [
        sum(np.cos(2 * np.pi * f * h * time) * np.exp(-(4 + h) * time) / h for h in range(1, 6))
        for f in (220, 330)
    ]
    return 0.2 * np.concatenate(notes)


def test_what_is_plucked_becomes_strikes(tmp_path: Path, inside: Inside) -> None:
    soundfile.write(tmp_path / "x.wav", plucked(), 16000)
    told = {}
    for scheme in ("auto", "strike", "retarget"):
        out = tmp_path / f"{scheme}.events"
        done = inside("codec", "encode", tmp_path / "x.wav", "-o", out, "--scheme", scheme, "--json", "-q")
        told[scheme] = json.loads(done.out)
    assert told["auto"]["kinds"] == told["strike"]["kinds"]
    assert told["auto"]["kinds"]["strike"] >= 2
    assert told["auto"]["scheme"] == "strike"
    assert told["retarget"]["kinds"]["strike"] == 0
    midi, wav = tmp_path / "x.mid", tmp_path / "y.wav"
    assert inside("codec", "info", tmp_path / "auto.events", "--midi", midi, "-q").code == 0
    piece = read_midi(midi)
    numbers = piece.messages["number"][piece.messages["kind"] == MessageKind.NOTE_ON]
    assert numbers.tolist() == [57, 64]  # 220, 330 Hz
    assert inside("codec", "decode", tmp_path / "auto.events", "-o", wav, "-q").code == 0
    back = soundfile.read(wav)[0][:, 0]
    spectra = [np.abs(np.fft.rfft(x[200:14000] * np.hanning(13800))) for x in (back, plucked())]
    assert abs(int(spectra[0].argmax()) - int(spectra[1].argmax())) <= 1


def test_too_loud_is_said_with_the_remedy(tmp_path: Path, inside: Inside) -> None:
    events = spoken(20)
    events["gain"] += 6.0
    write_events(tmp_path / "x.events", EventFile(events, 16000, 16000))
    done = inside("codec", "decode", tmp_path / "x.events", "-o", tmp_path / "x.wav", "-q")
    assert done.code == 0
    assert "--gain-db" in done.err
    soundfile.write(tmp_path / "in.wav", np.clip(30 * voice(0.5), -1, 1), RATE)
    done = inside("codec", "encode", tmp_path / "in.wav", "-o", tmp_path / "y.events", "-q")
    assert done.code == 0
    assert "clipped" in done.err


def test_what_is_refused_leaves_nothing_behind(
    tmp_path: Path, recording: Path, encoded: Path, inside: Inside
) -> None:
    (tmp_path / "bad.events").write_bytes(encoded.read_bytes()[:-7])
    (tmp_path / "text.wav").write_text("hello")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    events = as_events(as_list(spoken(2)))
    events["kind"] = Kind.CODE
    write_events(tmp_path / "code.events", EventFile(events, 16000, 16000, "article"))
    new = tmp_path / "new.events"
    for arguments, code, text in [
        (("encode", recording, "-o", tmp_path / "x.wav"), 2, ".events"),
        (("encode", recording, "-o", encoded), 2, "-f"),
        (("encode", tmp_path / "none.wav", "-o", new), 5, "No such file"),
        (("encode", tmp_path / "text.wav", "-o", new), 5, "as audio"),
        (("encode", tmp_path / "empty.wav", "-o", new), 5, "no samples"),
        (("encode", recording, "-o", new, "--rate-kbps", 0.1), 2, "events a second"),
        (("encode", recording, "-o", new, "--rate-kbps", "nan"), 2, "events a second"),
        (("encode", recording, "-o", new, "--rate-kbps", 2, "--events-per-second", 20), 2, "leave one"),
        (("encode", recording, "-o", new, "--rate-kbps", 2, "--coding", "float"), 2, "float"),
        (("encode", recording, "-o", new, "--coding", "mp3"), 2, "file-59"),
        (("encode", recording, "-o", new, "--scheme", "strike", "--refine"), 2, "--refine"),
        (("encode", recording, "-o", new, "--scheduler", "tcp://x:1"), 2, "folder"),
        (("encode", recording, "-o", new, "--midi", tmp_path / "x.wav"), 2, ".mid"),
        (("decode", tmp_path / "bad.events", "-o", tmp_path / "y.wav"), 5, "checksum"),
        (("decode", recording, "-o", tmp_path / "y.wav"), 5, "no events"),
        (("decode", encoded, "-o", tmp_path / "y.xyz"), 2, "suffix"),
        (("decode", tmp_path / "code.events", "-o", tmp_path / "y.wav"), 5, "article"),
        (("info", tmp_path / "none.events"), 5, "No such file"),
    ]:
        done = inside("codec", *arguments)
        assert (done.code, text in done.complaint) == (code, True), (arguments, done)
    assert {p.name for p in tmp_path.iterdir()} == {"bad.events", "text.wav", "empty.wav", "code.events"}


def test_odd_sounds_give_an_answer(tmp_path: Path, inside: Inside) -> None:
    """Silence, DC, a full-scale square, a tenth of a second, noise in stereo at 96 kHz: events, and a sound as long."""
    rng = np.random.default_rng(1)
    sounds = {
        "silence": (np.zeros(16000), 16000),
        "dc": (np.full(16000, 0.5), 16000),
        "square": (np.sign(np.sin(2 * np.pi * 100 * np.arange(22050) / 22050 + 0.1)), 22050),
        "short": (voice(0.1), RATE),
        "one": (np.array([0.1]), 16000),
        "stereo": (0.1 * rng.standard_normal((48000, 2)), 96000),
    }
    for name, (sound, rate) in sounds.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, sound, rate)
        events, out = path.with_suffix(".events"), tmp_path / f"{name}-out.wav"
        assert inside("codec", "encode", path, "-o", events, "-q").code == 0, name
        assert inside("codec", "decode", events, "-o", out, "-q").code == 0, name
        back, _ = soundfile.read(out)
        assert len(back) == len(sound), name
        assert np.isfinite(back).all()
        if name in ("silence", "dc", "one"):
            assert np.abs(back).max() < 1e-3


def test_refining_moves_what_is_said_and_not_when(tmp_path: Path, inside: Inside) -> None:
    pytest.importorskip("torch", reason="no torch here: pip install 'rtsynth[train]'")
    soundfile.write(tmp_path / "x.wav", voice(0.15), RATE)
    made = {}
    for name, flags in (("plain", []), ("refined", ["--refine"])):
        out = tmp_path / f"{name}.events"
        done = inside("codec", "encode", tmp_path / "x.wav", "-o", out, "--scheme", "retarget", "-q", *flags)
        assert done.code == 0
        made[name] = read_events(out).events
    assert (made["plain"]["time"] == made["refined"]["time"]).all()
    assert not np.array_equal(made["plain"]["vector"], made["refined"]["vector"])


def test_the_published_scheme_encodes_and_decodes(tmp_path: Path, recording: Path, inside: Inside) -> None:
    """By the small model that ships: what it plays is the sum of its events, and takes energy from the sound."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'rtsynth[models]'")
    from rtsynth.codec.article import ArticleCodec, shipped

    events, out = tmp_path / "a.events", tmp_path / "a.wav"
    assert inside("codec", "encode", recording, "--scheme", "article", "-o", events, "-q").code == 0
    file = read_events(events)
    assert file.scheme == "article"
    assert set(file.events["kind"]) == {Kind.CODE}
    assert inside("codec", "decode", events, "-o", out, "--rate", 16000, "--subtype", "FLOAT", "-q").code == 0
    played, rate = soundfile.read(out)
    assert (rate, len(played)) == (16000, 24000)
    codec = ArticleCodec.load(shipped())
    parts = sum(codec.decode(file.events[k : k + 1], 24000) for k in range(len(file.events)))
    np.testing.assert_allclose(played[:, 0], parts, atol=1e-5)
    for flags in (["--rate-kbps", "2"], ["--refine"]):
        done = inside(
            "codec", "encode", recording, "--scheme", "article", "-o", tmp_path / "b.events", *flags
        )
        assert done.code == 2
