"""Audio files read back, refused, interrupted, and on disks that fill up."""

from __future__ import annotations

import errno
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsynth.errors import InputError, RateError, RtsynthError, UsageError
from rtsynth.io import audio_files
from rtsynth.io.audio_files import AudioWriter, DiskFullError

RATE = 48000
SOUND = (0.5 * np.random.default_rng(1).uniform(-1, 1, (RATE, 2))).astype(np.float32)
TAGS = {"software": "rtsynth", "comment": "preset piano, seed 1"}


def written(path: Path, chunk: int = 4800, **arguments: object) -> Path:
    with AudioWriter(path, RATE, **arguments) as writer:  # type: ignore[arg-type]
        for start in range(0, len(SOUND), chunk):
            writer.write(SOUND[start : start + chunk])
    return path


@pytest.mark.parametrize("suffix", [".wav", ".rf64", ".aiff", ".flac"])
def test_what_is_written_is_read_back_to_the_last_of_24_bits(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"x{suffix}", tags=TAGS, whole=True)
    assert soundfile.info(path).subtype == "PCM_24"
    sound, rate = soundfile.read(path, dtype="float64")
    assert rate == RATE
    assert np.abs(sound - SOUND).max() < 2**-23


@pytest.mark.parametrize("suffix", [".ogg", ".opus", ".mp3"])
def test_compressed_formats_have_every_second(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"x{suffix}", whole=True)
    assert soundfile.info(path).duration == pytest.approx(1.0, abs=0.06)


def test_float_files_keep_what_is_beyond_full_scale_and_repeat_to_the_byte(tmp_path: Path) -> None:
    """Without care libsndfile writes the time of day into their peak chunk."""
    loud = 4 * SOUND
    for name in ("a.wav", "b.wav"):
        with AudioWriter(tmp_path / name, RATE, subtype="float", tags=TAGS, whole=True) as writer:
            writer.write(loud)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    assert b"PEAK" not in (tmp_path / "a.wav").read_bytes()[:200]
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.wav", dtype="float32")[0], loud)
    assert (writer.clipped, writer.peak) == (0, float(np.abs(loud).max()))


def test_the_check_for_the_peak_chunk_sees_one(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", SOUND, RATE, subtype="FLOAT")
    assert b"PEAK" in (tmp_path / "x.wav").read_bytes()[:200]


def test_clipping_is_counted(tmp_path: Path) -> None:
    with AudioWriter(tmp_path / "x.wav", RATE) as writer:
        writer.write(np.array([[0.5, 1.5], [-2.0, 1.0]], np.float32))
    assert writer.clipped == 2


def test_tags_tell_how_to_make_it_again(tmp_path: Path) -> None:
    with soundfile.SoundFile(written(tmp_path / "x.wav", tags=TAGS)) as file:
        assert file.comment == TAGS["comment"]
        assert file.software.startswith("rtsynth")


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(b"precious")
    with pytest.raises(UsageError, match="-f"):
        AudioWriter(path, RATE)
    assert path.read_bytes() == b"precious"
    assert len(soundfile.read(written(path, force=True))[0]) == RATE


def test_a_whole_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(b"precious")
    writer = AudioWriter(path, RATE, force=True, whole=True)
    writer.write(SOUND)
    writer.__exit__(ZeroDivisionError)
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


def length_in_header(path: Path) -> int:
    """Frames as a WAV file's header tells them; readers less kind than libsndfile believe it."""
    with wave.open(str(path)) as file:
        return file.getnframes()


def test_a_recording_can_be_read_at_any_moment(tmp_path: Path) -> None:
    """As after a crash: read while the writer is still open."""
    writer = AudioWriter(tmp_path / "x.wav", RATE, tags=TAGS)
    for count in (4800, 9600):
        writer.write(SOUND[:4800])
        assert length_in_header(writer.path) == count
    writer.close()


def test_the_check_sees_a_header_left_behind(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "x.wav", "w", RATE, 2, "PCM_24") as file:
        file.write(SOUND[:4800])
        with pytest.raises(wave.Error, match="missing"):
            length_in_header(tmp_path / "x.wav")


@pytest.mark.parametrize(
    ("name", "arguments", "error", "text"),
    [
        ("x.xyz", {}, UsageError, "suffix '.xyz'. Use one of .wav"),
        ("x", {}, UsageError, "suffix ''"),
        ("x.ogg", {}, UsageError, "needs one of .wav, .rf64"),
        ("x.wav", {"subtype": "VORBIS"}, UsageError, "no subtype VORBIS. Use one of"),
        ("nosuch/x.wav", {}, InputError, "mkdir -p"),
        ("", {}, UsageError, "is a folder"),
    ],
)
def test_what_cannot_be_begun(
    tmp_path: Path, name: str, arguments: dict[str, str], error: type[RtsynthError], text: str
) -> None:
    with pytest.raises(error, match=text):
        AudioWriter(tmp_path / name, RATE, subtype=arguments.get("subtype"))


def test_a_rate_the_format_does_not_take(tmp_path: Path) -> None:
    with pytest.raises(RateError, match="44100"):
        AudioWriter(tmp_path / "x.opus", 44100, whole=True)
    assert list(tmp_path.iterdir()) == []


def test_wav_files_end_at_4_gib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_files, "_LARGEST_32_BIT", 6 * 5000)
    writer = AudioWriter(tmp_path / "x.wav", RATE)
    writer.write(SOUND[:4800])
    with pytest.raises(RtsynthError, match="4 GiB") as caught:
        writer.write(SOUND[:4800])
    assert ".rf64" in str(caught.value)
    writer.close()
    assert soundfile.info(tmp_path / "x.wav").frames == 4800


