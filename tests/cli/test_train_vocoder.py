"""`rtsynth train vocoder` from the command line: stopped, gone on with, exported, used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="training needs torch: docs/export.md")
pytest.importorskip("onnx", reason="export needs onnx: docs/export.md")
pytest.importorskip("onnxruntime", reason="models need onnxruntime")

from rtsynth.training import causal_training  # noqa: E402
from rtsynth.vocoder.mel import mel_frames  # noqa: E402
from rtsynth.vocoder.stream import load_vocoder  # noqa: E402
from tests.cli.command import Inside  # noqa: E402
from tests.training.test_causal_vocoder import SMALL, hum  # noqa: E402


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that tests can afford, by the same recipe."""
    monkeypatch.setattr(causal_training.Recipe, "of", classmethod(lambda cls, updates, seed: SMALL))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    there = tmp_path / "clips"
    there.mkdir()
    for name in ("a.wav", "b.wav"):
        soundfile.write(there / name, hum(0.5), 22050)
    return there


def test_train_stop_go_on_and_use(inside: Inside, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "v.onnx"
    flags = ("train", "vocoder", "--data", folder, "-o", out, "--json")
    told = json.loads(inside(*flags, "--seconds", "1e-9").out)
    assert (told["updates"], told["of"]) == (0, SMALL.updates)
    assert inside(*flags).code == 2  # it is there
    told = json.loads(inside(*flags, "--also", folder, "--credit", "by nobody", "--resume").out)
    assert told["updates"] == SMALL.updates
    assert told["latency"] == 256
    assert told["error"] <= 1e-5
    vocoder = load_vocoder(out)
    assert "1 recordings of clips" in vocoder.card
    assert "2 of clips" in vocoder.card
    assert "- by nobody" in vocoder.card
    mel = mel_frames(hum(0.5), 22050)
    assert np.isfinite(vocoder.vocode(mel)).all()


@pytest.mark.parametrize(
    ("flags", "code", "line"),
    [
        (("--updates", "1"), 2, "--updates from 2"),
        (("--seconds", "nan"), 2, "--seconds above 0"),
        (("--resume",), 5, "no checkpoint"),
        (("-o", "v.wav"), 2, "v.onnx"),
        (("--data", "nowhere"), 5, "holds 0 recordings"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    inside: Inside, folder: Path, tmp_path: Path, flags: tuple[str, ...], code: int, line: str
) -> None:
    usual = {"--data": str(folder), "-o": str(tmp_path / "w.onnx")}
    asked = [word for name, value in usual.items() if name not in flags for word in (name, value)]
    done = inside("train", "vocoder", *asked, *flags)
    assert done.code == code
    assert line in done.complaint
