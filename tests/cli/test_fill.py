"""`rtsynth fill`: gaps repaired, everything else untouched, and one line for what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import lfilter

from tests.cli.command import Inside
from tests.data import shared_files

RATE = 8000


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """One second of a resonance in noise, two channels, 16 bits, with a quiet end."""
    drive = np.random.default_rng(1).standard_normal((RATE, 2))
    sound = 0.03 * lfilter([1.0], np.poly([0.97 * np.exp(0.4j), 0.97 * np.exp(-0.4j)]).real, drive, axis=0)
    sound[6000:] = 0.0
    path = tmp_path / "in.wav"
    soundfile.write(path, sound, RATE, subtype="PCM_16")
    return path


def samples(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="int16")[0]


def test_gaps_are_filled_and_the_rest_is_the_same_to_the_bit(
    recording: Path, tmp_path: Path, inside: Inside
) -> None:
    out = tmp_path / "out.wav"
    done = inside("fill", recording, "--gap", "0.5:0.51", "--gap", "0.2:0.21", "-o", out)
    assert (done.code, done.out) == (0, f"{out}\n")
    lines = done.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("0.2000 s: 10 ms, order ")
    assert "expected SNR" in lines[1]
    before, after = samples(recording), samples(out)
    changed = (before != after).any(axis=1)
    assert set(np.flatnonzero(changed)) <= {*range(1600, 1680), *range(4000, 4080)}
    assert changed.sum() > 140
    assert soundfile.info(out).subtype == "PCM_16"


def test_a_seed_recalls_a_draw_and_the_mean_needs_none(
    recording: Path, tmp_path: Path, inside: Inside
) -> None:
    takes = {
        name: ["fill", recording, "--gap", "0.3:0.32", "-q", "-o", tmp_path / f"{name}.wav", *flags]
        for name, flags in {
            "one": ["--seed", 5],
            "same": ["--draw", "--seed", 5],
            "other": ["--seed", 6],
            "mean": ["--mean"],
            "mean again": ["--mean", "--seed", 9],
        }.items()
    }
    for command in takes.values():
        assert inside(*command).code == 0
    found = {name: (tmp_path / f"{name}.wav").read_bytes() for name in takes}
    assert found["one"] == found["same"]
    assert found["mean"] == found["mean again"]
    assert len({found["one"], found["other"], found["mean"]}) == 3


def test_json_states_every_gap(recording: Path, tmp_path: Path, inside: Inside) -> None:
    done = inside(
        "fill",
        recording,
        "--gap",
        "0.3:0.32",
        "--gap",
        "0.95:0.96",
        "--json",
        "-q",
        "-o",
        tmp_path / "o.flac",
    )
    first, second = map(json.loads, done.out.splitlines())
    assert (first["start"], first["seconds"], first["samples"]) == (0.3, pytest.approx(0.02), 160)
    assert first["order"] > 0
    assert -3.0 < first["expected_snr_db"] < 40.0
    assert second["expected_snr_db"] is None  # silence
    assert not samples(tmp_path / "o.flac")[7600:7680].any()


@pytest.mark.parametrize(
    ("gaps", "text"),
    [
        (["0.5"], "wants START:END in seconds"),
        (["a:b"], "wants START:END in seconds"),
        (["0.1:0.2:0.3"], "wants START:END in seconds"),
        (["-1:0.2"], "from 0 up"),
        (["0:inf"], "wants finite seconds"),
        (["0.6:0.5"], "try --gap 0.5:0.6"),
        (["0.5:0.5"], "as it begins"),
        (["0.9:1.1"], "ends after the recording does, at 1 s"),
        (["2:3"], "ends after the recording does"),
        (["0.10001:0.10002"], "holds no sample"),
        (["0.5:0.6", "0.55:0.7"], "overlaps the gap before it"),
        (["0:1"], "all of the recording"),
        (["0:0.5", "0.5:1"], "all of the recording"),
    ],
)
def test_a_gap_that_cannot_be_is_one_line(
    recording: Path, tmp_path: Path, inside: Inside, gaps: list[str], text: str
) -> None:
    done = inside("fill", recording, *(f"--gap={gap}" for gap in gaps), "-o", tmp_path / "o.wav")
    assert (done.code, done.out) == (2, "")
    assert text in done.complaint
    assert not (tmp_path / "o.wav").exists()


def test_what_is_missing_or_cannot_be_read_is_one_line(
    recording: Path, tmp_path: Path, inside: Inside
) -> None:
    out = tmp_path / "o.wav"
    assert inside("fill", recording, "-o", out).code == 2
    assert inside("fill", recording, "--gap", "0.1:0.2").code == 2
    assert "is there already" in inside("fill", recording, "--gap", "0.1:0.2", "-o", recording).complaint
    assert (
        "wants a whole number"
        in inside("fill", recording, "--gap", "0.1:0.2", "--seed", "-1", "-o", out).complaint
    )
    (tmp_path / "text.wav").write_text("no sound")
    for path in (tmp_path / "text.wav", tmp_path / "none.wav"):
        done = inside("fill", path, "--gap", "0.1:0.2", "-o", out)
        assert done.code == 5
        assert str(path) in done.complaint
    assert not out.exists()


def test_a_long_gap_and_a_lossy_file_are_warned_of(recording: Path, tmp_path: Path, inside: Inside) -> None:
    done = inside("fill", recording, "--gap", "0.1:0.7", "-q", "-o", tmp_path / "o.ogg")
    assert done.code == 0
    first, second = done.err.splitlines()
    assert "--gap 0.1:0.7 is long" in first
    assert "To keep every other sample: -o o.wav" in second


@pytest.mark.parametrize("path", shared_files("wav_odd", "*.wav"), ids=lambda path: path.stem)
def test_odd_files_are_filled_or_one_line(path: Path, tmp_path: Path, inside: Inside) -> None:
    done = inside("fill", path, "--gap", "0.0001:0.0003", "-q", "-o", tmp_path / "o.wav")
    assert done.code in (0, 2, 5)
    if done.code:
        assert done.complaint
        assert not (tmp_path / "o.wav").exists()
    else:
        assert soundfile.info(tmp_path / "o.wav").frames == soundfile.info(path).frames
