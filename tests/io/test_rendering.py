"""Rendering to files: the same bytes for every block, nothing half done, gain and length as asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsynth.errors import UsageError
from rtsynth.io.midi_files import read_midi
from rtsynth.io.rendering import render_file, with_gain
from rtsynth.messages import MESSAGE, Kind, from_notes
from tests.data import shared
from tests.engine.probe import Probe

RATE = 48000
NOTES = from_notes([(0.0, 60, 0.2, 0.1), (0.1234, 62, 0.4, 0.05)], RATE)
Sources = Callable[[], Probe]


def test_every_block_size_gives_the_same_bytes(tmp_path: Path, probe: Sources) -> None:
    files = []
    for block in (16, 64, 333, 1024):
        rendered = render_file(probe(), NOTES, tmp_path / f"{block}.wav", sample_rate=RATE, block=block)
        files.append(rendered.path.read_bytes())
    assert len(set(files)) == 1
    assert len(files[0]) > 6 * 0.17 * RATE


def test_the_check_sees_another_performance(tmp_path: Path, probe: Sources) -> None:
    one = render_file(probe(), NOTES, tmp_path / "a.wav", sample_rate=RATE)
    moved = NOTES.copy()
    moved["time"][2] += 1
    other = render_file(probe(), moved, tmp_path / "b.wav", sample_rate=RATE)
    assert one.path.read_bytes() != other.path.read_bytes()


def test_gain_and_length(tmp_path: Path, probe: Sources) -> None:
    plain = render_file(probe(), NOTES, tmp_path / "a.wav", sample_rate=RATE, seconds=0.5, subtype="FLOAT")
    half = render_file(
        probe(), NOTES, tmp_path / "b.wav", sample_rate=RATE, seconds=0.5, gain_db=-6.0206, subtype="FLOAT"
    )
    a, b = (soundfile.read(rendered.path)[0] for rendered in (plain, half))
    assert len(a) == len(b) == RATE // 2
    np.testing.assert_allclose(b, a / 2, rtol=1e-5)  # from the first sample on: no ramp
    assert plain.report.limited_samples == 0


def test_gain_comes_first_and_none_changes_nothing() -> None:
    assert with_gain(NOTES, 0.0) is NOTES
    loud = with_gain(np.empty(0, MESSAGE), 20.0)
    assert (loud["kind"][0], loud["time"][0], loud["value"][0]) == (Kind.GAIN, 0, 10.0)


def test_limiting_is_reported(tmp_path: Path, probe: Sources) -> None:
    rendered = render_file(probe(), NOTES, tmp_path / "a.wav", sample_rate=RATE, gain_db=20.0)
    assert rendered.report.limited_samples > 0
    assert rendered.clipped == 0  # the limiter left nothing to cut
    assert rendered.report.peak > 1


def test_an_empty_piece_renders_its_silence(tmp_path: Path, probe: Sources) -> None:
    piece = read_midi(shared("midi/odd/jazzsoft_empty.mid"))
    rendered = render_file(probe(), piece.at_rate(RATE), tmp_path / "a.wav", sample_rate=RATE)
    assert not soundfile.read(rendered.path)[0].any()


def test_a_failure_leaves_no_file(tmp_path: Path, probe: Sources) -> None:
    with pytest.raises(UsageError, match="block 0"):
        render_file(probe(), NOTES, tmp_path / "a.wav", sample_rate=RATE, block=0)
    with pytest.raises(UsageError, match="-1"):
        render_file(probe(), NOTES, tmp_path / "a.wav", sample_rate=RATE, seconds=-1 / RATE)
    assert list(tmp_path.iterdir()) == []


def test_progress_rises_to_one(tmp_path: Path, probe: Sources) -> None:
    shares: list[float] = []
    render_file(probe(), NOTES, tmp_path / "a.wav", sample_rate=RATE, seconds=1.0, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