FILL = """
import resource, sys
import numpy as np
from rtsynth.errors import RtsynthError
from rtsynth.io.audio_files import AudioWriter
path, whole = sys.argv[1], sys.argv[2] == "whole"
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sound = (0.5 * np.random.default_rng(1).uniform(-1, 1, (4800, 2))).astype(np.float32)
writer = AudioWriter(path, 48000, whole=whole)
try:
    with writer:
        for _ in range(400):
            writer.write(sound)
except RtsynthError as error:
    print(type(error).__name__, writer.frames, error, sep="|")
"""


def fill(path: Path, how: str) -> list[str]:
    """What a process that may write 100 kB a file says when it writes 40 seconds."""
    command = [sys.executable, "-c", FILL, str(path), how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip().split("|")


@pytest.mark.parametrize("suffix", [".wav", ".rf64", ".aiff"])
def test_a_recording_on_a_full_disk_keeps_whole_chunks(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    kind, frames, line = fill(path, "recording")
    assert kind == "DiskFullError"
    assert line.startswith(f"disk full while writing {path}: 0.3 seconds are saved")
    sound, _ = soundfile.read(path)
    assert len(sound) == int(frames) == 14400  # no part of the chunk that did not fit


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3"])
def test_a_rendering_on_a_full_disk_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    """libsndfile's Ogg writer never ends where writes fail; `Sink` lets it."""
    kind, _, line = fill(tmp_path / f"x{suffix}", "whole")
    assert kind == "DiskFullError"
    assert "nothing was saved" in line
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_for_the_header(tmp_path: Path) -> None:
    (tmp_path / "x.wav").symlink_to("/dev/full")
    with pytest.raises(DiskFullError, match=r"0\.0 seconds"):
        AudioWriter(tmp_path / "x.wav", RATE, force=True)


def test_other_faults_keep_the_systems_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = AudioWriter(tmp_path / "x.wav", RATE)
    writer.write(SOUND[:100])

    class Broken:
        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

        def write(self, data: bytes) -> int:
            raise OSError(errno.EIO, "Input/output error")

    real = writer._sink._file
    monkeypatch.setattr(writer._sink, "_file", Broken())
    with pytest.raises(RtsynthError, match="Input/output error") as caught:
        writer.write(SOUND[:100])
    assert not isinstance(caught.value, DiskFullError)
    writer.close()
    assert soundfile.info(writer.path).frames == writer.frames == 100
