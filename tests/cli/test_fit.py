"""`rtsynth fit`: a recorded note becomes a preset that plays, and a page that shows it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import rtsynth
from tests.cli.command import Inside
from tests.data import shared_files

RATE = 22050
PARTIALS = ((220.0, 0.2, 2.0), (440.3, 0.1, 3.0), (661.0, 0.05, 4.0), (882.5, 0.03, 5.0))  # hertz, level, 1/s


def struck(ratio: float = 1.0, level: float = 1.0, seconds: float = 1.2) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    ringing = sum(a * np.exp(-d * t) * np.sin(2 * np.pi * f * ratio * t) for f, a, d in PARTIALS)
    knock = 0.02 * np.exp(-60.0 * t) * np.random.default_rng(1).standard_normal(t.size)
    return np.concatenate([np.zeros(1000), level * (ringing + knock)])


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "note.wav"
    soundfile.write(path, struck(), RATE, subtype="PCM_24")
    return path


def loudest_hertz(preset: str, key: int) -> float:
    sound = rtsynth.render(preset, [(0.0, key, 1.0, 1.0)], seconds=1.0, sample_rate=RATE)[:, 0]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(sound.size), 8 * sound.size))
    return float(spectrum.argmax() * RATE / (8 * sound.size))


def test_one_note_becomes_an_instrument_and_a_page(recording: Path, tmp_path: Path, inside: Inside) -> None:
    out, page = tmp_path / "my.toml", tmp_path / "my.html"
    done = inside("fit", recording, "-o", out, "--report", page, "--licence", "CC0", "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["path"] == str(out)
    (note,) = result["notes"]
    assert note["key"] == pytest.approx(57.0, abs=0.1)
    assert note["env"] < 1.5
    preset = rtsynth.load_preset(out)
    assert (preset.name, preset.licence) == ("my", "CC0")
    assert loudest_hertz(str(out), 57) == pytest.approx(220.0, rel=1e-3)
    assert loudest_hertz(str(out), 64) == pytest.approx(220.0 * 2 ** (7 / 12), rel=1e-3)
    html = page.read_text(encoding="utf-8")
    assert html.count("<audio") == 3
    assert html.count("data:audio/flac;base64,") == 3
    assert "http-equiv" not in html
    assert 'src="http' not in html
    assert "440.3" in html


def test_several_keys_predict_those_between(tmp_path: Path, inside: Inside) -> None:
    paths = []
    for key in (57, 64):
        paths.append(tmp_path / f"{key}.wav")
        soundfile.write(paths[-1], struck(2.0 ** ((key - 57) / 12), seconds=0.8), RATE, subtype="FLOAT")
    out = tmp_path / "two.toml"
    done = inside("fit", *paths, "-o", out, "--keys", "57,64", "-q")
    assert (done.code, done.err) == (0, "")
    assert loudest_hertz(str(out), 60) == pytest.approx(220.0 * 2 ** (3 / 12), rel=2e-3)


def test_a_folder_that_is_not_there_is_one_line(recording: Path, tmp_path: Path, inside: Inside) -> None:
    done = inside("fit", recording, "-o", tmp_path / "nowhere" / "my.toml")
    assert done.code == 5
    assert "mkdir -p" in done.err
    assert len(done.err.splitlines()) == 1


def test_what_exists_is_kept_without_force(recording: Path, tmp_path: Path, inside: Inside) -> None:
    out = tmp_path / "my.toml"
    out.write_text("mine")
    done = inside("fit", recording, "-o", out)
    assert done.code == 2
    assert "-f" in done.err
    assert out.read_text() == "mine"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("-o", "my.wav"), "a preset is a .toml file"),
        (("-o", "my.toml", "--keys", "a"), "numbers with commas"),
        (("-o", "my.toml", "--keys", "60,61"), "one each"),
        (("-o", "my.toml", "--velocities", "2"), "at most 1"),
        (("-o", "my.toml", "--scatter", "2"), "--scatter"),
    ],
)
def test_wrong_flags_are_one_line(
    flags: tuple[str, ...],
    says: str,
    recording: Path,
    tmp_path: Path,
    inside: Inside,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = inside("fit", recording, *flags)
    assert done.code == 2
    assert says in done.err
    assert len(done.err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["note.wav"]


BAD = {
    "silent": np.zeros(RATE),
    "ten milliseconds": struck()[1000 : 1000 + RATE // 100],
    "not a number": np.where(np.arange(RATE) == 5000, np.nan, struck()[:RATE]),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_fitted_is_one_line(name: str, tmp_path: Path, inside: Inside) -> None:
    path, out = tmp_path / "bad.wav", tmp_path / "my.toml"
    soundfile.write(path, BAD[name], RATE, subtype="FLOAT")
    done = inside("fit", path, "-o", out)
    assert done.code == 5
    assert len(done.err.splitlines()) == 1
    assert not out.exists()


ODD = {
    "clipped": np.clip(4.0 * struck(), -1.0, 1.0),
    "three channels": np.stack([0.1 * struck(), struck(), 0.2 * struck()], axis=1),
}


@pytest.mark.parametrize("name", [*ODD, "8 bit"])
def test_odd_recordings_are_fitted(name: str, tmp_path: Path, inside: Inside) -> None:
    path, out = tmp_path / "odd.wav", tmp_path / "my.toml"
    if name == "8 bit":
        soundfile.write(path, struck(), RATE, subtype="PCM_U8")
    else:
        soundfile.write(path, ODD[name], RATE, subtype="PCM_16")
    done = inside("fit", path, "-o", out)
    assert done.code == 0, done.err
    assert loudest_hertz(str(out), 57) == pytest.approx(220.0, rel=2e-3)


@pytest.mark.parametrize("path", shared_files("wav_odd", "*.wav"), ids=lambda path: path.name)
def test_every_odd_file_is_fitted_or_one_line(path: Path, tmp_path: Path, inside: Inside) -> None:
    out = tmp_path / "my.toml"
    done = inside("fit", path, "-o", out, "-q")
    errors = [line for line in done.err.splitlines() if "warning:" not in line]
    assert (done.code, len(errors)) in {(0, 0), (5, 1)}
    assert out.exists() == (done.code == 0)
