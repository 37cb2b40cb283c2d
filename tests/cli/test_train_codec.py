"""`rtsynth train codec` and `export codec` from the command line, both schemes: gone on with, exported, used."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="training needs torch: docs/export.md")
pytest.importorskip("onnx", reason="export needs onnx: docs/export.md")
pytest.importorskip("onnxruntime", reason="models need onnxruntime")

from rtsynth.codec.article import ArticleCodec  # noqa: E402
from rtsynth.inference.manifest import load_manifest  # noqa: E402
from rtsynth.training import article, codec  # noqa: E402
from rtsynth.training.article_training import Training  # noqa: E402
from tests.cli.command import Inside  # noqa: E402
from tests.training.article_sounds import TINY, words  # noqa: E402

RATE = 16000


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that tests can afford, by the same recipes."""
    torch.set_num_threads(1)
    monkeypatch.setattr(article, "SMALL", TINY)
    tiny = codec.Recipe(
        width=16,
        analysed_updates=1,
        sounding_updates=1,
        analysed_streams=2,
        analysed_frames=8,
        sounding_streams=1,
        sounding_frames=8,
        speeds=(1.0,),
    )
    monkeypatch.setattr(codec.Recipe, "of", lambda updates, seed: replace(tiny, seed=seed))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speech")
    for number in range(3):
        soundfile.write(path / f"{number}.wav", 0.3 * words(1 << 14, number), RATE)
    return path


def test_the_published_scheme_is_trained_gone_on_with_and_exported(
    tmp_path: Path, folder: Path, inside: Inside
) -> None:
    out, onnx = tmp_path / "a.pt", tmp_path / "a.onnx"
    flags = ["--data", folder, "-o", out, "--scheme", "article", "--updates", 3]
    done = inside("train", "codec", *flags, "--json")
    assert done.code == 0
    told = json.loads(done.out)
    assert (told["updates"], told["recordings_held_out"]) == (3, 1)
    assert 0.0 < told["held_out"]["energy left"] < 1.2
    whole = Training.load(out)
    assert (whole.done, whole.recipe.size) == (3, TINY)
    assert inside("train", "codec", *flags).code == 2  # it is there
    half = Training(whole.recipe)
    half.save(out)
    assert inside("train", "codec", *flags, "--resume").out == f"{out}\n"
    gone_on = Training.load(out).model.state_dict()
    assert all(torch.equal(a, gone_on[name]) for name, a in whole.model.state_dict().items())
    assert inside("train", "codec", *flags, "--resume", "--no-mended").code == 5

    done = inside("export", "codec", out, "-o", onnx, "--runs", 2, "--json")
    told = json.loads(done.out)
    assert (done.code, told["mended"], told["sample_rate"]) == (0, True, TINY.rate)
    assert told["error"] < 1e-4
    assert "--scheme article --seed 1 --updates 3" in ArticleCodec.load(onnx).scheme.card
    assert inside("export", "codec", out, "-o", onnx).code == 2
    assert inside("export", "codec", out, "-o", onnx, "-f", "--runs", 1, "--tolerance", 1e-12).code == 6
    wav, events = folder / "0.wav", tmp_path / "x.events"
    flags = ["--scheme", "article", "--model", onnx]
    assert inside("codec", "encode", wav, "-o", events, *flags).code == 0
    assert inside("codec", "decode", events, "-o", tmp_path / "x.wav", "--model", onnx).code == 0
    samples = soundfile.read(wav, dtype="float32")[0]
    codec = ArticleCodec.load(onnx)
    again = codec.decode(codec.encode(samples, RATE), samples.size)
    decoded = soundfile.read(tmp_path / "x.wav")[0][:, 0]
    assert np.corrcoef(np.abs(decoded), np.abs(again))[0, 1] > 0.5  # 4 bits a number lie between


def test_the_scheme_as_it_was_published(tmp_path: Path, folder: Path, inside: Inside) -> None:
    out = tmp_path / "a.pt"
    flags = ["--data", folder, "-o", out, "--scheme", "article", "--no-mended", "--updates", 2, "-q"]
    assert inside("train", "codec", *flags).code == 0
    recipe = Training.load(out).recipe
    assert (recipe.size.mended, recipe.together, recipe.adversary_rate) == (False, 1, 1e-3)
    done = inside("export", "codec", out, "-o", tmp_path / "a.onnx", "--runs", 1)
    assert (done.code, done.out) == (0, f"{tmp_path / 'a.onnx'}\n")
    assert not ArticleCodec.load(tmp_path / "a.onnx").scheme.mended


def test_the_live_encoder_is_trained_watched_and_exported(
    tmp_path: Path, folder: Path, inside: Inside
) -> None:
    pytest.importorskip("tensorboard", reason="curves need tensorboard: pip install 'rtsynth[train]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out, curves = tmp_path / "l.pt", tmp_path / "curves"
    done = inside("train", "codec", "--data", folder, "-o", out, "--tensorboard", curves, "--json")
    told = json.loads(done.out)
    assert (done.code, told["updates"]) == (0, 2)
    assert set(told["held_out"]) == {"pitch", "envelope", "shares"}
    seen = EventAccumulator(str(curves)).Reload()
    assert "loss/total" in seen.Tags()["scalars"]
    assert [scalar.step for scalar in seen.Scalars("loss/envelope")] == [1, 2]
    assert "original" in seen.Tags()["audio"]
    done = inside("export", "codec", out, "-o", tmp_path / "l.onnx", "--runs", 1, "--json")
    assert done.code == 0
    assert load_manifest(tmp_path / "l.toml").answers == "records"


def test_what_does_not_go_together_is_one_line(tmp_path: Path, folder: Path, inside: Inside) -> None:
    known = ["--data", folder, "-o", tmp_path / "x.pt"]
    for flags, code in (
        ([*known, "--no-mended"], 2),
        ([*known, "--updates", 1], 2),
        (["--data", folder, "-o", tmp_path / "x.onnx"], 2),
        ([*known, "--scheme", "article", "--resume"], 5),
        (["--data", tmp_path, "-o", tmp_path / "x.pt", "--scheme", "article"], 5),
    ):
        done = inside("train", "codec", *flags)
        assert done.code == code, done.err
        assert len(done.err.strip().splitlines()) == 1
    (tmp_path / "no.pt").write_bytes(b"nonsense")
    assert inside("export", "codec", tmp_path / "no.pt", "-o", tmp_path / "x.onnx").code == 5
