"""A patched copy of an audio file: the same to the bit outside the patches, in every form that can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsynth.errors import InputError, RtsynthError, UsageError
from rtsynth.io.patch import patch_audio

FORMS = [
    ("wav", "WAV", "PCM_U8"),
    ("wav", "WAV", "PCM_16"),
    ("wav", "WAVEX", "PCM_24"),
    ("wav", "WAV", "PCM_32"),
    ("wav", "WAV", "FLOAT"),
    ("wav", "WAV", "DOUBLE"),
    ("wav", "WAV", "ULAW"),
    ("aiff", "AIFF", "PCM_16"),
    ("flac", "FLAC", "PCM_16"),
    ("flac", "FLAC", "PCM_24"),
    ("caf", "CAF", "ALAW"),
]


def raw(path: Path) -> np.ndarray:
    info = soundfile.info(path)
    whole = info.subtype not in ("FLOAT", "DOUBLE", "VORBIS")
    return soundfile.read(path, dtype="int32" if whole else "float64", always_2d=True)[0]


def make(path: Path, container: str, subtype: str, channels: int = 3) -> Path:
    sound = np.random.default_rng(1).uniform(-1.0, 1.0, (2000, channels))
    with soundfile.SoundFile(path, "w", 22050, channels, subtype=subtype, format=container) as file:
        file.title = "a title"
        file.write(sound)
    return path


@pytest.mark.parametrize(("suffix", "container", "subtype"), FORMS, ids=lambda value: value)
def test_nothing_else_changes(tmp_path: Path, suffix: str, container: str, subtype: str) -> None:
    source, target = make(tmp_path / f"a.{suffix}", container, subtype), tmp_path / f"b.{suffix}"
    patch = np.full((50, 3), 0.25)
    assert patch_audio(source, target, [(100, patch), (1950, 2.0 * patch)])
    before, after = raw(source), raw(target)
    changed = np.zeros(2000, dtype=bool)
    changed[100:150] = changed[1950:] = True
    np.testing.assert_array_equal(after[~changed], before[~changed])
    sound = soundfile.read(target)[0]
    np.testing.assert_allclose(
        sound[100:150], 0.25, atol=0.02 if subtype in ("ULAW", "ALAW", "PCM_U8") else 2.0**-15
    )
    old, new = soundfile.info(source), soundfile.info(target)
    assert (new.format, new.subtype, new.samplerate, new.channels, new.frames, new.endian) == (
        old.format, old.subtype, old.samplerate, old.channels, old.frames, old.endian,
    )  # fmt: skip
    with soundfile.SoundFile(source) as first, soundfile.SoundFile(target) as second:
        assert second.copy_metadata().get("title") == first.copy_metadata().get("title")
    assert sorted(path.name for path in tmp_path.iterdir()) == [source.name, target.name]


@pytest.mark.parametrize(
    ("suffix", "container", "subtype", "target", "exact", "stored"),
    [
        ("wav", "WAV", "PCM_16", "b.flac", True, "PCM_16"),
        ("flac", "FLAC", "PCM_24", "b.wav", True, "PCM_24"),
        ("ogg", "OGG", "VORBIS", "b.wav", True, "FLOAT"),
        ("ogg", "OGG", "VORBIS", "b.ogg", False, "VORBIS"),
        ("wav", "WAV", "FLOAT", "b.flac", False, "PCM_24"),
        ("wav", "WAV", "PCM_16", "b.ogg", False, "VORBIS"),
    ],
)
def test_another_suffix_keeps_what_it_can(
    tmp_path: Path, suffix: str, container: str, subtype: str, target: str, exact: bool, stored: str
) -> None:
    source = make(tmp_path / f"a.{suffix}", container, subtype, channels=1)
    assert patch_audio(source, tmp_path / target, [(10, np.zeros((5, 1)))]) is exact
    assert soundfile.info(tmp_path / target).subtype == stored
    before, after = (soundfile.read(path, dtype="float64")[0] for path in (source, tmp_path / target))
    assert np.array_equal(before[15:], after[15:]) is exact


def test_beyond_full_scale_is_cut_not_wrapped(tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", "WAV", "PCM_16", channels=1)
    patch_audio(source, tmp_path / "b.wav", [(0, np.array([[1.7], [-1.7], [np.pi]]))])
    np.testing.assert_array_equal(
        soundfile.read(tmp_path / "b.wav", dtype="int16")[0][:3], [32767, -32768, 32767]
    )


def test_a_file_can_be_patched_in_its_own_place(tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", "WAV", "PCM_16", channels=1)
    before = raw(source)
    patch_audio(source, source, [(7, np.zeros((1, 1)))], force=True)
    after = raw(source)
    assert after[7] == 0
    np.testing.assert_array_equal(np.delete(after, 7), np.delete(before, 7))


def test_what_cannot_be_written_or_read_is_said(tmp_path: Path) -> None:
    source = make(tmp_path / "a.wav", "WAV", "PCM_16")
    for target, error, text in (
        (source, UsageError, "is there already"),
        (tmp_path / "b.xyz", UsageError, "no audio format has the suffix"),
        (tmp_path / "none" / "b.wav", InputError, "mkdir -p"),
    ):
        with pytest.raises(error, match=text):
            patch_audio(source, target, [])
    (tmp_path / "c.wav").write_bytes(b"no sound")
    with pytest.raises(InputError, match="cannot read"):
        patch_audio(tmp_path / "c.wav", tmp_path / "d.wav", [])


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from rtsynth.io import patch

    class Full(patch.Sink):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.problem = OSError(errno.ENOSPC, "No space left on device")
            return len(data)

    source = make(tmp_path / "a.wav", "WAV", "PCM_16")
    monkeypatch.setattr(patch, "Sink", Full)
    with pytest.raises(RtsynthError, match="No space left on device; nothing was saved"):
        patch_audio(source, tmp_path / "b.wav", [])
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
