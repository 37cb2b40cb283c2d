"""The shipped model: what it does to sound, measured on the file itself, without torch; and its recipe, with it."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="models need onnxruntime")

from rtsynth.inference.manifest import directory, load_manifest
from rtsynth.inference.model import StreamingModel
from rtsynth.training import valve
from tests.training.test_valve import alias_db, harmonics_db, sine

SHIPPED = directory() / "drive.onnx"


@pytest.fixture(scope="module")
def model() -> StreamingModel:
    return StreamingModel(load_manifest("drive"))


def driven(model: StreamingModel, samples: np.ndarray) -> np.ndarray:
    """(N,) frame by frame from a fresh start: (N,)."""
    model.reset()
    padded = np.concatenate([samples, np.zeros(-samples.size % model.frame)]).astype(np.float32)
    return np.concatenate([model.step(f) for f in padded.reshape(-1, model.frame)])[: samples.size, 0].astype(
        float
    )


def test_it_is_small_and_says_what_it_is() -> None:
    manifest = load_manifest("drive")
    assert SHIPPED.stat().st_size <= 50_000
    assert manifest.sha256 == hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    assert (manifest.frame, manifest.sample_rate, manifest.latency, manifest.opset) == (64, 48000.0, 0, 17)
    assert manifest.licence == "MIT"
    assert manifest.export is not None
    assert manifest.export.error < manifest.export.tolerance == 1e-5
    assert manifest.export.runs >= 20
    assert "rtsynth train drive" in manifest.card


def error_db(said: np.ndarray, wanted: np.ndarray) -> float:
    return float(10 * np.log10(((said - wanted) ** 2).sum() / (wanted**2).sum()))


@pytest.mark.parametrize(
    ("kind", "limit"), [(valve.strings, -26.0), (valve.speech, -20.0), (valve.tones, -20.0)]
)
def test_it_learned_the_formula(kind: object, limit: float, model: StreamingModel) -> None:
    """Sound of other seeds than it heard, at the level it is staged for."""
    dry = kind(2.0, np.random.default_rng(77))  # type: ignore[operator]
    dry *= valve.SPEECH_RMS / np.sqrt((dry**2).mean())
    wet = valve.valve(dry)
    found = error_db(driven(model, dry), wet)
    assert found < limit
    assert found < error_db(dry, wet) - 6.0  # the dry sound is further away


def test_silence_in_is_silence_out(model: StreamingModel) -> None:
    assert not driven(model, np.zeros(9600)).any()
    burst = np.zeros(24000)
    burst[:9600] = 0.5 * np.random.default_rng(1).standard_normal(9600)
    assert np.abs(driven(model, burst)[9600 + 4800 :]).max() < 1e-10  # 0.1 s later


def test_it_neither_drifts_nor_runs_away(model: StreamingModel) -> None:
    """Ten seconds of a square twenty decibels above full scale."""
    t = np.arange(480000) / valve.RATE
    out = driven(model, 10.0 * np.sign(np.sin(2 * np.pi * 110.0 * t)))
    assert np.abs(out).max() < 1.5
    assert abs(out[-48000:].mean()) < 1e-4
    assert np.abs(out[-48000:]).max() <= np.abs(out[:48000]).max()
    assert np.abs(driven(model, np.ones(96000))[-4800:]).max() < 1e-3


def test_speech_level_sound_gets_warm_and_keeps_its_level(model: StreamingModel) -> None:
    tone = sine(200.0, -15.0)  # -18 dBFS rms
    found, wanted = (harmonics_db(wet, 200.0) for wet in (driven(model, tone), valve.valve(tone)))
    assert np.abs(found - wanted)[:3].max() < 1.5
    words = valve.speech(2.0, np.random.default_rng(5))
    words *= valve.SPEECH_RMS / np.sqrt((words**2).mean())
    assert abs(10 * np.log10((driven(model, words) ** 2).mean() / (words**2).mean())) < 3.0


def test_what_turns_it_leaves_no_lines_of_its_own(model: StreamingModel) -> None:
    """The GRU steps at 3 kHz: what it hears of a tone must not fold there."""
    assert alias_db(driven(model, sine(1100.0, -12.0)), 1100.0) < -95.0


def test_it_aliases_less_than_the_formula_at_its_own_rate(model: StreamingModel) -> None:
    tone = sine(3100.0, -6.0)
    assert alias_db(driven(model, tone), 3100.0) < alias_db(valve.valve(tone, oversampling=1), 3100.0) - 3.0


# --- the recipe


def test_the_network_streams() -> None:
    torch = pytest.importorskip("torch", reason="training needs torch: docs/export.md")
    from rtsynth.training.contract import streamed
    from rtsynth.training.drive import Drive
    from rtsynth.training.measuring import measure

    torch.manual_seed(2)
    found = measure(streamed(Drive(), "drive"), 1e-5, 1)
    assert (found.latency, found.lookahead, found.idle) == (0, 0, 0.0)


def test_a_short_recipe_learns_and_is_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="training needs torch: docs/export.md")
    from rtsynth.training import drive
    from rtsynth.training.drive import Drive, Recipe, held_out_errors, train

    monkeypatch.setattr(drive, "HELD_OUT_SECONDS", 0.5)

    shares: list[float] = []
    brief = Recipe(seconds=1.0, updates=2, streams=2, segment=1024)
    one, same = train(brief, shares.append), train(brief)
    assert shares == [0.5, 1.0]
    assert all(a.equal(b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    learned = held_out_errors(train(Recipe(seconds=2.0, updates=40, streams=4, segment=2048)))
    torch.manual_seed(1)
    before = held_out_errors(Drive())
    assert all(learned[kind] < before[kind] - 1.0 for kind in before)
