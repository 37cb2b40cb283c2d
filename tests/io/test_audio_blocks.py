"""Files read a block at a time are the files read whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsynth.errors import InputError
from rtsynth.io.audio_blocks import AudioBlocks
from rtsynth.io.audio_files import read_audio


@pytest.mark.parametrize("frames", [1000, 4999, 5000, 5001, 10**6])
def test_together_they_are_the_whole(tmp_path: Path, frames: int) -> None:
    sound = np.random.default_rng(1).uniform(-1, 1, (10_000, 2))
    sound[17, 1] = 1.0
    soundfile.write(tmp_path / "x.flac", sound, 44100)
    blocks = AudioBlocks(tmp_path / "x.flac", frames)
    assert (blocks.rate, blocks.channels, blocks.read) == (44100.0, 2, 0)
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate(list(blocks)), read_audio(tmp_path / "x.flac")[0])
        assert (blocks.read, blocks.share) == (10_000, 1.0)
        assert 1 <= blocks.clipped < 40


def test_what_is_no_audio_is_said_at_once_and_what_is_not_finite_on_the_way(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_text("hello")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    for name, why in (("x.wav", "as audio"), ("none.wav", "No such"), ("empty.wav", "no samples")):
        with pytest.raises(InputError, match=why):
            AudioBlocks(tmp_path / name)
    sound = np.zeros(8000)
    sound[6000] = np.nan
    soundfile.write(tmp_path / "nan.wav", sound, 8000, subtype="FLOAT")
    blocks = AudioBlocks(tmp_path / "nan.wav", 2000)
    with pytest.raises(InputError, match=r"after 0\.8 s"):
        list(blocks)
    assert blocks.read == 6000
