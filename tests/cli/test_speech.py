"""`rtsynth speech fit` and `speech render`: from a recording to a draw in every mode, the page, what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.command import Inside, rtsynth
from tests.speech.recordings import RATE, voice

FIT = ("--bands", 16, "--harmonics", 8, "--hop-ms", 10)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speech") / "in.wav"
    soundfile.write(path, voice(), round(RATE))
    return path


@pytest.fixture(scope="module")
def model(recording: Path) -> Path:
    path = recording.with_name("in.speech.npz")
    done = rtsynth("speech", "fit", recording, "-o", path, *FIT)
    assert (done.code, done.out) == (0, f"{path}\n")
    assert "blocks of" in done.err
    return path


@pytest.mark.parametrize("mode", ["zero-ended", "conditioned", "state-space"])
def test_every_mode_draws_the_recordings_length_and_repeats(
    tmp_path: Path, model: Path, inside: Inside, mode: str
) -> None:
    for name in ("a.wav", "b.wav"):
        done = inside("speech", "render", model, "-o", tmp_path / name, "--mode", mode, "--seed", 3)
        assert (done.code, done.out) == (0, f"{tmp_path / name}\n")
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    sound, rate = soundfile.read(tmp_path / "a.wav")
    assert (rate, sound.shape) == (RATE, (voice().size, 2))
    assert np.std(sound[:, 0]) > 0.3 * np.std(voice())
    if mode != "conditioned":  # which may overshoot where one block's kernel continues another's sound
        assert np.std(sound[:, 0]) < 3 * np.std(voice())


def test_blocks_do_not_show_and_seeds_do(tmp_path: Path, model: Path, inside: Inside) -> None:
    def drawn(*flags: object) -> bytes:
        assert inside("speech", "render", model, "-o", tmp_path / "x.wav", "-f", "-q", *flags).code == 0
        return soundfile.read(tmp_path / "x.wav")[0].tobytes()

    whole = drawn()
    assert drawn("--block", 17) == whole
    assert drawn("--block", 1024) == whole
    assert drawn("--seed", 2) != whole


def test_kept_whole_it_is_the_recording(tmp_path: Path, model: Path, inside: Inside) -> None:
    done = inside("speech", "render", model, "-o", tmp_path / "x.wav", "--keep", 1, "--json", "-q")
    told = json.loads(done.out)
    assert told["keep"] == 1.0
    sound = soundfile.read(told["path"])[0][:, 0]
    assert np.sum((sound - voice()) ** 2) < 0.01 * np.sum(voice() ** 2)


def test_rate_length_gain_and_format(tmp_path: Path, model: Path, inside: Inside) -> None:
    flags = ["--rate", 48000, "--seconds", 0.25, "--gain-db", -6, "--subtype", "PCM_16", "-q"]
    assert inside("speech", "render", model, "-o", tmp_path / "x.flac", *flags).code == 0
    info = soundfile.info(tmp_path / "x.flac")
    assert (info.samplerate, info.frames, info.subtype) == (48000, 12000, "PCM_16")


def test_a_clipped_recording_in_three_channels_is_fitted_with_a_warning(
    tmp_path: Path, inside: Inside
) -> None:
    loud = np.clip(30 * voice(), -1, 1)
    soundfile.write(tmp_path / "x.flac", np.column_stack([loud] * 3), round(RATE))
    done = inside(
        "speech", "fit", tmp_path / "x.flac", "-o", tmp_path / "x.npz", *FIT, "--forget", "--json", "-q"
    )
    assert done.code == 0
    assert "full scale" in done.err
    told = json.loads(done.out)
    assert told["rows"] == 8 + 16 + 1
    assert told["bytes"] == (tmp_path / "x.npz").stat().st_size
    done = inside("speech", "render", tmp_path / "x.npz", "-o", tmp_path / "y.wav", "--keep", 0.5)
    assert done.code == 5
    assert "--keep" in done.complaint


def test_what_cannot_be_fitted(tmp_path: Path, recording: Path, inside: Inside) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(16000), 16000)
    soundfile.write(tmp_path / "nan.wav", np.full(16000, np.nan), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "short.wav", voice()[:100], 16000)
    (tmp_path / "text.wav").write_text("hello")
    for name, text in [
        ("silent.wav", "silent"),
        ("nan.wav", "not numbers"),
        ("short.wav", "two blocks"),
        ("text.wav", "as audio"),
        ("nosuch.wav", "No such file"),
    ]:
        done = inside("speech", "fit", tmp_path / name, "-o", tmp_path / "x.npz")
        assert done.code == 5
        assert text in done.complaint
    for flags, text in [(("--hop-ms", 0), "--hop-ms"), (("--bands", "x"), "bands"), ((), "-o")]:
        target = tmp_path / ("x.npz" if flags else "x.wav")
        done = inside("speech", "fit", recording, "-o", target, *flags)
        assert done.code == 2
        assert text in done.complaint
    assert not (tmp_path / "x.npz").exists()


def test_what_cannot_be_drawn(tmp_path: Path, model: Path, recording: Path, inside: Inside) -> None:
    out = tmp_path / "x.wav"
    for arguments, code, text in [
        ((recording,), 5, "speech fit"),
        ((model, "--keep", 1.5), 2, "--keep"),
        ((model, "--mode", "conditioned", "--keep", 0.5), 2, "--keep"),
        ((model, "--mode", "zero-ended", "--rate", 48000), 2, "--rate"),
        ((model, "--mode", "backwards"), 2, "mode"),
    ]:
        done = inside("speech", "render", *arguments, "-o", out)
        assert done.code == code
        assert text in done.complaint
        assert not out.exists()


def test_nothing_is_overwritten_unasked(tmp_path: Path, model: Path, recording: Path, inside: Inside) -> None:
    (tmp_path / "x.wav").write_bytes(b"precious")
    before = model.read_bytes()
    for arguments in (("render", model, "-o", tmp_path / "x.wav"), ("fit", recording, "-o", model)):
        done = inside("speech", *arguments)
        assert done.code == 2
        assert "-f" in done.complaint
    assert (tmp_path / "x.wav").read_bytes() == b"precious"
    assert model.read_bytes() == before


def test_the_page_has_players_spectrograms_and_measures(
    tmp_path: Path, recording: Path, inside: Inside
) -> None:
    pytest.importorskip("plotly")
    pytest.importorskip("jinja2")
    page = tmp_path / "x.html"
    done = inside("speech", "fit", recording, "-o", tmp_path / "x.npz", *FIT, "--report", page)
    assert done.code == 0
    text = page.read_text()
    assert text.count("<audio") == 4 + 3
    assert text.count("plotly-graph-div") == 4 + 1
    for word in ("zero-ended", "conditioned", "state-space", "STOI", "keep"):
        assert word in text
    own = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert "http" not in re.sub(r"data:audio[^\"]*", "", own)  # nothing is fetched


def test_help_is_whole() -> None:
    done = rtsynth("speech", "render", "--help")
    assert done.code == 0
    for flag in ("--mode", "--keep", "--seed", "--report", "--out"):
        assert flag in done.out
