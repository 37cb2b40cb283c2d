"""Audio files read whole: odd, cut short, broken and hostile ones; what cannot be read is one line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsynth.errors import InputError
from rtsynth.io import audio_files
from rtsynth.io.audio_files import read_audio
from tests.data import shared, shared_files

RATE = 44100
NOISE = 0.3 * np.random.default_rng(2).uniform(-1, 1, (RATE, 1))

# What is in each of the shared odd files that can be read: shape, rate.
ODD = {
    "hound_nonstandard-01": ((1, 2), 48000),
    "hound_pcmwaveformat-8bit-44100Hz-mono": ((4, 1), 44100),
    "hound_pop": ((100, 1), 44100),
    "hound_waveformatextensible-24bit-192kHz-mono": ((4, 1), 192000),
    "hound_waveformatextensible-24bit-4byte-48kHz-stereo": ((2, 2), 48000),
    "scipy_1234Hz-le-1ch-10S-20bit-extra": ((10, 1), 1234),
    "scipy_44100Hz-2ch-32bit-float-le": ((441, 2), 44100),
    "scipy_44100Hz-be-1ch-4bytes": ((4410, 1), 44100),
    "scipy_44100Hz-le-1ch-4bytes-early-eof": ((236, 1), 44100),
    "scipy_44100Hz-le-1ch-4bytes-rf64": ((4410, 1), 44100),
    "scipy_8000Hz-le-1ch-1byte-ulaw": ((9, 1), 8000),
    "scipy_8000Hz-le-3ch-5S-24bit": ((5, 3), 8000),
    "scipy_8000Hz-le-4ch-9S-12bit": ((9, 4), 8000),
    "wavefile_32bitIEEE-16kHz-bext-mono": ((27429, 1), 16000),
    "wavefile_4bit-imaadpcm-8kHz-noBext-mono": ((53025, 1), 8000),
    "wavefile_8bit-alaw-8kHz-noBext-mono-encoded": ((48000, 1), 8000),
    "wavefile_M1F1-int12WE-AFsp": ((23493, 2), 8000),
    "wavefile_RIFX-16bit-mono": ((48000, 1), 8000),
}


def complaint(path: Path) -> str:
    """The one line of an InputError, exit code 5, that names the file and says what to do."""
    with pytest.raises(InputError) as caught:
        read_audio(path)
    text = str(caught.value)
    assert caught.value.exit_code == 5
    assert str(path) in text
    assert "\n" not in text
    return text


@pytest.mark.parametrize("path", shared_files("wav_odd", "*.wav"), ids=lambda path: path.stem)
def test_every_odd_file_is_read_or_refused_in_one_line(path: Path) -> None:
    try:
        samples, rate = read_audio(path)
    except InputError:
        assert path.stem not in ODD
        complaint(path)
        return
    assert samples.dtype == np.float64
    assert np.isfinite(samples).all()
    assert len(samples) >= 1
    if path.stem in ODD:
        assert (samples.shape, rate) == ODD[path.stem]


def test_the_broken_ones_are_refused() -> None:
    folder = shared("wav_odd")
    for name in ("hound_crash-24728523", "hound_crash-e5471f5b", "scipy_8000Hz-le-3ch-5S-64bit"):
        assert "ffmpeg -i" in complaint(folder / f"{name}.wav")
    assert "no samples" in complaint(folder / "lyra_test_playback_empty.wav")


@pytest.mark.parametrize(
    ("suffix", "subtype", "error"),
    [
        (".wav", "PCM_U8", 2**-7),
        (".wav", "PCM_24", 2**-23),
        (".wav", "DOUBLE", 0),
        (".flac", "PCM_16", 2**-15),
        (".aiff", "PCM_24", 2**-23),
        (".caf", "FLOAT", 2**-24),
        (".rf64", "PCM_32", 2**-30),
    ],
)
def test_what_was_written_is_read(tmp_path: Path, suffix: str, subtype: str, error: float) -> None:
    three = np.hstack([NOISE, -NOISE, NOISE[::-1]])
    path = tmp_path / f"x{suffix}"
    soundfile.write(path, three, RATE, subtype=subtype)
    samples, rate = read_audio(path)
    assert rate == RATE
    assert isinstance(rate, float)
    np.testing.assert_allclose(samples, three, rtol=0, atol=error)


@pytest.mark.parametrize("suffix", [".ogg", ".mp3", ".opus"])
def test_compressed_files_are_read(tmp_path: Path, suffix: str) -> None:
    path, rate = tmp_path / f"x{suffix}", 48000
    tone = 0.5 * np.sin(2 * np.pi * 440 / rate * np.arange(rate))[:, None]
    soundfile.write(
        path,
        tone,
        rate,
        format="OGG" if suffix == ".opus" else None,
        subtype="OPUS" * (suffix == ".opus") or None,
    )
    samples, read_rate = read_audio(path)
    assert read_rate == rate
    assert abs(len(samples) - rate) < 0.06 * rate
    spectrum = np.abs(np.fft.rfft(samples[:, 0] * np.hanning(len(samples))))
    assert abs(spectrum.argmax() * rate / len(samples) - 440) < 2


def test_floats_beyond_full_scale_are_kept_and_long_files_are_whole(tmp_path: Path) -> None:
    long = np.tile(100 * NOISE, (3, 2))
    soundfile.write(tmp_path / "x.wav", long, RATE, subtype="DOUBLE")
    np.testing.assert_array_equal(read_audio(str(tmp_path / "x.wav"))[0], long)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_refused(tmp_path: Path, bad: float) -> None:
    samples = NOISE.copy()
    samples[[7, 70]] = bad
    soundfile.write(tmp_path / "x.wav", samples, RATE, subtype="FLOAT")
    assert ": 2 samples are infinite or not numbers" in complaint(tmp_path / "x.wav")


def test_files_that_are_none(tmp_path: Path) -> None:
    assert "No such file" in complaint(tmp_path / "nosuch.wav")
    assert "not a file" in complaint(tmp_path)
    assert "not a file" in complaint(Path(os.devnull))
    (tmp_path / "empty.wav").touch()
    assert "as audio" in complaint(tmp_path / "empty.wav")
    (tmp_path / "text.wav").write_text("hello\n" * 99)
    assert "as audio" in complaint(tmp_path / "text.wav")
    (tmp_path / "x.raw").write_bytes(bytes(99))
    assert "no header" in complaint(tmp_path / "x.raw")


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert "not a file" in complaint(tmp_path / "pipe.wav")


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
@pytest.mark.parametrize("damage", ["cut", "scrambled", "header"])
def test_damaged_files_are_read_or_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, damage: str
) -> None:
    path = tmp_path / f"x{suffix}"
    soundfile.write(path, NOISE, RATE)
    data = bytearray(path.read_bytes())
    if damage == "scrambled":
        third = len(data) // 3
        data[third : 2 * third] = np.random.default_rng(3).bytes(third)
    path.write_bytes(data[: {"cut": len(data) // 2, "scrambled": len(data), "header": 30}[damage]])
    try:
        samples, _ = read_audio(path)
    except InputError:
        complaint(path)
    else:
        assert damage != "header"
        assert 0 < len(samples) <= 1.01 * RATE
    assert capfd.readouterr() == ("", "")  # mpg123 would talk


def test_a_header_that_promises_too_much_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A FLAC file may claim 2^36 samples: nothing is allocated before they are there."""
    path = tmp_path / "x.flac"
    soundfile.write(path, NOISE, RATE)
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F  # the upper bits of STREAMINFO's count of samples
    path.write_bytes(data)
    assert soundfile.info(path).frames > 6e10
    try:
        assert len(read_audio(path)[0]) == len(NOISE)
    except InputError:
        complaint(path)
    monkeypatch.setattr(audio_files, "_LONGEST_READ", 30000)
    soundfile.write(tmp_path / "long.wav", np.tile(NOISE, (3, 1)), RATE)
    assert "-t 600" in complaint(tmp_path / "long.wav")
